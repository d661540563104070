"""A Redis that asks for a password, as on a network of its own: API and worker get it by a file, and nobody sees it."""

import contextlib
import os
import pwd
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import redis
import requests

from client import Client
from fixtures import png
from server import BIN, free_port, sanitizers

PASSWORD = "open-sesame-4c1d77"


class Parts:
    """API and worker as an operator starts them, with a Redis of the test's own."""

    def __init__(self, folder, password_file):
        self.folder, self.processes = folder, {}
        self.redis_port, self.port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {"PATH": "/usr/bin:/bin", **sanitizers(), "DECANT_LOG_FORMAT": "json", "DECANT_LOG_LEVEL": "debug", "DECANT_CLAMD": "off",
                            "DECANT_REDIS": f"tcp:127.0.0.1:{self.redis_port}", "DECANT_STORAGE": str(folder / "storage"), "DECANT_CGROUP": "off",
                            "DECANT_PORT": str(self.port), "DECANT_DISK_RESERVE": "1M", "DECANT_API_USER": "decant", "DECANT_REDIS_PASSWORD_FILE": str(password_file)}

    def start(self, name, *argv):
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(argv or [BIN / name], env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def start_all(self):
        self.start("redis", "redis-server", "--port", str(self.redis_port), "--save", "", "--dir", str(self.folder), "--requirepass", PASSWORD)
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(redis.RedisError):
                redis.Redis(port=self.redis_port, password=PASSWORD).ping()
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
        self.start("decant-worker")
        self.start("decant-api")

    def wait_ready(self):
        deadline = time.monotonic() + 300
        while True:
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(self.url + "/readyz", timeout=10).status_code == 200:
                    return
            assert time.monotonic() < deadline and all(p.poll() is None for p in self.processes.values()), self.log("decant-worker") + self.log("decant-api")
            time.sleep(0.2)

    def stop(self):
        for name in ("decant-api", "decant-worker", "redis"):
            if name in self.processes:
                self.processes[name].send_signal(signal.SIGTERM)
                assert self.processes[name].wait(120) == 0, self.log(name)

    def pids(self):
        """API, worker and whatever the worker has started; children of engines come and go."""
        found, todo = [], [self.processes[name].pid for name in ("decant-api", "decant-worker")]
        while todo:
            found.append(pid := todo.pop())
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    todo += map(int, (task / "children").read_text().split())
        return found


@pytest.fixture
def folder():
    """One with a storage tree in it, where the user that root's programs become may go."""
    user = pwd.getpwnam("decant") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "storage").mkdir()
        for path in (folder, folder / "storage"):
            os.chown(path, user.pw_uid, user.pw_gid)
        yield folder


def write_secret(folder, text, mode):
    secret = folder / "password"
    secret.write_text(text)
    os.chown(secret, folder.stat().st_uid, -1)
    secret.chmod(mode)
    return secret


@pytest.fixture
def parts(folder):
    """parts(password): the file holds that one."""
    made = []

    def make(password):
        made.append(Parts(folder, write_secret(folder, password + "\n", 0o400)))
        made[0].start_all()
        return made[0]

    yield make
    for each in made:
        each.stop()


def memory_has(pid, needle):
    """In how many places of what the process may write to."""
    places = 0
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            begin, end, access = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
            begin, end = int(begin, 16), int(end, 16)
            if access.startswith("rw") and end - begin < 1 << 30:  # more is the shadow of a sanitizer, with no bytes of ours
                with contextlib.suppress(OSError, ValueError):  # reserved alone
                    memory.seek(begin)
                    places += memory.read(end - begin).count(needle)
    return places


def test_whole_way_with_a_password(parts):
    parts = parts(PASSWORD)
    parts.wait_ready()
    client = Client(parts.url)
    client.init()
    assert client.result("a.png", png(), "jpg")[0]["status"] == "completed"
    client.close()
    ours, seen = [parts.processes[name].pid for name in ("decant-api", "decant-worker")], 0
    for pid in parts.pids():
        try:
            for what in ("environ", "cmdline"):
                assert PASSWORD.encode() not in Path(f"/proc/{pid}/{what}").read_bytes()
            # Engines are started by a process that has never known it.
            assert pid in ours or memory_has(pid, PASSWORD.encode()) == 0
            seen += 1
        except (FileNotFoundError, ProcessLookupError):
            assert pid not in ours
    assert seen >= 6  # API, worker, launcher, three engines
    for name in ("decant-api", "decant-worker"):
        assert PASSWORD not in parts.log(name)


@pytest.mark.parametrize("password", ["another one", "open-sesame"], ids=["wrong", "a part"])
def test_a_wrong_password_is_said(parts, password):
    parts = parts(password)
    deadline = time.monotonic() + 120
    while not all("WRONGPASS" in parts.log(name) for name in ("decant-api", "decant-worker")):
        assert time.monotonic() < deadline, parts.log("decant-api") + parts.log("decant-worker")
        time.sleep(0.2)
    answer = requests.get(parts.url + "/readyz", timeout=30)
    assert answer.status_code == 503 and answer.json()["redis"]["ok"] is False
    assert requests.get(parts.url + "/session/init", timeout=30).json()["code"] == "unavailable"
    for name in ("decant-api", "decant-worker"):
        assert f'"{password}"' not in parts.log(name) and PASSWORD not in parts.log(name)
        assert parts.log(name).count("WRONGPASS") == 1, "it is said again at each attempt"
    assert all(parts.processes[name].poll() is None for name in ("decant-api", "decant-worker")), "they come up when it is put right"


@pytest.mark.parametrize("program", ["decant-api", "decant-worker"])
@pytest.mark.parametrize("mode, text, why", [(0o644, "open sesame\n", "not permitted"), (0o640, "open sesame\n", "not permitted"), (0o600, "\n", "Bad message"),
                                             (None, "", "No such file")], ids=["anybody", "the group", "empty", "missing"])
def test_a_password_comes_by_a_file_that_is_private(folder, program, mode, text, why):
    """One that others may read is refused before anything is served."""
    secret = folder / "none" if mode is None else write_secret(folder, text, mode)
    environment = {"PATH": "/usr/bin:/bin", **sanitizers(), "DECANT_PORT": str(free_port()), "DECANT_STORAGE": str(folder / "storage"),
                   "DECANT_REDIS_PASSWORD_FILE": str(secret), "DECANT_API_USER": "decant"}
    answer = subprocess.run([BIN / program], env=environment, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 78 and "DECANT_REDIS_PASSWORD_FILE" in answer.stderr and why in answer.stderr, answer.stderr
    assert "sesame" not in answer.stderr
