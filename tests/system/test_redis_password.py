"""A Redis that asks for a password, as on a network of its own: API and worker get it by a file, and nobody sees it."""

import contextlib
import os
import re
import subprocess
import time
from pathlib import Path

import pytest
import redis
import requests

from client import Client
from fixtures import png
from parts import Parts, parts_folder, write_secret
from server import BIN, eventually, free_port, sanitizers

PASSWORD = "open-sesame-4c1d77"


class Guarded(Parts):
    """With a Redis that wants the password."""

    def __init__(self, folder, password_file):
        self.redis_port = free_port()
        super().__init__(folder, DECANT_REDIS=f"tcp:127.0.0.1:{self.redis_port}", DECANT_REDIS_PASSWORD_FILE=str(password_file))

    def start_all(self):
        self.start("redis", "redis-server", "--port", str(self.redis_port), "--save", "", "--dir", str(self.folder), "--requirepass", PASSWORD)
        eventually(self.redis_answers)
        self.start("decant-worker")
        self.start("decant-api")

    def redis_answers(self):
        with contextlib.suppress(redis.RedisError):
            return redis.Redis(port=self.redis_port, password=PASSWORD).ping()

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
    with parts_folder() as folder:
        yield folder


@pytest.fixture
def parts(folder):
    """parts(password): the file holds that one."""
    made = []

    def make(password):
        made.append(Guarded(folder, write_secret(folder, password + "\n", 0o400)))
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
