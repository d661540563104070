"""Started as root, each part is a user of its own: who is whom, and what none of them can reach of the others'.

What a user can't do is tried by real processes of that user, beside one that can: a refusal proves nothing where everybody is
refused. The data folders lie where everybody may walk."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from client import Client
from fixtures import docx, pdf, png, slow_docx
from server import BIN, BUILD, Server, eventually, free_port, identity, sanitizers

WORKER, API, ENGINE = "decant", "decant-api", "decant-engine"
ENGINES = ("office", "image", "pdf")
PARTS = {"redis-server": WORKER, "clamd": WORKER, "decant-worker": WORKER, "decant-api": API, "decant-launch": ENGINE,
         **{f"decant-engine-{name}": ENGINE for name in ENGINES}}
SETUID_SETGID_KILL = 1 << 7 | 1 << 6 | 1 << 5


def exists(user):
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(user)


pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="only root has users to give"),
              pytest.mark.skipif(not all(map(exists, (WORKER, API, ENGINE))), reason="scripts/install-packages makes the users")]


def status(pid):
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def ids(pid):
    """User and group (real, effective, saved, for files) and the other groups."""
    said = status(pid)
    return [said[name].split() for name in ("Uid", "Gid", "Groups")]


def ids_of(user):
    entry = pwd.getpwnam(user)
    group = pwd.getpwnam(WORKER).pw_gid if user == API else entry.pw_gid
    return [[str(entry.pw_uid)] * 4, [str(group)] * 4, []]


def check_user(pid, user):
    assert ids(pid) == ids_of(user), user


def all_are_who_they_are(server):
    """A worker is root until it has its launcher."""
    with contextlib.suppress(OSError, KeyError):
        return all({str(ids(pid)) for pid in server.children(part)} == {str(ids_of(user))} for part, user in PARTS.items())


def is_gone(pid):
    """Whoever adopts it may take its time to ask how it ended."""
    try:
        return status(pid)["State"][0] in "ZX"
    except OSError:
        return True


def children_of(pid):
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def can(user, code, *arguments):
    """Whether Python's `code` ends well in a process of that user, as its part has it."""
    who = identity(user)
    if user == API:
        who["group"] = pwd.getpwnam(WORKER).pw_gid
    done = subprocess.run(["/usr/bin/python3", "-c", f"import os, socket, sys\n{code}", *map(str, arguments)], capture_output=True,
                          text=True, cwd="/", timeout=60, **who)
    assert done.returncode == 0 or "PermissionError" in done.stderr, done.stderr
    return done.returncode == 0


READ = "open(sys.argv[1], 'rb').read(1)"
LIST = "os.listdir(sys.argv[1])"
WRITE = "os.close(os.open(sys.argv[1] + '/new', os.O_CREAT | os.O_WRONLY)); os.unlink(sys.argv[1] + '/new')"
CONNECT = "socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
SIGNAL = "os.kill(int(sys.argv[1]), 0)"


@contextlib.contextmanager
def open_folder():
    """One that everybody may pass."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def shared():
    with open_folder() as folder:
        server = Server(folder).start()
        yield server
        server.stop()


@pytest.fixture
def make():
    """make(NAME=value, …): a server of the test's own, not started yet."""
    with contextlib.ExitStack() as stack:
        def new(**environment):
            server = Server(stack.enter_context(open_folder()), **environment)
            stack.callback(server.stop)
            return server

        yield new


@pytest.fixture
def client(shared):
    client = Client(shared.url)
    client.init()
    yield client
    client.close()


@pytest.mark.parametrize("name, user", PARTS.items())
def test_each_part_is_its_own_user(shared, name, user):
    pids = shared.children(name)
    assert pids
    for pid in pids:
        check_user(pid, user)
        assert int(status(pid)["CapEff"], 16) == int(status(pid)["CapPrm"], 16) == 0


def test_the_supervisor_keeps_what_it_needs_alone(shared):
    said = status(shared.process.pid)
    assert said["Uid"].split() == ["0"] * 4
    for which in ("CapPrm", "CapEff", "CapBnd"):
        assert int(said[which], 16) == SETUID_SETGID_KILL, said
    assert int(said["CapInh"], 16) == int(said["CapAmb"], 16) == 0 and said["NoNewPrivs"] == "1" and said["Groups"].split() == []


def test_a_job_is_the_engines_user_and_its_files_are_the_groups(shared, client):
    zygote = shared.children("decant-engine-office")[0]
    client.start("slow.docx", slow_docx(), "pdf")
    folder = shared.data / "storage" / client.session_id
    eventually(lambda: children_of(zygote) and [f for f in shared.files() if "/work-" in f])
    for pid in children_of(zygote):
        check_user(pid, ENGINE)
    engine, group = pwd.getpwnam(ENGINE).pw_uid, pwd.getpwnam(WORKER).pw_gid
    made = [f.stat() for f in folder.glob("*/work-*/*")]
    assert made and all((f.st_uid, f.st_gid) == (engine, group) for f in made), made
    client.close()
    eventually(lambda: not folder.exists())


def test_what_lies_in_the_data_folder_is_for_whom_it_is_for(shared, client):
    job, _ = client.result("a.png", png(), "jpg")
    assert job["status"] == "completed"
    storage, session = shared.data / "storage", shared.data / "storage" / client.session_id
    upload = next(session.glob("*/uploads/*"))
    result = next(session.glob("*/converted/*"))
    for path in (upload, result):
        assert [can(user, READ, path) for user in (WORKER, API, ENGINE, "nobody")] == [True, True, False, False], path
    for path in (storage, session, upload.parent, result.parent):
        assert [can(user, LIST, path) for user in (WORKER, API, ENGINE, "nobody")] == [True, True, False, False], path
        assert [can(user, WRITE, path) for user in (WORKER, API, ENGINE, "nobody")] == [True, True, False, False], path
    redis, clamd = shared.data / "redis/redis.sock", shared.data / "clamav/clamd.sock"
    assert [can(user, CONNECT, redis) for user in (WORKER, API, ENGINE, "nobody")] == [True, True, False, False]
    assert [can(user, CONNECT, clamd) for user in (WORKER, API, ENGINE, "nobody")] == [True, False, False, False]
    private = [shared.data / "keys/seal", shared.data / "log/redis.log", *(shared.data / "redis/appendonlydir").iterdir()]
    for path in private:
        assert [can(user, READ, path) for user in (WORKER, API, ENGINE, "nobody")] == [True, False, False, False], path


def test_no_part_can_signal_another(shared):
    pids = {user: [pid for name, whose in PARTS.items() if whose == user for pid in shared.children(name)] for user in (WORKER, API, ENGINE)}
    for user in pids:
        assert not can(user, SIGNAL, shared.process.pid)
        for whose, group in pids.items():
            assert [can(user, SIGNAL, pid) for pid in group] == [user == whose] * len(group), (user, whose)


@pytest.mark.parametrize("name", ["decant-api", "decant-worker", "redis-server"])
def test_a_part_that_was_killed_comes_back_as_who_it_was(make, name):
    server = make().start()
    old = server.children(name)[0]
    launcher = server.children("decant-launch")[0]
    os.kill(old, signal.SIGKILL)
    eventually(lambda: [pid for pid in server.children(name) if pid != old])
    eventually(lambda: all_are_who_they_are(server))
    server.wait_ready()
    if name == "decant-worker":  # its own went with it, though it is another user
        eventually(lambda: is_gone(launcher))
    client = Client(server.url)
    client.init()
    assert client.result("a.docx", docx(), "pdf")[1].startswith(b"%PDF-")


def test_all_parts_end_with_the_supervisor(make):
    server = make().start()
    pids = [pid for name in PARTS for pid in server.children(name)]
    server.process.kill()
    server.process.wait(60)
    eventually(lambda: all(map(is_gone, pids)))


LARGE = png(1500, 1500)


@pytest.mark.parametrize("mode", ["full", "reduced"])
def test_results_of_every_engine_come_out_and_go_away(make, mode):
    """Small ones are copied, large ones are the very file that the engine's user made."""
    server = make(DECANT_SANDBOX=mode).start()
    client = Client(server.url)
    client.init()
    for name, data, target, head in (("a.docx", docx(), "pdf", b"%PDF-"), ("a.png", png(), "jpg", b"\xff\xd8"), ("a.pdf", pdf(), "png", b"\x89PNG"),
                                     ("b.pdf", pdf(["one", "two"]), "png", b"PK"), ("b.png", LARGE, "bmp", b"BM")):
        _, result = client.result(name, data, target)
        assert result.startswith(head), name
    assert len(result) > 4 << 20
    storage = server.data / "storage"
    owners = {f.stat().st_uid for f in storage.glob("*/*/converted/*")}
    assert owners == {pwd.getpwnam(WORKER).pw_uid, pwd.getpwnam(ENGINE).pw_uid}
    eventually(lambda: not list(storage.glob("*/*/work-*")))
    assert client.close().status_code == 200
    eventually(lambda: sorted(os.listdir(storage)) == [".incoming"])


@pytest.mark.parametrize("mode", ["full", "reduced"])
def test_a_job_past_its_deadline_is_killed(make, mode):
    """By the launcher, as the worker is another user."""
    server = make(DECANT_JOB_TIMEOUT="2", DECANT_SANDBOX=mode).start()
    client = Client(server.url)
    client.init()
    zygote = server.children("decant-engine-office")[0]
    job_id = client.start("slow.docx", slow_docx(), "pdf")
    eventually(lambda: client.status(job_id).json()["status"] != "queued" and children_of(zygote))
    at_work = children_of(zygote)
    job = client.wait(job_id)
    assert (job["status"], job["error_code"]) == ("failed", "timed_out"), job
    eventually(lambda: len(at_work - children_of(zygote)) == 1)  # the other is the one that waits for the next job
    eventually(lambda: not list((server.data / "storage").glob("*/*/work-*")))
    assert client.result("a.txt", b"Hello", "pdf")[1].startswith(b"%PDF-")


def test_a_job_whose_session_ends_is_killed(shared):
    client = Client(shared.url)
    client.init()
    zygote = shared.children("decant-engine-office")[0]
    client.start("slow.docx", slow_docx(), "pdf")
    eventually(lambda: [f for f in shared.files() if "/work-" in f])
    before = children_of(zygote)
    assert client.close().status_code == 200
    eventually(lambda: before - children_of(zygote))
    eventually(lambda: not (shared.data / "storage" / client.session_id).exists())


def test_a_result_that_only_its_maker_may_read_is_none(make):
    with open_folder() as programs:
        for program in BIN.glob("decant-*"):
            shutil.copy(program, programs)
        shutil.copy(BUILD / "tests/unit/sandbox/decant-engine-greedy", programs / "decant-engine-office")
        server = make(DECANT_BINDIR=str(programs)).start()
        client = Client(server.url)
        client.init()
        job = client.wait(client.start("a.txt", b"hide", "pdf"))
        assert (job["status"], job["error_code"]) == ("failed", "no_output"), job
        eventually(lambda: not list((server.data / "storage").glob("*/*/work-*")))
        assert client.wait(client.start("a.txt", b"modest", "pdf"))["status"] == "completed"


def make_old(data):
    """A data folder as it was when one user had all of it."""
    uid, gid = pwd.getpwnam(WORKER).pw_uid, pwd.getpwnam(WORKER).pw_gid
    for path in [data, *data.rglob("*")]:
        if path.name in ("lock", "clamd.conf") or path.is_symlink():
            continue
        os.chown(path, uid, gid)
        os.chmod(path, 0o700 if path.is_dir() else 0o600)
    assert not [p for p in data.rglob("*") if p.stat().st_mode & 0o2000]


def test_an_older_data_folder_goes_on(make):
    server = make().start()
    client = Client(server.url)
    client.init()
    done = client.start("a.docx", docx(), "pdf")
    assert client.wait(done)["status"] == "completed"
    waiting = client.upload("b.png", png()).json()["job_id"]
    assert server.stop() == 0
    make_old(server.data)
    stray = server.data / "storage/stray"
    stray.symlink_to("/etc/passwd")
    before = os.stat("/etc/passwd")
    server.start()
    assert client.download(client.token(done).json()["url"]).content.startswith(b"%PDF-")
    assert client.convert(waiting, "jpg").status_code == 202
    assert client.wait(waiting)["status"] == "completed"
    assert client.download(client.token(waiting).json()["url"]).content.startswith(b"\xff\xd8")
    assert client.result("c.txt", b"Hello", "pdf")[1].startswith(b"%PDF-")  # in the same session
    assert not can(ENGINE, LIST, server.data / "storage") and not can(API, READ, server.data / "keys/seal")
    assert client.close().status_code == 200
    eventually(lambda: not (server.data / "storage" / client.session_id).exists())
    after = os.stat("/etc/passwd")
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


@pytest.mark.parametrize("program, variable", [("serve", "DECANT_USER"), ("serve", "DECANT_API_USER"), ("serve", "DECANT_ENGINE_USER"),
                                               ("worker", "DECANT_USER"), ("worker", "DECANT_ENGINE_USER"), ("api", "DECANT_API_USER"),
                                               ("api", "DECANT_USER")])
@pytest.mark.parametrize("user, says", [("no-such-user", "useradd --system --no-create-home --shell /usr/sbin/nologin no-such-user"),
                                        ("root", "root itself")])
def test_users_that_cannot_be_are_refused_at_the_start(tmp_path, program, variable, user, says):
    command = {"serve": [BIN / "decant", "serve", "--data", tmp_path / "var", "--port", str(free_port())], "worker": [BIN / "decant-worker"],
               "api": [BIN / "decant-api"]}[program]
    done = subprocess.run(command, env={"PATH": "/usr/bin:/bin", **sanitizers(), variable: user}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 78 and f"{variable}:" in done.stderr and says in done.stderr, done
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize("program, api, engine, says", [("serve", API, API, f"usermod -g {API} {API}"), ("serve", ENGINE, ENGINE, "another part"),
                                                        ("serve", "nobody", API, f"usermod -g {API} {API}"),
                                                        ("worker", API, API, f"usermod -g {API} {API}")])
def test_engines_may_share_neither_user_nor_group(tmp_path, program, api, engine, says):
    command = [BIN / "decant", "serve", "--data", tmp_path / "var"] if program == "serve" else [BIN / "decant-worker"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60,
                          env={"PATH": "/usr/bin:/bin", **sanitizers(), "DECANT_API_USER": api, "DECANT_ENGINE_USER": engine})
    assert done.returncode == 78 and "DECANT_ENGINE_USER:" in done.stderr and says in done.stderr, done
    assert not (tmp_path / "var").exists()


def test_started_by_anybody_else_all_is_one_user_and_says_so(make):
    server = make()
    nobody = pwd.getpwnam("nobody")
    os.chown(server.data.parent, nobody.pw_uid, nobody.pw_gid)
    shutil.copytree(BIN, server.data.parent / "bin")
    server.binary, server.user = server.data.parent / "bin/decant", "nobody"
    server.start()
    assert server.log().count("engines share the worker's user") == 1
    for name in PARTS:
        for pid in server.children(name):
            assert status(pid)["Uid"].split() == [str(nobody.pw_uid)] * 4
    client = Client(server.url)
    client.init()
    assert client.result("a.docx", docx(), "pdf")[1].startswith(b"%PDF-")
    for folder in (server.data, server.data / "storage", server.data / "storage" / client.session_id, server.data / "redis"):
        assert folder.stat().st_mode & 0o7777 == 0o700, folder
    assert (server.data / "redis/redis.sock").stat().st_mode & 0o777 == 0o700


def test_one_name_for_two_parts_is_taken_at_its_word(make):
    server = make(DECANT_API_USER=WORKER, DECANT_ENGINE_USER=WORKER).start()
    assert server.log().count("engines share the worker's user") == 1
    for name in ("decant-api", "decant-worker", "decant-launch", "decant-engine-pdf"):
        check_user(server.children(name)[0], WORKER)
    client = Client(server.url)
    client.init()
    assert client.result("a.pdf", pdf(), "png")[1].startswith(b"\x89PNG")


def test_the_worker_alone_says_what_its_storage_has_to_be():
    """Started as root without `decant serve`: it makes what is its own one of the group, and leaves a foreign one as it is."""
    with open_folder() as folder:
        storage = folder / "storage"
        storage.mkdir(0o755)
        done = subprocess.run([BIN / "decant-worker", "--storage", storage, "--redis", f"unix:{folder}/none"], capture_output=True, text=True,
                              env={"PATH": "/usr/bin:/bin", **sanitizers()}, timeout=60)
        assert done.returncode == 78 and "DECANT_STORAGE" in done.stderr, done
        assert storage.stat().st_mode & 0o7777 == 0o755 and storage.stat().st_uid == 0


def test_convert_as_root_shows_the_job_to_the_engines_user_alone(tmp_path):
    """Its folder is root's: nobody comes to it by its name."""
    (tmp_path / "slow.docx").write_bytes(slow_docx())
    with tempfile.TemporaryDirectory() as tmp:
        os.chmod(tmp, 0o755)
        process = subprocess.Popen([BIN / "decant", "convert", "slow.docx", "slow.pdf"], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
                                   env={"PATH": "/usr/bin:/bin", **sanitizers(), "TMPDIR": tmp})
        eventually(lambda: list(Path(tmp).glob("decant-*/job-0/work-*")) or process.poll() is not None)
        assert process.poll() is None, process.stderr.read()
        inside = next(Path(tmp).glob("decant-*/job-0/uploads/*"))
        workspace = inside.parents[2]
        assert (workspace.stat().st_uid, workspace.stat().st_mode & 0o7777) == (0, 0o700)
        assert [can(user, READ, inside) for user in (ENGINE, "nobody")] == [False, False]
        zygotes = [pid for pid in children_of(next(iter(children_of(process.pid))))]
        assert zygotes
        for pid in zygotes:
            check_user(pid, ENGINE)
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 130
        assert os.listdir(tmp) == []
