#!/usr/bin/python3
"""The benchmark: Decant beside the programs that do the same work, in one run on one machine.

Contestants take turns round by round, in another order each time, because the machine may be busy with other things: what
disturbs one then disturbs the others too, and ratios are made within a round. Everything listens on loopback or on Unix
sockets and lives in one temporary folder; both are gone at the end."""

import argparse
import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

import contestants  # noqa: E402
import conversions  # noqa: E402
import http_measures  # noqa: E402
import report  # noqa: E402
from decant import Decant  # noqa: E402

MEASURES = {"office": conversions.office, "office-large": conversions.office_large, "media": conversions.media,
            "media-large": conversions.media_large, "pages": conversions.pages, "overhead": conversions.overhead,
            "shares": conversions.shares, "sandbox": conversions.sandbox, "resources": conversions.resources, "requests": http_measures.requests,
            "upload": http_measures.upload, "polls": http_measures.polls, "streams": http_measures.streams, "memory": conversions.memory}
PROGRAMS = {"soffice": "libreoffice-writer", "convert": "imagemagick", "vips": "libvips-tools", "pdftotext": "poppler-utils",
            "wrk": "wrk", "redis-server": "redis-server",
            "clamd": "clamav-daemon"}


class Run:
    """What the measures share: contestants (started when first asked for), inputs, and where results go."""

    def __init__(self, args, folder, stack):
        self.quick, self.samples, self.folder, self.stack = not args.full, args.samples, folder, stack
        self.bindir, self.conversions, self.cores = args.bindir, args.conversions, os.cpu_count()
        self.measures, self.goals, self.current = {}, [], None

    def pick(self, quick, full):
        return quick if self.quick else full

    def started(self, contestant):
        self.stack.callback(contestant.stop)
        return contestant.start()

    @functools.cached_property
    def decant(self):
        return self.started(Decant(self.folder, self.bindir))

    @functools.cached_property
    def reduced(self):
        return self.started(Decant(self.folder, self.bindir, "reduced", DECANT_SANDBOX="reduced"))

    @functools.cached_property
    def streaming(self):
        """With room for all streams of that measure in one session."""
        return self.started(Decant(self.folder, self.bindir, "streaming", DECANT_SESSION_EVENT_STREAMS=str(http_measures.WAITING)))

    @functools.cached_property
    def fastapi(self):
        return self.started(contestants.FastApi(self.folder, self.decant.clamd_socket))

    @functools.cached_property
    def uno(self):
        return self.started(contestants.Uno(self.folder))

    @functools.cached_property
    def soffice(self):
        return self.started(contestants.Soffice(self.folder))

    @functools.cached_property
    def tools(self):
        return contestants.tools(self.folder)

    # --- results

    def table(self, title, columns, rows):
        self.current["tables"].append({"title": title, "columns": columns, "rows": rows})
        print(f"\n{title}\n\n{report.text_table(columns, rows)}", flush=True)

    def note(self, text):
        self.current["notes"].append(text)
        print(f"\n{text}", flush=True)

    def data(self, data):
        self.current["data"] = data

    def goal(self, name, wanted, measured, met):
        self.goals.append({"name": name, "wanted": wanted, "measured": measured, "met": bool(met)})

    def measure(self, name):
        self.current = self.measures[name] = {"tables": [], "notes": [], "data": None}
        before = time.monotonic()
        MEASURES[name](self)
        self.current["seconds"] = time.monotonic() - before
        print(f"\n({name}: {self.current['seconds']:.0f} s)", flush=True)


def parse(argv):
    parser = argparse.ArgumentParser(description="Compares Decant with the programs that do the same work.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--quick", action="store_true", help="about five minutes; the default")
    mode.add_argument("--full", action="store_true", help="more rounds, larger files, 10,000 conversions: an hour or more")
    parser.add_argument("--only", action="append", choices=MEASURES, metavar="NAME",
                        help="one measure of " + ", ".join(MEASURES) + "; may be repeated")
    parser.add_argument("--samples", type=Path, default=ROOT.parent / "shared/samples", help="folder of documents [../shared/samples]")
    parser.add_argument("--bindir", type=Path, default=ROOT / "build/bin", help="where decant is [build/bin]")
    parser.add_argument("--conversions", type=int, help="how many for the measure of memory [1,000; 10,000 with --full]")
    parser.add_argument("--json", type=Path, help="where the JSON goes [bench/results/…]")
    parser.add_argument("--update-docs", action="store_true", help="put the figures of this run into docs/benchmarks.md")
    args = parser.parse_args(argv)
    args.conversions = args.conversions or (10000 if args.full else 1000)
    return args


def check(args):
    """Says what is missing before anything is started."""
    missing = [f"{program} (package {package})" for program, package in PROGRAMS.items() if not shutil.which(program)]
    if not (args.bindir / "decant").exists():
        missing.append(f"{args.bindir}/decant: `make build`, or --bindir")
    if not args.samples.is_dir():
        missing.append(f"{args.samples}: --samples names a folder with documents")
    modules = "import uno, fastapi, uvicorn, uvloop, httptools, multipart, celery, redis, magic"
    if subprocess.run([contestants.PYTHON, "-c", modules], stderr=subprocess.DEVNULL).returncode != 0:
        missing.append("Python modules: scripts/install-packages bench")
    if missing:
        raise SystemExit("missing:\n  " + "\n  ".join(missing))


def commit():
    out = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return out.stdout.strip() or "unknown"


def end(signum, frame):
    raise KeyboardInterrupt


def main(argv):
    args = parse(argv)
    check(args)
    signal.signal(signal.SIGTERM, end)
    results = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "mode": "full" if args.full else "quick", "commit": commit(),
               "machine": report.machine()}
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="decant-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o711)  # the reduced sandbox finds the job by its path, as another user than root
        run = Run(args, folder, stack)
        for name in args.only or MEASURES:
            run.measure(name)
    results.update(seconds=time.monotonic() - began, goals=run.goals, measures=run.measures)
    print(f"\nGoals\n\n{report.text_table(*report.goals_table(run.goals))}")
    path = args.json or HERE / "results" / time.strftime("%Y%m%dT%H%M%SZ.json", time.gmtime())
    report.write_json(path, results)
    print(f"\n{path}; {results['seconds']:.0f} s")
    if args.update_docs:
        report.update_page(ROOT / "docs/benchmarks.md", results)


if __name__ == "__main__":
    main(sys.argv[1:])
