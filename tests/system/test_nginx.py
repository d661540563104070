"""Behind the real nginx: downloads are handed over by X-Accel-Redirect, and the storage can't be reached otherwise."""

import contextlib
import re
import subprocess

import pytest
import requests

import contract
import front
from client import Client, problem
from fixtures import png
from server import Server, eventually, free_port
from sse import Events


@pytest.fixture(scope="module", params=front.GIVEN)
def nginx(tmp_path_factory, request):
    """The server, the address of nginx in front of it, and the folder of nginx's logs."""
    folder = tmp_path_factory.mktemp("nginx")
    server = Server(folder, "image", DECANT_ACCEL_PREFIX="/_files", DECANT_CORS_ORIGINS="https://app.example.com").start()
    port = free_port()
    process = subprocess.Popen(front.nginx(folder, port, server.data / "storage", server.port, source=request.param))

    def answers():
        assert process.poll() is None
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5)

    eventually(answers)
    contract.learn_front(f"http://127.0.0.1:{port}", server.url)
    yield server, f"http://127.0.0.1:{port}", folder
    process.terminate()
    process.wait(10)
    server.stop()


@pytest.fixture
def behind_nginx(nginx):
    server, url, _ = nginx
    return server, Client(url)


def lines(text, location, directive):
    """Those of one directive in a location, without what is remarked behind them."""
    block = re.search(rf"location {location} \{{\n(.*?)\n *\}}", text, re.S)[1]
    return {" ".join(line.split(";")[0].split()) for line in block.splitlines() if line.split()[:1] == [directive]}


def test_all_configurations_are_of_one_mind():
    docs, debian, containers = front.documented(), front.debian_site(), (front.ROOT / "deploy/docker/web/nginx.conf").read_text()
    said = lines(docs, "/_files/", "add_header")
    hsts = {'add_header Strict-Transport-Security "max-age=31536000" always'}
    assert len(said) == 10 and lines(debian, "/_files/", "add_header") == lines(containers, "/_files/", "add_header") == said | hsts
    told = lines(debian, "/", "proxy_set_header")
    assert told == lines(containers, "/", "proxy_set_header") and lines(docs, "/", "proxy_set_header") < told
    (waits,) = re.findall(r'"DECANT_CALL_WAIT",[^"]*"[^"]*",[^"]*"(\d+)"', (front.ROOT / "src/core/settings.c").read_text())
    for text in (docs, debian, containers):
        assert lines(text, "/", "proxy_read_timeout") == {f"proxy_read_timeout {int(waits) + 30}s"}
        assert lines(text, "/", "proxy_request_buffering") == {"proxy_request_buffering off"}
        assert "internal;" in text and "location = /metrics { return 404; }" in text
        assert lines(text, "/_files/", "alias") and lines(text, "/_files/", "disable_symlinks")


def test_metrics_are_not_for_clients_of_nginx(behind_nginx):
    server, client = behind_nginx
    for path in ("/metrics", "/metrics?a", "/%6detrics", "//metrics"):
        for headers in ({}, {"Host": "127.0.0.1"}, {"X-Forwarded-Proto": "", "Host": "localhost"}):
            answer = requests.get(client.url + path, headers=headers, timeout=30)
            assert answer.status_code == 404 and "decant_" not in answer.text
    assert requests.get(server.url + "/metrics", timeout=30).status_code == 200


def test_download_by_nginx(behind_nginx):
    server, client = behind_nginx
    client.init()
    job, content = client.result("Übersicht.png", png(), "jpg")
    assert content[:3] == b"\xff\xd8\xff" and len(content) == job["output"]["size"]
    url = client.token(job["job_id"]).json()["url"]

    through = client.download(url)
    assert "X-Accel-Redirect" not in through.headers and through.headers["Server"].startswith("nginx")
    assert through.headers["Content-Type"] == "image/jpeg" and through.headers["X-Content-Type-Options"] == "nosniff"
    assert through.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert through.headers["Referrer-Policy"] == "no-referrer" and through.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert through.headers["X-Frame-Options"] == "DENY" and through.headers["X-Request-Id"] and "Access-Control-Allow-Origin" not in through.headers
    assert client.download(url, Origin="https://app.example.com").headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert through.headers["Cache-Control"] == "private, no-store"
    assert through.headers["Content-Disposition"].startswith("attachment; ")
    assert client.download(url, Range="bytes=0-2").content == content[:3]

    direct = requests.get(server.url + url)
    path = server.redis().hget(f"session:{client.session_id}:jobs:{job['job_id']}", "converted_path")
    assert direct.status_code == 200 and direct.content == b"" and direct.headers["X-Accel-Redirect"] == "/_files/" + path
    assert requests.get(client.url + "/_files/" + path).status_code == 404


def test_preview_by_nginx(behind_nginx):
    """nginx has a validator of its own, of the same file."""
    server, client = behind_nginx
    client.init()
    job, _ = client.result("a.png", png(900, 600), "jpg")
    path = f"/preview?job_id={job['job_id']}&size=128"
    eventually(lambda: client.request("GET", path).status_code == 200)
    through = client.request("GET", path)
    assert through.content.startswith(b"\x89PNG") and "X-Accel-Redirect" not in through.headers
    assert through.headers["Content-Type"] == "image/png" and through.headers["X-Content-Type-Options"] == "nosniff"
    assert through.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert through.headers["Cache-Control"] == "private, max-age=3600, immutable" and through.headers["Content-Disposition"] == "inline"
    known = client.request("GET", path, headers={"If-None-Match": through.headers["ETag"]})
    assert known.status_code == 304 and known.content == b""
    direct = requests.get(server.url + path, headers=client.headers(), timeout=60)
    assert direct.content == b"" and requests.get(client.url + direct.headers["X-Accel-Redirect"], timeout=60).status_code == 404
    client.close()


def test_nothing_gets_past_nginx(behind_nginx, nginx):
    """Pages of its own host may, others not; links out of the tree lead nowhere; its logs hold what they may."""
    server, client = behind_nginx
    client.init()
    assert client.request("POST", "/upload", headers={"Origin": client.url}, files={"file": ("a.png", png())}).status_code == 201
    for headers in ({"Origin": client.url.replace("http:", "https:")}, {"Origin": server.url}, {"Origin": "https://evil.example"},
                    {"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}):
        problem(client.request("POST", "/session/close", headers=headers), 403, "csrf_invalid")

    job, _ = client.result("very-private-name.png", png(), "jpg")
    token = client.token(job["job_id"]).json()["token"]
    assert client.download("/download?token=" + token).status_code == 200
    redis = server.redis()
    path = redis.hget(f"session:{client.session_id}:jobs:{job['job_id']}", "converted_path")
    for value in ("../../../../etc/passwd", "/etc/passwd", path + "\r\nX-Accel-Redirect: /_files/" + path, path.replace("converted", "uploads")):
        redis.hset("download_token:" + token, "file_path", value)
        problem(client.download("/download?token=" + token), 404, "token_invalid")
        assert "X-Accel-Redirect" not in requests.get(f"{server.url}/download?token={token}").headers
    redis.hset("download_token:" + token, "file_path", path)
    assert client.download("/download?token=" + token).status_code == 200
    (server.data / "storage" / path).unlink()
    problem(client.download("/download?token=" + token), 404, "token_invalid")
    assert client.close().status_code == 200

    folder = nginx[2]
    # nginx writes a line when its client has the answer
    eventually(lambda: '"POST /session/close" 200' in (folder / "access.log").read_text())
    access, logs = (folder / "access.log").read_text(), (folder / "error.log").read_text()
    assert '"GET /download" 200' in access and '"POST /session/close" 200' in access
    for secret in (client.session_id, client.csrf, token, "very-private-name"):
        assert secret not in access + logs + server.log()


def test_one_call_by_nginx(behind_nginx):
    """Its answer is whole when its job is no more, which nginx could not find; that of a job that stays is handed over."""
    server, client = behind_nginx
    client.init()
    answer = client.request("POST", "/v1/convert", files=[("file", ("a.png", png()))], data={"to": "jpg"})
    assert answer.status_code == 200 and answer.content[:3] == b"\xff\xd8\xff" and answer.headers["X-Job-Id"]
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    kept = client.request("POST", "/v1/convert", files=[("file", ("a.png", png()))], data={"to": "jpg", "keep": "true"})
    result = kept.headers["Location"] + "/result"
    assert client.request("GET", result).content == kept.content == answer.content
    direct = requests.get(server.url + result, headers=client.headers(), timeout=60)
    assert direct.content == b"" and direct.headers["X-Accel-Redirect"].startswith("/_files/")
    client.close()


def test_events_by_nginx(behind_nginx):
    """Each event comes through when it happens, and the end as an end."""
    _, client = behind_nginx
    client.init()
    stream = Events(client)
    assert stream.status == 200 and stream.headers["content-type"] == "text/event-stream"
    assert stream.headers["server"].startswith("nginx")
    job_id = client.upload("a.png", png()).json()["job_id"]
    first = stream.next()
    assert first.job["job_id"] == job_id and first.job["status"] == "uploaded"
    client.convert(job_id, "jpg")
    seen = stream.until(lambda event: event.job["status"] == "completed")
    again = Events(client, last_id=first.id)
    assert again.next().id == seen[-1].id
    client.close()
    assert stream.wait_end() == [] and again.wait_end() == []
