"""API and worker share the storage by NFS: the server in a network namespace of its own, the worker in another, each with a mount of its own.

Needs root and a kernel with NFS, server and client: `vm` beside this file has one. No part of `make check`."""

import contextlib
import os
import pwd
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
from client import Client
from fixtures import noise, pdf, png, slow_pdf
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


def begin_serving():
    within("server", "rpc.nfsd", "-N", "3", "-V", "4.2", "4")


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
        begin_serving()
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
    """Each part is a user of its own, as root starts it."""

    def start_all(self):
        self.start("redis", "redis-server", "--port", "6379", "--bind", HERE, "--requirepass", PASSWORD, "--save", "", "--dir", self.folder)
        self.start_worker()
        self.start_api()

    def start_worker(self):
        self.start("decant-worker", "nsenter", "--net=/run/netns/worker", BIN / "decant-worker", DECANT_STORAGE=str(self.folder / "worker-storage"),
                   DECANT_REDIS_PASSWORD_FILE=self.secret("decant"))

    def start_api(self):
        self.start("decant-api", DECANT_API_USER="decant-api", DECANT_REDIS_PASSWORD_FILE=self.secret("decant-api"))

    def secret(self, user):
        secret = write_secret(self.folder, PASSWORD, 0o400, f"password-of-{user}")
        os.chown(secret, pwd.getpwnam(user).pw_uid, -1)
        return str(secret)

    def restart(self, name):
        begin, sign = {"decant-api": (self.start_api, '"listening"'), "decant-worker": (self.start_worker, '"worker started"')}[name]
        starts = self.log(name).count(sign)
        self.kill(name)
        begin()
        eventually(lambda: self.log(name).count(sign) > starts, lambda: self.log(name)[-3000:])
        self.wait_ready()

    @contextlib.contextmanager
    def full(self, but):
        """The file server has room for so many bytes more."""
        ballast, v = self.export / "ballast", os.statvfs(self.export)
        with open(ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, v.f_bavail * v.f_frsize - but)
        try:
            yield
        finally:
            ballast.unlink()


@pytest.fixture(scope="module")
def machines():
    with parts_folder() as folder, network(), exported(folder) as export, mounted(folder, os.environ.get("DECANT_NFS_OPTIONS", OPTIONS)):
        folder.chmod(0o711)
        machines = Machines(folder, DECANT_ENGINES="image pdf", DECANT_JOBS="2", DECANT_REDIS=f"tcp:{HERE}:6379")
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


def ppm(width, height):
    """The same picture as png()'s. What libvips makes of that has a comment besides."""
    return b"P6\n%d %d\n255\n" % (width, height) + bytes((200, 30, 60)) * (width * height)


def bmp(width, height):
    """The same, of BITMAPINFOHEADER's kind: lines from the bottom, blue first, each a multiple of four bytes."""
    lines = (bytes((60, 30, 200)) * width + bytes(-3 * width % 4)) * height
    return (b"BM" + struct.pack("<IIIIiiHHIIiiII", 54 + len(lines), 0, 54, 40, width, height, 1, 24, 0, len(lines), 2835, 2835, 0, 0) + lines)


class Upload:
    """One that halts in the midst of its file."""

    def __init__(self, machines, client, name, data):
        head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        body = head + data + b"\r\n--b--\r\n"
        self.rest = body[len(body) // 2:]
        self.socket = socket.create_connection(("127.0.0.1", machines.port))
        self.socket.settimeout(300)
        self.socket.sendall(f"POST /upload HTTP/1.1\r\nHost: localhost\r\nCookie: session_id={client.session_id}\r\nX-CSRF-Token: {client.csrf}\r\n"
                            f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:len(body) // 2])
        eventually(lambda: incoming(machines))

    def end(self):
        """The answer's status."""
        with self.socket:
            self.socket.sendall(self.rest)
            return int(self.socket.makefile("rb").readline().split()[1])


def incoming(machines):
    return list((machines.export / ".incoming").iterdir())


def test_a_worker_that_starts_spares_uploads_under_way(machines, client):
    """Locks are the server's."""
    upload = Upload(machines, client, "a.ppm", ppm(600, 500))
    machines.restart("decant-worker")
    assert upload.end() == 201
    assert not incoming(machines)


def test_what_a_killed_api_leaves_is_removed_at_its_start(machines, client):
    with Upload(machines, client, "a.ppm", ppm(600, 500)).socket:
        machines.restart("decant-api")
    assert not incoming(machines)
    assert client.result("a.png", png(), "jpg")


def test_what_a_killed_worker_leaves_is_removed(machines, client):
    """The next one sees what it left on the other's mount, and takes the job over."""
    job_id = client.start("slow.pdf", slow_pdf(80), "png")
    work = lambda: list((machines.export / client.session_id / job_id).glob("work-*"))
    eventually(lambda: [path for folder in work() for path in folder.iterdir()], lambda: str(client.status(job_id).json()))
    machines.restart("decant-worker")
    assert client.wait(job_id)["status"] == "completed"
    eventually(lambda: not work(), lambda: str(kept(machines)))


def test_a_session_closed_during_a_download_goes_too(machines):
    """What is open is renamed by NFS (.nfs…) where it should be removed, and its folder can't go."""
    client = Client(machines.url)
    client.init()
    job_id = client.start("a.png", png(2000, 2000), "ppm")
    assert client.wait(job_id)["status"] == "completed"
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", machines.port))
        s.sendall(f"GET {client.token(job_id).json()['url']} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert s.recv(12) == b"HTTP/1.1 200"
        answer = client.close()
        assert answer.status_code == 500 and "yet" in answer.json()["detail"], answer.text
        assert [name for name in kept(machines) if name.startswith(client.session_id) and "/.nfs" in name], kept(machines)
    eventually(lambda: not (machines.export / client.session_id).exists(), lambda: str(kept(machines)))


def test_the_server_sees_each_ones_own_user(machines, client):
    uid = {name: pwd.getpwnam(name).pw_uid for name in ("decant", "decant-api", "decant-engine")}
    for side in (20, 2000):  # the result is copied, or is the engine's own
        client.result("a.png", png(side, side), "ppm")
    session, group = machines.export / client.session_id, machines.export.stat().st_gid
    found = [(path, path.stat()) for path in session.rglob("*")]
    assert {stat.st_gid for path, stat in found} == {group}
    assert {stat.st_uid for path, stat in found if path.parent.name == "uploads"} == {uid["decant-api"]}
    assert {stat.st_uid for path, stat in found if path.parent.name == "converted"} == {uid["decant"], uid["decant-engine"]}
    assert session.stat().st_uid == uid["decant-api"] and session.stat().st_mode & 0o7777 == 0o2770
    for folder in ("storage", "worker-storage"):  # root, and who is none of these
        for command in ((), ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")):
            done = subprocess.run([*command, "ls", machines.folder / folder / client.session_id], capture_output=True)
            assert done.returncode != 0 and b"Permission denied" in done.stderr, done


@pytest.mark.parametrize("name, data", [("a.bmp", bmp(2000, 2000)), ("a.ppm", ppm(2000, 2000))], ids=["bmp", "ppm"])
def test_an_upload_that_the_server_has_no_room_for_is_refused(machines, client, name, data):
    """NFS says so when what was written is sent, which is at the latest when a file is closed: before that it must not have a name, nor be looked at.
    (Where storage_upload_send() does nothing, the first is accepted, though it is cut short on the server, and the second is called no picture.)"""
    upload = Upload(machines, client, name, data)
    with machines.full(but=2_500_000):
        assert upload.end() == 507, kept(machines)
        assert not incoming(machines) and not [path for path in kept(machines) if path.startswith(client.session_id)]
    assert client.upload(name, data).status_code == 201


@pytest.mark.parametrize("side", [700, 1500], ids=["copied", "not copied"])
def test_a_result_that_the_server_has_no_room_for_comes_later(machines, client, side):
    """The engine's library learns of it when it closes the file, and overlooks it; the worker asks once more, and tries again when there may be room.
    (Where path_send() does nothing, the job whose result isn't copied completes with what has come to the server. The other's copy finds no room at all,
    and is taken for empty.)"""
    data = noise(side)
    whole = client.result("a.ppm", data, "jpg", quality=100)[1]
    assert (len(whole) < 4 << 20) == (side == 700)
    job_id = client.upload("a.ppm", data).json()["job_id"]
    said = len(machines.log("decant-worker"))
    with machines.full(but=len(whole) // 2):
        assert client.convert(job_id, "jpg", quality=100).status_code == 202
        eventually(lambda: "No space left" in machines.log("decant-worker")[said:] or client.status(job_id).json()["status"] == "completed")
    assert client.wait(job_id)["status"] == "completed"
    assert client.download(client.token(job_id).json()["url"]).content == whole


def test_a_file_server_that_is_away_for_a_while_costs_no_job(machines, client):
    """Longer than a lease. It forgets who had what open meanwhile, as one does that was started anew without its memory."""
    jobs = [client.upload("a.png", png(900, 700)).json()["job_id"] for _ in range(3)]
    slow = client.start("slow.pdf", slow_pdf(80), "png")
    eventually(lambda: client.status(slow).json()["status"] == "processing")
    within("server", "rpc.nfsd", "0")
    assert [client.convert(job_id, "jpg").status_code for job_id in jobs] == [202] * 3
    time.sleep(20)
    assert not [job_id for job_id in jobs if client.status(job_id).json()["status"] in ("completed", "failed")]
    begin_serving()
    assert [client.wait(job_id)["status"] for job_id in (slow, *jobs)] == ["completed"] * 4
    assert client.result("b.png", png(), "jpg")[1].endswith(b"\xff\xd9")
