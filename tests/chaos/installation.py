"""The two ways to run Decant, each behind nginx, with a keeper that starts again what dies, as a service manager does.

`Apart`: Redis, clamd, two APIs, two workers and nginx, each kept by the test. `Served`: one `decant serve`, which keeps its parts
itself, and is kept with nginx by the test. This process has to be a subreaper (`adopt_orphans()`): what outlives its
parent becomes our child, so nothing that was started can hide."""

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
from pathlib import Path

import redis
import requests

import front
from fixtures import eicar
from parts import Parts
from server import BIN, PATIENCE, READY_PATIENCE, SANITIZER, Server, eventually, free_port, started

PR_SET_CHILD_SUBREAPER = 36
RETRY_S = 0.2  # a keeper's pause before it starts a thing again

REDIS = """
port {port}
bind 127.0.0.1
dir {folder}
save ""
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
"""

CLAMD = """
Foreground yes
DatabaseDirectory {folder}
TemporaryDirectory {folder}
LocalSocket {folder}/socket
FixStaleSocket yes
AlertExceedsMax yes
StreamMaxLength 101M
MaxFileSize 400M
MaxScanSize 800M
"""

SETTINGS = {"DECANT_ACCEL_PREFIX": "/_files", "DECANT_LOG_LEVEL": "info", "DECANT_JOBS": "2", "DECANT_GRACE": "30",
            **{f"DECANT_RATE_{kind}": "off" for kind in ("SESSION", "UPLOAD", "CONVERT", "READ", "DOWNLOAD", "PAGE", "LOGIN", "GUESS")}}


def adopt_orphans():
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "prctl")


class Process:
    """One line of the table of processes."""

    def __init__(self, pid):
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        self.pid, self.state, self.parent = pid, stat[0], int(stat[1])
        line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
        self.name = line.split(" ")[0].rstrip(":").rpartition("/")[2]  # redis and nginx write more into their first argument
        self.line = line

    def __repr__(self):
        return f"{self.pid} {self.name or '(gone)'} ({self.state}, of {self.parent})"


def descendants():
    """Of this process, which the others come from, or came to."""
    table = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                table[int(entry)] = Process(int(entry))
    found = []
    todo = [os.getpid()]
    while todo:
        parent = todo.pop()
        below = [process for process in table.values() if process.parent == parent]
        found += below
        todo += [process.pid for process in below]
    return sorted(found, key=lambda process: (started(process.pid), process.pid))


def victims():
    """Whom a kill can hit, by kind."""
    kinds = {"decant": "supervisor", "decant-api": "api", "decant-worker": "worker", "decant-launch": "launcher", "redis-server": "redis", "clamd": "clamd"}
    all_of_them = descendants()
    names = {process.pid: process.name for process in all_of_them}
    found = {}
    for process in all_of_them:
        kind = kinds.get(process.name)
        if process.name.startswith("decant-engine-"):
            kind = "conversion" if names.get(process.parent, "").startswith("decant-engine-") else "engine"
        elif process.name == "nginx":
            kind = "nginx" if "master" in process.line else "nginx worker"
        if kind and process.state != "Z":
            found.setdefault(kind, []).append(process.pid)
    return found


class Site:
    """`mains`: what the test itself keeps, by name; `ends`: how often each has ended, and how."""

    def __init__(self, folder):
        self.folder, self.mains, self.ends = Path(folder), {}, []
        self.front_port = free_port()
        self.url = f"http://127.0.0.1:{self.front_port}"
        self.killed = set()  # pids
        self.lock, self.stopped = threading.Lock(), threading.Event()
        self.keeper = threading.Thread(target=self.keep, daemon=True)

    def start_front(self):
        with open(self.folder / "nginx.log", "ab") as log:
            self.mains["nginx"] = subprocess.Popen(self.front, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def begin(self):
        self.start_all()
        self.start_front()
        self.keeper.start()
        self.wait_ready()

    def wait_ready(self):
        last = None

        def ready():
            nonlocal last
            with contextlib.suppress(requests.RequestException):
                last = requests.get(self.url + "/readyz", timeout=10)
                return last.status_code == 200

        eventually(ready, lambda: f"not ready: {last.text if last is not None else 'no answer'}", READY_PATIENCE, every=0.2)

    def renew_workers(self):
        """Each worker's janitor looks at everything in its first round."""
        for pid in victims().get("worker", []):
            os.kill(pid, signal.SIGTERM)

    def keep(self):
        while not self.stopped.wait(RETRY_S):
            with self.lock:
                for name, process in list(self.mains.items()):
                    if process.poll() is not None:
                        self.ends.append((name, process.returncode, process.pid in self.killed))
                        self.restart(name)
            self.reap()

    def restart(self, name):
        if name == "nginx":
            self.end_orphans_of_nginx()
            self.start_front()
        else:
            self.start(name)

    def end_orphans_of_nginx(self):
        """A worker of nginx's goes on without its master and keeps the port: who keeps services ends all of a service."""
        for process in self.orphans():
            if process.name == "nginx":
                os.kill(process.pid, signal.SIGKILL)

    def orphans(self):
        mains = {process.pid for process in self.mains.values()}
        return [process for process in descendants() if process.parent == os.getpid() and process.pid not in mains]

    def reap(self):
        """As init does with what outlived its parent."""
        with self.lock:
            for process in self.orphans():
                if process.state == "Z":
                    with contextlib.suppress(ChildProcessError):
                        os.waitpid(process.pid, os.WNOHANG)

    def kill(self, pid):
        with contextlib.suppress(ProcessLookupError):  # it may have ended by itself meanwhile
            self.killed.add(pid)
            os.kill(pid, signal.SIGKILL)
            return True

    def check_logs(self):
        """What the sanitizers of the build have said, and ends that nobody asked for."""
        found = [f"{path.name}: {text[match.start():][:2000]}" for path in self.folder.glob("*.log")
                 if (match := SANITIZER.search(text := path.read_text(errors="replace")))]
        died = [end for end in self.ends if end[1] < 0 and not end[2]]
        return found + [f"{name} died of signal {-status}, and nobody killed it" for name, status, _ in died]

    def stop(self):
        """Ends all, in order; what was wrong with that, and what the logs complain of."""
        self.stopped.set()
        if self.keeper.is_alive():
            self.keeper.join()
        wrong = []
        for name in self.order():
            process = self.mains.get(name)
            if not process:
                continue  # the start did not come so far
            if process.poll() is None:
                process.terminate()
            try:
                if process.wait(PATIENCE) != 0:
                    wrong.append(f"{name} ended with {process.returncode} when it was asked to end")
            except subprocess.TimeoutExpired:
                wrong.append(f"{name} does not end")
        self.mains = {}

        def gone():
            self.reap()
            return not descendants()

        with contextlib.suppress(AssertionError):
            eventually(gone, timeout=60, every=0.2)
        left = descendants()
        for process in left:
            os.kill(process.pid, signal.SIGKILL)
        return wrong + [f"left after the end: {process}" for process in left] + self.check_logs()


class Apart(Site):
    def __init__(self, folder, engines, **settings):
        super().__init__(folder)
        self.storage, self.redis_port, api_ports = self.folder / "storage", free_port(), [free_port(), free_port()]
        self.parts = Parts(self.folder, **{**SETTINGS, "DECANT_ENGINES": engines, "DECANT_REDIS": f"tcp:127.0.0.1:{self.redis_port}",
                                           "DECANT_CLAMD": f"unix:{self.folder}/clamd/socket", **settings})
        self.mains = self.parts.processes
        self.front = front.nginx(self.folder, self.front_port, self.storage, *api_ports)
        for name, text in (("redis", REDIS), ("clamd", CLAMD)):
            place = self.folder / name
            place.mkdir()
            os.chown(place, self.folder.stat().st_uid, -1)
            (place / "conf").write_text(text.format(folder=place, port=self.redis_port))
        (self.folder / "clamd" / "test.ndb").write_text("Eicar-Test-Signature:0:*:" + eicar().hex() + "\n")
        self.programs = {
            "redis": (("redis-server", self.folder / "redis" / "conf"), {}),
            "clamd": (("clamd", f"--config-file={self.folder}/clamd/conf"), {"PATH": "/usr/sbin:/usr/bin"}),
            **{f"api{n}": ((BIN / "decant-api",), {"DECANT_PORT": str(port)}) for n, port in enumerate(api_ports)},
            **{f"worker{n}": ((BIN / "decant-worker",), {"DECANT_WORKER_NAME": f"worker{n}"}) for n in range(2)}}

    def start(self, name):
        argv, environment = self.programs[name]
        self.parts.start(name, *argv, **environment)

    def start_all(self):
        self.start("clamd")
        eventually(lambda: (self.folder / "clamd" / "socket").exists(), lambda: self.parts.log("clamd"))
        for name in self.programs:
            if name != "clamd":
                self.start(name)

    def order(self):
        return ["nginx", "api0", "api1", "worker0", "worker1", "clamd", "redis"]

    def redis(self):
        return redis.Redis(port=self.redis_port, decode_responses=True, socket_timeout=PATIENCE)


class Served(Site):
    def __init__(self, folder, engines, **settings):
        super().__init__(folder)
        self.server = Server(self.folder, engines, **{**SETTINGS, **settings})
        self.storage = self.server.data / "storage"
        self.front = front.nginx(self.folder, self.front_port, self.storage, self.server.port)

    def start(self, name):
        self.mains[name] = self.server.start(ready=False).process

    def start_all(self):
        self.start("serve")

    def order(self):
        return ["nginx", "serve"]

    def redis(self):
        return self.server.redis()


LAYOUTS = {"apart": Apart, "served": Served}
