"""Limits: on how often, by session and address, and on how much at once; and that those who keep within them notice nothing.

The server of these tests believes the X-Forwarded-For of 127.0.0.1 alone. So a test chooses the address it comes from: by that header,
or by a peer address of its own in 127.0.0.0/8, which then is the client."""

import concurrent.futures
import http.client
import itertools
import json
import os
import socket
import time

import pytest
import requests

import contract
from client import Client, problem
from disk import on_small_disk
from fixtures import png
from server import Server

PATIENCE = 60
addresses = (f"198.51.{n // 256}.{n % 256}" for n in itertools.count(1))


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("limits"), "office image", DECANT_CLAMD="off", DECANT_TRUSTED_PROXIES="127.0.0.1",
                    DECANT_RATE_SESSION="address=6/h", DECANT_RATE_UPLOAD="session=8/h address=12/h", DECANT_RATE_CONVERT="session=8/h",
                    DECANT_RATE_READ="session=60/h address=100/h", DECANT_RATE_DOWNLOAD="address=5/h", DECANT_RATE_PAGE="address=40/h",
                    DECANT_SESSION_UPLOADS="2", DECANT_ADDRESS_UPLOADS="3", DECANT_MAX_UPLOADS="5", DECANT_ADDRESS_EVENT_STREAMS="3",
                    DECANT_ADDRESS_CONNECTIONS="20", DECANT_SESSION_QUEUE="2",
                    DECANT_SESSION_QUOTA="64k", DECANT_STORAGE_QUOTA="512k")
    server.start(ready=False).wait_listening()
    yield server
    server.stop()


class From(Client):
    """A client behind the proxy, at an address of its own."""

    def __init__(self, server, address=None):
        super().__init__(server.url)
        self.address = address or next(addresses)

    def request(self, method, path, headers=None, **kwargs):
        return super().request(method, path, headers={"X-Forwarded-For": self.address, **(headers or {})}, **kwargs)


def begun(server, address=None):
    client = From(server, address)
    client.init()
    return client


def refused(answer):
    """A 429 that says when to come back."""
    problem(answer, 429, "rate_limited")
    assert int(answer.headers["Retry-After"]) >= 1
    return answer


def ask(peer, server, path="/session/init", **headers):
    """Straight from that address, which is no proxy."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE, source_address=(peer, 0))
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    contract.look_at(server.url + path, "GET", answer.status, answer.headers, answer.read())
    connection.close()
    return answer


def test_a_rate_and_what_is_told_of_it(strict):
    client = From(strict)
    for left in range(5, -1, -1):
        answer = client.request("GET", "/session/init")
        assert answer.status_code == 200
        assert answer.headers["RateLimit-Policy"] == '"session-address";q=6;w=3600'
        name, remaining, reset = answer.headers["RateLimit"].split(";")
        assert name == '"session-address"' and remaining == f"r={left}" and 1 <= int(reset[2:]) <= 3600
        assert answer.headers["RateLimit-Limit"] == "6" and answer.headers["RateLimit-Remaining"] == str(left)
        assert 1 <= int(answer.headers["RateLimit-Reset"]) <= 3600
    answer = refused(client.request("GET", "/session/init"))
    assert 1 <= int(answer.headers["Retry-After"]) <= 601
    assert answer.headers["RateLimit"].startswith('"session-address";r=0;t=') and answer.headers["RateLimit-Remaining"] == "0"
    assert begun(strict).session_id


def test_the_address_is_the_one_that_our_proxy_saw(strict):
    """Whatever the client itself wrote before."""
    victim = next(addresses)
    for n in range(6):
        client = From(strict, f"203.0.113.{n}, {victim}" if n % 2 else f"unknown, ::1,{victim}")
        assert client.request("GET", "/session/init").status_code == 200
    refused(From(strict, f"203.0.113.99, {victim}").request("GET", "/session/init"))
    refused(From(strict, victim).request("GET", "/session/init"))


def test_nobody_else_is_believed(strict):
    for n in range(6):
        assert ask("127.0.0.2", strict, **{"X-Forwarded-For": f"203.0.113.{n}"}).status == 200
    assert ask("127.0.0.2", strict, **{"X-Forwarded-For": "203.0.113.77"}).status == 429
    assert ask("127.0.0.3", strict, **{"X-Forwarded-For": "203.0.113.77"}).status == 200


def test_ipv6_by_network(strict):
    for n in range(6):
        assert From(strict, f"2001:db8:1:2:{n}::{n}").request("GET", "/session/init").status_code == 200
    refused(From(strict, "[2001:db8:1:2:ffff::1]:4711").request("GET", "/session/init"))
    assert From(strict, "2001:db8:1:3::1").request("GET", "/session/init").status_code == 200


def test_uploads_by_session_and_by_address(strict):
    first = begun(strict)
    second = begun(strict, first.address)
    for _ in range(8):
        assert first.upload("a.txt", b"hello\n").status_code == 201
    assert refused(first.upload("a.txt", b"hello\n")).headers["RateLimit"].startswith('"upload-session";r=0')
    for _ in range(4):
        assert second.upload("a.txt", b"hello\n").status_code == 201
    assert refused(second.upload("a.txt", b"hello\n")).headers["RateLimit"].startswith('"upload-address";r=0')
    assert begun(strict).upload("a.txt", b"hello\n").status_code == 201
    # Another address does not help the session, and does not hurt others.
    first.address = next(addresses)
    refused(first.upload("a.txt", b"hello\n"))


def test_a_flood_of_polls(strict):
    client, other = begun(strict), begun(strict)
    job_id = client.upload("a.txt", b"hello\n").json()["job_id"]
    other_id = other.upload("a.txt", b"hello\n").json()["job_id"]
    statuses = [client.status(job_id).status_code for _ in range(200)]
    # Each loop holds a handful of units, and another connection may come to another loop.
    assert 60 <= statuses.count(200) <= 60 + 16 * 8 and set(statuses) == {200, 429}
    refused(client.status(job_id))
    assert other.status(other_id).status_code == 200


def test_pages_and_downloads(strict):
    client = From(strict)
    statuses = [client.request("GET", path).status_code for path in ("/", "/formats") * 60]
    assert statuses[0] == 200 and statuses[-1] == 429
    for _ in range(5):
        problem(client.request("GET", "/download?token=" + "0" * 64), 404, "token_invalid")
    refused(client.request("GET", "/download?token=" + "0" * 64))
    assert all(client.request("GET", "/healthz").status_code == 200 for _ in range(100))


def test_a_wrong_session_is_counted_too(strict):
    """Guessing is what the limits are for."""
    client = From(strict)
    client.session_id, client.csrf = "0" * 64, "0" * 64
    statuses = [client.upload("a.txt", b"hello\n").status_code for _ in range(9)]
    assert statuses == [401] * 8 + [429]
    # With ever new ones it is the address that counts.
    for n in range(4):
        client.session_id = f"{n:064x}"
        assert client.upload("a.txt", b"hello\n").status_code == (401 if n > 0 else 429)
    client.session_id = f"{99:064x}"
    client.upload("a.txt", b"hello\n")
    refused(client.upload("a.txt", b"hello\n"))


class Sending:
    """An upload that has begun, and waits."""

    def __init__(self, client):
        self.socket = socket.create_connection(("127.0.0.1", int(client.url.rsplit(":", 1)[1])), timeout=PATIENCE)
        self.rest = b"world\n\r\n--x--\r\n"
        start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhello '
        self.socket.sendall((f"POST /upload HTTP/1.1\r\nHost: h\r\nCookie: session_id={client.session_id}\r\nX-CSRF-Token: {client.csrf}\r\n"
                             f"X-Forwarded-For: {client.address}\r\nContent-Type: multipart/form-data; boundary=x\r\n"
                             f"Content-Length: {len(start) + len(self.rest)}\r\n\r\n").encode())
        self.start = start

    def refusal(self):
        """What was said to the header alone; "" when the body is wanted (nothing comes for half a second)."""
        self.socket.settimeout(0.5)
        try:
            return self.socket.recv(65536).decode()
        except TimeoutError:
            return ""

    def finish(self):
        self.socket.settimeout(PATIENCE)
        self.socket.sendall(self.start + self.rest)
        answer = self.socket.recv(65536).decode()
        self.socket.close()
        return int(answer.split()[1])


def sending(client):
    """One that has a slot, or None."""
    upload = Sending(client)
    refusal = upload.refusal()
    if not refusal:
        return upload
    upload.socket.close()
    assert refusal.startswith("HTTP/1.1 429") and "rate_limited" in refusal and "Retry-After: " in refusal
    return None


def test_uploads_at_once(strict):
    first = begun(strict)
    second = begun(strict, first.address)
    held = [sending(first), sending(first)]
    assert all(held) and sending(first) is None  # the session
    held.append(sending(second))
    assert held[-1] and sending(second) is None  # the address
    others = [sending(begun(strict)), sending(begun(strict))]
    assert all(others) and sending(begun(strict)) is None  # the server

    # A slot is given back whatever ends the upload: its success, the client's leaving, an error.
    assert held[0].finish() == 201
    held[1].socket.close()
    held[2].socket.sendall(b"this is no form at all " * 10)
    assert held[2].socket.recv(65536).startswith(b"HTTP/1.1 400")
    held[2].socket.close()
    deadline = time.monotonic() + PATIENCE
    while True:
        third = begun(strict)
        again = [sending(third), sending(third)]
        for upload in filter(None, again):
            assert upload.finish() == 201
        if all(again):
            break
        assert time.monotonic() < deadline
    for upload in others:
        assert upload.finish() == 201


def test_event_streams_by_address(strict):
    address = next(addresses)
    streams = []

    def open_stream():
        stream = socket.create_connection(("127.0.0.1", strict.port), timeout=PATIENCE)
        client = begun(strict, None)
        stream.sendall(f"GET /events HTTP/1.1\r\nHost: h\r\nCookie: session_id={client.session_id}\r\nX-Forwarded-For: {address}\r\n\r\n".encode())
        streams.append(stream)
        return stream.recv(65536)

    for _ in range(3):
        assert open_stream().startswith(b"HTTP/1.1 200")
    assert open_stream().startswith(b"HTTP/1.1 429")
    streams[0].close()
    deadline = time.monotonic() + PATIENCE
    while not open_stream().startswith(b"HTTP/1.1 200"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for stream in streams:
        stream.close()


def open_from(peer, server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE, source_address=(peer, 0))


def is_open(connection):
    """Not closed by the server within a second."""
    connection.settimeout(1)
    try:
        return connection.recv(1) != b""
    except TimeoutError:
        return True
    except OSError:
        return False


def test_connections_of_an_address(strict):
    held = [open_from("127.0.0.9", strict) for _ in range(20)]
    assert all(is_open(connection) for connection in held[:3])
    # One more is closed without a word, whatever it says.
    more = open_from("127.0.0.9", strict)
    with pytest.raises(OSError):
        more.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        if more.recv(65536) == b"":
            raise ConnectionResetError
    assert ask("127.0.0.10", strict, "/healthz").status == 200
    assert requests.get(strict.url + "/healthz", timeout=PATIENCE).status_code == 200
    for connection in held:
        connection.close()
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            assert ask("127.0.0.9", strict, "/healthz").status == 200
            break
        except (OSError, http.client.HTTPException):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_slow_clients_keep_nobody_out(strict):
    """Fifty that begin a header, fifty that begin a body, fifty that read nothing: an honest one does its work meanwhile."""
    slow = []
    for n in range(50):
        header = open_from("127.0.0.11", strict)
        body = open_from("127.0.0.12", strict)
        reader = open_from("127.0.0.13", strict)
        try:
            header.sendall(b"GET / HTTP/1.1\r\nHo")
            body.sendall(b"POST /convert HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n{")
            reader.sendall(b"GET /formats HTTP/1.1\r\nHost: h\r\n\r\n" * 20)
        except OSError:
            pass  # it was one too many
        slow += [header, body, reader]
    client = begun(strict)
    job_id = client.start("a.txt", b"hello\n", "pdf")
    assert client.status(job_id).json()["status"] in ("queued", "scanning", "processing", "completed", "failed")
    assert client.close().json() == {"closed": True}
    # Their time ends, too: a header has ten seconds.
    deadline = time.monotonic() + PATIENCE
    while any(is_open(connection) for connection in slow[0:3 * 3:3]):
        assert time.monotonic() < deadline
    for connection in slow:
        connection.close()


def test_conversions_of_a_session(strict):
    client, other = begun(strict), begun(strict)
    # Workers find nothing in this queue: the jobs are taken out of it as soon as they are in.
    jobs = [client.upload("a.txt", b"hello\n").json()["job_id"] for _ in range(4)]
    redis = strict.redis()
    with_status = lambda job, status: redis.hset(f"session:{client.session_id}:jobs:{job}", "status", status)  # noqa: E731
    key = f"session:{client.session_id}:waiting"
    for job in jobs[:2]:  # as if they were under way
        redis.sadd(key, f"session:{client.session_id}:jobs:{job}")
        with_status(job, "processing")
    answer = client.convert(jobs[2], "pdf")
    refused(answer)
    assert "conversions" in answer.json()["detail"]
    assert client.status(jobs[2]).json()["status"] == "uploaded"
    other_job = other.upload("a.txt", b"hello\n").json()["job_id"]
    assert other.convert(other_job, "pdf").status_code == 202
    with_status(jobs[0], "completed")
    assert client.convert(jobs[2], "pdf").status_code == 202
    assert 0 < redis.ttl(key) <= 86400
    assert client.close().status_code == 200
    assert not redis.exists(key)


def full(answer):
    problem(answer, 507, "storage_full")
    return answer


def stored(server):
    redis = server.redis()
    counts = {session: int(count) for session, count in redis.hgetall("decant:stored").items()}
    assert sum(counts.values()) == int(redis.get("decant:stored:sum") or 0)
    return counts


def test_bytes_of_a_session(strict):
    client = begun(strict)
    text = b"x" * 1023 + b"\n"
    assert client.upload("a.txt", text * 40).status_code == 201
    files = strict.files()
    assert "session" in full(client.upload("b.txt", text * 25)).json()["detail"]
    assert [name for name in strict.files() if client.session_id in name] == [name for name in files if client.session_id in name]
    assert client.upload("b.txt", text * 24).status_code == 201
    full(client.upload("c.txt", b"x"))
    assert stored(strict)[client.session_id] == 64 * 1024
    # Its results count as well, and all of it is given back.
    other = begun(strict)
    picture = png()
    job = other.wait(other.start("a.png", picture, "jpg"), timeout=200)
    assert job["status"] == "completed", job
    assert stored(strict)[other.session_id] == len(picture) + job["output"]["size"]
    for session in (client, other):
        session.close()
        assert session.session_id not in stored(strict)
    assert begun(strict, client.address).upload("a.txt", text * 64).status_code == 201


def test_bytes_of_the_server(strict):
    sessions = [begun(strict) for _ in range(9)]
    answers = [session.upload("a.txt", b"x" * (64 * 1024 - 1) + b"\n") for session in sessions]
    assert answers[0].status_code == 201 and answers[-1].status_code == 507
    assert "server" in full(answers[-1]).json()["detail"]
    assert sum(stored(strict).values()) <= 512 * 1024
    sessions[0].close()
    assert sessions[-1].upload("a.txt", b"x" * 60000).status_code == 201
    for session in sessions:
        session.close()


def test_bytes_of_uploads_at_once(strict):
    """However many are under way together, what is kept of them is within the quota."""
    client = begun(strict)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda n: client_of(client).upload(f"{n}.txt", b"x" * 30000), range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [507] * 4
    assert stored(strict)[client.session_id] == 60000


def client_of(client):
    """The same session on a connection of its own."""
    same = From(client, client.address)
    same.session_id, same.csrf = client.session_id, client.csrf
    return same


@pytest.fixture
def small_disk(tmp_path):
    """8 MiB of it are its reserve."""
    with on_small_disk(tmp_path, "office", DECANT_DISK_RESERVE="8M") as server:
        server.start(ready=False).wait_listening()
        yield server


def free_mib(server):
    disk = os.statvfs(server.data / "storage")
    return disk.f_bavail * disk.f_frsize / (1 << 20)


def chunked_form(mib):
    """An upload that does not say how large it is."""
    yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    for _ in range(mib * 16):
        yield b"x" * (1 << 16)
    yield b"\r\n--x--\r\n"


def test_the_reserve_of_the_disk(small_disk):
    client = begun(small_disk)
    least = [free_mib(small_disk)]

    def send(mib):
        answer = client_of(client).request("POST", "/upload", data=chunked_form(mib), headers={"Content-Type": "multipart/form-data; boundary=x"})
        least.append(free_mib(small_disk))
        return answer

    full(send(40))
    assert send(2).status_code == 201
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(send, [12] * 4))
    assert {answer.status_code for answer in answers} <= {201, 507} and 507 in {answer.status_code for answer in answers}
    # Each may write a step of a MiB before it looks again.
    assert min(least) >= 8 - 4
    full(client.upload("a.txt", b"x" * (15 << 20)))  # announced: refused before it is written
    assert small_disk.redis().hget("decant:stored", client.session_id)
    client.close()
    assert free_mib(small_disk) > 20


def test_no_address_is_kept(strict):
    """Neither in the log nor in Redis."""
    client = begun(strict, "203.0.113.201")
    client.upload("a.txt", b"hello\n")
    kept = strict.log() + " ".join(strict.redis().keys("*")) + json.dumps(client.status("x").json())
    assert "203.0.113.201" not in kept and "198.51." not in kept
    assert [key for key in strict.redis().keys("decant:rate:*:address:*")]
    assert all(strict.redis().pttl(key) != -1 for key in strict.redis().keys("decant:rate:*"))


@pytest.mark.parametrize("name, value, words", [("DECANT_RATE_UPLOAD", "many", "DECANT_RATE_UPLOAD"),
                                                ("DECANT_TRUSTED_PROXIES", "localhost", "DECANT_TRUSTED_PROXIES")])
def test_bad_settings_are_refused(tmp_path, name, value, words):
    server = Server(tmp_path, "image", **{name: value})
    server.start(ready=False)
    try:
        server.wait_log(words)
    finally:
        server.stop()
