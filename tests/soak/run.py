#!/usr/bin/python3
"""A soak: good, bad and slow clients at once against one `decant serve`, for as long as is wanted, while memory,
descriptors and threads of every process that lives on are looked at.

    tests/soak/run.py [--minutes 60] [--json FILE] [--seed TEXT]

Fails (exit status 1) when a process was replaced, grew or kept descriptors, when an answer was a 5xx or not what the
client's request has to get, when a good file did not convert, or when a file or a session's key is left at the end.
DECANT_BUILD names another build. No part of `make check`: growth shows in an hour, not in a minute."""

import argparse
import collections
import contextlib
import json
import os
import random
import re
import secrets
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests" / "system"), str(REPOSITORY / "tests" / "hostile")]

import corpus  # noqa: E402
from client import Client  # noqa: E402
from fixtures import docx, eicar, pdf, png, zipped  # noqa: E402
from run import PROGRAMS, long_lived, memory_kib  # noqa: E402  (tests/hostile/run.py)
from server import Server  # noqa: E402
from sse import Events  # noqa: E402
from watch import Listener  # noqa: E402

GROWTH_KIB_AN_HOUR = 3072  # of anonymous memory, by the median slope
SAMPLE_S = 15
GOOD, BAD, SLOW = 3, 2, 12
MAGIC = {"pdf": b"%PDF-", "png": b"\x89PNG", "jpg": b"\xff\xd8\xff", "webp": b"RIFF", "txt": b""}


class Soak:
    def __init__(self, server, seed, seconds):
        self.server, self.seed = server, seed
        self.until = time.monotonic() + seconds
        self.lock = threading.Lock()
        self.counts, self.wrong, self.samples = collections.Counter(), [], []
        self.folder = Path(tempfile.mkdtemp(prefix="decant-soak-"))
        self.pids = {}

    def over(self):
        return time.monotonic() > self.until

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def expect(self, truth, what):
        if not truth:
            with self.lock:
                self.wrong.append(f"{time.strftime('%H:%M:%S')} {what}"[:300])

    def answered(self, answer, statuses, what):
        """A 5xx is never right here; 429 is, for whoever asks too often."""
        self.count(f"{answer.status_code}")
        self.expect(answer.status_code in statuses, f"{what}: {answer.status_code} {answer.text[:150]}")
        if answer.status_code == 429:
            time.sleep(min(5, int(answer.headers.get("Retry-After", 1))))
        return answer.status_code == statuses[0]

    # --- good clients

    def good(self, rng):
        client = Client(self.server.url)
        if not self.answered(client.request("GET", "/session/init"), (200, 429), "init"):
            return
        client.init()
        try:
            for _ in range(rng.randint(1, 4)):
                self.convert_one(client, rng)
        finally:
            self.answered(client.close(), (200, 429), "close")
        self.count("good sessions")

    def convert_one(self, client, rng):
        text = secrets.token_hex(rng.randint(1, 2000))
        name, data, target = rng.choice((
            ("a.docx", docx([text] * rng.randint(1, 30)), "pdf"), ("a.txt", text.encode(), "pdf"), ("a.pdf", pdf(["page"] * rng.randint(1, 5)), "txt"),
            ("a.png", png(rng.randint(1, 800), rng.randint(1, 600)), rng.choice(("jpg", "webp"))), ("a.pdf", pdf(), "png")))
        answer = client.upload(name, data)
        if not self.answered(answer, (201, 429), f"upload {name}"):
            return
        job_id = answer.json()["job_id"]
        if not self.answered(client.convert(job_id, target), (202, 429), f"convert {name}"):
            return
        job = client.wait(job_id)
        self.expect(job["status"] == "completed", f"{name} to {target}: {job}")
        answer = client.token(job_id)
        if job["status"] == "completed" and self.answered(answer, (201, 429), "token"):
            answer = client.download(answer.json()["url"])
            if self.answered(answer, (200, 429), "download"):
                self.expect(answer.content.startswith(MAGIC[target]), f"{target} begins with {answer.content[:8]}")
                self.count("good conversions")

    # --- bad clients

    def bad(self, rng):
        client = Client(self.server.url)
        client.init()
        try:
            rng.choice((self.forge, self.forge, self.mangle, self.mangle, self.break_off, self.hostile, self.infected, self.watch))(client, rng)
        finally:
            client.close()
        self.count("bad sessions")

    def forge(self, client, rng):
        """Requests without a right to anything, or that say nonsense."""
        other = Client(self.server.url)
        other.session_id, other.csrf = secrets.token_hex(32), secrets.token_hex(32)
        for answer, statuses in (
                (other.status(secrets.token_hex(8)), (401, 429)), (other.convert("x", "pdf"), (401, 429)),
                (client.request("POST", "/convert", csrf=False, json={}), (403, 429)), (client.status("../../etc/passwd"), (404, 429)),
                (client.request("POST", "/convert", data=rng.randbytes(rng.randint(0, 3000))), (400, 429)),
                (client.upload("a.exe", b"MZ"), (415, 429)), (client.upload("a.png", pdf()), (422, 429)), (client.upload("a.txt", b""), (422, 429)),
                (client.upload("a.docx", zipped([("x", rng.randbytes(3000))])), (422, 429)),
                (client.download(f"/download?token={secrets.token_hex(32)}"), (404, 429)),
                (client.request(rng.choice(("PUT", "DELETE", "PATCH")), "/upload"), (405, 429))):
            self.answered(answer, statuses, "forged")

    def mangle(self, client, rng):
        """Bytes that are not quite HTTP."""
        head = f"POST /convert HTTP/1.1\r\nHost: x\r\nCookie: session_id={client.session_id}\r\nX-CSRF-Token: {client.csrf}\r\n".encode()
        for data in (head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", head + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
                     head + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffffff\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 40000 + b"\r\n\r\n",
                     rng.randbytes(rng.randint(1, 5000)), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 20):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.server.port), timeout=30) as s:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                answer = b""
                while chunk := s.recv(65536):
                    answer += chunk
                self.expect(not re.match(rb"HTTP/1\.[01] 5", answer), f"mangled: {answer[:200]}")
            self.count("mangled requests")

    def break_off(self, client, rng):
        """Uploads that end in the middle, by a reset."""
        head = (f"POST /upload HTTP/1.1\r\nHost: x\r\nCookie: session_id={client.session_id}\r\nX-CSRF-Token: {client.csrf}\r\n"
                "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 5000000\r\n\r\n"
                '--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n').encode()
        for _ in range(5):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.server.port), timeout=30) as s:
                s.sendall(head + b"x" * rng.randint(0, 2000000))
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.count("broken uploads")

    def hostile(self, client, rng):
        case = rng.choice(corpus.CASES)
        answer = client.upload(case.file, case.make(self.context))
        self.expect(answer.status_code < 500, f"{case.name}: {answer.status_code}")
        if answer.status_code == 201 and client.convert(answer.json()["job_id"], case.target).status_code == 202:
            job = client.wait(answer.json()["job_id"])
            self.expect(job["error_code"] not in ("internal", "scanner_unavailable"), f"{case.name}: {job}")
        self.count("hostile files")

    def infected(self, client, rng):
        job_id = client.start("eicar.docx", docx(extra=[("word/embeddings/object1.bin", eicar())]), "pdf")
        job = client.wait(job_id)
        self.expect(job["error_code"] == "infected", f"EICAR: {job}")
        self.count("infected files")

    def watch(self, client, rng):
        """An event stream and a long poll that nobody waits the end of."""
        with contextlib.suppress(OSError):
            events = Events(client)
            self.expect(events.status in (200, 429), f"events: {events.status}")
            job_id = client.upload("a.png", png()).json()["job_id"]
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=30) as s:
                s.sendall(f"GET /job_status?job_id={job_id}&wait=30 HTTP/1.1\r\nHost: x\r\nCookie: session_id={client.session_id}\r\n\r\n".encode())
                time.sleep(rng.random())
            events.socket.close()
        self.count("dropped streams")

    # --- slow clients: each holds a connection as long as it is let

    def slow(self, rng):
        how = rng.choice(("header", "body", "idle", "reader"))
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.server.port), timeout=5) as s:
            if how == "header":
                s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            elif how == "body":
                s.sendall(b"POST /session/close HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
            elif how == "reader":
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                s.sendall(b"GET /formats HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
            end = time.monotonic() + rng.randint(5, 90)
            while time.monotonic() < end and not self.over():
                time.sleep(1)
                if how in ("header", "body"):
                    s.sendall(b"x")
        self.count(f"slow clients: {how}")

    # --- what is looked at

    def sample(self):
        def of(pid):
            status = Path(f"/proc/{pid}/status").read_text()
            return {"fds": len(os.listdir(f"/proc/{pid}/fd")), "threads": int(re.search(r"^Threads:\s*(\d+)", status, re.M)[1])}
        memory = memory_kib(self.pids)
        return {name: {"anon_kib": memory[name], **of(pid)} for name, pid in self.pids.items()}

    def sampler(self):
        while not self.over():
            self.samples.append((time.monotonic(), self.sample()))
            time.sleep(SAMPLE_S)

    def loop(self, what, number):
        rng = random.Random(f"{self.seed} {what.__name__} {number}")
        while not self.over():
            try:
                what(rng)
            except Exception as e:  # one broken client must not end the others
                self.expect(False, f"{what.__name__}: {type(e).__name__}: {e}")
                time.sleep(1)

    def quiet(self):
        """Waits until what slow and broken clients held has been given back."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.server.files():
            time.sleep(1)
        time.sleep(35)

    def run(self):
        with Listener() as listener:
            self.context = corpus.Context(self.folder, listener.ports, "canary" + secrets.token_hex(12), (17, 99, 251), self.seed)
            self.context.write_canaries()
            for _ in range(3):  # what is loaded once is no growth
                self.good(random.Random(self.seed))
            self.pids = {**long_lived(self.server), **{name: self.server.children(name)[0] for name in ("redis-server", "clamd")},
                         "decant": self.server.process.pid}
            self.before = self.sample()
            threads = [threading.Thread(target=self.loop, args=(what, n)) for what, n_of in ((self.good, GOOD), (self.bad, BAD), (self.slow, SLOW))
                       for n in range(n_of)] + [threading.Thread(target=self.sampler)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.quiet()
            self.after = self.sample()
            self.expect(not listener.contacts, f"the listener was called: {listener.contacts[:3]}")


def slope_kib_an_hour(samples, name):
    """The median of the slopes between all pairs of samples, without the first fifth."""
    points = [(t, s[name]["anon_kib"]) for t, s in samples[len(samples) // 5:]]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[i + 1:] if b[0] > a[0]]
    return statistics.median(slopes) * 3600 if slopes else 0


def judge(soak):
    rows = []
    engines = [name for name in PROGRAMS if "engine" in name]
    for name in soak.pids:
        before, after, slope = soak.before[name], soak.after[name], slope_kib_an_hour(soak.samples, name)
        rows.append((name, before, after, slope))
        soak.expect(os.path.exists(f"/proc/{soak.pids[name]}"), f"{name} is gone")
        if name != "redis-server":  # it keeps what jobs were, until they expire
            soak.expect(slope < GROWTH_KIB_AN_HOUR, f"{name} grows by {slope:.0f} KiB an hour")
        # Spare children and idle connections to Redis and clamd come and go.
        soak.expect(after["fds"] <= before["fds"] + (8 if name in engines + ["decant-worker", "clamd"] else 4),
                    f"{name} had {before['fds']} descriptors and has {after['fds']}")
    soak.expect(long_lived(soak.server) == {name: soak.pids[name] for name in PROGRAMS}, "a process was replaced")
    soak.expect(soak.server.files() == [], f"{len(soak.server.files())} files are left")
    soak.expect('"level":"error"' not in soak.server.log(), "an error was logged")
    left = [key for key in soak.server.redis().keys("session:*") if soak.server.redis().ttl(key) < 0]
    soak.expect(not left, f"{len(left)} keys of sessions would never expire")
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", default=secrets.token_hex(4))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="decant-soak-") as folder:
        server = Server(folder, DECANT_JOB_TIMEOUT="60", DECANT_JOB_MEMORY="768M", DECANT_JOB_OUTPUT="64M", DECANT_MAX_UPLOAD="32M").start()
        soak = Soak(server, arguments.seed, arguments.minutes * 60)
        print(f"{arguments.minutes:g} minutes, seed {soak.seed}", flush=True)
        try:
            soak.run()
            rows = judge(soak)
        finally:
            server.stop()
    print(f"\n{'process':22} {'anonymous KiB':>20} {'KiB an hour':>12} {'descriptors':>14} {'threads':>10}")
    for name, before, after, slope in rows:
        print(f"{name:22} {before['anon_kib']:>9} → {after['anon_kib']:>8} {slope:>12.0f} {before['fds']:>6} → {after['fds']:>5} "
              f"{before['threads']:>4} → {after['threads']:>3}")
    print("\n" + "\n".join(f"{n:>9}  {what}" for what, n in sorted(soak.counts.items())))
    print("\n".join(["", *soak.wrong[:40]]))
    print(f"{len(soak.wrong)} wrong")
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows, "counts": soak.counts, "wrong": soak.wrong, "samples": soak.samples}))
    return 1 if soak.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
