"""Measures of conversions: throughput, latency, what the platform and the sandbox add, CPU time and memory of a document."""

import random
import time

import inputs
import procs
from cells import Cell
from stats import number, percentile, ratios, slope, spread, summary

LEVELS = (1, 2, 4, 8)


def ms(seconds):
    return seconds * 1000


class Ladder:
    """Contestants × numbers of clients × rounds, in another order each round."""

    def __init__(self, seconds, rounds, levels):
        self.seconds, self.rounds, self.levels = seconds, rounds, levels
        self.rates, self.latencies, self.cpu = {}, {}, {}

    def measure(self, contestants, jobs, budget):
        started = time.monotonic()
        for number_of_round in range(self.rounds):
            cells = [(c, n) for n in self.levels for c in contestants]
            random.Random(number_of_round).shuffle(cells)
            for contestant, n in cells:
                cell = Cell(contestant, jobs, n, self.seconds).run()
                key = contestant.label, n
                self.rates.setdefault(key, []).append(cell.rate * 60)
                self.latencies.setdefault(key, []).extend(cell.latencies)
                self.cpu.setdefault(key, []).append(cell.cpu_each)
            if time.monotonic() - started > budget * (number_of_round + 1) / (number_of_round + 2):
                break  # the next round would not end in time
        return self

    def ratio(self, ours, theirs, n):
        return ratios(self.rates[ours, n], self.rates[theirs, n])

    def rows(self, contestants, against):
        for contestant in contestants:
            for n in self.levels:
                key = contestant.label, n
                latency = self.latencies[key]
                yield [contestant.label, n, spread(summary(self.rates[key]), 0),
                       *(number(ms(percentile(latency, p)), 0) for p in (50, 95, 99)),
                       number(summary(self.cpu[key])["median"], 3),
                       "" if contestant is against else spread(self.ratio(against.label, contestant.label, n))]

    def data(self):
        return [{"contestant": label, "clients": n, "documents_a_minute": self.rates[label, n],
                 "latency_ms": {f"p{p}": ms(percentile(self.latencies[label, n], p)) for p in (50, 95, 99)},
                 "documents": len(self.latencies[label, n]), "cpu_seconds_a_document": self.cpu[label, n]}
                for label, n in self.rates]


COLUMNS = ["contestant", "clients", "documents a minute", "p50 ms", "p95 ms", "p99 ms", "CPU s each", "Decant is × faster"]


def office(run):
    """Small office documents to PDF."""
    contestants = [run.decant, run.soffice, run.uno, run.fastapi]
    files = inputs.office_files(run.samples, inputs.SMALL_OFFICE)
    jobs = [(path, "pdf") for path in files]
    for contestant in contestants:  # everybody's first is slower
        Cell(contestant, jobs, 1, 0).run()
    ladder = Ladder(run.pick(2, 10), run.pick(3, 7), run.pick((1, 4), LEVELS))
    ladder.measure(contestants, jobs, run.pick(75, 1500))
    if run.quick:  # the other levels once
        rest = Ladder(2, 1, (2, 8)).measure(contestants, jobs, 30)
        for name in ("rates", "latencies", "cpu"):
            getattr(ladder, name).update(getattr(rest, name))
        ladder.levels = LEVELS
    run.table("Small office documents to PDF (" + ", ".join(path.suffix[1:] for path in files) + ")", COLUMNS,
              list(ladder.rows(contestants, run.decant)))
    run.data(ladder.data())
    for other, least in ((run.soffice, 8), (run.uno, 4)):
        ratio = ladder.ratio(run.decant.label, other.label, 4)
        run.goal(f"office at 4 clients: {other.label}", f"≥ {least}×", spread(ratio) + "×", ratio["median"] >= least)
    growth = summary([a / b for a, b in zip(ladder.rates[run.decant.label, 4], ladder.rates[run.decant.label, 1])])
    run.note(f"Decant at 4 clients does {spread(growth)} times what it does at one.")


def office_large(run):
    """Large office documents to PDF, one client."""
    files = inputs.office_files(run.samples, inputs.LARGE_OFFICE, small=False)
    contestants = [run.decant, run.soffice, run.uno]
    rows, data = [], []
    for path in files:
        for contestant in contestants:
            Cell(contestant, [(path, "pdf")], 1, 0).run()
        ladder = Ladder(0, run.pick(1, 5), (1,)).measure(contestants, [(path, "pdf")], run.pick(40, 200))
        for contestant in contestants:
            latency = summary([ms(s) for s in ladder.latencies[contestant.label, 1]])
            rows.append([f"{path.suffix[1:]}, {path.stat().st_size // 1024} KiB", contestant.label, spread(latency, 0),
                         "" if contestant is run.decant else spread(ladder.ratio(run.decant.label, contestant.label, 1))])
        data.append({"bytes": path.stat().st_size, "ladder": ladder.data()})
    run.table("Large office documents to PDF, one client", ["document", "contestant", "ms", "Decant is × faster"], rows)
    run.data(data)


# --- pictures and PDF

def media_rows(run, cases, levels, seconds, rounds, budget):
    """Per case: Decant through the whole platform against each tool, and the bare engine besides."""
    worst = {n: None for n in levels}
    rows, data = [], []
    for label, source, target, names in cases:
        tools = [run.tools[name] for name in names]
        contestants = [run.decant, *tools]
        for contestant in contestants:
            Cell(contestant, [(source, target)], 1, 0).run()
        run.decant.engine_ms()
        ladder = Ladder(seconds, rounds, levels).measure(contestants, [(source, target)], budget)
        engine = summary(list(run.decant.engine_ms().values()))
        for n in levels:
            for tool in tools:
                ratio = ladder.ratio(run.decant.label, tool.label, n)
                ours, theirs = (ms(percentile(ladder.latencies[c.label, n], 50)) for c in (run.decant, tool))
                cpu = [summary(ladder.cpu[c.label, n])["median"] * 1000 for c in (run.decant, tool)]
                rows.append([label, tool.label, n, spread(summary(ladder.rates[run.decant.label, n]), 0),
                             spread(summary(ladder.rates[tool.label, n]), 0), number(ours, 1), number(theirs, 1),
                             number(cpu[0], 0), number(cpu[1], 0), spread(ratio)])
                if worst[n] is None or ratio["median"] < worst[n][0]:
                    worst[n] = ratio["median"], f"{label} against {tool.label}"
        data.append({"case": label, "engine_ms": engine, "ladder": ladder.data()})
    return rows, data, worst


MEDIA_COLUMNS = ["conversion", "tool", "clients", "Decant a minute", "tool a minute", "Decant p50 ms", "tool p50 ms",
                 "Decant CPU ms", "tool CPU ms", "Decant is × faster"]


def media(run):
    """Small pictures and PDF against the command-line tools."""
    png = inputs.find(run.samples, "placeholder-2.png", ".png")
    jpg = inputs.find(run.samples, "lorem-ipsum.im.jpg", ".jpg")
    pdf = inputs.find(run.samples, "lorem-ipsum.pdf", ".pdf")
    page = inputs.make_pdf(run.folder / "page.pdf", 1)
    cases = [("png → jpg", png, "jpg", ["convert", "vips"]), ("jpg → png", jpg, "png", ["convert", "vips"]),
             ("png → webp", png, "webp", ["convert", "vips"]), ("pdf → txt", pdf, "txt", ["pdftotext"]),
             ("pdf → jpg, one page", page, "jpg", ["pdftoppm"]), ("pdf → png, one page", page, "png", ["pdftoppm"])]
    rows, data, worst = media_rows(run, cases, (1, 4), run.pick(0.7, 4), run.pick(3, 9), run.pick(12, 200))
    run.table("Small pictures and PDF, through the whole platform", MEDIA_COLUMNS, rows)
    run.data(data)
    for n in (1, 4):
        run.goal(f"small pictures and PDF, {n} client{'s' * (n > 1)}, slowest case", "≥ 1.5×",
                 f"{number(worst[n][0])}× ({worst[n][1]})", worst[n][0] >= 1.5)


def media_large(run):
    """Large pictures and PDF against the command-line tools, one client."""
    png, jpg = inputs.make_photos(run.folder, *run.pick((4000, 3000), (8000, 6000)))
    pdf = inputs.make_pdf(run.folder / "large.pdf", 200)
    cases = [("png → jpg", png, "jpg", ["convert", "vips"]), ("jpg → png", jpg, "png", ["convert", "vips"]),
             ("pdf → txt, 200 pages", pdf, "txt", ["pdftotext"])]
    rows, data, worst = media_rows(run, cases, (1,), 0, run.pick(2, 7), run.pick(15, 500))
    run.table(f"Large pictures ({'12' if run.quick else '48'} megapixels) and PDF", MEDIA_COLUMNS, rows)
    run.data(data)
    run.goal("large pictures and PDF, slowest case", "≥ 1×", f"{number(worst[1][0])}× ({worst[1][1]})", worst[1][0] >= 1)


def pages(run):
    """A PDF of many pages to PNG: does one document use all cores?"""
    count = run.pick(24, 200)
    pdf = inputs.make_pdf(run.folder / "pages.pdf", count)
    contestants = [run.decant, run.tools["pdftoppm"]]
    ladder = Ladder(0, run.pick(2, 3), (1,)).measure(contestants, [(pdf, "png")], run.pick(40, 1500))
    rows = []
    for contestant in contestants:
        key = contestant.label, 1
        wall = summary(ladder.latencies[key])
        cores = summary([cpu / s for cpu, s in zip(ladder.cpu[key], ladder.latencies[key])])
        rows.append([contestant.label, spread(wall), spread(summary(ladder.cpu[key])), spread(cores)])
    ratio = ladder.ratio(run.decant.label, "pdftoppm", 1)
    run.table(f"{count} pages of PDF to PNG at 150 dpi, one document", ["contestant", "seconds", "CPU s", "cores used"], rows)
    run.note(f"Decant is {spread(ratio)} times as fast as pdftoppm.")
    run.data(ladder.data())
    least = 0.7 * run.cores
    run.goal(f"many-page PDF uses the cores ({run.cores})", f"≥ {number(least, 1)} of them", number(cores_of(ladder, run.decant)),
             cores_of(ladder, run.decant) >= least)


def cores_of(ladder, contestant):
    key = contestant.label, 1
    return summary([cpu / s for cpu, s in zip(ladder.cpu[key], ladder.latencies[key])])["median"]


# --- where the time of one job goes

def overhead(run):
    """What the platform adds to the engine's own time, one client, step by step."""
    docx, *_ = inputs.office_files(run.samples, inputs.SMALL_OFFICE)
    cases = [("docx → pdf", docx, "pdf"), ("png → jpg", inputs.find(run.samples, "placeholder-2.png", ".png"), "jpg"),
             ("pdf → txt", inputs.find(run.samples, "lorem-ipsum.pdf", ".pdf"), "txt")]
    steps = ("upload", "convert", "status", "token", "download")
    times = {label: [] for label, *_ in cases}
    client = run.decant.client()
    run.decant.engine_ms()
    for number_of_round in range(run.pick(30, 200)):
        for label, source, target in cases:
            client.ready()
            client.convert(source, target)
            if number_of_round:
                times[label].append((client.job, dict(client.phases)))
    client.leave()
    time.sleep(0.1)
    engine = run.decant.engine_ms()
    rows, data, worst = [], [], 0.0
    for label, *_ in cases:
        # One that took so long that the machine was busy elsewhere says nothing of the platform; the median sees to that.
        took = [{name: ms(s) for name, s in phases.items()} for _, phases in times[label]]
        bare = [engine[job["job_id"]] for job, _ in times[label]]
        whole = [sum(phases.values()) for phases in took]
        added = summary([a - b for a, b in zip(whole, bare)])
        wait = summary([phases["status"] - b for phases, b in zip(took, bare)])
        rows.append([label, spread(summary(whole), 1), spread(summary(bare), 1), spread(added, 1),
                     *(number(summary([p[name] for p in took])["median"], 1) for name in ("upload", "convert")),
                     number(wait["median"], 1),
                     *(number(summary([p[name] for p in took])["median"], 1) for name in ("token", "download"))])
        data.append({"case": label, "whole_ms": whole, "engine_ms": bare, "steps_ms": {n: [p[n] for p in took] for n in steps}})
        worst = max(worst, added["median"])
    run.table("What the platform adds, one client: milliseconds at the median",
              ["conversion", "upload to last byte", "engine", "added", "upload", "convert", "queue, scan, publish", "token", "download"],
              rows)
    run.data(data)
    run.goal("the platform adds at p50", "< 15 ms", f"{number(worst, 1)} ms", worst < 15)


def shares(run):
    """Which process takes the CPU time of a document; an engine's includes that of its children."""
    docx, *_ = inputs.office_files(run.samples, inputs.SMALL_OFFICE)
    cases = [("docx → pdf", docx, "pdf"), ("png → jpg", inputs.find(run.samples, "placeholder-2.png", ".png"), "jpg"),
             ("pdf → txt", inputs.find(run.samples, "lorem-ipsum.pdf", ".pdf"), "txt"),
             ("one pixel, png → bmp", inputs.make_tiny_png(run.folder / "tiny.png"), "bmp")]
    parts = run.decant.parts()
    engines = [name for name in parts if name.startswith("decant-engine-")]
    columns = ["decant-api", "decant-worker", "redis-server", "clamd", "engines"]
    rows, data = [], []
    for label, source, target in cases:
        before = {name: procs.cpu_seconds([pid]) for name, pid in parts.items()}
        count = len(Cell(run.decant, [(source, target)], 1, 0, run.pick(50, 500)).run().latencies)
        each = {name: (procs.cpu_seconds([pid]) - before[name]) / count * 1000 for name, pid in parts.items()}
        each["engines"] = sum(each[name] for name in engines)
        rows.append([label, *(number(each.get(name), 1) for name in columns)])
        data.append({"case": label, "cpu_ms": each})
    run.table("CPU milliseconds of one document by process", ["conversion", *columns], rows)
    run.data(data)


def sandbox(run):
    """The full sandbox against DECANT_SANDBOX=reduced: the empty job, and a small document."""
    tiny = inputs.make_tiny_png(run.folder / "tiny.png")
    docx, *_ = inputs.office_files(run.samples, inputs.SMALL_OFFICE)
    full, reduced = run.decant, run.reduced
    cases = [("one pixel, png → bmp", tiny, "bmp"), ("docx → pdf", docx, "pdf")]
    engine, cpu = {}, {}
    for number_of_round in range(run.pick(4, 20)):
        for label, source, target in cases:
            for server in random.sample((full, reduced), 2):
                server.engine_ms()
                cell = Cell(server, [(source, target)], 1, 0, run.pick(10, 20)).run()
                time.sleep(0.05)
                if number_of_round:
                    engine.setdefault((label, server), []).extend(server.engine_ms().values())
                    cpu.setdefault((label, server), []).append(cell.cpu_each * 1000)
    rows, data = [], []
    for label, *_ in cases:
        both = [sum(engine[label, s]) / len(engine[label, s]) for s in (full, reduced)]
        rows.append([label, *(spread(summary(engine[label, s]), 0) for s in (full, reduced)), number(both[0] - both[1], 1),
                     number(summary(cpu[label, full])["median"] - summary(cpu[label, reduced])["median"], 1)])
        data.append({"case": label, "full_ms": engine[label, full], "reduced_ms": engine[label, reduced],
                     "full_cpu_ms": cpu[label, full], "reduced_cpu_ms": cpu[label, reduced]})
    run.table("The sandbox's own cost: engine milliseconds", ["conversion", "full", "reduced", "difference of means", "CPU ms more"], rows)
    run.data(data)


# --- CPU and memory of one document

def resources(run):
    """CPU seconds and peak PSS for each document, one client. CPU is measured apart from memory, which disturbs."""
    docx, *_ = inputs.office_files(run.samples, inputs.SMALL_OFFICE)
    png = inputs.find(run.samples, "placeholder-2.png", ".png")
    pdf = inputs.find(run.samples, "lorem-ipsum.pdf", ".pdf")
    cases = [("docx → pdf", docx, "pdf", [run.decant, run.soffice, run.uno, run.fastapi]),
             ("png → jpg", png, "jpg", [run.decant, run.tools["convert"], run.tools["vips"], run.fastapi]),
             ("pdf → txt", pdf, "txt", [run.decant, run.tools["pdftotext"], run.fastapi])]
    rows, data = [], []
    for label, source, target, contestants in cases:
        for contestant in contestants:
            Cell(contestant, [(source, target)], 1, 0, 2).run()  # the first is slower
            cell = Cell(contestant, [(source, target)], 1, run.pick(0.5, 3)).run()
            peaks = []
            for _ in range(run.pick(2, 7)):
                with procs.PeakPss(contestant.work_pids, contestant is run.decant) as peak:
                    Cell(contestant, [(source, target)], 1, 0).run()
                if peak.peak_kib:
                    peaks.append(peak.peak_kib / 1024)
            rows.append([label, contestant.label, number(cell.cpu_each, 3), spread(summary(peaks), 1) if peaks else "–"])
            data.append({"case": label, "contestant": contestant.label, "cpu_seconds": cell.cpu_each, "peak_pss_mib": peaks})
    run.table("CPU time and peak memory of one document", ["conversion", "contestant", "CPU s", "peak PSS MiB"], rows)
    run.note("CPU is of everything that the contestant runs; PSS is of the processes that work on the document.")
    run.data(data)


def memory(run):
    """Do the long-lived processes grow over many conversions? Anonymous memory counts what they share with children too."""
    total, clients = run.conversions, 4
    docx, *_ = inputs.office_files(run.samples, inputs.SMALL_OFFICE)
    png = inputs.find(run.samples, "placeholder-2.png", ".png")
    pdf = inputs.find(run.samples, "lorem-ipsum.pdf", ".pdf")
    jobs = [(docx, "pdf"), *[(png, "jpg"), (pdf, "txt")] * 3]
    steps = 20
    points = {}
    parts = run.decant.parts()
    Cell(run.decant, jobs, clients, 0, WARM_UP).run()  # the arenas of threads and the tables fill first
    for step in range(steps + 1):
        if step:
            Cell(run.decant, jobs, clients, 0, -(-total // steps)).run()
        time.sleep(0.2)
        for name, pid in parts.items():
            points.setdefault(name, []).append((step * -(-total // steps), procs.memory_kib(pid, "Anonymous")))
    rows, grown = [], []
    warm = steps // 5
    for name, series in points.items():
        per_thousand = slope(series[warm:]) * 1000
        rows.append([name, *(number(series[i][1] / 1024, 1) for i in (0, warm, steps)), number(per_thousand, 0)])
        if name.startswith("decant") and per_thousand > GROWTH_KIB:
            grown.append(f"{name} {number(per_thousand, 0)} KiB")
    run.table(f"Anonymous memory over {number(points['decant-api'][-1][0], 0)} conversions, MiB",
              ["process", "at the start", "after a fifth", "at the end", "KiB more each 1,000"], rows)
    run.data({name: series for name, series in points.items()})
    run.goal(f"no growth over {number(points['decant-api'][-1][0], 0)} conversions", f"≤ {GROWTH_KIB} KiB each 1,000 and process",
             ", ".join(grown) or "none", not grown)


GROWTH_KIB, WARM_UP = 64, 400
