"""Sends the corpus through a server, and keeps what became of each file."""

import concurrent.futures
import contextlib
import dataclasses
import os
import re
import tempfile
import threading
import time
from pathlib import Path

from client import Client
from corpus.packages import docx, paragraph
from corpus.pdfs import page
from corpus import solid_png
from watch import leaks

PROGRAMS = ("decant-api", "decant-worker", "decant-engine-office", "decant-engine-image", "decant-engine-pdf", "decant-engine-media", "decant-engine-markup", "decant-engine-archive", "decant-engine-font", "decant-engine-pages", "decant-engine-press", "decant-engine-ocr")
CLIENTS = 8


@dataclasses.dataclass
class Ending:
    code: str          # "completed", a job's error code, or a refused upload's code
    said: str          # everything that the server said about it
    seconds: float = 0  # of the job, from start to end
    leak: str = None


def long_lived(server):
    """The processes that have to live on, by name; an engine's jobs are children of its own, and carry its name."""
    found = {"decant-worker": server.children("decant-worker")[0]}
    parents = (server.process.pid, *server.children("decant-launch"))
    for name in PROGRAMS:
        for pid in server.children(name):
            with contextlib.suppress(OSError):
                parent = int(re.search(r"^PPid:\s*(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)[1])
                if parent in parents:
                    found[name] = pid
    assert set(found) == set(PROGRAMS), found
    return found


def memory_kib(pids):
    """Private and anonymous: what a process has gathered, whoever shares its libraries at the moment."""
    def anonymous(pid):
        return sum(int(line.split()[1]) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(("RssAnon:", "VmSwap:")))
    return {name: anonymous(pid) for name, pid in pids.items()}


class Run:
    def __init__(self, server, context, cases):
        self.server, self.context, self.cases = server, context, cases
        self.endings, self.sessions = {}, threading.local()
        self.results = Path(tempfile.mkdtemp(prefix="decant-results-"))
        self.pids = self.before = self.after = None

    def one(self, case):
        data = case.make(self.context)
        client = Client(self.server.url)
        client.init()
        try:
            return self.ending(client, case, data)
        finally:
            client.close()

    def ending(self, client, case, data):
        answer = client.upload(case.file, data)
        if answer.status_code != 201:
            assert 400 <= answer.status_code < 500, answer.text
            return Ending(answer.json()["code"], answer.text)
        job_id = answer.json()["job_id"]
        said = answer.text
        answer = client.convert(job_id, case.target, **case.options)
        assert answer.status_code == 202, answer.text
        job = client.wait(job_id, timeout=240)
        said += str(job)
        if job["status"] != "completed":
            return Ending(job["error_code"], said, seconds(job))
        answer = client.download(client.token(job_id).json()["url"])
        assert answer.status_code == 200, answer.text
        extension = job.get("output_format") or case.target
        path = self.results / f"{case.name}.{'zip' if answer.content[:2] == b'PK' and case.target in ('png', 'jpg', 'svg', 'pdf') else case.target}"
        path.write_bytes(answer.content)
        try:
            return Ending("completed", said, seconds(job), leaks(path, path.suffix[1:] or extension, self.context))
        finally:
            path.unlink()

    def warm_up(self):
        """One good file to each engine: what they load once is no growth."""
        client = Client(self.server.url)
        client.init()
        for _ in range(3):
            for name, data, target in (("a.docx", docx(paragraph("x")), "pdf"), ("a.png", solid_png((1, 2, 3)), "jpg"), ("a.pdf", page(), "png"), ("a.pdf", page(), "pdf"), ("a.pdf", page(), "ps")):
                client.result(name, data, target)
        client.close()

    def all(self):
        self.warm_up()
        self.pids = long_lived(self.server)
        self.before = memory_kib(self.pids)
        # Those that take longest first, so that they don't wait for each other at the end.
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            started = time.monotonic()
            futures = {case.name: pool.submit(self.one, case) for case in self.cases}
            for name, future in futures.items():
                try:
                    self.endings[name] = future.result()
                except Exception as e:  # one broken file must not hide the others
                    self.endings[name] = e
            self.seconds = time.monotonic() - started
        self.warm_up()
        self.after = memory_kib(self.pids)
        with contextlib.suppress(OSError):
            os.rmdir(self.results)


def seconds(job):
    from datetime import datetime
    stamps = [job.get(key) for key in ("started_at", "finished_at", "completed_at", "ended_at")]
    stamps = [datetime.fromisoformat(s.replace("Z", "+00:00")) for s in stamps if s]
    return (stamps[-1] - stamps[0]).total_seconds() if len(stamps) > 1 else 0
