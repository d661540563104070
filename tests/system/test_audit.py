"""Each decision that security rests on is one line of the log, with its code and nothing that is secret."""

import json
import re
import struct
import time
import urllib.parse
import zlib

import pytest

from client import Client
from fixtures import docx, eicar, pdf, png, slow_docx, zipped
from raw import Raw, get
from server import Server, still
from sse import Events

HASH = re.compile(r"[0-9a-f]{32}")
UNKNOWN = "6f9619ff-8b86-4011-b42d-00c04fc964ff"


def lines(server, field, value):
    found = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
    return [line for line in found if "audit" in line and line.get(field) == value]


def refused(server, answer, code):
    """One line, of that code, for the request: its time, its id and a keyed hash of the address, which is returned."""
    body = answer.json()
    assert body["code"] == code, answer.text
    (line,) = lines(server, "request_id", body["request_id"])
    assert set(line) == {"time", "level", "program", "pid", "message", "audit", "request_id", "client", "trace_id"}
    assert line["audit"] == code and line["program"] == "decant-api" and HASH.fullmatch(line["client"])
    return line["client"]


def silent(server, answer, code):
    """A refusal that is no matter of security."""
    assert answer.json()["code"] == code and lines(server, "request_id", answer.json()["request_id"]) == []


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """A server of which everything is soon too much."""
    server = Server(tmp_path_factory.mktemp("strict"), DECANT_MAX_UPLOAD="1M", DECANT_SESSION_QUOTA="1200k", DECANT_MAX_JOBS="4", DECANT_SESSION_UPLOADS="1",
                    DECANT_RATE_CONVERT="session=3/h", DECANT_SCAN_TIMEOUT="2")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def guest(strict):
    client = Client(strict.url)
    client.init()
    yield client
    client.close()


# --- the API

def test_refusals_by_the_api(server, client, other):
    job_id = client.upload("a.png", png()).json()["job_id"]
    hashes = {
        refused(server, client.request("GET", "/download?token=" + "0" * 64), "token_invalid"),
        refused(server, client.request("GET", "/download?token=../x"), "token_invalid"),
        refused(server, client.status(UNKNOWN), "job_not_found"),
        refused(server, other.status(job_id), "job_not_found"),
        refused(server, other.convert(job_id, "jpg"), "job_not_found"),
        refused(server, other.token(job_id), "job_not_found"),
        refused(server, client.request("POST", "/download_token", json={}, csrf=False), "csrf_invalid"),
        refused(server, client.request("POST", "/convert", json={}, csrf=False, headers={"X-CSRF-Token": other.csrf}), "csrf_invalid"),
        refused(server, client.request("POST", "/session/close", headers={"Origin": "https://evil.example"}), "csrf_invalid"),
        refused(server, client.request("GET", "/session/init", headers={"Sec-Fetch-Site": "cross-site"}), "csrf_invalid"),
        refused(server, Client(server.url).token(UNKNOWN), "session_required"),
        refused(server, client.upload("a.exe", b"MZ"), "unsupported_type"),
        refused(server, client.upload("a.pdf", b"no PDF at all"), "type_mismatch"),
        refused(server, client.upload("a.png", png() + zipped([("a", b"a")])), "type_mismatch"),
        refused(server, client.request("POST", "/convert", data=b" " * 100_000), "too_large"),
        refused(server, client.request("GET", "/formats", headers={"X-Long": "x" * 20_000}), "headers_too_large")}
    assert len(hashes) == 1, "one address goes by one name"
    with Raw(server.port, source="127.0.0.7") as elsewhere:
        elsewhere.send(get(b"/job_status?job_id=x"))
        problem = json.loads(elsewhere.answer().body)
    (line,) = lines(server, "request_id", problem["request_id"])
    assert line["audit"] == "session_required" and HASH.fullmatch(line["client"]) and line["client"] not in hashes


def test_what_is_no_decision_has_no_line(server, client):
    silent(server, client.request("GET", "/none"), "not_found")
    silent(server, client.request("DELETE", "/upload"), "method_not_allowed")
    silent(server, client.convert(client.upload("a.png", png()).json()["job_id"], "docx"), "unsupported_target")
    silent(server, client.upload("a.txt", b""), "empty_file")
    silent(server, client.request("POST", "/convert", data=b"{"), "bad_request")


def test_limits(strict, guest):
    for _ in range(3):
        guest.convert(UNKNOWN, "pdf")
    refused(strict, guest.convert(UNKNOWN, "pdf"), "rate_limited")
    refused(strict, guest.upload("a.txt", b"x" * ((1 << 20) + 1)), "too_large")
    refused(strict, guest.upload("a.txt", b"x" * (2 << 20)), "too_large")
    assert guest.upload("a.txt", b"x" * (1 << 20)).status_code == 201
    refused(strict, guest.upload("a.txt", b"x" * (200 << 10)), "storage_full")
    for _ in range(3):
        assert guest.upload("a.txt", b"x").status_code == 201
    refused(strict, guest.upload("a.txt", b"x"), "rate_limited")  # as many files as a session may have


def test_an_upload_too_many(strict, guest):
    with Raw(strict.port) as first:
        first.send(f"POST /upload HTTP/1.1\r\nHost: h\r\nCookie: session_id={guest.session_id}\r\nX-CSRF-Token: {guest.csrf}\r\nExpect: 100-continue\r\n"
                   "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000\r\n\r\n".encode())
        assert first.answer().status == 100
        refused(strict, guest.upload("a.txt", b"x"), "rate_limited")


def test_links_that_are_no_more(server, client):
    job, _ = client.result("a.png", png(), "jpg")
    url = client.token(job["job_id"]).json()["url"]
    other = Client(server.url)
    other.init()
    other_job, _ = other.result("a.png", png(), "jpg")
    revoked = other.token(other_job["job_id"]).json()["url"]
    other.close()
    server.redis().pexpire("download_token:" + url.split("=")[1], 1)
    time.sleep(0.1)
    refused(server, client.request("GET", url), "token_invalid")
    refused(server, client.request("GET", revoked), "token_invalid")
    refused(server, client.request("GET", url[:-1] + ("0" if url[-1] != "0" else "1")), "token_invalid")


def test_sessions_begin_and_end(server):
    client = Client(server.url)
    begun, ended = client.init(), client.close()
    for answer, code in ((begun, "session_created"), (ended, "session_closed")):
        (line,) = lines(server, "request_id", answer.headers["X-Request-Id"])
        assert line["audit"] == code and HASH.fullmatch(line["client"])
    assert client.session_id not in server.log() and client.csrf not in server.log()


# --- the worker

def decided(server, job_id, code, times=1):
    """The worker's lines about the job: one for each time that it was decided."""
    deadline = time.monotonic() + 120
    while not (found := lines(server, "job_id", job_id)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [line["audit"] for line in found] == [code] * times
    assert set(found[0]) == {"time", "level", "program", "pid", "message", "audit", "job_id", "task_id", "trace_id", "engine"}
    assert found[0]["program"] == "worker"


def test_what_the_scanner_finds(server, client):
    packed = eicar()
    for depth in range(20):  # clamd's MaxRecursion is 17
        packed = zipped([(f"{depth}.zip" if depth else "eicar.com", packed)])
    infected = client.start("a.txt", eicar(), "pdf")
    deep = client.start("deep.docx", docx(extra=[("word/embeddings/object1.bin", packed)]), "pdf")
    decided(server, infected, "infected")
    decided(server, deep, "scan_incomplete")


def test_what_takes_too_much(server, client):
    small = png()
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + small[24:29]
    decided(server, client.start("a.png", small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:], "jpg"), "too_complex")


def test_what_takes_too_long(own_server):
    server = own_server("office", DECANT_CLAMD="off", DECANT_JOB_TIMEOUT="1")
    client = Client(server.url)
    client.init()
    decided(server, client.start("a.docx", slow_docx(), "pdf"), "timed_out")


def test_no_scanner(strict, guest):
    """It is tried again twice, and the file is let through by none of them."""
    with still(strict.children("clamd")[0]):
        job_id = guest.start("a.png", png(19, 3), "jpg")
        assert guest.wait(job_id)["error_code"] == "scanner_unavailable"
    decided(strict, job_id, "scanner_unavailable", times=3)


# --- and nothing else

NAME, PASSWORD, WORDS = "Büro-Umzug Personalakte", "swordfish-5521", "the words of the document 8812"
ADDRESSES = ("203.0.113.77", "2001:db8:77:1::5", "127.0.0.78")


class From(Client):
    """A client behind a proxy that is believed."""

    def __init__(self, url, address):
        super().__init__(url)
        self.address = address

    def request(self, method, path, headers=None, **kwargs):
        return super().request(method, path, headers={"X-Forwarded-For": self.address, **(headers or {})}, **kwargs)


def spellings(secret):
    """However a program may write it."""
    return {secret, secret.lower(), urllib.parse.quote(secret), json.dumps(secret)[1:-1], secret.encode("utf-16-le").decode("latin-1")}


def broken_png(words):
    return b"".join([png()[:33], *(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
                                   for kind, data in ((b"IDAT", words), (b"IEND", b"")))])


def whole_flow(server, client):
    """What sessions are for, and what goes wrong with them; the secrets that there were."""
    client.init()
    stream = Events(client)
    jobs = [client.start(f"{NAME}.png", png(), "webp"), client.start(f"{NAME}.docx", docx([WORDS]), "pdf"), client.start(f"{NAME}.pdf", pdf([WORDS]), "png"),
            client.start(f"{NAME}.docx", docx([WORDS]), "pdf", password=PASSWORD), client.start(f"{NAME}.txt", eicar(), "pdf"),
            client.start(f"{NAME}.docx", docx([f"<{WORDS}"]), "pdf"), client.start(f"{NAME}.png", broken_png(WORDS.encode()), "jpg")]
    ended = [client.wait(job) for job in jobs]
    assert {"completed", "failed"} <= {job["status"] for job in ended}
    tokens = [client.token(job["job_id"]).json()["token"] for job in ended if job["status"] == "completed"]
    for token in tokens:
        assert client.request("GET", f"/download?token={token}").status_code == 200
        assert client.request("GET", f"/download?token={token}", headers={"Range": "bytes=1-2"}).status_code == 206
        server.redis().hset(f"download_token:{token}", "file_path", "../../../etc/passwd")
        assert client.request("GET", f"/download?token={token}").status_code == 404
    client.upload(f"{NAME}.exe", WORDS.encode())
    client.upload(f"{NAME}.pdf", WORDS.encode())
    client.convert(NAME, client.session_id)
    client.request("GET", f"/{client.session_id}/{urllib.parse.quote(NAME)}?{client.csrf}")
    client.request("POST", "/convert", headers={"Origin": f"https://{client.csrf}.example"})
    client.request("GET", "/formats", headers={"X-Long": client.session_id * 400})
    stream.socket.close()
    client.close()
    client.status(jobs[0])
    return {client.session_id, client.csrf, *tokens}, jobs


def test_no_log_has_anything_that_is_secret(own_server):
    """Of the API, the worker, the engines, clamd and the supervisor, which log all they can; Redis is the place for it."""
    server = own_server(None, DECANT_TRUSTED_PROXIES="127.0.0.1", DECANT_LOG_LEVEL="debug")
    secrets, jobs = set(), []
    for address in ADDRESSES[:2]:
        found, started = whole_flow(server, From(server.url, address))
        secrets |= found
        jobs += started
    with Raw(server.port, source=ADDRESSES[2]) as direct:
        direct.send(get(b"/job_status?job_id=x", b"Cookie: session_id=" + b"0" * 64))
        assert direct.answer().status == 401
    environments = "".join(open(f"/proc/{pid}/{what}", errors="replace").read() for pid in server.children("") for what in ("cmdline", "environ"))
    server.stop()
    logs = {path.name: path.read_text(errors="replace") for path in server.data.rglob("*.log") if path.name != "redis.log"}
    logs["serve.log"] = server.log()
    assert all(job in logs["serve.log"] for job in jobs), "what is searched is not what was logged"
    for where, text in {**logs, "a command line or environment": environments}.items():
        for secret in {*secrets, NAME, PASSWORD, WORDS, *ADDRESSES}:
            for spelling in spellings(secret):
                at = text.find(spelling)
                assert at < 0, f"{where}: {text[max(0, at - 200):at + 100]}"
