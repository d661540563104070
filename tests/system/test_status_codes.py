"""Every row of the contract's table of status codes."""

import socket
import time
import uuid

import pytest
import requests

from client import Client, problem
from fixtures import docx, pdf, png, zipped
from server import eventually, still

LIMIT = 100 * 1024 * 1024


def some_uuid():
    return str(uuid.uuid4())


# --- 401 session_required

@pytest.mark.parametrize("cookie", [None, "0" * 64, "nonsense", "../../etc/passwd", ""])
def test_no_or_unknown_session(server, cookie):
    client = Client(server.url)
    client.session_id, client.csrf = cookie, "0" * 64
    for method, path in [("POST", "/upload"), ("POST", "/convert"), ("GET", f"/job_status?job_id={some_uuid()}"),
                         ("GET", f"/preview?job_id={some_uuid()}"), ("POST", "/download_token"), ("POST", "/session/close")]:
        problem(client.request(method, path, json={} if method == "POST" and path != "/upload" else None), 401, "session_required")


def test_a_job_without_its_session(server, client):
    """The job is there, and is asked for together with the session that is not: nothing of it is told."""
    job_id = client.upload("secret-name.txt", b"hello\n").json()["job_id"]
    stranger = Client(server.url)
    for stranger.session_id in ("0" * 64, client.session_id[:-1] + ("1" if client.session_id[-1] == "0" else "0"), client.session_id.upper()):
        answer = stranger.status(job_id)
        problem(answer, 401, "session_required")
        assert "secret-name" not in answer.text


def test_expired_session(own_server):
    server = own_server("image", DECANT_SESSION_TTL="2")
    client = Client(server.url)
    client.init()
    problem(client.status(some_uuid()), 404, "job_not_found")
    time.sleep(2.5)
    problem(client.status(some_uuid()), 401, "session_required")


# --- 403 csrf_invalid

@pytest.mark.parametrize("token", [None, "", "wrong", "0" * 64])
def test_missing_or_wrong_csrf_token(client, token):
    headers = {"X-CSRF-Token": token} if token is not None else {}
    for path, body in [("/upload", {"files": {"file": ("a.txt", b"x")}}), ("/convert", {"json": {"job_id": some_uuid(), "target_format": "pdf"}}),
                       ("/download_token", {"json": {"job_id": some_uuid()}}), ("/session/close", {})]:
        problem(client.request("POST", path, csrf=False, headers=headers, **body), 403, "csrf_invalid")


def test_csrf_form_field_is_not_accepted(client):
    problem(client.request("POST", "/upload", csrf=False, data={"csrf_token": client.csrf}, files={"file": ("a.txt", b"x")}), 403, "csrf_invalid")


def test_csrf_token_of_another_session(client, other):
    problem(client.request("POST", "/session/close", csrf=False, headers={"X-CSRF-Token": other.csrf}), 403, "csrf_invalid")


# --- 404

def test_unknown_job_and_somebody_elses_look_the_same(client, other):
    job_id = client.upload("a.png", png()).json()["job_id"]
    answers = []
    for wanted in (job_id, some_uuid()):
        for answer in (other.status(wanted), other.convert(wanted, "jpg"), other.token(wanted)):
            body = problem(answer, 404, "job_not_found")
            del body["request_id"]
            answers.append(body)
    assert all(body == answers[0] for body in answers)
    assert client.status(job_id).status_code == 200


@pytest.mark.parametrize("job_id", ["x", "*", "../" * 5, "a" * 5000, "%00", "' or 1=1"],
                         ids=["short", "star", "dots", "long", "nul", "quote"])
def test_malformed_job_ids_are_just_absent(client, job_id):
    problem(client.status(requests.utils.quote(job_id, safe="%")), 400 if job_id == "%00" else 404,
            "bad_request" if job_id == "%00" else "job_not_found")


@pytest.mark.parametrize("token", ["x", "0" * 64, "../" * 8])
def test_unknown_download_token(client, token):
    problem(client.download(f"/download?token={requests.utils.quote(token)}"), 404, "token_invalid")


def test_expired_download_token(own_server):
    server = own_server("image", DECANT_TOKEN_TTL="4")
    client = Client(server.url)
    client.init()
    job_id = client.start("a.png", png(), "jpg")
    assert client.wait(job_id)["status"] == "completed"
    url = client.token(job_id).json()["url"]
    assert client.download(url).status_code == 200
    time.sleep(4.5)
    problem(client.download(url), 404, "token_invalid")


def test_unknown_path(client):
    for path in ("/nothing", "/upload/", "/Upload"):  # "//" is test_http.py's: newer requests send one slash for it
        problem(requests.get(client.url + path), 404, "not_found")


# --- 405

@pytest.mark.parametrize("method, path, allow", [
    ("POST", "/session/init", "GET, HEAD"), ("GET", "/upload", "POST"), ("PUT", "/convert", "POST"), ("DELETE", "/job_status", "GET, HEAD"),
    ("GET", "/download_token", "POST"), ("POST", "/download", "GET, HEAD"), ("POST", "/download/archive", "GET, HEAD"), ("GET", "/session/close", "POST"), ("PATCH", "/formats", "GET, HEAD"),
    ("POST", "/preview", "GET, HEAD"), ("GET", "/auth/login", "POST"), ("GET", "/auth/refresh", "POST"), ("POST", "/auth/me", "GET, HEAD")])
def test_wrong_method(client, method, path, allow):
    answer = client.request(method, path)
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == allow


# --- 400

@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"job_id": 5, "target_format": "pdf"}', b'{"target_format": "pdf"}',
                                  b'{"job_id": "x"}', b"\xff\xfe", b'{"job_id": "a", "job_id": "b", "target_format": "pdf"}', b"{} {}"])
def test_malformed_json(client, body):
    problem(client.request("POST", "/convert", data=body, headers={"Content-Type": "application/json"}), 400, "bad_request")


def test_malformed_options(client):
    job_id = client.upload("a.pdf", pdf()).json()["job_id"]
    for options in ([], "x", {"nonsense": 1}, {"dpi": "many"}, {"dpi": 5}, {"dpi": 10**30}):
        problem(client.request("POST", "/convert", json={"job_id": job_id, "target_format": "png", "options": options}), 400, "bad_request")
    assert client.status(job_id).json()["status"] == "uploaded"


def test_null_is_no_options(client):
    job_id = client.upload("a.png", png()).json()["job_id"]
    answer = client.request("POST", "/convert", json={"job_id": job_id, "target_format": "jpg", "options": None})
    assert answer.status_code == 202, answer.text
    assert client.wait(job_id)["status"] == "completed"


@pytest.mark.parametrize("content_type, body", [
    ("text/plain", b"hello"), ("multipart/form-data", b"--x--"), ("multipart/form-data; boundary=x", b"no boundary here"),
    ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\ncut off'),
    ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\nno file\r\n--x--\r\n'),
    ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nno name\r\n--x--\r\n'),
    ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n\r\n--x--\r\n')])
def test_malformed_multipart(client, server, content_type, body):
    problem(client.request("POST", "/upload", data=body, headers={"Content-Type": content_type}), 400, "bad_request")


@pytest.mark.parametrize("query", ["", "?job_id=", "?wait=5", "?job_id=%zz"])
def test_malformed_parameters(client, query):
    answer = client.request("GET", "/job_status" + query)
    assert answer.status_code in (400, 404) and answer.json()["code"] in ("bad_request", "job_not_found")


@pytest.mark.parametrize("wait", ["0", "31", "-1", "x", "1.5", "99999999999999999999"])
def test_malformed_wait(client, wait):
    problem(client.request("GET", f"/job_status?job_id={some_uuid()}&wait={wait}"), 400, "bad_request")


# --- 413

def raw(server, head, body=b""):
    """Sends bytes as they are and returns the status line's code and the rest."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as s:
        s.sendall(head)
        with_error = None
        try:
            for start in range(0, len(body), 1 << 20):
                s.sendall(body[start:start + (1 << 20)])
        except OSError as error:
            with_error = error
        answer = b""
        while chunk := s.recv(65536):
            answer += chunk
            if with_error is None and b"\r\n\r\n" in answer and answer.endswith(b"}"):
                break
        return int(answer.split()[1]), answer


def upload_head(client, length=None, extra=""):
    size = f"Content-Length: {length}\r\n" if length is not None else "Transfer-Encoding: chunked\r\n"
    return (f"POST /upload HTTP/1.1\r\nHost: x\r\nCookie: session_id={client.session_id}\r\nX-CSRF-Token: {client.csrf}\r\n"
            f"Content-Type: multipart/form-data; boundary=b\r\n{size}{extra}\r\n").encode()


def test_too_large_is_refused_before_the_body(client, server):
    status, answer = raw(server, upload_head(client, LIMIT * 2))  # there is no body that it could wait for
    assert status == 413 and b"too_large" in answer
    status, answer = raw(server, upload_head(client, LIMIT * 2, "Expect: 100-continue\r\n"))
    assert status == 413 and b"100 Continue" not in answer


def test_too_large_announced_and_sent(client):
    problem(client.upload("a.txt", b"x" * (LIMIT + 70000)), 413, "too_large")


def test_too_large_by_one_byte(client):
    problem(client.upload("a.txt", b"x" * (LIMIT + 1)), 413, "too_large")


def test_too_large_unannounced(client, server):
    def body():
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
        for _ in range(101):
            yield b"x" * (1 << 20)
        yield b"\r\n--b--\r\n"

    before = server.files()
    problem(client.request("POST", "/upload", data=body(), headers={"Content-Type": "multipart/form-data; boundary=b"}), 413, "too_large")
    assert server.files() == before


def test_json_body_too_large(client):
    problem(client.request("POST", "/convert", data=b" " * 200000), 413, "too_large")


# --- 415 and 422 at upload

@pytest.mark.parametrize("name", ["a.exe", "a", "a.docx.sh", ".docx", "a.", "a.dmg", "a.php", "a.ai"])
def test_extension_not_on_the_whitelist(client, name):
    problem(client.upload(name, docx()), 415, "unsupported_type")


@pytest.mark.parametrize("name, data", [
    ("a.docx", png()), ("a.png", docx()), ("a.pdf", b"MZ" + b"\0" * 200), ("a.docx", zipped([("x.txt", "not a document")])), ("a.jpg", png()),
    ("a.txt", png()), ("a.csv", pdf()), ("a.xlsx", docx()), ("a.odt", docx()), ("a.svg", b"<html><svg></svg></html>"), ("a.png", b"hello"),
    ("a.txt", b"\x7fELF" + b"\0" * 100)])
def test_type_mismatch(client, server, name, data):
    before = server.files()
    refusal = problem(client.upload(name, data), 422, "type_mismatch")
    assert refusal["detail"] == refusal["title"] + "."  # there is no more to say
    assert server.files() == before


def test_refused_for_more_than_its_type(client):
    refusal = problem(client.upload("a.png", png() + zipped([("a", b"a")])), 422, "type_mismatch")
    assert "of two kinds at once" in refusal["detail"]


def test_empty_file(client):
    problem(client.upload("a.txt", b""), 422, "empty_file")


@pytest.mark.parametrize("target", ["xlsx", "mp3", "", "../pdf", "pdf\0", "p" * 300, "docx.pdf"],
                         ids=["known", "unknown", "empty", "path", "nul", "long", "dotted"])
def test_unsupported_target(client, target):
    job_id = client.upload("a.png", png()).json()["job_id"]
    answer = client.convert(job_id, target)
    assert answer.status_code == (400 if "\0" in target else 422), answer.text
    assert answer.json()["code"] == ("bad_request" if "\0" in target else "unsupported_target")


# --- 403 callback_refused

def test_a_webhook_that_nobody_would_send(client):
    job_id = client.upload("a.png", png()).json()["job_id"]
    body = {"job_id": job_id, "target_format": "jpg", "callback_url": "https://hooks.example.com/"}
    assert "sends no webhooks" in problem(client.request("POST", "/convert", json=body), 403, "callback_refused")["detail"]
    problem(client.request("POST", "/convert", json={**body, "callback_url": 5}), 400, "bad_request")
    assert client.status(job_id).json()["status"] == "uploaded"
    assert client.request("POST", "/convert", json={**body, "callback_url": None}).status_code == 202


# --- 409

def test_wrong_state(client):
    job_id = client.upload("a.png", png()).json()["job_id"]
    problem(client.token(job_id), 409, "wrong_state")
    assert client.convert(job_id, "jpg").status_code == 202
    problem(client.convert(job_id, "webp"), 409, "wrong_state")
    assert client.wait(job_id)["status"] == "completed"
    problem(client.convert(job_id, "webp"), 409, "wrong_state")


# --- 429

def test_too_many_jobs_in_a_session(own_server):
    server = own_server("image", DECANT_MAX_JOBS="2")
    client = Client(server.url)
    client.init()
    assert client.upload("a.png", png()).status_code == 201
    assert client.upload("b.png", png()).status_code == 201
    before = server.files()
    answer = client.upload("c.png", png())
    problem(answer, 429, "rate_limited")
    assert int(answer.headers["Retry-After"]) > 0
    assert server.files() == before


def test_queue_full(own_server):
    server = own_server("image", DECANT_QUEUE_MAX="1", DECANT_JOBS="1")
    worker = server.children("decant-worker")[0]
    client = Client(server.url)
    client.init()
    jobs = [client.upload(f"{i}.png", png()).json()["job_id"] for i in range(4)]
    with still(worker):
        answers = [client.convert(job, "jpg") for job in jobs]
    refused = [a for a in answers if a.status_code != 202]
    assert refused and len(refused) < len(jobs)
    for answer in refused:
        problem(answer, 429, "rate_limited")
        assert int(answer.headers["Retry-After"]) > 0
    for job, answer in zip(jobs, answers):
        if answer.status_code == 202:
            assert client.wait(job)["status"] == "completed"
        else:
            assert client.status(job).json()["status"] == "uploaded"


# --- 507

def test_disk_reserve_reached(own_server):
    server = own_server("image", ready=False, DECANT_DISK_RESERVE="1T")
    server.wait_listening()
    client = Client(server.url)
    client.init()
    problem(client.upload("a.png", png()), 507, "storage_full")
    assert '"audit":"storage_full"' in server.log()
    assert server.files() == []


# --- 503

def test_redis_away(own_server):
    server = own_server("image")
    client = Client(server.url)
    client.init()
    job_id = client.upload("a.png", png()).json()["job_id"]
    with still(server.children("redis-server")[0]):
        answer = client.status(job_id)
        problem(answer, 503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert requests.get(server.url + "/healthz", timeout=10).status_code == 200
        assert requests.get(server.url + "/readyz", timeout=30).status_code == 503
    eventually(lambda: client.status(job_id).status_code == 200)
    assert client.status(job_id).json()["status"] == "uploaded"
