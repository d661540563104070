"""API and worker share the storage by NFS: the server in a network namespace of its own, the worker in another, each with a mount of its own.

Needs root and a kernel with NFS, server and client: `vm` beside this file has one. No part of `make check`."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
from client import Client
from fixtures import pdf, png
from parts import Parts, parts_folder, write_secret
from server import BIN, eventually

HERE, SERVER, WORKER = "10.77.0.1", "10.77.0.2", "10.77.0.3"
OPTIONS = "vers=4.2,proto=tcp,hard,lookupcache=positive"
PASSWORD = "shared-by-two-4417"


def run(*argv, check=True):
    done = subprocess.run([str(a) for a in argv], check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 or not check, f"{argv}: {done.stderr}"


def within(name, *argv, **more):
    run("nsenter", f"--net=/run/netns/{name}", *argv, **more)


@contextlib.contextmanager
def network():
    """This namespace, `server` and `worker`, on one bridge."""
    run("ip", "link", "add", "nfs-bridge", "type", "bridge")
    run("ip", "addr", "add", f"{HERE}/24", "dev", "nfs-bridge")
    run("ip", "link", "set", "nfs-bridge", "up")
    try:
        for name, address in (("server", SERVER), ("worker", WORKER)):
            run("ip", "netns", "add", name)
            run("ip", "link", "add", f"nfs-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
            run("ip", "link", "set", f"nfs-{name}", "master", "nfs-bridge", "up")
            within(name, "ip", "addr", "add", f"{address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                within(name, "ip", "link", "set", device, "up")
        yield
    finally:
        for name in ("server", "worker"):
            run("ip", "netns", "del", name, check=False)
        run("ip", "link", "del", "nfs-bridge", check=False)


@contextlib.contextmanager
def exported(folder):
    """64 MiB, served as by a file server: root is nobody there."""
    export = folder / "export"
    export.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=64M", "export", export)
    run("install", "-d", "-m", "2770", "-o", "decant", "-g", "decant", export)
    run("mount", "-t", "nfsd", "nfsd", "/proc/fs/nfsd", check=False)
    within("server", "sh", "-c", "mount -t nfsd nfsd /proc/fs/nfsd; for t in lease grace; do echo 10 > /proc/fs/nfsd/nfsv4${t}time; done")
    daemon = subprocess.Popen(["nsenter", "--net=/run/netns/server", "rpc.mountd", "-F", "-N", "3"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        within("server", "exportfs", "-o", "rw,sync,root_squash,no_subtree_check,fsid=0", f"10.77.0.0/24:{export}")
        within("server", "rpc.nfsd", "-N", "3", "-V", "4.2", "4")
        yield export
    finally:
        within("server", "rpc.nfsd", "0", check=False)
        within("server", "exportfs", "-ua", check=False)
        daemon.terminate()
        daemon.wait()
        run("umount", "-l", "/proc/fs/nfsd", check=False)
        run("umount", "-l", export, check=False)


@contextlib.contextmanager
def mounted(folder, options):
    """storage is the API's; the worker's is another client's: another name, and nothing of the first one's cache."""
    places = [folder / "storage", folder / "worker-storage"]
    places[1].mkdir()
    run("mount.nfs4", f"{SERVER}:/", places[0], "-o", options)
    try:
        within("worker", "unshare", "--uts", "sh", "-c", f"hostname worker; mount.nfs4 {SERVER}:/ {places[1]} -o {options}")
        yield
    finally:
        for place in places:
            run("umount", "-l", place, check=False)


class Machines(Parts):
    def start_all(self):
        self.start("redis", "redis-server", "--port", "6379", "--bind", HERE, "--requirepass", PASSWORD, "--save", "", "--dir", self.folder)
        self.start("decant-worker", "nsenter", "--net=/run/netns/worker", BIN / "decant-worker", DECANT_STORAGE=str(self.folder / "worker-storage"))
        self.start("decant-api")


@pytest.fixture(scope="module")
def machines():
    with parts_folder() as folder, network(), exported(folder) as export, mounted(folder, os.environ.get("DECANT_NFS_OPTIONS", OPTIONS)):
        api_secret = write_secret(folder, PASSWORD, 0o400)
        machines = Machines(folder, DECANT_ENGINES="image pdf", DECANT_JOBS="2", DECANT_REDIS=f"tcp:{HERE}:6379",
                            DECANT_REDIS_PASSWORD_FILE=str(api_secret))
        machines.export = export
        machines.start_all()
        try:
            machines.wait_ready()
            yield machines
            machines.end([name for name in machines.processes if name != "redis"])
        finally:
            for name in list(machines.processes):
                machines.kill(name)


@pytest.fixture
def client(machines):
    client = Client(machines.url)
    client.init()
    yield client
    client.close()


def kept(machines):
    return sorted(str(path.relative_to(machines.export)) for path in machines.export.rglob("*") if path.is_file())


def test_jobs_flow_and_every_byte_arrives(machines, client):
    for number in range(20):
        job, content = client.result(f"{number}.png", png(40 + number, 30), "jpg")
        assert job["status"] == "completed" and content.startswith(b"\xff\xd8") and content.endswith(b"\xff\xd9")
    job, content = client.result("a.pdf", pdf(), "txt")
    assert job["status"] == "completed" and content


def test_a_closed_session_leaves_nothing(machines):
    client = Client(machines.url)
    client.init()
    client.result("a.png", png(), "jpg")
    assert [name for name in kept(machines) if name.startswith(client.session_id)]
    client.close()
    eventually(lambda: not (machines.export / client.session_id).exists(), lambda: str(kept(machines)))
    assert not [name for name in kept(machines) if ".nfs" in name]
