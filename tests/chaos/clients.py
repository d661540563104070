"""Clients that convert while everything around them dies. They know what they were promised: a 2xx answer is a promise, a
connection that broke and a 5xx are none and are tried again. What they saw of each job is in the ledger."""

import collections
import hashlib
import random
import threading
import time

import requests

from client import Client
from fixtures import docx, eicar, pdf, png, slow_pdf
from sse import Events

ENDED = ("completed", "failed", "cancelled")
UNPROMISED = (429, 502, 503, 504)
JOB_PATIENCE = 900  # of one job: each restart of LibreOffice's engine takes long, and kills go on meanwhile

# Name, content, target, what the result begins with (None: it has to fail), the engine.
KINDS = (
    ("a.png", lambda n: png(16 + n % 50, 12), "jpg", b"\xff\xd8\xff", "image"),
    ("b.png", lambda n: png(300, 200 + n % 50), "webp", b"RIFF", "image"),
    ("a.pdf", lambda n: pdf([f"page of {n}"]), "txt", b"page of", "pdf"),
    ("b.pdf", lambda n: slow_pdf(20 + n % 30), "png", b"PK", "pdf"),
    ("broken.pdf", lambda n: pdf()[:200] + b"%d" % n, "txt", None, "pdf"),
    ("eicar.pdf", lambda n: pdf() + eicar() + b"%d" % n, "txt", None, "pdf"),
    ("a.docx", lambda n: docx([f"Paragraph of {n}"] * 20), "pdf", b"%PDF-", "office"),
    ("a.txt", lambda n: b"line of %d\n" % n * 50, "pdf", b"%PDF-", "office"),
)


class Ledger:
    """`wrong`: broken promises, as sentences; `jobs`: by id, those whose conversion was accepted;
    `sessions`: by id, the client, or None once it is closed."""

    def __init__(self):
        self.lock = threading.Lock()
        self.jobs, self.wrong, self.counts, self.sessions = {}, [], collections.Counter(), {}

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def expect(self, truth, what):
        if not truth:
            with self.lock:
                self.wrong.append(f"{time.strftime('%H:%M:%S')} {what}"[:600])
        return truth

    def ended(self):
        with self.lock:
            return sum(1 for job in self.jobs.values() if job.end)

    def see_end(self, state):
        """Every look at a job that has ended shows the same end."""
        with self.lock:
            job = self.jobs.setdefault(state["job_id"], Job())
            before, job.end = job.end, job.end or state
        self.expect(before in (None, state), f"two ends of one job: {before} and {state}")


class Job:
    def __init__(self):
        self.client = self.magic = self.end = None


class Observer:
    """One who looks at jobs in the order of time: after its end he sees no job go on."""

    def __init__(self, ledger):
        self.ledger, self.over = ledger, set()

    def see(self, state):
        if state["status"] in ENDED:
            self.over.add(state["job_id"])
            self.ledger.see_end(state)
        else:
            self.ledger.expect(state["job_id"] not in self.over, f"it goes on after its end: {state}")
        return state


class Customer(threading.Thread):
    """Sessions one after the other, with a few jobs each, until told to stop; the last job is brought to its end."""

    def __init__(self, url, ledger, engines, seed):
        super().__init__(daemon=True)
        self.url, self.ledger, self.rng, self.stopped = url, ledger, random.Random(seed), threading.Event()
        self.kinds = [kind for kind in KINDS if kind[4] in engines.split()]

    def run(self):
        while not self.stopped.is_set():
            try:
                self.session()
            except Exception as error:  # it has to be told, and the others go on
                self.ledger.expect(False, f"{type(error).__name__}: {error}")
                self.stopped.wait(1)

    def insist(self, call, wanted, what):
        """The first answer that is one of `wanted`, and whether there was a try before it whose outcome nobody knows."""
        unsure, deadline = False, time.monotonic() + JOB_PATIENCE
        while time.monotonic() < deadline:
            try:
                answer = call()
            except requests.RequestException:
                self.ledger.count("broken connections")
                unsure = True
                time.sleep(0.2)
                continue
            self.ledger.count(f"{answer.status_code} to {what}")
            if answer.status_code in wanted:
                return answer, unsure
            assert answer.status_code in UNPROMISED, f"{what}: {answer.status_code} {answer.text[:300]}"
            unsure = True
            time.sleep(0.2)
        raise AssertionError(f"{what}: not answered in {JOB_PATIENCE} s")

    def session(self):
        client = Client(self.url)
        client.enter(self.insist(lambda: client.request("GET", "/session/init"), (200,), "init")[0])
        with self.ledger.lock:
            self.ledger.sessions[client.session_id] = client
        stream = Stream(client, self.ledger)
        stream.start()
        try:
            for _ in range(self.rng.randint(2, 6)):
                self.convert_one(client)
                if self.stopped.is_set():
                    break
        finally:
            stream.stopped.set()
        if self.rng.random() < 0.3:
            self.close(client)

    def close(self, client):
        """One that was repeated may have been done before: then there is no such session."""
        answer, unsure = self.insist(client.close, (200, 401), "close")
        self.ledger.expect(answer.status_code == 200 or unsure, f"close: {answer.status_code} {answer.text[:200]}")
        with self.ledger.lock:
            self.ledger.sessions[client.session_id] = None
            for job in self.ledger.jobs.values():
                if job.client is client:
                    job.client = None

    def convert_one(self, client):
        number = self.rng.randrange(10**6)
        name, content, target, magic, _ = self.rng.choice(self.kinds)
        answer, _ = self.insist(lambda: client.upload(name, content(number)), (201,), "upload")
        job_id = answer.json()["job_id"]
        answer, unsure = self.insist(lambda: client.convert(job_id, target), (202, 409), "convert")
        if not self.ledger.expect(answer.status_code == 202 or unsure, f"convert: {answer.status_code} {answer.text[:200]}"):
            return
        with self.ledger.lock:
            job = self.ledger.jobs.setdefault(job_id, Job())
            job.client, job.magic = client, magic
        end = self.wait(client, job_id)
        if end["status"] == "completed":
            self.ledger.expect(magic is not None, f"{name} was converted: {end}")
            self.download(client, job_id, end, magic)

    def download(self, client, job_id, end, magic):
        """The same bytes to whoever asks again."""
        url = self.insist(lambda: client.token(job_id), (201,), "token")[0].json()["url"]
        found = set()
        for _ in range(2):
            answer, _ = self.insist(lambda: client.download(url), (200,), "download")
            found.add(hashlib.sha256(answer.content).hexdigest())
            self.ledger.expect(magic is not None and answer.content.startswith(magic) and len(answer.content) == end["output"]["size"],
                               f"{end} gave {len(answer.content)} bytes, {answer.content[:8]}")
        self.ledger.expect(len(found) == 1, f"two results of {end}")

    def wait(self, client, job_id):
        observer, deadline = Observer(self.ledger), time.monotonic() + JOB_PATIENCE
        while time.monotonic() < deadline:
            answer, _ = self.insist(lambda: client.status(job_id, wait=3), (200,), "status")
            state = observer.see(answer.json())
            if state["status"] in ENDED:
                self.ledger.count(f"{state['status']} {state['error_code'] or ''}".strip())
                return state
            self.ledger.expect(state["status"] != "uploaded", f"accepted, and forgotten: {state}")
        raise AssertionError(f"it does not end: {state}")


class Stream(threading.Thread):
    """Follows the events of a session, and comes back by the last id when the stream breaks, as a browser does."""

    def __init__(self, client, ledger):
        super().__init__(daemon=True)
        self.client, self.ledger, self.stopped = client, ledger, threading.Event()
        self.seen = {}  # events by id: after Redis was away the present states come once more

    def run(self):
        observer, last = Observer(self.ledger), None
        while not self.stopped.wait(0.2):
            try:
                events = Events(self.client, last_id=last)
                if events.status == 200:
                    last = self.follow(events, observer, last)
                events.close()
            except (OSError, ValueError, IndexError):  # it broke off, maybe in the middle of a line
                continue

    def follow(self, events, observer, last):
        while not self.stopped.is_set() and not events.ended:
            event = events.next(timeout=1)
            if event:
                last = event.id
                self.ledger.expect(self.seen.setdefault(last, event.job) == event.job, f"two events {last}: {self.seen[last]} and {event.job}")
                self.ledger.count("events")
                observer.see(event.job)
        return last
