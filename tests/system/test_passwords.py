"""Documents that a password protects: it opens them, and is nowhere to be found."""

import contextlib
import os
import pty
import subprocess
import time
from pathlib import Path

import pytest

from client import Client, options_of, problem
from fixtures import docx, pdf, png
from processes import Watch
from server import BIN, free_port, sanitizers

PROTECT = Path(__file__).resolve().parents[1] / "support" / "protect.py"
PASSWORD = "xyzzy Grüße 471"  # 15 characters: more the formats of 97 don't take
SENTENCE = "The document is protected by a password, which is missing or wrong. Convert it again with the right one."


@pytest.fixture(scope="module")
def protected(tmp_path_factory):
    """{format: bytes of a document that PASSWORD opens}"""
    folder = tmp_path_factory.mktemp("protected")
    subprocess.run([PROTECT, folder, PASSWORD], check=True, timeout=300)
    (folder / "plain.pdf").write_bytes(pdf(["the words inside"]))
    subprocess.run(["qpdf", "--encrypt", PASSWORD, "the owner's", "256", "--", folder / "plain.pdf", folder / "secret.pdf"], check=True)
    return {path.suffix[1:]: path.read_bytes() for path in folder.glob("secret.*")}


def texts(secret):
    """The bytes by which it would be found, however what is not ASCII is written, and as documents have it."""
    return [secret[:8].encode(), secret[:8].encode("utf-16-le")]


@contextlib.contextmanager
def listening(server, path):
    """Every command that Redis is given goes to the file."""
    with open(path, "wb") as out:
        process = subprocess.Popen(["redis-cli", "-s", server.data / "redis" / "redis.sock", "MONITOR"], stdout=out)
    try:
        while not path.stat().st_size:
            time.sleep(0.05)
        yield
        time.sleep(0.5)
    finally:
        process.terminate()
        process.wait()


def in_files(folder, needles):
    return [str(path) for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink()
            and any(needle in path.read_bytes() for needle in needles)]


def outcome(client, name, data, target, **options):
    job = client.wait(client.start(name, data, target, **options))
    return job["status"], job["error_code"]


@pytest.mark.parametrize("format", ["odt", "ods", "odp", "odg", "otg", "odf", "docx", "xlsx", "pptx", "doc", "xls", "pdf"])
def test_only_the_right_password_opens(client, protected, format):
    name, data, target = f"secret.{format}", protected[format], "txt" if format in ("pdf", "odt", "docx", "doc") else "pdf"
    job = client.wait(client.start(name, data, target))
    assert (job["status"], job["error_code"], job["error_message"]) == ("failed", "password_required", SENTENCE)
    assert outcome(client, name, data, target, password=PASSWORD.swapcase()) == ("failed", "password_required")
    job, result = client.result(name, data, target, password=PASSWORD)
    assert b"the words inside" in result or result.startswith(b"%PDF")
    assert "password" not in str(job).lower()


@pytest.mark.parametrize("name", ["dotm", "xltm", "ppsm", "potm"])
def test_what_is_encrypted_is_what_its_name_says(client, protected, name):
    """Until it is open: nothing outside tells a template with macros from a document."""
    data = protected[{"d": "docx", "x": "xlsx", "p": "pptx"}[name[0]]]
    assert outcome(client, f"a.{name}", data, "pdf") == ("failed", "password_required")
    job, result = client.result(f"a.{name}", data, "pdf", password=PASSWORD)
    assert result.startswith(b"%PDF")


def test_it_opens_the_document_for_the_first_of_two_engines(client, protected):
    assert outcome(client, "a.docx", protected["docx"], "png") == ("failed", "password_required")
    job, result = client.result("a.docx", protected["docx"], "png", password=PASSWORD)
    assert result.startswith(b"\x89PNG") and job["engine"] == "office+pdf"


def test_a_password_for_an_open_document_does_no_harm(client):
    for name, data in (("a.docx", docx(["the words inside"])), ("a.pdf", pdf(["the words inside"]))):
        assert b"the words inside" in client.result(name, data, "txt", password=PASSWORD)[1]


def test_passwords_are_checked(client):
    job = client.upload("a.docx", docx()).json()["job_id"]
    for bad in ("", "x" * 256, 4711, None, ["x"], {"x": "y"}):
        body = problem(client.convert(job, "pdf", password=bad), 400, "bad_request")
        assert body["detail"] == 'The option "password" must be a text of 1 to 255 characters.'
    picture = client.upload("a.png", png()).json()["job_id"]
    assert PASSWORD not in problem(client.convert(picture, "jpg", password=PASSWORD), 400, "bad_request")["detail"]
    assert client.convert(job, "pdf", password="€" * 255).status_code == 202
    assert client.wait(job)["status"] == "completed"


def test_formats_say_what_takes_one(client):
    catalogue = client.request("GET", "/formats").json()
    option = {"name": "password", "type": "string", "label": "Password of the document", "secret": True, "max_length": 255}
    assert options_of(catalogue, "docx", "pdf")["password"] == option == options_of(catalogue, "pdf", "png")["password"]
    assert options_of(catalogue, "pdf", "png")["dpi"]["type"] == "integer"
    for name in ("txt", "png", "csv", "fodt", "ppt"):
        assert all("password" not in options_of(catalogue, name, target) for target in catalogue["formats"][name]["targets"])


def test_it_is_nowhere_to_be_found(own_server, tmp_path, protected):
    server = own_server("office pdf", DECANT_LOG_LEVEL="debug")
    client = Client(server.url)
    client.init()
    needles = texts(PASSWORD)
    redis = server.redis()
    monitor = tmp_path / "monitor"
    with Watch(server, needles) as watch, listening(server, monitor):
        waiting = client.start("secret.odt", protected["odt"], "pdf", password=PASSWORD)
        sealed = redis.hget(f"session:{client.session_id}:jobs:{waiting}", "sealed_secrets")
        jobs = [waiting]
        jobs += [client.start(f"secret.{f}", protected[f], "pdf" if f != "pdf" else "png", password=PASSWORD) for f in ("docx", "pdf", "doc")]
        jobs += [client.start("secret.docx", protected["docx"], "pdf", password=PASSWORD + "?")]
        jobs += [client.start("plain.docx", docx(), "pdf", password=PASSWORD)]
        problem(client.convert(waiting, "pdf", password=PASSWORD), 409, "wrong_state")
        states = [client.wait(job) for job in jobs]
    assert [job["status"] for job in states] == ["completed"] * 4 + ["failed", "completed"]
    assert states[4]["error_code"] == "password_required"
    assert len(sealed) > 100 and all(needle not in sealed.encode() for needle in needles)
    assert watch.seen and not watch.found
    for job in jobs:
        assert redis.hget(f"session:{client.session_id}:jobs:{job}", "sealed_secrets") == ""
        assert redis.hget(f"session:{client.session_id}:jobs:{job}", "options") == "{}"
    # all that went through Redis, and all that is left: its file of commands, logs, storage, the scanner's folders
    heard = monitor.read_bytes()
    assert heard.count(b"sealed_secrets") >= 6 and not any(needle in heard for needle in needles)
    assert any("appendonly" in str(path) for path in server.data.rglob("*.incr.aof"))
    assert in_files(server.data, needles) == []
    assert all(needle not in server.log_path.read_bytes() for needle in needles)
    # and the search finds what is there
    (server.data / "canary").write_bytes(b"..." + PASSWORD.encode() + b"...")
    assert in_files(server.data, needles) == [str(server.data / "canary")]
    # the key: made once, for its owner, and no other way out of the folder
    key = server.data / "keys" / "seal"
    assert key.stat().st_mode & 0o777 == 0o600 and len(key.read_text()) == 65
    assert (server.data / "keys").stat().st_mode & 0o777 == 0o700
    server.stop()
    assert in_files(server.data, needles) == [str(server.data / "canary")]


def test_a_job_waits_for_its_key_across_a_restart(own_server, protected):
    server = own_server("pdf", DECANT_JOBS="1")
    client = Client(server.url)
    client.init()
    key = (server.data / "keys" / "seal").read_text()
    job = client.start("secret.pdf", protected["pdf"], "txt", password=PASSWORD)
    server.stop()
    server.start()
    assert (server.data / "keys" / "seal").read_text() == key
    assert client.wait(job)["status"] == "completed"


def test_without_a_public_key_none_are_taken(tmp_path, server, protected):
    """An API that was started without one, beside the parts of a running server."""
    port = free_port()
    environment = {"PATH": "/usr/bin:/bin", **sanitizers(), "DECANT_REDIS": "unix:redis/redis.sock", "DECANT_STORAGE": "storage", "DECANT_DISK_RESERVE": "1M"}
    with open(tmp_path / "api.log", "wb") as log:
        api = subprocess.Popen([BIN / "decant-api", "--port", str(port)], env=environment, cwd=server.data, stdout=log, stderr=log)
    try:
        client = Client(f"http://127.0.0.1:{port}")
        for _ in range(600):
            with contextlib.suppress(OSError, AssertionError):  # it listens before it has reached Redis
                client.init()
                break
            time.sleep(0.1)
        job = client.upload("a.odt", protected["odt"]).json()["job_id"]
        body = problem(client.convert(job, "pdf", password=PASSWORD), 400, "bad_request")
        assert "DECANT_SEAL_PUBLIC" in body["detail"]
        assert client.convert(job, "pdf").status_code == 202
    finally:
        api.terminate()
        api.wait(30)


def run(*arguments, **kwargs):
    return subprocess.run([BIN / "decant", "convert", *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          env={"PATH": "/usr/bin:/bin"}, **kwargs)


def test_convert_reads_it_from_a_file(protected, tmp_path):
    for name in ("secret.docx", "secret.pdf"):
        (tmp_path / name).write_bytes(protected[name.split(".")[1]])
    (tmp_path / "plain.txt").write_text("no secret")
    (tmp_path / "password").write_text(PASSWORD + "\nnot this line\n")
    assert run(tmp_path / "secret.pdf", tmp_path / "a.txt").returncode == 12
    done = run(tmp_path / "secret.docx", tmp_path / "plain.txt", "--to", "odt", "--password-file", tmp_path / "password")
    assert done.returncode == 0, done.stderr
    done = run(tmp_path / "secret.pdf", tmp_path / "a.txt", "--password-file", "-", input=PASSWORD + "\n")
    assert done.returncode == 0 and "the words inside" in (tmp_path / "a.txt").read_text()


def test_convert_takes_none_that_others_could_read_or_that_opens_nothing(protected, tmp_path):
    (tmp_path / "secret.docx").write_bytes(protected["docx"])
    (tmp_path / "plain.txt").write_text("no secret")
    (tmp_path / "empty").write_text("\n")
    done = run(tmp_path / "secret.docx", tmp_path / "a.pdf", "--option", "password=x")
    assert done.returncode == 2 and "--password-file" in done.stderr
    for arguments in (["--password-file", tmp_path / "empty"], ["--password-file", tmp_path / "missing"], ["--password-file", "/dev/zero"]):
        done = run(tmp_path / "secret.docx", tmp_path / "a.pdf", *arguments)
        assert done.returncode == 2 and "password" in done.stderr
    done = run(tmp_path / "plain.txt", tmp_path / "a.pdf", "--password-file", "-", input="x\n")
    assert done.returncode == 2 and "can be protected" in done.stderr


def test_convert_asks_at_the_terminal_without_showing_it(protected, tmp_path):
    (tmp_path / "secret.pdf").write_bytes(protected["pdf"])
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(BIN / "decant", ["decant", "convert", str(tmp_path / "secret.pdf"), str(tmp_path / "a.txt"), "--ask-password"],
                  {"PATH": "/usr/bin:/bin"})
    shown = b""
    with contextlib.suppress(OSError):
        while b"Password of the document: " not in shown:
            shown += os.read(terminal, 1000)
        os.write(terminal, PASSWORD.encode() + b"\n")
        while data := os.read(terminal, 1000):
            shown += data
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, shown
    os.close(terminal)
    assert PASSWORD.encode() not in shown
    assert "the words inside" in (tmp_path / "a.txt").read_text()


def test_convert_says_that_there_is_no_terminal(protected, tmp_path):
    (tmp_path / "secret.odt").write_bytes(protected["odt"])
    done = run(tmp_path / "secret.odt", tmp_path / "a.txt", "--ask-password", start_new_session=True)
    assert done.returncode == 2 and "--password-file" in done.stderr


def test_seal_key_makes_a_key_once(tmp_path):
    def seal_key(*arguments):
        return subprocess.run([BIN / "decant", "seal-key", *arguments], capture_output=True, text=True, timeout=30, env={})

    first = seal_key(tmp_path / "key")
    assert first.returncode == 0 and len(bytes.fromhex(first.stdout.strip())) == 32
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert first.stdout.strip() not in (tmp_path / "key").read_text()
    assert seal_key(tmp_path / "key").stdout == first.stdout
    (tmp_path / "key").chmod(0o644)
    assert seal_key(tmp_path / "key").returncode == 1
    assert seal_key(tmp_path / "missing" / "key").returncode == 1
    assert seal_key().returncode == 2
