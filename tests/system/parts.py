"""API and workers as an operator starts them, with a Redis of the test's own and without `decant serve`."""

import contextlib
import os
import pwd
import signal
import subprocess
import tempfile
from pathlib import Path

import requests

import contract
from server import BIN, PATIENCE, READY_PATIENCE, eventually, free_port, sanitizers


@contextlib.contextmanager
def parts_folder(where=None):
    """One with a storage tree in it, where the user that root's programs become may go; below `where`, or where temporary files are."""
    user = pwd.getpwnam("decant") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    with tempfile.TemporaryDirectory(dir=where) as name:
        folder = Path(name)
        (folder / "storage").mkdir()
        for path in (folder, folder / "storage"):
            os.chown(path, user.pw_uid, user.pw_gid)
        yield folder


def write_secret(folder, text, mode, name="password"):
    secret = folder / name
    secret.write_text(text)
    os.chown(secret, folder.stat().st_uid, -1)
    secret.chmod(mode)
    return secret


class Parts:
    """`processes` go by the name that they were started by."""

    def __init__(self, folder, **environment):
        self.folder, self.processes = folder, {}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {"PATH": "/usr/bin:/bin", **sanitizers(), "DECANT_LOG_FORMAT": "json", "DECANT_LOG_LEVEL": "debug", "DECANT_CLAMD": "off",
                            "DECANT_STORAGE": str(folder / "storage"), "DECANT_CGROUP": "off", "DECANT_PORT": str(self.port), "DECANT_DISK_RESERVE": "1M",
                            "DECANT_API_USER": "decant", **environment}

    def start(self, name, *argv, **environment):
        """A program of ours by its name, or `argv` under that name."""
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(argv or [BIN / name], env={**self.environment, **environment}, stdout=log, stderr=log,
                                                    stdin=subprocess.DEVNULL)

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def kill(self, name):
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def wait_ready(self):
        def is_ready():
            assert all(p.poll() is None for p in self.processes.values()), "".join(map(self.log, self.processes))[-3000:]
            with contextlib.suppress(requests.ConnectionError):
                return requests.get(self.url + "/readyz", timeout=10).status_code == 200

        eventually(is_ready, lambda: "".join(map(self.log, self.processes))[-3000:], READY_PATIENCE, every=0.2)
        contract.learn(self.url)

    def end(self, names):
        """The last that was started is the first to end."""
        for name in reversed(names):
            self.processes[name].send_signal(signal.SIGTERM)
            assert self.processes[name].wait(PATIENCE) == 0, self.log(name)[-3000:]

    def stop(self):
        self.end(list(self.processes))
