"""Decant as a contestant: a `decant serve` in a folder of the run, driven over HTTP like any client would."""

import json
import time
from pathlib import Path

import procs
from http_client import Connection, Refused

ROOT = Path(__file__).resolve().parents[1]
ENDED = ("completed", "failed", "cancelled")
JOBS_A_SESSION = 100  # below the server's own limit
# Requests are counted as always, and never too many.
RATES = {f"DECANT_RATE_{name}": "1000000/s" for name in ("SESSION", "UPLOAD", "CONVERT", "READ", "DOWNLOAD", "PAGE")}
# All clients come from one address.
ROOM = {f"DECANT_ADDRESS_{name}": "100000" for name in ("CONNECTIONS", "EVENT_STREAMS", "UPLOADS")}


class Decant:
    label = "Decant"

    def __init__(self, folder, bindir, name="decant", **environment):
        self.folder = Path(folder) / name
        self.binary = Path(bindir) / "decant"
        self.environment = environment
        self.process = None
        self.log_offset = 0

    def start(self):
        self.folder.mkdir()
        self.port = procs.free_port()
        self.log = self.folder / "log"
        self.process = procs.start([self.binary, "serve", "--data", self.folder / "var", "--port", self.port], self.log,
                                   env={"PATH": "/usr/bin:/bin", "DECANT_LOG_FORMAT": "json", "DECANT_RESULT_CACHE": "0", **RATES, **ROOM, **self.environment})
        connection, deadline = Connection(self.port), time.monotonic() + 120
        while True:
            try:
                if connection.request("GET", "/readyz").status == 200:
                    break
            except OSError:
                connection.close()
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("decant serve does not become ready:\n" + self.log.read_text(errors="replace")[-2000:])
            time.sleep(0.1)
        connection.close()
        return self

    def stop(self):
        procs.stop(self.process, 60)

    @property
    def clamd_socket(self):
        return self.folder / "var/clamav/clamd.sock"

    def pids(self):
        return procs.tree(self.process.pid)

    def parts(self):
        """{name: pid} of the long-lived processes: what no job ends with."""
        found = {}
        zygotes = set()
        for pid in sorted(self.pids()):
            name = procs.name(pid)
            if name.startswith("decant-engine-"):
                if not zygotes & set(parent_chain(pid)):
                    zygotes.add(pid)
                    found[name] = pid
            elif name:
                found.setdefault(name, pid)
        return found

    def work_pids(self):
        """The children of the engines."""
        if not hasattr(self, "zygotes"):
            self.zygotes = [pid for name, pid in self.parts().items() if name.startswith("decant-engine-")]
        return [child for zygote in self.zygotes for child in procs.children(zygote)]

    def cpu_seconds(self):
        return procs.cpu_seconds(self.pids())

    def client(self, index=0):
        return DecantClient(self.port)

    def engine_ms(self):
        """{job id: milliseconds} of the conversions logged since the last call."""
        found = {}
        with open(self.log, "rb") as log:
            log.seek(self.log_offset)
            for line in log:
                if b'"conversion over"' in line and line.endswith(b"\n"):
                    record = json.loads(line)
                    found[record["job_id"]] = record["ms"]
            self.log_offset = log.tell()
        return found


def parent_chain(pid):
    chain = []
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
        chain.append(pid)
    return chain


class PlatformClient:
    """The calls of one client from the upload to the last byte of the download. `phases` has their seconds and the job's
    last state, for whoever wants to know more than the sum."""

    wait = ""

    def __init__(self, port):
        self.http = Connection(port)
        self.jobs = JOBS_A_SESSION
        self.phases = {}
        self.contents = {}

    def ready(self):
        """Not part of a conversion: a session of its own now and then."""
        if self.jobs >= JOBS_A_SESSION:
            self.leave()
            self.http.open_session()
            self.jobs = 0

    def leave(self):
        self.http.close()

    def convert(self, source, target):
        name, data = self.contents.get(source) or self.contents.setdefault(source, (source.name, source.read_bytes()))
        t = [time.perf_counter()]
        job_id = self.http.upload(name, data)["job_id"]
        t.append(time.perf_counter())
        self.http.post("/convert", {"job_id": job_id, "target_format": target})
        t.append(time.perf_counter())
        job = self.await_end(job_id)
        t.append(time.perf_counter())
        url = self.http.post("/download_token", {"job_id": job_id})
        t.append(time.perf_counter())
        body = self.http.get(url.json()["url"]).body
        t.append(time.perf_counter())
        self.jobs += 1
        if not body:
            raise Refused("an empty result")
        self.phases = dict(zip(("upload", "convert", "status", "token", "download"), (b - a for a, b in zip(t, t[1:]))))
        self.job = job
        return len(body)

    def await_end(self, job_id):
        while True:
            job = self.http.get(f"/job_status?job_id={job_id}{self.wait}").json()
            if job["status"] == "completed":
                return job
            if job["status"] in ENDED:
                raise Refused(f"the job {job['status']}: {job.get('error_code') or job.get('error_message')}")
            self.pause()

    def pause(self):
        pass


class DecantClient(PlatformClient):
    wait = "&wait=30"

    def leave(self):
        if self.http.cookie:
            self.http.post("/session/close", {})
        self.http.close()
