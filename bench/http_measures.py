"""Measures of HTTP itself: requests a second, uploads, idle long polls and event streams."""

import re
import resource
import select
import socket
import subprocess
import threading
import time

import inputs
import procs
from stats import number, percentile, ratios, spread, summary

WAITING = 5000  # clients that wait for news at once


def wrk(port, target, cookie, seconds):
    """Requests a second and the percentile lines of wrk, which must have seen no error."""
    argv = ["wrk", "-t", "1", "-c", "32", "-d", f"{seconds}s", "--latency"]
    if cookie:
        argv += ["-H", f"Cookie: session_id={cookie}"]
    out = subprocess.run([*argv, f"http://127.0.0.1:{port}{target}"], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise RuntimeError("wrk saw errors: " + out)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))


def prepare(contestant, source, target):
    """A session with a completed job: what wrk asks for."""
    client = contestant.client()
    client.ready()
    client.convert(source, target)
    job_id = client.job["job_id"]
    url = client.http.post("/download_token", {"job_id": job_id}).json()["url"]
    return client, {"/session/init, a new one": ("/session/init", None), "/session/init, the same": ("/session/init", client.http.cookie),
                    "/job_status": (f"/job_status?job_id={job_id}", client.http.cookie), "/download, 6 KiB": (url, None)}


def requests(run):
    """Requests a second, 32 connections, one process of either server."""
    pdf = inputs.find(run.samples, "lorem-ipsum.pdf", ".pdf")
    servers = {"Decant": (run.decant, run.decant.parts()["decant-api"]), "FastAPI": (run.fastapi, run.fastapi.api.pid)}
    prepared = {label: prepare(server, pdf, "txt") for label, (server, _) in servers.items()}
    rates, of_a_core = {}, {}
    for _ in range(run.pick(2, 7)):
        for endpoint in prepared["Decant"][1]:
            for label, (server, pid) in servers.items():
                target, cookie = prepared[label][1][endpoint]
                cpu = procs.cpu_seconds([pid])
                rate = wrk(server.port, target, cookie, run.pick(1, 5))
                cpu = procs.cpu_seconds([pid]) - cpu
                rates.setdefault((endpoint, label), []).append(rate)
                of_a_core.setdefault((endpoint, label), []).append(rate * run.pick(1, 5) / cpu)
    for client, _ in prepared.values():
        client.leave()
    rows, data = [], []
    for endpoint in prepared["Decant"][1]:
        rows.append([endpoint, *(spread(summary(rates[endpoint, label]), 0) for label in servers),
                     spread(ratios(rates[endpoint, "Decant"], rates[endpoint, "FastAPI"])),
                     spread(ratios(of_a_core[endpoint, "Decant"], of_a_core[endpoint, "FastAPI"]))])
        data.append({"endpoint": endpoint, "requests_a_second": {label: rates[endpoint, label] for label in servers},
                     "requests_a_cpu_second": {label: of_a_core[endpoint, label] for label in servers}})
    run.table("Requests a second of one server process", ["endpoint", "Decant", "FastAPI", "ratio", "ratio for each CPU second"], rows)
    run.data(data)
    ratio = ratios(rates["/job_status", "Decant"], rates["/job_status", "FastAPI"])
    run.goal("/job_status against FastAPI, for each process", "≥ 10×", spread(ratio) + "×", ratio["median"] >= 10)


class PeakMemory:
    """The largest private memory of one process, sampled."""

    def __init__(self, pid):
        self.pid, self.before = pid, procs.private_kib(pid)
        self.peak = self.before
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.sample, daemon=True)

    def sample(self):
        while not self.ended.wait(0.005):
            self.peak = max(self.peak, procs.private_kib(self.pid))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    @property
    def grown_mib(self):
        return (self.peak - self.before) / 1024


def upload(run):
    """One upload of nearly 100 MiB: its rate, and how much the server grows."""
    size = 99 << 20
    blob = inputs.make_blob(run.folder / "blob.bmp", size)
    servers = {"Decant": (run.decant, run.decant.parts()["decant-api"]), "FastAPI": (run.fastapi, run.fastapi.api.pid)}
    rates, growth = {}, {}
    for _ in range(run.pick(3, 9)):
        for label, (server, pid) in servers.items():
            client = server.client()
            client.ready()
            with PeakMemory(pid) as memory:
                before = time.perf_counter()
                client.http.upload_file(blob)
                took = time.perf_counter() - before
            client.leave()
            rates.setdefault(label, []).append(size / took / (1 << 20))
            growth.setdefault(label, []).append(memory.grown_mib)
    blob.unlink()
    run.table("Upload of 99 MiB", ["server", "MiB a second", "growth of the server, MiB"],
              [[label, spread(summary(rates[label]), 0), spread(summary(growth[label]), 1)] for label in servers])
    run.note(f"Decant takes it {spread(ratios(rates['Decant'], rates['FastAPI']))} times as fast.")
    run.data({"mib_a_second": rates, "growth_mib": growth})
    worst = max(growth["Decant"])
    run.goal("growth during an upload of 100 MiB", "< 8 MiB", f"{number(worst, 1)} MiB", worst < 8)


def polls(run):
    """Thousands of clients that wait for a job's next state; how does the server answer others meanwhile?"""
    count = WAITING
    allow_descriptors(count)
    pid = run.decant.parts()["decant-api"]
    client = run.decant.client()
    client.ready()
    job_id = client.http.upload("a.txt", b"hello\n" * 100)["job_id"]
    memory = procs.private_kib(pid)
    alone = ask(client.http, job_id, run.pick(300, 2000))
    request = client.http.head("GET", f"/job_status?job_id={job_id}&wait=30", [])
    sockets, started = [], time.perf_counter()
    try:
        for _ in range(count):
            s = socket.create_connection(("127.0.0.1", run.decant.port))
            s.sendall(request)
            sockets.append(s)
        opened = time.perf_counter() - started
        time.sleep(1)
        early = len(readable(sockets, 0))
        grown = procs.private_kib(pid) - memory
        among = ask(client.http, job_id, run.pick(300, 2000))
        # All of them end when the job changes.
        before = time.perf_counter()
        client.http.post("/convert", {"job_id": job_id, "target_format": "pdf"})
        woken = await_all(sockets, 20)
        wake = time.perf_counter() - before
    finally:
        for s in sockets:
            s.close()
    client.await_end(job_id)
    client.leave()
    run.table(f"{count:,} long polls at once", ["", ""], [
        ["opened in", f"{number(opened, 1)} s"], ["answered before there was news", early],
        ["memory for each", f"{number(grown / count, 1)} KiB"],
        ["another request, p50 / p99", f"{number(percentile(among, 50) * 1000)} / {number(percentile(among, 99) * 1000)} ms"],
        ["the same with none waiting", f"{number(percentile(alone, 50) * 1000)} / {number(percentile(alone, 99) * 1000)} ms"],
        ["all answered after the job changed", f"{woken:,} in {number(wake * 1000, 0)} ms"]])
    run.data({"count": count, "opened_seconds": opened, "early": early, "kib_each": grown / count, "woken": woken,
              "wake_seconds": wake, "request_seconds": {"alone": alone, "among": among}})
    run.goal(f"{count:,} waiting clients, all answered", f"{count:,}", f"{woken:,}, {early} too early", woken == count and early == 0)


def allow_descriptors(count):
    """For this process and those that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 500)), hard))


def streams(run):
    """Thousands of clients with an event stream of one session: what each costs, and how soon all know of a change."""
    allow_descriptors(2 * WAITING)  # the peer has a connection to Redis for each
    servers = {"Decant": (run.streaming, run.streaming.parts()["decant-api"]), "FastAPI": (run.fastapi, run.fastapi.api.pid)}
    found = {label: stream_figures(run, server, pid) for label, (server, pid) in servers.items()}

    def row(title, text):
        return [title, *(text(found[label]) for label in servers)]

    def latency(name):
        return lambda f: " / ".join(number(percentile(f[name], p) * 1000) for p in (50, 99)) + " ms"

    run.table(f"{WAITING:,} event streams at once", ["", *servers], [
        row("opened, and the first event there", lambda f: f"{f['told_first']:,} in {number(f['opened_seconds'], 1)} s"),
        row("memory for each", lambda f: f"{number(f['kib_each'], 1)} KiB"),
        row("CPU time for each, opened", lambda f: f"{number(f['opening_cpu_seconds'] / WAITING * 1e6, 0)} µs"),
        row("another request, p50 / p99", latency("among")),
        row("the same with none open", latency("alone")),
        row("all told after the job changed", lambda f: f"{f['told']:,} in {number(f['tell_seconds'] * 1000, 0)} ms")])
    run.data({"count": WAITING, **found})
    ours, theirs = found["Decant"], found["FastAPI"]
    run.goal(f"{WAITING:,} event streams, all told", f"{WAITING:,}", f"{ours['told']:,}", ours["told"] == WAITING)
    run.goal("memory of an event stream against FastAPI", "≤ 1×", f"{number(ours['kib_each'] / theirs['kib_each'])}×",
             ours["kib_each"] <= theirs["kib_each"])


def stream_figures(run, server, pid):
    client = server.client()
    client.ready()
    pdf = inputs.find(run.samples, "lorem-ipsum.pdf", ".pdf")
    job_id = client.http.upload(pdf.name, pdf.read_bytes())["job_id"]
    memory, cpu = procs.private_kib(pid), procs.cpu_seconds([pid])
    request = client.http.head("GET", "/events", [])
    sockets, found = {}, {}
    try:
        started = time.perf_counter()
        for _ in range(WAITING):
            s = socket.create_connection(("127.0.0.1", server.port), 60)
            s.sendall(request)
            sockets[s.fileno()] = s
        found["told_first"] = await_events(sockets, 90)
        found["opened_seconds"] = time.perf_counter() - started
        found["opening_cpu_seconds"] = procs.cpu_seconds([pid]) - cpu
        time.sleep(1)
        found["kib_each"] = (procs.private_kib(pid) - memory) / WAITING
        found["among"] = ask(client.http, job_id, run.pick(300, 2000))
        started = time.perf_counter()
        client.http.post("/convert", {"job_id": job_id, "target_format": "txt"})
        found["told"] = await_events(sockets, 60)
        found["tell_seconds"] = time.perf_counter() - started
    finally:
        for s in sockets.values():
            s.close()
    client.await_end(job_id)
    time.sleep(1)
    found["alone"] = ask(client.http, job_id, run.pick(300, 2000))
    client.leave()
    return found


def await_events(sockets, seconds):
    """How many got an event."""
    left, seen = dict(sockets), dict.fromkeys(sockets, b"")
    deadline = time.monotonic() + seconds
    with select.epoll() as poller:
        for fd in left:
            poller.register(fd, select.EPOLLIN)
        while left and time.monotonic() < deadline:
            for fd, _ in poller.poll(1):
                data = left[fd].recv(1 << 16)
                seen[fd] += data
                if b"\ndata: " in seen[fd] or not data:
                    poller.unregister(fd)
                    del left[fd]
    return sum(b"\ndata: " in text for text in seen.values())


def ask(http, job_id, times):
    took = []
    for _ in range(times):
        before = time.perf_counter()
        http.get(f"/job_status?job_id={job_id}")
        took.append(time.perf_counter() - before)
    return took


def readable(sockets, timeout_ms):
    poller = select.poll()
    for s in sockets:
        poller.register(s, select.POLLIN)
    return [fd for fd, _ in poller.poll(timeout_ms)]


def await_all(sockets, seconds):
    """How many got an answer of 200."""
    left = {s.fileno(): s for s in sockets}
    woken, deadline = 0, time.monotonic() + seconds
    while left and time.monotonic() < deadline:
        for fd in readable(left.values(), 1000):
            if left.pop(fd).recv(4096).startswith(b"HTTP/1.1 200 "):
                woken += 1
    return woken
