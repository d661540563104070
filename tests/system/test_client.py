"""decant as a client: login, convert --server, jobs and logout, against a real server, and over a line that breaks."""

import fcntl
import hashlib
import http.server
import json
import os
import pty
import resource
import signal
import ssl
import stat
import struct
import subprocess
import sys
import termios
import threading
import time
import zipfile
from pathlib import Path

import pytest
import requests

from fixtures import pdf, png, slow_pdf
from server import BIN, PATIENCE, Server, below, eventually, free_port, sanitizers

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "browser"))
from line import Line  # noqa: E402

PASSWORD = "correct horse battery"
# Logins with a password are tried as soon as the server has them.
logins = pytest.mark.skipif('"/auth/login"' not in (ROOT / "src" / "api" / "routes.c").read_text(), reason="the server has no logins with a password yet")


def operator(server, *words, stdin=""):
    return subprocess.run([BIN / "decant", *words], input=stdin, capture_output=True, text=True, check=True, timeout=PATIENCE,
                          env={"PATH": "/usr/bin:/bin", "DECANT_DATA": str(server.data), **sanitizers()}).stdout


def make_key(server, name, scope="convert,read"):
    return next(word for word in operator(server, "key", "create", "--user", name, "--scope", scope).split() if word.startswith("dk_"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("client"), "image pdf pages", DECANT_JOBS="2", DECANT_ACCESS_TTL="60", DECANT_ANONYMOUS_CALLS="2").start()
    for name, plan in ("ann", "premium"), ("fred", "free"):
        operator(server, "user", "add", name, "--plan", plan, "--password-stdin", stdin=PASSWORD + "\n")
    yield server
    server.stop()


class Shell:
    """Somebody with a home of his own, and a folder to work in."""

    def __init__(self, folder):
        self.folder, self.home = folder / "work", folder / "home"
        self.folder.mkdir()
        self.home.mkdir()
        self.credentials = self.home / "decant" / "servers.json"

    def environment(self):
        # A proxy, which what is not encrypted must not go by.
        return {"PATH": "/usr/bin:/bin", "http_proxy": "http://127.0.0.1:9", "HOME": "/nonexistent", "XDG_CONFIG_HOME": str(self.home), **sanitizers()}

    def start(self, *words, **more):
        return subprocess.Popen([BIN / "decant", *map(str, words)], cwd=self.folder, env=self.environment(), start_new_session=True,
                                **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more})

    def run(self, *words, status=0, stdin="", **more):
        process = self.start(*words, **more)
        out, err = process.communicate(stdin, PATIENCE)
        assert process.returncode == status, (words, process.returncode, out, err)
        assert "Sanitizer" not in err, err
        return out if status == 0 else err

    def login(self, url, key, status=0):
        return self.run("login", "--server", url, "--key", "--stdin", status=status, stdin=key + "\n")

    def saved(self):
        return json.loads(self.credentials.read_text())["servers"]


@pytest.fixture
def shell(tmp_path):
    shell = Shell(tmp_path)
    yield shell
    assert [name for name in os.listdir(shell.folder) if name.startswith(".decant")] == []


@pytest.fixture
def ann(shell, server):
    shell.login(server.url, make_key(server, "ann"))
    shell.run("jobs", "list")
    return shell


def jobs(shell):
    return json.loads(shell.run("jobs", "list", "--all", "--json"))


# --- logging in by a key

def test_a_key_is_kept_for_its_owner_alone(server, shell):
    key = make_key(server, "ann")
    assert shell.login(server.url + "/", key) == f"logged in to {server.url}\n"
    assert shell.saved() == {server.url: {"api_key": key}}
    assert stat.S_IMODE(shell.credentials.stat().st_mode) == 0o600 and stat.S_IMODE(shell.credentials.parent.stat().st_mode) == 0o700
    assert sorted(os.listdir(shell.credentials.parent)) == ["servers.json", "servers.json.lock"]
    shell.credentials.chmod(0o644)
    assert "others may read this file" in shell.run("jobs", "list", status=6)
    shell.credentials.chmod(0o600)
    assert shell.run("logout", "--server", server.url[len("http://"):]) == f"logged out of {server.url}\n"
    assert shell.saved() == {}
    assert "decant login" in shell.run("jobs", "list", status=6) and "Not logged in" in shell.run("jobs", "list", "--server", server.url, status=6)


def test_what_is_no_credential_is_not_kept(server, shell):
    good = make_key(server, "ann")
    assert "auth_invalid" in shell.login(server.url, good[:-1] + ("0" if good[-1] != "0" else "1"), status=6)
    assert "begin with dk_" in shell.login(server.url, PASSWORD, status=1)
    assert "no terminal" in shell.run("login", "--server", server.url, "--key", status=1)
    assert "--insecure-http" in shell.login("http://192.0.2.1", good, status=5)
    assert "not the address" in shell.login("ftp://127.0.0.1", good, status=5)
    assert "127.0.0.1" in shell.login(f"http://127.0.0.1:{free_port()}", good, status=5)
    assert "not the address" in shell.login(server.url + "/formats?", good, status=5)
    for words in (["login"], ["login", "--server", server.url], ["login", "--server", server.url, "--key", "--user", "ann"], ["login", "--nonsense"], ["jobs"], ["jobs", "--server"]):
        assert "decant " in shell.run(*words, status=2)
    assert shell.run("login", server.url, "--key", status=2) == "decant login: the server is named by --server URL; --help tells more\n"
    assert "begins with http://" in shell.login(server.url.replace("http", "https"), good, status=5)
    assert not shell.credentials.exists()


def test_a_revoked_key_and_one_that_may_not(server, shell):
    key = make_key(server, "ann")
    shell.login(server.url, key)
    operator(server, "key", "revoke", key.split("_")[1])
    (shell.folder / "a.png").write_bytes(png())
    assert "auth_invalid" in shell.run("convert", "--server", server.url, "a.png", "a.jpg", status=6)
    shell.login(server.url, make_key(server, "ann", "read"))
    assert "scope_required" in shell.run("convert", "--server", server.url, "a.png", "a.jpg", status=6)
    assert os.listdir(shell.folder) == ["a.png"]


# --- conversions

def test_many_files_as_here(server, ann):
    for name, data in ("a.png", png()), ("b.png", png(64, 64)), ("broken.png", png()[:40]), ("fake.png", pdf()):
        (ann.folder / name).write_bytes(data)
    process = ann.start("convert", "--server", server.url, "a.png", "broken.png", "missing.png", "fake.png", "b.png", "--to", "jpg", "-o", "out", "--option", "quality=60", "--json")
    out, err = process.communicate("", PATIENCE)
    results = {r["input"]: r for r in map(json.loads, out.splitlines())}
    assert process.returncode == 13 and err == "", err  # broken.png is the first that failed
    assert sorted(os.listdir(ann.folder / "out")) == ["a.jpg", "b.jpg"]
    assert (ann.folder / "out" / "a.jpg").read_bytes()[:3] == b"\xff\xd8\xff"
    assert results["a.png"]["status"] == "completed" and results["a.png"]["output"] == "out/a.jpg" and results["a.png"]["peak_kib"] > 0
    assert {name: results[name]["error_code"] for name in ("broken.png", "missing.png", "fake.png")} == {
        "broken.png": "corrupt_input", "missing.png": "input_unreadable", "fake.png": "type_mismatch"}
    assert jobs(ann) == []  # nothing stays there


def test_one_file_of_many_a_zip_of_pages_and_what_was_there(server, ann):
    (ann.folder / "in.pdf").write_bytes(pdf(["one", "two", "three"]))
    (ann.folder / "a.png").write_bytes(png())
    (ann.folder / "all.pdf").write_bytes(b"before")
    (ann.folder / "all.pdf").chmod(0o640)
    assert "-> all.pdf" in ann.run("convert", "--server", server.url, "in.pdf", "a.png", "--merge", "all.pdf")
    assert (ann.folder / "all.pdf").read_bytes().startswith(b"%PDF-") and stat.S_IMODE((ann.folder / "all.pdf").stat().st_mode) == 0o640
    (ann.folder / "out.zip").write_bytes(b"mine")
    assert "--force" in ann.run("convert", "--server", server.url, "in.pdf", "out.png", status=4)
    assert (ann.folder / "out.zip").read_bytes() == b"mine"
    assert ann.run("convert", "--server", server.url, "--quiet", "--force", "in.pdf", "out.png") == ""
    assert len(zipfile.ZipFile(ann.folder / "out.zip").namelist()) == 3
    assert "nowhere/out.png: No such" in ann.run("convert", "--server", server.url, "in.pdf", "nowhere/out.png", status=4)
    assert "this machine" in ann.run("convert", "--server", server.url, "--job-timeout", "5", "in.pdf", "out.txt", status=2)
    assert "unknown option" in ann.run("convert", "--server", server.url, "--qality", "5", "in.pdf", "out.txt", status=2)
    assert "The server can't convert it" in ann.run("convert", "--server", server.url, "a.png", "a.docx", status=2)
    assert "for --server" in ann.run("convert", "--keep", "in.pdf", "out.txt", status=2)
    assert 'has no option "nothing"' in ann.run("convert", "--server", server.url, "a.png", "a.jpg", "--option", "nothing=1", status=2)
    assert jobs(ann) == []


def test_standard_input_and_output(server, ann):
    with open(ann.folder / "out.jpg", "wb") as out:
        process = ann.start("convert", "--server", server.url, "--keep", "-", "--from", "png", "--to", "jpg", stdout=out, text=False)
        err = process.communicate(png(), PATIENCE)[1]
    assert process.returncode == 0 and err.startswith(b"- -> - ("), err
    data = (ann.folder / "out.jpg").read_bytes()
    assert data[:3] == b"\xff\xd8\xff" and data[-2:] == b"\xff\xd9"
    (job,) = jobs(ann)
    assert job["original_filename"] == "stdin.png" and job["output"]["size"] == len(data)
    ann.run("jobs", "delete", job["job_id"])
    (ann.folder / "in.pdf").write_bytes(pdf(["one", "two"]))
    assert "--force" in ann.run("convert", "--server", server.url, "in.pdf", "--to", "png", "-o", "-", status=4)
    assert sorted(os.listdir(ann.folder)) == ["in.pdf", "out.jpg"] and jobs(ann) == []


def test_the_jobs_of_an_account(server, ann, tmp_path):
    (ann.folder / "a.png").write_bytes(png())
    said = json.loads(ann.run("convert", "--server", server.url, "--keep", "--json", "a.png", "a.jpg"))
    (job,) = jobs(ann)
    assert job["job_id"] == said["job_id"] and job["status"] == "completed" and job["original_filename"] == "a.png"
    listed = ann.run("jobs", "list")
    assert listed.splitlines()[0].split() == ["ID", "STATUS", "CREATED", "INTO", "FILE"] and job["job_id"] in listed
    assert json.loads(ann.run("jobs", "--json", "wait", job["job_id"]))["output"]["filename"] == "a.jpg"
    assert "a.jpg (" in ann.run("jobs", "show", job["job_id"])
    assert "there already" in ann.run("jobs", "download", job["job_id"], status=4)
    assert ann.run("jobs", "download", job["job_id"], "-o", tmp_path / "b.jpg") == f"{tmp_path}/b.jpg\n"
    assert (tmp_path / "b.jpg").read_bytes() == (ann.folder / "a.jpg").read_bytes()
    assert "wrong_state" in ann.run("jobs", "cancel", job["job_id"], status=1) and "standard output" in ann.run("jobs", "download", job["job_id"], "-o", "-", status=1)
    assert ann.run("jobs", "delete", job["job_id"]) == f"{job['job_id']} deleted\n"
    assert "no such job" in ann.run("jobs", "delete", job["job_id"], status=1) and "job_not_found" in ann.run("jobs", "show", job["job_id"], status=1)
    assert "not the id" in ann.run("jobs", "show", "../x", status=2)
    ann.login(server.url, make_key(server, "fred"))
    assert "plan premium" in ann.run("jobs", "list", status=1)
    assert ann.run("jobs", "show", status=2) == "decant jobs: show takes one ID; --help tells more\n" and "no such command" in ann.run("jobs", "get", status=2)


def test_a_failure_of_ours_is_told_as_what_it_is(server, ann):
    """Files whose reading fails (sysfs has such, for root as well), and an end of the room for a result."""
    for name, path in ("fails.pdf", "/sys/class/net/lo/speed"), ("shrinks.pdf", "/sys/class/net/lo/mtu"), ("folder.pdf", "/"):
        (ann.folder / name).symlink_to(path)
    for name, why in (("fails.pdf", "Invalid argument"), ("shrinks.pdf", "It has become shorter while it was sent."), ("folder.pdf", "It is not a regular file."),
                      ("gone.pdf", "No such file or directory")):
        assert ann.run("convert", "--server", server.url, name, "a.png", status=3) == f"decant convert: {name}: {why} (input_unreadable)\n"

    def end_of_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    (ann.folder / "a.png").write_bytes(png(300, 300))
    failed = ann.run("convert", "--server", server.url, "--keep", "a.png", "a.bmp", status=4, preexec_fn=end_of_room)
    assert failed == "decant convert: a.png: a.bmp: File too large (output_unwritable)\n" and jobs(ann) == []
    job_id = json.loads(ann.run("convert", "--server", server.url, "--keep", "--json", "a.png", "a.bmp"))["job_id"]
    assert ann.run("jobs", "download", job_id, "-o", "b.bmp", status=4, preexec_fn=end_of_room) == "decant jobs: b.bmp: File too large\n"
    ann.run("jobs", "delete", job_id)


def test_a_login_is_not_needed_where_calls_need_none(server, shell):
    for name, data in ("a.png", png(300, 300)), ("broken.png", png()[:40]), ("in.pdf", pdf(["one", "two"])):
        (shell.folder / name).write_bytes(data)
    before = {path for path in below(server.data / "storage") if path.is_file()}
    line = Cutting(server, {"/v1/convert": 1000}, busy=["/v1/convert"])
    assert "-> a.bmp" in shell.run("convert", "--server", line.url, "a.png", "a.bmp")
    assert (shell.folder / "a.bmp").stat().st_size > 300 * 300 * 3 and (shell.folder / "a.bmp").read_bytes()[:2] == b"BM"
    assert len(line.of("/v1/convert")) == len(line.requests) == 3 and not any({"Authorization", "Range"} & set(headers) for headers in line.of("/v1/convert"))
    line.http.shutdown()
    process = shell.start("convert", "--server", server.url, "a.png", "broken.png", "in.pdf", "--to", "jpg", "--option", "quality=60", "-o", "out", "--json")
    out, err = process.communicate("", PATIENCE)
    results = [json.loads(text) for text in out.splitlines()]
    assert process.returncode == 13 and err == "" and [result["error_code"] for result in results] == [None, "corrupt_input", None], out + err
    assert [result["output"] for result in results] == ["out/a.jpg", None, "out/in.zip"] and len(zipfile.ZipFile(shell.folder / "out" / "in.zip").namelist()) == 2
    assert (shell.folder / "out" / "a.jpg").read_bytes()[:3] == b"\xff\xd8\xff"
    assert 'has no option "nothing"' in shell.run("convert", "--server", server.url, "a.png", "b.jpg", "--option", "nothing=1", status=2)
    assert "can't convert it" in shell.run("convert", "--server", server.url, "a.png", "a.docx", status=2)
    for words in ["--keep", "a.png", "b.jpg"], ["a.png", "in.pdf", "--merge", "b.pdf"]:
        assert "decant login --server" in shell.run("convert", "--server", server.url, *words, status=6)
    assert sorted(os.listdir(shell.folder)) == ["a.bmp", "a.png", "broken.png", "in.pdf", "out"] and not shell.credentials.exists()
    eventually(lambda: {path for path in below(server.data / "storage") if path.is_file()} <= before)


class Anything(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"<html>")


def test_a_login_is_asked_for_where_calls_need_one(own_server, shell):
    server = own_server("image", DECANT_CLAMD="off")
    (shell.folder / "a.png").write_bytes(png())
    a_large_file(shell.folder, 30 << 20)
    for name in "a.png", "large.pdf":
        refused = shell.run("convert", "--server", server.url, name, "--to", "jpg", status=6)
        assert refused == f"decant convert: {name}: Not logged in to {server.url}, or not any more: `decant login --server {server.url}` (not_logged_in)\n"
    # and another server, which answers whatever it is asked, makes no result
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Anything) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        assert "none of Decant's" in shell.run("convert", "--server", f"http://127.0.0.1:{other.server_port}", "a.png", "--to", "jpg", status=5)
        other.shutdown()
    assert sorted(os.listdir(shell.folder)) == ["a.png", "large.pdf"]


def test_an_interrupt_leaves_nothing_anywhere(server, ann):
    (ann.folder / "slow.pdf").write_bytes(slow_pdf())
    process = ann.start("convert", "--server", server.url, "slow.pdf", "slow.png")
    eventually(lambda: any(job["status"] == "processing" for job in jobs(ann)))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate("", PATIENCE)
    assert process.returncode == 128 + signal.SIGINT and "cancelled_by_user" in err and out == ""
    assert os.listdir(ann.folder) == ["slow.pdf"] and jobs(ann) == []


def on_a_terminal(shell, *words, typed="", columns=80, **environment):
    """What it shows there, and how it ends."""
    pid, tty = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.chdir(shell.folder)
        os.execve(BIN / "decant", ["decant", *map(str, words)], {**shell.environment(), **environment})
    shown = b""
    while True:
        try:
            data = os.read(tty, 4096)
        except OSError:
            break
        if typed and b": " in shown + data:
            os.write(tty, typed.encode() + b"\n")
            typed = ""
        if not data:
            break
        shown += data
    os.close(tty)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def test_a_terminal_sees_how_far_it_is(server, shell):
    key = make_key(server, "ann")
    status, shown = on_a_terminal(shell, "login", "--server", server.url, "--key", typed=key)
    assert status == 0 and "API key: " in shown and key not in shown, shown
    (shell.folder / "a.pdf").write_bytes(pdf(["one"]))
    status, shown = on_a_terminal(shell, "convert", "--server", server.url, "a.pdf", "a.png")
    assert status == 0 and "100%" in shown and "a.pdf -> a.png" in shown, shown
    status, shown = on_a_terminal(shell, "convert", "--keep", "--server", server.url, "a.pdf", "a.png", columns=20)
    assert status == 0 and "100%\x1b[K" in shown and "[" not in shown.replace("\x1b[K", ""), shown
    (job,) = jobs(shell)
    for words in ("jobs", "wait", job["job_id"]), ("jobs", "download", job["job_id"], "-o", "b.png"):
        assert "100%\x1b[K" in on_a_terminal(shell, *words, columns=20)[1]
        assert "\x1b" not in on_a_terminal(shell, *words, TERM="dumb")[1]
    shell.run("jobs", "delete", job["job_id"])
    status, shown = on_a_terminal(shell, "convert", "--quiet", "--server", server.url, "a.pdf", "a.png")
    assert (status, shown) == (0, "")


# --- lines that break

class Cutting:
    """Between client and server: of what the server answers to each of these paths ("/upload", or a method and how a path begins), so many bytes come through the first time. busy: paths whose first
    request is put off for a second. certificate: its files, for TLS."""

    def __init__(self, server, cuts=(), busy=(), certificate=None):
        self.cuts, self.busy, self.requests = dict(cuts), list(busy), []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def pass_on(self):
                path = self.path.partition("?")[0]
                outer.requests.append((self.command, path, dict(self.headers)))
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if path in outer.busy:
                    outer.busy.remove(path)
                    self.send_response(503)
                    self.send_header("Retry-After", "1")
                    self.send_header("Content-Length", "0")
                    return self.end_headers()
                answer = requests.request(self.command, server.url + self.path, data=body, headers={k: v for k, v in self.headers.items() if k != "Host"}, timeout=PATIENCE)
                cut = next((cut for cut in outer.cuts if path.endswith(cut) or f"{self.command} {path}".startswith(cut)), None)
                rest = answer.content[:outer.cuts.pop(cut)] if cut else answer.content
                if rest or not cut:
                    self.send_response(answer.status_code)
                    for name, value in answer.headers.items():
                        if name.lower() not in ("connection", "transfer-encoding", "content-encoding", "keep-alive"):
                            self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(rest)
                if cut:
                    self.close_connection = True
                    self.connection.shutdown(2)

            do_GET = do_POST = do_DELETE = do_HEAD = do_PATCH = pass_on

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.http.server_port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def of(self, tail):
        return [headers for method, path, headers in self.requests if path.endswith(tail)]


def test_lost_answers_are_asked_for_again_and_nothing_is_done_twice(server, shell):
    line = Cutting(server, {"/upload": 10, "/convert": 10, "/result": 1000})
    shell.login(line.url, make_key(server, "ann"))
    (shell.folder / "a.png").write_bytes(png(300, 300))
    assert "-> a.jpg" in shell.run("convert", "--server", line.url, "a.png", "a.jpg")
    data = (shell.folder / "a.jpg").read_bytes()
    assert data[:3] == b"\xff\xd8\xff" and data[-2:] == b"\xff\xd9"
    first, second = line.of("/convert")
    assert first["Idempotency-Key"] == second["Idempotency-Key"]
    first, second = line.of("/result")
    assert "Range" not in first and second["Range"] == "bytes=1000-"
    # The first upload was whole, so there are two: the one whose answer was lost is a job that nobody has started.
    (left,) = jobs(shell)
    assert left["status"] == "uploaded"
    shell.run("jobs", "delete", left["job_id"])
    line.http.shutdown()


def test_a_busy_server_is_waited_for(server, ann):
    line = Cutting(server, busy=["/upload", "/convert"])
    ann.login(line.url, make_key(server, "ann"))
    (ann.folder / "a.png").write_bytes(png())
    ann.run("convert", "--server", line.url, "a.png", "a.jpg")
    assert [len(line.of(path)) for path in ("/upload", "/convert", "/result")] == [2, 2, 1] and jobs(ann) == []
    line.http.shutdown()


def test_certificates_are_verified(server, shell, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=decant",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True, timeout=PATIENCE)
    line = Cutting(server, certificate=(certificate, key))
    secret = make_key(server, "ann")
    assert "--ca-file" in shell.login(line.url, secret, status=5) and not shell.credentials.exists()
    assert "nowhere" in shell.run("login", "--server", line.url, "--key", "--stdin", "--ca-file", "nowhere.pem", stdin=secret + "\n", status=1)
    shell.run("login", "--server", line.url, "--key", "--stdin", "--ca-file", "../certificate.pem", stdin=secret + "\n")
    (shell.folder / "a.png").write_bytes(png())
    shell.run("convert", "--server", line.url[len("https://"):], "a.png", "a.jpg")  # that is remembered, wherever one stands
    assert (shell.folder / "a.jpg").exists() and len(line.of("/result")) == 1
    line.http.shutdown()


def test_a_cut_upload_is_sent_again_and_a_server_that_is_away_is_named(server, shell):
    line = Line(server.port, cut_at=[200_000])
    shell.login(line.url, make_key(server, "ann"))
    noise = pdf(["x"]) + b"\n%" + os.urandom(400_000).replace(b"\n", b" ").replace(b"\r", b" ") + b"\n%%EOF\n"
    (shell.folder / "a.pdf").write_bytes(noise)
    shell.run("convert", "--server", line.url, "a.pdf", "a.txt")
    assert line.broken == 1 and (shell.folder / "a.txt").exists() and jobs(shell) == []
    line.set_down(True)
    error = shell.run("convert", "--server", line.url, "a.pdf", "b.txt", status=5)
    assert line.url in error and "server_unreachable" in error and not (shell.folder / "b.txt").exists()
    line.close()


def a_large_file(folder, size):
    data = pdf(["x"]) + b"\n%" + os.urandom(size).replace(b"\n", b" ").replace(b"\r", b" ") + b"\n%%EOF\n"
    (folder / "large.pdf").write_bytes(data)
    return data


def stored(server):
    """The hashes of what lies on the server, of more than a piece."""
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in below(server.data / "storage") if path.is_file() and path.stat().st_size > 4 << 20]


def test_a_large_upload_goes_on_where_the_line_broke(server, shell):
    line = Line(server.port, cut_at=[5 << 20, 6 << 20, 7 << 20, 1 << 20])
    shell.login(line.url, make_key(server, "ann"))
    data = a_large_file(shell.folder, 20 << 20)
    status, shown = on_a_terminal(shell, "convert", "--keep", "--server", line.url, "large.pdf", "large.txt")
    assert status == 0 and line.broken == 4, shown
    (job,) = jobs(shell)
    assert job["status"] == "completed" and job["size"] == len(data) and stored(server) == [hashlib.sha256(data).hexdigest()]
    # What had come was not sent again: between the cuts, each of which loses a piece, are pieces of 4 MiB that arrive.
    assert line.carried < len(data) + (5 + 6 + 7 + 1 + 4 << 20)
    percents = [int(word[:-1]) for word in shown.split() if word.endswith("%")]
    assert percents == sorted(percents) and any(0 < percent < 40 for percent in percents), shown  # 40: it is sent
    shell.run("jobs", "delete", job["job_id"])
    line.close()


def test_lost_answers_to_a_large_upload(server, shell):
    """Of the announcement, which leaves one that nobody goes on with, and of the piece that makes the file whole."""
    line = Cutting(server, {"POST /files": 0, "PATCH /files/": 0})
    shell.login(line.url, make_key(server, "ann"))
    data = a_large_file(shell.folder, 5 << 20)
    shell.run("convert", "--keep", "--server", line.url, "large.pdf", "large.txt")
    (job,) = jobs(shell)
    assert job["size"] == len(data) and hashlib.sha256(data).hexdigest() in stored(server)
    methods = [method for method, path, _ in line.requests if path.startswith("/files")]
    assert methods[:3] == ["POST", "POST", "PATCH"] and methods[-2:] == ["HEAD", "PATCH"], methods  # between them libcurl may repeat the piece by itself
    shell.run("jobs", "delete", job["job_id"])
    # and what is refused at its end is told as of a small one
    (shell.folder / "large.png").write_bytes(data)
    assert "(type_mismatch)" in shell.run("convert", "--server", line.url, "large.png", "a.jpg", status=3)
    line.http.shutdown()


def test_an_upload_that_is_broken_off_is_gone(server, shell):
    def uploads():
        return {path for path in below(server.data / "storage") if path.is_file()}

    before = uploads()
    line = Line(server.port, refused=["/files/"])  # it is announced, and that is all
    shell.login(line.url, make_key(server, "ann"))
    a_large_file(shell.folder, 5 << 20)
    process = shell.start("convert", "--server", line.url, "large.pdf", "large.txt")
    eventually(lambda: any(path.startswith("/files/") for path in line.seen))
    assert uploads() - before
    process.send_signal(signal.SIGINT)
    out, err = process.communicate("", PATIENCE)
    assert process.returncode == 128 + signal.SIGINT and "cancelled_by_user" in err
    eventually(lambda: uploads() <= before)
    line.close()


# --- logins with a password

class Rotating:
    """Of a server's logins what a client can get wrong: each refresh token is good once, and access tokens for `lasts` seconds."""

    def __init__(self, lasts):
        self.token, self.access, self.refreshed, self.ended, self.lock = "r0", ["a0"], 0, False, threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def reply(self, status, answer, cookie=None):
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if cookie:
                    self.send_header("Set-Cookie", f"refresh_token={cookie}; Path=/auth; HttpOnly; Secure; SameSite=Strict; Max-Age=100")
                self.end_headers()
                self.wfile.write(body)

            def tokens(self):
                self.reply(200, {"access_token": outer.access[-1], "token_type": "Bearer", "expires_in": lasts}, outer.token)

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with outer.lock:
                    if self.path == "/auth/login":
                        return self.tokens()
                    if outer.ended or self.headers.get("Cookie") != f"refresh_token={outer.token}":
                        outer.ended = True
                        return self.reply(401, {"code": "auth_required", "detail": "It has ended."})
                    outer.refreshed += 1
                    outer.token = f"r{outer.refreshed}"
                    outer.access.append(f"a{outer.refreshed}")
                    self.tokens()

            def do_GET(self):
                with outer.lock:
                    if self.headers.get("Authorization") in [f"Bearer {token}" for token in outer.access]:
                        return self.reply(200, {"jobs": [], "next_cursor": None})
                    self.reply(401, {"code": "auth_invalid", "detail": "It is not valid."})

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


def test_many_at_once_renew_a_login_once_each_token(shell):
    line = Rotating(lasts=1)  # each command has to renew it
    shell.run("login", "--server", line.url, "--user", "ann", "--stdin", stdin=PASSWORD + "\n")
    assert PASSWORD not in shell.credentials.read_text()
    started = [shell.start("jobs", "list", "--json") for _ in range(8)]
    for process in started:
        out, err = process.communicate("", PATIENCE)
        assert process.returncode == 0 and json.loads(out) == [], err
    assert not line.ended and line.refreshed >= 8
    assert shell.saved()[line.url]["refresh_token"] == line.token
    # one that is stolen ends it: said so, and what is of no use is forgotten
    line.token = "stolen"
    assert "decant login --server" in shell.run("jobs", "list", status=6)
    assert "refresh_token" not in shell.saved()[line.url]
    line.http.shutdown()


def test_a_token_that_lasts_is_used_by_the_next_command(shell):
    line = Rotating(lasts=600)
    shell.run("login", "--server", line.url, "--user", "ann", "--stdin", stdin=PASSWORD + "\n")
    for _ in range(2):
        shell.run("jobs", "list")
    assert line.refreshed == 0
    line.access.clear()  # such as by a change of the server's keys
    shell.run("jobs", "list")
    assert line.refreshed == 1
    line.http.shutdown()


def test_a_server_that_lies(shell):
    """It has a name for its result that is none, and sentences for the terminal."""
    job_id = "0c5f7d5e-5f9b-4d2a-9d0c-8f2b1c6f7a11"
    names = iter(["../../x.pdf", "/x.pdf", ".bashrc", "", "x\x1b[2J.pdf", "x.pdf"])

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def reply(self, status, body, kind="application/json"):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            if self.path.endswith("-000000000000"):
                return self.reply(404, b'{"code": "job_not_found"}')
            if self.path.endswith("/result"):
                return self.reply(200, b"12345")
            if self.path.startswith("/history"):
                return self.reply(500, json.dumps({"code": "internal", "detail": "\x1b]0;title\x07"}).encode())
            if (name := next(names, None)) is None:
                return self.reply(200, b"<html>")
            self.reply(200, json.dumps({"job_id": job_id, "status": "completed", "output": {"filename": name, "size": 4}}).encode())

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as lying:
        threading.Thread(target=lying.serve_forever, daemon=True).start()
        shell.login(f"http://127.0.0.1:{lying.server_port}", "dk_1_2")
        for _ in range(5):
            assert "no name for a file" in shell.run("jobs", "download", job_id, status=1)
        error = shell.run("jobs", "download", job_id, status=5)  # and its length is another one than it had said
        assert "another length" in error and "\x1b" not in error
        assert "none of Decant's" in shell.run("jobs", "show", job_id, status=5)
        error = shell.run("jobs", "list", status=5)
        assert "?]0;title?" in error and "(internal)" in error
        lying.shutdown()
    assert os.listdir(shell.folder) == []


def test_a_server_that_does_not_wait_is_not_asked_all_the_time(shell):
    """It answers at once that nothing has changed, for so long that who waits longer each time has asked eight times; and its list never ends."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def answer(self):
            if "-4000-8000-" in self.path:  # the login tries its key
                return 404, {"code": "job_not_found"}
            asked.append(time.monotonic())
            if self.path.startswith("/history"):
                return 200, {"jobs": [{}], "next_cursor": "1-0"}
            over = self.path.endswith("?wait=30") and asked[-1] - asked[0] > 2
            return 200, {"status": "completed" if over else "processing", "progress": 7}

        def do_GET(self):
            status, answer = self.answer()
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as hasty:
        threading.Thread(target=hasty.serve_forever, daemon=True).start()
        shell.login(f"http://127.0.0.1:{hasty.server_port}", "dk_1_2")
        assert "completed" in shell.run("jobs", "wait", "0c5f7d5e-5f9b-4d2a-9d0c-8f2b1c6f7a11")
        assert len(asked) < 15
        assert "does not come to its end" in shell.run("jobs", "list", "--all", status=5)
        hasty.shutdown()


@logins
def test_a_password_is_as_good(server, shell):
    assert "login_failed" in shell.run("login", "--server", server.url, "--user", "ann", "--stdin", stdin="wrong\n", status=6)
    status, shown = on_a_terminal(shell, "login", "--server", server.url, "--user", "ann", typed=PASSWORD)
    assert status == 0 and PASSWORD not in shown, shown
    entry = shell.saved()[server.url]
    (shell.folder / "a.png").write_bytes(png())
    shell.run("convert", "--server", server.url, "a.png", "a.jpg")
    # as if it had expired
    everything = json.loads(shell.credentials.read_text())
    everything["servers"][server.url]["expires_at"] = 0
    shell.credentials.write_text(json.dumps(everything))
    shell.run("jobs", "list")
    renewed = shell.saved()[server.url]
    assert renewed["refresh_token"] != entry["refresh_token"] and renewed["device"] == entry["device"]
    assert shell.run("logout") == f"logged out of {server.url}\n"
    shell.credentials.write_text(json.dumps(everything))
    assert "decant login" in shell.run("jobs", "list", status=6)
