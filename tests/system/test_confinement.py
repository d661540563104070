"""The servers confine themselves: what the kernel says of them from outside, and that nothing is dumped."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from server import BIN, free_port, sanitizers


def status(pid):
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


@pytest.mark.parametrize("name", ["decant-api", "decant-worker"])
def test_each_server_is_under_a_filter_for_good(server, name):
    pid = server.children(name)[0]
    for task in Path(f"/proc/{pid}/task").iterdir():
        said = status(f"{pid}/task/{task.name}")
        assert (said["Seccomp"], said["NoNewPrivs"]) == ("2", "1"), said
        assert int(said["CapEff"], 16) == 0


def test_what_starts_engines_is_a_process_apart(server):
    """A confined process can't give its children mounts of their own; the launcher holds no descriptor but two."""
    launcher = server.children("decant-launch")
    assert len(launcher) == 1
    assert status(launcher[0])["PPid"] == str(server.children("decant-worker")[0])
    assert len(list(Path(f"/proc/{launcher[0]}/fd").iterdir())) == 5  # the standard ones, the socket, the programs' folder
    assert "socket:[" not in str([p.readlink() for p in Path(f"/proc/{launcher[0]}/fd").iterdir() if int(p.name) > 3])


@pytest.mark.parametrize("name", ["decant-api", "decant-worker", "decant-launch", "decant-engine-office", "decant-engine-image", "decant-engine-pdf", "redis-server", "clamd"])
def test_nobody_leaves_a_core_file(server, name):
    pids = server.children(name)
    assert pids
    for pid in pids:
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.M), limits


@pytest.mark.parametrize("name, sign", [("decant-api", '"listening"'), ("decant-worker", '"worker started"'), ("decant-courier", '"courier started"')])
def test_process_one_is_confined_too(tmp_path, name, sign):
    """As in a container: the parent is out of sight, and what a probe must not reach is somebody else."""
    storage = tmp_path / "storage"
    storage.mkdir()
    if os.geteuid() == 0:
        shutil.chown(storage, "decant", "decant")
        storage.chmod(0o2770)  # shared by API and worker: files/storage.h
    tmp_path.chmod(0o755)
    apart = ["unshare", "--pid", "--fork", "--kill-child"] + ([] if os.geteuid() == 0 else ["--user", "--map-current-user"])
    environment = {"PATH": "/usr/bin:/bin", **sanitizers(), "DECANT_PORT": str(free_port()), "DECANT_STORAGE": "storage", "DECANT_LOG_FORMAT": "json",
                   "DECANT_REDIS": "unix:nobody", "DECANT_CLAMD": "off", "DECANT_CGROUP": "off", "DECANT_WEBHOOKS": "on"}
    with subprocess.Popen([*apart, BIN / name], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        said = ""
        for line in process.stderr:
            said += line
            if sign in line or "can't be confined" in line:
                break
        process.kill()  # and its child with it
        assert sign in said and '"pid":1,' in said, said
