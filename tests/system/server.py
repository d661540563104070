"""Starts and ends a `decant serve` of the test's own, and looks into its folder and processes.

DECANT_BUILD names the build whose bin/ is tested. When that is one with sanitizers, what they say in the server's log fails
the test that ends the server."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import redis
import requests

BUILD = Path(os.environ.get("DECANT_BUILD", Path(__file__).resolve().parents[2] / "build"))
BIN = BUILD / "bin"
SANITIZER = re.compile(r"(Address|Leak|UndefinedBehavior)Sanitizer|: runtime error: ")


def free_port():
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def sanitizers():
    """How the sanitizers of the build are set, for an environment that has little else."""
    return {name: value for name, value in os.environ.items() if name in ("ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS")}


class Server:
    def __init__(self, folder, **environment):
        self.data = Path(folder) / "var"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {"DECANT_LOG_FORMAT": "json", "DECANT_DISK_RESERVE": "1M", **environment}
        self.log_path = Path(folder) / "serve.log"
        self.process = None
        self.binary = BIN / "decant"

    def start(self, ready=True):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--data", self.data, "--port", str(self.port)],
                env={"PATH": "/usr/bin:/bin", **sanitizers(), **self.environment}, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=300):
        deadline = time.monotonic() + timeout
        last = None
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"decant serve ended with {self.process.returncode}:\n{self.log()[-1500:]}"
            with contextlib.suppress(requests.ConnectionError):
                last = requests.get(self.url + "/readyz", timeout=10)
                if last.status_code == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"not ready: {last.text if last is not None else 'no answer'}\n{self.log()[-1500:]}")

    def wait_listening(self, timeout=120):
        """Answers and reaches Redis, ready for conversions or not."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(self.url + "/readyz", timeout=10).json()["redis"]["ok"]:
                    return
            time.sleep(0.1)
        raise AssertionError(f"not listening\n{self.log()[-1500:]}")

    def stop(self, sig=signal.SIGTERM, timeout=120):
        if self.process and self.process.poll() is None:
            self.process.send_signal(sig)
            self.process.wait(timeout)
        self.check_log()
        return self.process.returncode if self.process else None

    def check_log(self):
        found = SANITIZER.search(self.log())
        assert not found, self.log()[max(0, found.start() - 200):][:4000]

    def wait_log(self, words, timeout=120):
        deadline = time.monotonic() + timeout
        while words not in self.log():
            assert time.monotonic() < deadline, f"the log does not say: {words}"
            time.sleep(0.1)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def redis(self):
        return redis.Redis(unix_socket_path=str(self.data / "redis" / "redis.sock"), decode_responses=True)

    def children(self, name):
        """Pids of our own descendants with that program name, oldest first."""
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            with contextlib.suppress(OSError):
                for task in os.listdir(f"/proc/{pid}/task"):
                    todo += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].split(b" ")[0].decode().endswith(name):
                    found.append(pid)
        return sorted(found)

    def files(self):
        """All regular files under the storage root, relative to it."""
        root = self.data / "storage"
        return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())
