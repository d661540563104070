"""Starts and ends a `decant serve` of the test's own, and looks into its folder and processes.

DECANT_BUILD names the build whose bin/ is tested. When that is one with sanitizers, what they say in the server's log fails
the test that ends the server."""

import contextlib
import functools
import os
import pwd
import re
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import redis
import requests

import contract

BUILD = Path(os.environ.get("DECANT_BUILD", Path(__file__).resolve().parents[2] / "build"))
BIN = BUILD / "bin"
PATIENCE = 180  # seconds for what takes a moment: the machine may be busy
READY_PATIENCE = 300  # all engines: LibreOffice alone takes a hundred on such a machine
SANITIZER = re.compile(r"(Address|Leak|UndefinedBehavior)Sanitizer|: runtime error: ")


def eventually(condition, complaint=lambda: "it did not happen in time", timeout=PATIENCE, every=0.05):
    """What the condition returns as soon as that is true; it is asked over and over."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, complaint()
        time.sleep(every)
    return value


def waiting(redis, queue):
    """How many messages it has, over the lists of all priorities, as kombu names them."""
    return sum(redis.llen(queue + step) for step in ("", "\x06\x163", "\x06\x166", "\x06\x169"))


def below(folder):
    """All paths below it; what goes away meanwhile (a job's work folder) is no mistake."""
    return [Path(at) / name for at, folders, files in os.walk(folder) for name in folders + files]


def work_folders(storage):
    """Of conversions that run, or have just ended: they go after the job's ending is told."""
    return [path for path in below(storage) if path.name.startswith("work-")]


def free_port():
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def started(pid):
    """When the process began, in ticks: numbers of processes start again from the first now and then, and tell nothing. Of one that is gone: 0."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return 0


def sanitizers():
    """How the sanitizers of the build are set, for an environment that has little else."""
    return {name: value for name, value in os.environ.items() if name in ("ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS")}


def identity(user):
    """For a process that this user is to run, as root has it; None: as we are."""
    if not user:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@functools.cache
def signing_key():
    """Name and text of a key for access tokens: to make one for each new folder is a second of a processor each time."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([BIN / "decant", "jwt-key", folder], check=True, capture_output=True, timeout=PATIENCE, env={"PATH": "/usr/bin:/bin", **sanitizers()})
        path, = Path(folder).iterdir()
        return path.name, path.read_bytes()


class still:
    """Holds a process of ours still for a while."""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGCONT)


class Server:
    """`engines` are the names of those that its tests need; None: all. LibreOffice takes seconds of a processor to start."""

    def __init__(self, folder, engines=None, **environment):
        self.data = Path(folder) / "var"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # Tests convert the same file over and over, and mean it: test_again.py is about the rest.
        self.environment = {"DECANT_LOG_FORMAT": "json", "DECANT_DISK_RESERVE": "1M", "DECANT_WEB": "", "DECANT_RESULT_CACHE": "0", **environment}
        if engines:
            self.environment["DECANT_ENGINES"] = engines
        self.log_path = Path(folder) / "serve.log"
        self.process = None
        self.binary = BIN / "decant"
        self.user = None  # whom it is started as, by name
        self.makes_key = False  # for access tokens, by itself

    def bring_key(self):
        name, text = signing_key()
        self.data.mkdir(0o700, parents=True)
        (self.data / "jwt").mkdir(0o700)
        (self.data / "jwt" / name).touch(0o600)
        (self.data / "jwt" / name).write_bytes(text)

    def start(self, ready=True):
        if not (self.makes_key or self.user or self.data.exists()):
            self.bring_key()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--data", self.data, "--port", str(self.port)],
                env={"PATH": "/usr/bin:/bin", **sanitizers(), **self.environment}, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                **identity(self.user))
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self):
        last = None

        def is_ready():
            nonlocal last
            assert self.process.poll() is None, f"decant serve ended with {self.process.returncode}:\n{self.log()[-1500:]}"
            with contextlib.suppress(requests.ConnectionError):
                last = requests.get(self.url + "/readyz", timeout=10)
                return last.status_code == 200

        eventually(is_ready, lambda: f"not ready: {last.text if last is not None else 'no answer'}\n{self.log()[-1500:]}", READY_PATIENCE)
        contract.learn(self.url)

    def no_janitor(self):
        """Takes its lease, for tests that finish by themselves what it would."""
        self.redis().set("decant:janitor", "a test", ex=3600)

    def wait_listening(self):
        """Answers and reaches Redis, ready for conversions or not."""
        def reaches_redis():
            with contextlib.suppress(requests.ConnectionError):
                return requests.get(self.url + "/readyz", timeout=10).json()["redis"]["ok"]

        eventually(reaches_redis, lambda: f"not listening\n{self.log()[-1500:]}")
        contract.learn(self.url)

    def stop(self, sig=signal.SIGTERM, timeout=PATIENCE):
        if self.process and self.process.poll() is None:
            self.process.send_signal(sig)
            self.process.wait(timeout)
        self.check_log()
        return self.process.returncode if self.process else None

    def check_log(self):
        found = SANITIZER.search(self.log())
        assert not found, self.log()[max(0, found.start() - 200):][:4000]

    def wait_log(self, words):
        eventually(lambda: words in self.log(), lambda: f"the log does not say: {words}")

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
        return sorted(found, key=started)  # and those of one moment as they were found: parents before their children

    def files(self):
        """All regular files under the storage root, relative to it."""
        root = self.data / "storage"
        return sorted(str(p.relative_to(root)) for p in below(root) if p.is_file())
