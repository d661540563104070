"""What the API answers when something behind it fails: each call says so, leaves nothing half-done, and works again afterwards."""

import functools
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from client import Client, problem
from fixtures import png, slow_docx
from server import Server, eventually, still

PATIENCE = 120
until = functools.partial(eventually, timeout=PATIENCE)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One loop, so that what comes at once is answered side by side; nothing is limited in its rate, so that Redis is not asked for that."""
    rates = {f"DECANT_RATE_{kind}": "off" for kind in ("SESSION", "UPLOAD", "CONVERT", "READ", "DOWNLOAD", "PAGE", "LOGIN", "GUESS")}
    server = Server(tmp_path_factory.mktemp("failures"), "image", DECANT_CLAMD="off", DECANT_THREADS="1", **rates).start()
    yield server
    server.stop()


def completed(client):
    job_id = client.start("a.png", png(), "jpg")
    assert client.wait(job_id)["status"] == "completed"
    return job_id


def uploaded(client):
    answer = client.upload("a.png", png())
    assert answer.status_code == 201, answer.text
    return answer.json()["job_id"]


def twin(client):
    """The same session on a connection of its own."""
    other = Client(client.url)
    other.session_id, other.csrf = client.session_id, client.csrf
    return other


def stored(server, client):
    """The session's files, without those that a worker is just removing."""
    return [name for name in server.files() if name.startswith(client.session_id) and "/work-" not in name]


# --- Redis

def test_redis_is_full(server, client):
    """It refuses what would need memory: that is not done, and neither in half."""
    done, waiting = completed(client), uploaded(client)
    before = stored(server, client)
    server.redis().config_set("maxmemory", "1")
    try:
        for answer in (Client(server.url).request("GET", "/session/init"), client.upload("b.png", png()), client.convert(waiting, "jpg"),
                       client.token(done)):
            problem(answer, 503, "unavailable")
            assert int(answer.headers["Retry-After"]) > 0
        assert client.status(waiting).json()["status"] == "uploaded"
    finally:
        server.redis().config_set("maxmemory", "0")
    assert stored(server, client) == before
    assert client.convert(waiting, "jpg").status_code == 202
    assert client.wait(waiting)["status"] == "completed"
    assert client.download(client.token(done).json()["url"]).status_code == 200


def test_a_session_can_be_closed_when_redis_is_full(server, client):
    """It is how there is room again."""
    uploaded(client)
    server.redis().config_set("maxmemory", "1")
    try:
        assert client.close().status_code == 200
    finally:
        server.redis().config_set("maxmemory", "0")
    assert not server.redis().keys(f"session:{client.session_id}*")
    assert not stored(server, client)


class spoiled:
    """A key holds something else than it should for a while."""

    def __init__(self, server, key):
        self.redis, self.key = server.redis(), key

    def __enter__(self):
        assert self.redis.exists(self.key)
        self.redis.rename(self.key, "kept")
        self.redis.set(self.key, "something else")

    def __exit__(self, *_):
        self.redis.rename("kept", self.key)


def test_a_session_that_is_none(server, client):
    job_id = completed(client)
    with spoiled(server, f"session:{client.session_id}"):
        for answer in (client.request("GET", "/session/init"), client.upload("b.png", png()), client.convert(job_id, "jpg"), client.status(job_id),
                       client.token(job_id), client.close()):
            problem(answer, 503, "unavailable")
    assert client.status(job_id).json()["status"] == "completed"


def test_a_job_that_is_none(server, client):
    job_id = completed(client)
    with spoiled(server, f"session:{client.session_id}:jobs:{job_id}"):
        for answer in (client.convert(job_id, "jpg"), client.status(job_id), client.status(job_id, wait=1), client.token(job_id)):
            problem(answer, 503, "unavailable")
    assert client.status(job_id).json()["status"] == "completed"


def test_a_token_that_is_none(server, client):
    url = client.token(completed(client)).json()["url"]
    [key] = [key for key in server.redis().keys("*") if key.endswith(url.split("token=")[1])]
    with spoiled(server, key):
        problem(client.download(url), 503, "unavailable")
    assert client.download(url).status_code == 200


def test_a_job_with_more_to_say_than_fits(server, client):
    job_id = completed(client)
    key = f"session:{client.session_id}:jobs:{job_id}"
    server.redis().hset(key, "error_message", "x" * 100_000)
    problem(client.status(job_id), 500, "internal")
    server.redis().hdel(key, "error_message")
    assert client.status(job_id).status_code == 200


# --- the storage

class closed_folder:
    """Nobody but root may write into it."""

    def __init__(self, path):
        self.path, self.mode = path, path.stat().st_mode & 0o7777

    def __enter__(self):
        os.chmod(self.path, self.mode & ~0o222)

    def __exit__(self, *_):
        os.chmod(self.path, self.mode)


def test_an_upload_that_cannot_begin(server, client):
    with closed_folder(server.data / "storage"):
        problem(client.upload("a.png", png()), 500, "internal")
    assert "upload not begun" in server.log()
    assert not stored(server, client)
    uploaded(client)


def test_an_upload_that_cannot_be_kept(server, client):
    uploaded(client)
    before = stored(server, client)
    with closed_folder(server.data / "storage" / client.session_id):
        problem(client.upload("b.png", png()), 500, "internal")
    assert "upload not stored" in server.log()
    assert stored(server, client) == before and len(server.redis().keys(f"session:{client.session_id}:jobs:*")) == 1
    uploaded(client)


def test_a_closing_that_cannot_remove_the_files(server, client):
    """The session is of no use any more, but for closing it again."""
    job_id = uploaded(client)
    with closed_folder(server.data / "storage"):
        problem(client.close(), 500, "internal")
        problem(client.status(job_id), 401, "session_required")
    assert client.close().status_code == 200
    assert not stored(server, client)
    assert not server.redis().keys(f"session:{client.session_id}*")


# --- several at once

def form(client, *files):
    parts = b"".join(b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n' % file for file in files)
    return client.request("POST", "/upload", data=parts + b"--b--\r\n", headers={"Content-Type": "multipart/form-data; boundary=b"})


def test_two_files_in_one_form(server, client):
    problem(form(client, (b"a.png", png()), (b"b.png", png())), 400, "bad_request")
    assert not stored(server, client)
    assert form(client, (b"a.png", png())).status_code == 201


def test_converted_twice_at_once(server, client):
    """Both find the job uploaded; one of them starts it."""
    job_id = uploaded(client)
    redis = server.children("redis-server")[0]
    with ThreadPoolExecutor(2) as threads:
        with still(redis):
            answers = [threads.submit(one.convert, job_id, target) for one, target in ((client, "jpg"), (twin(client), "webp"))]
            time.sleep(0.5)
        first, second = sorted((answer.result(PATIENCE) for answer in answers), key=lambda answer: answer.status_code)
    assert first.status_code == 202
    problem(second, 409, "wrong_state")
    job = client.wait(job_id)
    assert job["status"] == "completed" and job["target_format"] == first.json()["target_format"]


def test_leaving_while_redis_is_slow(server, client):
    """The answer comes when the request has long ended: what was made for it is given back, and once."""
    done, ready = completed(client), uploaded(client)
    api = server.children("decant-api")
    links = [f"/download/archive?token={client.request('POST', '/download_token', json={'job_ids': [done]}).json()['token']}", f"/preview?job_id={done}"]
    with still(server.children("redis-server")[0]):
        calls = [*(("GET", link, {}) for link in [*links, f"/download?token={'0' * 64}", f"/job_status?wait=30&job_id={ready}"]),
                 ("POST", "/upload", {"files": {"file": ("a.png", png())}}),
                 *(("POST", path, {"json": {"job_id": ready, **more}})
                   for path, more in [("/duplicate", {}), ("/convert", {"target_format": "jpg"}), ("/retry", {}), ("/download_token", {})])]
        with ThreadPoolExecutor(len(calls)) as threads:
            for method, path, more in calls:
                threads.submit(requests.request, method, server.url + path, timeout=0.5,
                               headers={"Cookie": f"session_id={client.session_id}", "X-CSRF-Token": client.csrf}, **more)
        time.sleep(2.5)  # a held connection is looked at each second
    until(lambda: client.status(done).status_code == 200)
    answer = client.download(links[0])
    assert answer.status_code == 200 and answer.content.startswith(b"PK")
    until(lambda: client.request("GET", links[1]).status_code == 200)
    uploaded(client)
    assert server.children("decant-api") == api


def test_closed_twice_at_once(server, client):
    uploaded(client)
    with ThreadPoolExecutor(2) as threads:
        with still(server.children("redis-server")[0]):
            answers = [threads.submit(one.close) for one in (client, twin(client))]
            time.sleep(0.5)
        codes = sorted(answer.result(PATIENCE).status_code for answer in answers)
    assert codes[0] == 200 and codes[1] in (200, 401)
    assert not server.redis().keys(f"session:{client.session_id}*")


def half_an_upload(server, client):
    """A connection on which a file is on its way, and what of it is still to come."""
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + png() + b"\r\n--b--\r\n"
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    connection.sendall((f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nCookie: session_id={client.session_id}\r\nX-CSRF-Token: {client.csrf}\r\n"
                        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
                        "Expect: 100-continue\r\n\r\n").encode())
    assert connection.recv(1 << 16).startswith(b"HTTP/1.1 100 ")  # it was let in
    connection.sendall(body[:-20])
    return connection, body[-20:]


def test_a_session_closed_while_a_file_comes(server, client):
    connection, rest = half_an_upload(server, client)
    assert client.close().status_code == 200
    with connection:
        connection.sendall(rest)
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.1 401 ") and b"session_required" in answer
    assert not stored(server, client)
    assert not server.redis().keys(f"session:{client.session_id}*")


def test_a_client_that_leaves_at_the_last_byte(server, client):
    """A file is there with its job, or neither is."""
    for _ in range(10):
        connection, rest = half_an_upload(server, client)
        connection.sendall(rest)
        connection.close()
    until(lambda: len(stored(server, client))
          == len(server.redis().keys(f"session:{client.session_id}:jobs:*")))
    uploaded(client)


# --- the end of the process

def test_stopped_while_a_session_closes(own_server):
    """The closing waits for a worker that has the job and doesn't say anything. It is told so, and repeated at the next process."""
    server = own_server("office", DECANT_CLAMD="off", DECANT_GRACE="1")
    server.no_janitor()
    client = Client(server.url)
    client.init()
    job_id = client.start("slow.docx", slow_docx(20000), "pdf")
    until(lambda: client.status(job_id).json()["status"] == "processing")
    codes = []

    def close():
        try:
            codes.append(client.close().status_code)
        except OSError:
            codes.append(None)  # the connection was ended with the process

    with still(server.children("decant-worker")[0]):
        closing = threading.Thread(target=close)
        closing.start()
        until(lambda: twin(client).status(job_id).status_code == 401)
        os.kill(server.children("decant-api")[0], signal.SIGTERM)
        closing.join(PATIENCE)
        assert codes in ([503], [None])
    server.wait_listening()
    assert client.close().status_code == 200
    assert not stored(server, client)
    assert not server.redis().keys(f"session:{client.session_id}*")
    assert "died" not in server.log()

