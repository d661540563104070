"""What other pages in a user's browser can do to a session (nothing), and what answers tell browsers to do."""

import json
import re
import socket
import subprocess

import pytest
import requests

from client import Client, problem
from fixtures import docx, png
from server import BIN
from sse import Events

APP = "https://app.example.com"
FILES = "https://files.example.com:8443"

COMMON = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
          "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "X-Frame-Options": "DENY"}

CHANGES = [("POST", "/upload"), ("POST", "/duplicate"), ("POST", "/convert"), ("POST", "/retry"), ("POST", "/cancel"), ("POST", "/delete"), ("POST", "/v1/convert"), ("DELETE", "/v1/jobs/0"), ("POST", "/v1/jobs/0/cancel"), ("POST", "/download_token"), ("POST", "/session/close")]


def ask(url, method="GET", path="/formats", **headers):
    return requests.request(method, url + path, headers={name.replace("_", "-"): value for name, value in headers.items()}, timeout=60)


def no_cors(answer):
    return not [name for name in answer.headers if name.lower().startswith("access-control-")]


# --- the second fence

@pytest.mark.parametrize("headers", [
    {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Origin": "{own}.evil.example"}, {"Origin": "{own}0"},
    {"Origin": "http://127.0.0.1"}, {"Origin": "{own}/"}, {"Origin": "file://"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "unheard-of"}, {"Sec-Fetch-Site": "cross-site", "Origin": "{own}"}, {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    {"Origin": "{own}", "X-Forwarded-Host": "convert.example.com"}, {"Origin": "{own}", "X-Forwarded-Proto": "https"}], ids=str)
def test_pages_of_others_change_nothing(client, headers):
    headers = {name: value.replace("{own}", client.url) for name, value in headers.items()}
    for method, path in CHANGES:
        answer = client.request(method, path, headers=headers, **({"files": {"file": ("a.png", png())}} if path == "/upload" else {"json": {}} if method == "POST" else {}))
        body = problem(answer, 403, "csrf_invalid")
        assert "origin" in body["detail"] and no_cors(answer)
    assert client.status("0").status_code == 404  # the session is still there


@pytest.mark.parametrize("headers", [
    {}, {"Origin": "{own}"}, {"Origin": "{own}", "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"},
    {"Origin": "https://convert.example.com", "X-Forwarded-Host": "convert.example.com"},
    {"Origin": "https://convert.example.com", "Host": "convert.example.com"}, {"Origin": "https://convert.example.com", "Host": "convert.example.com:443"},
    {"Origin": "https://convert.example.com", "Host": "convert.example.com", "X-Forwarded-Proto": "https", "Sec-Fetch-Site": "same-origin"}], ids=str)
def test_our_pages_and_programs_may(client, headers):
    headers = {name: value.replace("{own}", client.url) for name, value in headers.items()}
    assert client.request("GET", "/session/init", headers=headers).json()["csrf_token"] == client.csrf
    answer = client.request("POST", "/upload", headers=headers, files={"file": ("a.png", png())})
    assert answer.status_code == 201, answer.text


def test_our_page_needs_the_token_all_the_same(client):
    problem(client.request("POST", "/session/close", csrf=False, headers={"Origin": client.url, "Sec-Fetch-Site": "same-origin"}), 403, "csrf_invalid")


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, {"Sec-Fetch-Site": "same-site"},
                                     {"Origin": "https://evil.example"}], ids=str)
def test_a_session_is_not_started_from_elsewhere(client, headers):
    """A link on another page comes without the strict cookie: a new session would take the place of the one that lives."""
    for cookie in (client.session_id, None):
        mine = Client(client.url)
        mine.session_id = cookie
        answer = mine.request("GET", "/session/init", headers=headers)
        problem(answer, 403, "csrf_invalid")
        assert "Set-Cookie" not in answer.headers and client.csrf not in answer.text and no_cors(answer)


# --- what every answer has

def test_common_headers(server, client):
    job, _ = client.result("a.png", png(), "jpg")
    stream = Events(client)
    answers = [ask(server.url, path=path) for path in ("/", "/formats", "/healthz", "/readyz", "/none", "/job_status", "/download", "/session/init")]
    answers += [client.status(job["job_id"]), client.token(job["job_id"]), client.upload("a.exe", b"x"), client.request("PUT", "/upload"),
                client.request("POST", "/convert", data=b" " * 200000), client.request("GET", "/", data=b"x"),
                ask(server.url, path="/", X_Long="x" * 20000), ask(server.url, path="/job_status?x=%zz"), ask(server.url, "HEAD")]
    for answer in answers:
        for name, value in COMMON.items():
            assert answer.headers[name] == value, (answer.url, answer.status_code, answer.headers)
        assert no_cors(answer) and answer.headers.get("Vary") == ("Accept-Encoding" if answer.url.endswith("/formats") and answer.status_code == 200 else None)
    for name, value in COMMON.items():
        assert stream.headers[name.lower()] == value


def test_no_cache_keeps_what_has_an_id(server, client, other):
    job, _ = client.result("a.png", png(), "jpg")
    job_id, unstarted = job["job_id"], client.upload("b.png", png())
    url = client.token(job_id).json()["url"]
    answers = [client.request("GET", "/session/init"), unstarted, client.convert(unstarted.json()["job_id"], "webp"), client.status(job_id), client.token(job_id),
               other.status(job_id), other.token(job_id), client.status(job_id, wait=1), client.convert(job_id, "pdf"), client.download(url[:-1]),
               client.request("POST", "/upload", csrf=False), Client(server.url).status(job_id), client.request("GET", f"/{client.session_id}"),
               client.request("DELETE", "/upload"), client.request("POST", "/convert", data=b" " * 200_000), client.upload("a.exe", b"x"),
               client.request("GET", "/session/init", headers={"Origin": "https://evil.example"}), client.download(url, Range="bytes=99999999-")]
    answers.append(client.close())
    for answer in answers:
        assert answer.headers["Cache-Control"] == "no-store", (answer.url, answer.status_code)
        assert "ETag" not in answer.headers and "Last-Modified" not in answer.headers and "Expires" not in answer.headers


def test_each_secret_is_told_once(server):
    """The session's id by the cookie alone, its token by /session/init alone, a link's by /download_token alone."""
    client = Client(server.url)
    begun = client.init()
    stream = Events(client)
    job, _ = client.result("a.png", png(), "jpg")
    failed = client.start("b.docx", docx(["<"]), "pdf")
    client.wait(failed)
    links = [client.token(job["job_id"]) for _ in range(2)]
    tokens = [link.json()["token"] for link in links]
    others = [client.upload("c.png", png()), client.status(job["job_id"]), client.status(failed), client.convert(job["job_id"], "png"), client.download(links[0].json()["url"]),
              client.download(links[1].json()["url"], Range="bytes=0-3"), ask(server.url), ask(server.url, path="/readyz"), ask(server.url, path="/"), client.close()]
    events = stream.wait_end()
    assert events
    said = [(str(answer.headers), answer.content) for answer in others] + [(str(stream.headers), json.dumps(event.job).encode()) for event in events]
    for headers, body in said:
        for secret in (client.session_id, client.csrf, *tokens):
            assert secret not in headers and secret.encode() not in body
    assert begun.headers["Set-Cookie"].count(client.session_id) == 1 and client.session_id not in begun.text and begun.text.count(client.csrf) == 1
    assert client.csrf not in str(begun.headers) and len(set(tokens)) == 2
    for link, token in zip(links, tokens):
        assert link.text.count(token) == 2 and client.session_id not in link.text + str(link.headers) and client.csrf not in link.text  # itself, and its address


@pytest.mark.parametrize("chosen", ["f" * 64, "0" * 64, "{upper}", "{closed}", "x", "../" * 20])
def test_nobody_chooses_the_id_of_a_session(server, chosen):
    """By a cookie that was planted, an attacker would know it."""
    closed = Client(server.url)
    closed.init()
    client = Client(server.url)
    client.session_id = chosen.replace("{closed}", closed.session_id).replace("{upper}", closed.session_id.upper())
    if chosen == "{closed}":
        closed.close()
    planted = client.session_id
    client.init()
    assert client.session_id not in (planted, planted.lower()) and re.fullmatch("[0-9a-f]{64}", client.session_id)
    assert not server.redis().exists(f"session:{planted}")
    client.close()


def test_downloads_never_run(client):
    """Whatever the file is, and also where the answer is an error."""
    job_id = client.start("page.docx", docx(), "html")
    job = client.wait(job_id)
    assert job["output"]["mime_type"].startswith(("text/html", "application/zip"))
    url = client.token(job_id).json()["url"]
    for answer in (client.download(url), client.download(url, "HEAD"), client.download(url, Range="bytes=0-3"), client.download(url, Range="bytes=99999999-")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert answer.headers["Content-Disposition"].startswith("attachment; ") and answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin" and "no-store" in answer.headers["Cache-Control"]
        assert "Set-Cookie" not in answer.headers


def test_closed_cors_says_nothing(server, client):
    for origin in (APP, "null", server.url, "*"):
        for path in ("/formats", "/job_status", "/none", "/download?token=0"):
            assert no_cors(ask(server.url, path=path, Origin=origin))
        answer = ask(server.url, "OPTIONS", "/upload", Origin=origin, Access_Control_Request_Method="POST", Access_Control_Request_Headers="x-csrf-token")
        problem(answer, 405, "method_not_allowed")
        assert answer.headers["Allow"] == "POST" and no_cors(answer)


# --- links

@pytest.mark.parametrize("field, value", [
    ("file_path", "../../../../etc/passwd"), ("file_path", "/etc/passwd"), ("file_path", "{path}\r\nSet-Cookie: a=b"), ("file_path", "{path}\n"),
    ("file_path", "{stored}"), ("file_path", "{theirs}"), ("file_path", "./{path}"), ("file_path", "{session}/{job}/converted/../uploads/x.png"), ("file_path", ""),
    ("session_id", "{other}"), ("session_id", "*"), ("session_id", ""), ("job_id", "{their_job}"), ("job_id", "../x")], ids=lambda text: text[:30])
@pytest.mark.parametrize("everywhere", [False, True], ids=["token", "job too"])
def test_what_redis_says_is_not_believed(server, client, other, field, value, everywhere):
    job, content = client.result("a.png", png(), "jpg")
    their_job, _ = other.result("b.png", png(), "jpg")
    token = client.token(job["job_id"]).json()["token"]
    redis = server.redis()
    key, their_key = f"session:{client.session_id}:jobs:{job['job_id']}", f"session:{other.session_id}:jobs:{their_job['job_id']}"
    value = value.format(path=redis.hget(key, "converted_path"), stored=redis.hget(key, "stored_path"), theirs=redis.hget(their_key, "converted_path"),
                         session=client.session_id, job=job["job_id"], other=other.session_id, their_job=their_job["job_id"])
    assert client.download("/download?token=" + token).content == content
    redis.hset("download_token:" + token, field, value)
    if everywhere and field == "file_path":
        redis.hset(key, "converted_path", value)
    answer = client.download("/download?token=" + token)
    problem(answer, 404, "token_invalid")
    assert not {"X-Accel-Redirect", "Content-Disposition", "Set-Cookie"} & set(answer.headers)
    assert client.session_id not in answer.text and other.session_id not in answer.text


def test_a_link_ends_with_its_job(server, client):
    job, _ = client.result("a.png", png(), "jpg")
    key = f"session:{client.session_id}:jobs:{job['job_id']}"
    for command, arguments in (("delete", (key,)), ("hset", (key, "status", "failed"))):
        kept = server.redis().hgetall(key)
        url = client.token(job["job_id"]).json()["url"]
        assert client.download(url).status_code == 200
        getattr(server.redis(), command)(*arguments)
        problem(client.download(url), 404, "token_invalid")
        server.redis().hset(key, mapping=kept)


def test_a_result_that_became_a_link(server, client):
    job, _ = client.result("a.png", png(), "jpg")
    url = client.token(job["job_id"]).json()["url"]
    path = server.data / "storage" / server.redis().hget(f"session:{client.session_id}:jobs:{job['job_id']}", "converted_path")
    path.unlink()
    path.symlink_to("/etc/passwd")
    problem(client.download(url), 404, "token_invalid")


# --- CORS and a host of its own for downloads, on a busy server that logs all it can

@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    from server import Server
    server = Server(tmp_path_factory.mktemp("opened"), DECANT_CORS_ORIGINS=f"{APP}, http://localhost:3000", DECANT_DOWNLOAD_ORIGIN=FILES,
                    DECANT_LOG_LEVEL="debug")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def app(opened):
    """A session that a page of the configured origin uses."""
    client = Client(opened.url)
    client.http.headers["Origin"] = APP
    client.http.headers["Sec-Fetch-Site"] = "same-site"
    client.init()
    yield client
    client.close()


def allowed(answer, origin=APP):
    assert answer.headers["Access-Control-Allow-Origin"] == origin and answer.headers["Vary"].split(", ")[0] == "Origin"
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    return answer


def test_cors_for_configured_origins(opened, app):
    answer = allowed(app.upload("a.png", png()))
    assert answer.status_code == 201, answer.text
    assert {"X-Request-Id", "Retry-After", "Content-Disposition"} <= set(answer.headers["Access-Control-Expose-Headers"].split(", "))
    problem(allowed(app.status("0")), 404, "job_not_found")
    problem(allowed(app.request("GET", "/none")), 404, "not_found")
    problem(allowed(app.request("POST", "/session/close", csrf=False)), 403, "csrf_invalid")
    problem(allowed(app.request("POST", "/convert", data=b" " * 200000)), 413, "too_large")
    allowed(ask(opened.url, Origin="http://localhost:3000"), "http://localhost:3000")
    with socket.create_connection(("127.0.0.1", opened.port), timeout=60) as s:
        s.sendall(f"GET /events HTTP/1.1\r\nHost: x\r\nCookie: session_id={app.session_id}\r\nOrigin: {APP}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += s.recv(4096)
    assert head.startswith(b"HTTP/1.1 200") and f"\r\nAccess-Control-Allow-Origin: {APP}\r\n".encode() in head


@pytest.mark.parametrize("path, methods", [("/upload", "POST, OPTIONS"), ("/job_status", "GET, HEAD, OPTIONS"), ("/session/close", "POST, OPTIONS"),
                                           ("/events", "GET, HEAD, OPTIONS")])
def test_cors_preflight(opened, path, methods):
    answer = allowed(ask(opened.url, "OPTIONS", path, Origin=APP, Access_Control_Request_Method="POST", Access_Control_Request_Headers="x-csrf-token"))
    assert answer.status_code == 204 and answer.content == b"" and answer.headers["Access-Control-Allow-Methods"] == methods
    assert {"Content-Type", "X-CSRF-Token", "Last-Event-ID"} <= set(answer.headers["Access-Control-Allow-Headers"].split(", "))
    assert int(answer.headers["Access-Control-Max-Age"]) > 0
    assert ask(opened.url, "DELETE", path).headers["Allow"] == methods


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "*", "https://app.example.com.evil.example", "http://app.example.com",
                                    "https://app.example.com:8443", "https://APP.example.com", f"{APP}, http://localhost:3000", ""])
def test_cors_for_nobody_else(opened, origin):
    for answer in (ask(opened.url, Origin=origin), ask(opened.url, path="/none", Origin=origin),
                   ask(opened.url, "OPTIONS", "/upload", Origin=origin, Access_Control_Request_Method="POST")):
        assert no_cors(answer) and answer.headers["Vary"].split(", ")[0] == "Origin"
    problem(ask(opened.url, "POST", "/session/close", Origin=origin), 403, "csrf_invalid")
    problem(ask(opened.url, "OPTIONS", "/none", Origin=APP, Access_Control_Request_Method="POST"), 404, "not_found")


def test_downloads_on_an_origin_of_their_own(opened, app):
    job_id = app.start("a.png", png(), "jpg")
    app.wait(job_id)
    answer = app.token(job_id).json()
    assert answer["url"] == f"{FILES}/download?token={answer['token']}"
    path, host = "/download?token=" + answer["token"], FILES.removeprefix("https://")
    for headers in ({"Host": host}, {"X_Forwarded_Host": host, "X_Forwarded_Proto": "https"}):
        file = ask(opened.url, path=path, **headers)
        assert file.status_code == 200 and file.content[:3] == b"\xff\xd8\xff" and "Set-Cookie" not in file.headers
    allowed(ask(opened.url, path=path, Host=host, Origin=APP))
    assert ask(opened.url, "OPTIONS", path, Host=host, Origin=APP, Access_Control_Request_Method="GET").status_code == 204
    for elsewhere in ({}, {"Host": "app.example.com"}, {"Host": "files.example.com"}):
        problem(ask(opened.url, path=path, **elsewhere), 404, "not_found")
    for method, other in [("GET", "/session/init"), ("GET", "/"), ("GET", "/formats"), ("GET", "/job_status"), ("GET", "/events"), ("GET", "/healthz"),
                          ("OPTIONS", "/upload"), *CHANGES]:
        refused = app.request(method, other, headers={"Host": host})
        problem(refused, 404, "not_found")
        assert "Set-Cookie" not in refused.headers


def test_nothing_tells_what_has_to_be_kept(opened):
    """Ids, tokens and names: neither in the log of a server that logs all, nor in errors, nor in headers other than their own."""
    clients = [Client(opened.url) for _ in range(3)]
    name, secrets, answers = "very-private Ünïcödé name", set(), []
    for client in clients:
        answers.append(client.init())
        secrets |= {client.session_id, client.csrf}
    jobs = [(client, client.start(f"{name}.{ext}", data, target)) for client in clients
            for ext, data, target in (("png", png(), "jpg"), ("docx", docx(), "pdf"))]
    host = {"Host": FILES.removeprefix("https://")}
    for client, job_id in jobs:
        assert client.wait(job_id)["status"] == "completed"
        token = client.token(job_id).json()["token"]
        secrets.add(token)
        file = ask(opened.url, path="/download?token=" + token, **host)
        assert file.status_code == 200
        opened.redis().hset("download_token:" + token, "file_path", f"{client.session_id}/x")
        answers += [ask(opened.url, path="/download?token=" + token, **host), ask(opened.url, path="/download?token=" + token),
                    ask(opened.url, path=f"/download?token={token}0", **host), ask(opened.url, path=f"/download?job_id={token}", **host)]
    for client in clients:
        answers += [client.upload(f"{name}.exe", b"x"), client.upload(f"{name}.docx", b""), client.upload(f"{name}.docx", png()), client.convert(name, name),
                    client.status(client.session_id), client.status(name), client.request("GET", f"/{client.session_id}"), client.convert(jobs[0][1], "pdf"),
                    client.request("POST", f"/convert?{client.csrf}", data=client.csrf), client.request("POST", "/upload", csrf=False),
                    client.request("PUT", f"/upload?{client.session_id}"), client.request("POST", "/upload", headers={"Origin": "https://evil.example"}),
                    client.request("POST", "/download_token", json={"job_id": client.session_id}), client.request("POST", "/session/close", csrf=False,
                                                                                                              headers={"X-CSRF-Token": client.session_id})]
    answers += [client.close() for client in clients]
    answers += [client.status(jobs[0][1]) for client in clients]
    for answer in answers:
        headers = {key: value for key, value in answer.headers.items() if key != "Set-Cookie"}
        body = answer.text if answer.status_code >= 400 else ""
        assert "Location" not in headers and "X-Accel-Redirect" not in headers
        for secret in secrets | {"very-private", "nïcödé"}:
            assert secret not in body and secret not in str(headers), (answer.url, answer.text)
    opened.wait_log(jobs[-1][1])
    log = opened.log()
    for secret in secrets | {"very-private", "nïcödé", "n\\u00efc", "session_id="}:
        assert secret not in log, log[max(0, log.index(secret) - 300):][:400]
    for pid in opened.children(""):
        assert not re.search("|".join([*secrets, "very-private"]), open(f"/proc/{pid}/cmdline", errors="replace").read())


@pytest.mark.parametrize("name, value", [("DECANT_CORS_ORIGINS", "*"), ("DECANT_CORS_ORIGINS", "https://a.example/"), ("DECANT_DOWNLOAD_ORIGIN", "files.example.com")])
def test_what_is_no_origin_is_refused_at_start(tmp_path, name, value):
    result = subprocess.run([BIN / "decant", "serve", "--data", tmp_path / "var"], env={"PATH": "/usr/bin:/bin", name: value}, capture_output=True, text=True,
                            timeout=60)
    assert result.returncode == 78 and name in result.stderr and "https://example.com" in result.stderr
