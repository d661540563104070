"""A cgroup for each job: what takes more than it may dies alone, and nothing stays behind below /sys/fs/cgroup.

The engine that takes too much is tests/unit/sandbox/greedy_engine.c, in the office engine's place. Where the host has no
cgroups to give, the tests see to it that nobody claims otherwise; DECANT_SANDBOX_MUST_WORK=1 allows root no such way out."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import requests

from client import Client
from server import BIN, eventually, sanitizers

CGROUPS = Path("/sys/fs/cgroup")
MUST_WORK = os.environ.get("DECANT_SANDBOX_MUST_WORK") == "1" and os.geteuid() == 0


def hierarchies():
    """The mounts that jobs are counted in."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup2" or kind == "cgroup" and {"memory", "pids", "cpu"} & set(options.split(",")):
            found.append((Path(before.split()[4]), before.split()[5].split(",")))
    return found


def places(pid):
    """Folders of that program's, in all hierarchies; those of others' come and go meanwhile."""
    return [Path(at) / name for mount, _ in hierarchies() for at, folders, _ in os.walk(mount) for name in folders if name == f"decant-{pid}"]


def jobs(pid):
    return [job for place in places(pid) for job in place.iterdir() if job.is_dir() and job.name != "self"]


def has_cgroups(layers):
    """Whether the layer is in force, which for root it has to be if any hierarchy can be written."""
    if MUST_WORK and any("rw" in options for _, options in hierarchies()):
        assert "cgroup" in layers.split(), layers
    return "cgroup" in layers.split()


def layers_of(server):
    return requests.get(server.url + "/readyz", timeout=10).json()["sandbox"]["engines"]["office"]["layers"]


def run(client, text):
    return client.wait(client.start("a.txt", text.encode(), "pdf"))


def test_what_takes_too_much_dies_alone(own_server, greedy):
    server = own_server("office", DECANT_BINDIR=greedy, DECANT_JOB_MEMORY="512M", DECANT_JOBS="4")
    client = Client(server.url)
    client.init()
    bounded = has_cgroups(layers_of(server))
    neighbour = client.start("b.txt", b"hang", "pdf")
    job = run(client, "memory")
    assert (job["status"], job["error_code"]) == (("failed", "too_complex") if bounded else ("completed", None)), job
    assert ("cgroup" in job["sandbox"].split()) == bounded
    job = run(client, "threads")
    assert (job["status"], job["error_code"]) == (("failed", "corrupt_input") if bounded else ("completed", None)), job
    assert client.status(neighbour).json()["status"] == "processing"
    assert run(client, "modest")["status"] == "completed"
    engines = server.children("decant-engine-office")
    if bounded:
        assert jobs(server.process.pid)
    assert server.stop() == 0
    assert places(server.process.pid) == [] and engines


def test_it_is_the_cgroup_that_bounds(own_server, greedy):
    """The control: without it, the same are stopped by nothing."""
    server = own_server("office", DECANT_BINDIR=greedy, DECANT_JOB_MEMORY="512M", DECANT_CGROUP="off")
    client = Client(server.url)
    client.init()
    assert "cgroup" not in layers_of(server).split() and "DECANT_CGROUP is off" in server.log()
    assert [run(client, text)["status"] for text in ("memory", "threads")] == ["completed"] * 2
    assert places(server.process.pid) == []


@pytest.mark.parametrize("victim", ["decant-engine-office", "decant-worker"])
def test_nothing_stays_of_the_killed(own_server, greedy, victim):
    server = own_server("office", DECANT_BINDIR=greedy)
    client = Client(server.url)
    client.init()
    bounded = has_cgroups(layers_of(server))
    client.start("b.txt", b"hang", "pdf")
    eventually(lambda: jobs(server.process.pid) or not bounded)
    before = {job.name.split(".")[0] for job in jobs(server.process.pid)}
    engine = server.children("decant-engine-office")[0]
    os.kill(server.children(victim)[0], signal.SIGKILL)
    eventually(lambda: (server.children("decant-engine-office") or [engine])[0] != engine)
    server.wait_ready()
    assert run(client, "modest")["status"] == "completed"
    if bounded:
        assert str(engine) in before
    if bounded and victim == "decant-engine-office":  # the worker's new engines may be there before the old ones have gone
        eventually(lambda: str(engine) not in {job.name.split(".")[0] for job in jobs(server.process.pid)})
    assert server.stop() == 0
    assert places(server.process.pid) == []


def test_the_next_start_clears_up(own_server, greedy):
    server = own_server("office", DECANT_BINDIR=greedy)
    bounded = has_cgroups(layers_of(server))
    killed = server.process.pid
    assert bool(places(killed)) == bounded
    parts = [pid for name in ("decant-api", "decant-worker", "redis-server", "clamd", "decant-engine-office") for pid in server.children(name)]
    server.process.kill()
    server.process.wait()
    eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in parts))
    server.start()  # unless the server of another test was quicker
    assert places(killed) == []
    assert server.stop() == 0
    assert places(server.process.pid) == []


def convert(folder, text, **environment):
    """Exit status and pid of a `decant convert`."""
    (folder / "a.txt").write_text(text)
    process = subprocess.Popen([BIN / "decant", "convert", folder / "a.txt", folder / "a.pdf"], stderr=subprocess.PIPE, text=True,
                               env={"PATH": "/usr/bin:/bin", "DECANT_CLAMD": "off", "DECANT_JOB_MEMORY": "512M", **sanitizers(), **environment})
    said = process.communicate(timeout=300)[1]
    return process.returncode, process.pid, said


@pytest.fixture
def foreign():
    """A place that is not ours to make, of v1: a folder in each hierarchy, whose owner the engines are."""
    mounts = {name: mount for mount, _ in hierarchies() for name in ("memory", "pids") if name in mount.name.split(",")}
    if os.geteuid() != 0 or len(mounts) < 2 or (mounts["memory"] / "cgroup.controllers").exists():
        pytest.skip("needs root, and hierarchies of v1")
    folders = [mount / f"test-foreign-{os.getpid()}" for mount in dict.fromkeys(mounts.values())]
    for folder in folders:
        folder.mkdir()
        shutil.chown(folder, "decant-engine", "decant-engine")
    yield folders
    for folder in folders:
        folder.rmdir()


def test_a_place_of_somebody_else_is_left_as_it_was(own_server, greedy, foreign):
    server = own_server("office", DECANT_BINDIR=greedy, DECANT_CGROUP=":".join(map(str, foreign)), DECANT_JOB_MEMORY="512M")
    client = Client(server.url)
    client.init()
    assert "cgroup" in layers_of(server).split()
    assert run(client, "memory")["error_code"] == "too_complex"
    client.start("b.txt", b"hang", "pdf")
    for folder in foreign:
        assert [job for job in folder.iterdir() if job.is_dir()]
    assert server.stop() == 0
    for folder in foreign:
        assert [job for job in folder.iterdir() if job.is_dir()] == []


def test_on_the_command_line(tmp_path, greedy):
    status, pid, said = convert(tmp_path, "modest", DECANT_BINDIR=greedy)
    assert status == 0 and places(pid) == [], said
    free, pid, said = convert(tmp_path, "memory", DECANT_BINDIR=greedy, DECANT_CGROUP="off")
    assert free == 0, said
    status, pid, said = convert(tmp_path, "memory", DECANT_BINDIR=greedy)
    assert (status == 14 or not MUST_WORK) and places(pid) == [], said


def test_doctor_tells():
    process = subprocess.run([BIN / "decant", "doctor"], capture_output=True, text=True, timeout=300,
                             env={"PATH": "/usr/bin:/bin", "DECANT_ENGINES": "image", **sanitizers()})
    line = next(line for line in process.stdout.splitlines() if line.split()[1] == "cgroups")
    engine = next(line for line in process.stdout.splitlines() if "sandbox:" in line)
    assert (line.split()[0] == "ok") == has_cgroups(engine.split("sandbox:")[1]), process.stdout
    off = subprocess.run([BIN / "decant", "doctor"], capture_output=True, text=True, timeout=300,
                         env={"PATH": "/usr/bin:/bin", "DECANT_ENGINES": "image", "DECANT_CGROUP": "off", **sanitizers()})
    assert "weak     cgroups" in off.stdout and "DECANT_CGROUP is off" in off.stdout and off.returncode == 0


@pytest.fixture
def unit():
    """Cgroups of root's, one in each hierarchy, as those of a unit with Delegate=yes."""
    if os.geteuid() != 0 or not all("rw" in options for _, options in hierarchies()):
        pytest.skip("needs root, and hierarchies that can be written")
    folders = []
    for mount in dict.fromkeys(mount for mount, _ in hierarchies()):
        handed_on = mount / "cgroup.subtree_control"
        if handed_on.exists() and "memory" not in (mount / "cgroup.controllers").read_text():
            continue  # v2 beside v1
        if handed_on.exists():
            handed_on.write_text("+memory +pids")
        folders.append(mount / f"test-unit-{os.getpid()}")
        folders[-1].mkdir()
    yield folders
    for folder in folders:
        for left in sorted(folder.rglob("*/"), reverse=True):
            left.rmdir()
        folder.rmdir()


def test_root_needs_few_rights(unit):
    """Those of decant-worker.service: none to files of others, such as those of the place once it is given away. And what one that
    was killed left there is cleared all the same."""
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    for folder in unit:
        left = folder / f"decant-{gone.pid}" / f"{gone.pid}.0"
        left.mkdir(parents=True)
        for path in (left.parent, left):
            shutil.chown(path, "decant-engine", "decant-engine")
    enter = 'for procs in $UNIT; do echo $$ > "$procs"; done; exec setpriv --bounding-set=-all,+setuid,+setgid,+chown "$@"'
    process = subprocess.run(["/bin/sh", "-c", enter, "sh", BIN / "decant", "doctor"], capture_output=True, text=True, timeout=300,
                             env={"PATH": "/usr/bin:/bin", "DECANT_ENGINES": "image", "UNIT": " ".join(f"{folder}/cgroup.procs" for folder in unit), **sanitizers()})
    lines = process.stdout.splitlines()
    assert all(any(line.startswith("ok ") and word in line for line in lines) for word in (" cgroups ", "rlimits cgroup")), process.stdout + process.stderr
    assert all(str(folder) in process.stdout for folder in unit)
    assert not [folder for folder in unit if (folder / f"decant-{gone.pid}").exists()]
