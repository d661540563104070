"""Uploads: never held in memory, atomic, fast enough, many at once, and never larger than is allowed."""

import contextlib
import functools
import hashlib
import os
import signal
import threading
import time
from pathlib import Path

import pytest
import requests

from client import Client, problem
from fixtures import png
from halt import halted, pool_of
from raw import Raw, request
from server import Server, eventually

LIMIT = 100 * 1024 * 1024


def resident_kib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError("no VmHWM")


def multipart(chunks, name="big.txt"):
    yield f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    yield from chunks
    yield b"\r\n--b--\r\n"


def upload_stream(client, size):
    line = b"All work and no play makes Jack a dull boy.\n"
    block = line * (1 << 20 >> 5)
    digest = hashlib.sha256()

    def chunks():
        left = size
        while left > 0:
            piece = block[:left]
            left -= len(piece)
            digest.update(piece)
            yield piece

    answer = client.request("POST", "/upload", data=multipart(chunks()), headers={"Content-Type": "multipart/form-data; boundary=b"})
    return answer, digest.hexdigest()


def test_largest_upload_in_little_memory(own_server):
    server = own_server("office image", DECANT_MAX_UPLOAD=str(LIMIT))
    client = Client(server.url)
    client.init()
    for _ in range(24):  # every loop has seen one, and has libmagic's database mapped
        once = Client(server.url)
        once.init()
        once.upload("warm.png", png())
        upload_stream(once, 1 << 20)
    api = server.children("decant-api")[0]
    Path(f"/proc/{api}/clear_refs").write_text("5")  # forget the peak
    before = resident_kib(api)
    answer, digest = upload_stream(client, LIMIT)
    assert answer.status_code == 201, answer.text
    job = client.status(answer.json()["job_id"]).json()
    assert job["size"] == LIMIT and job["sha256"] == digest
    stored = server.redis().hget(f"session:{client.session_id}:jobs:{job['job_id']}", "stored_path")
    assert (server.data / "storage" / stored).stat().st_size == LIMIT
    if "asan" not in str(server.binary):  # a sanitizer keeps what was freed
        assert resident_kib(api) - before < 8 * 1024


def test_uploads_at_once_do_not_mix(server):
    results = []

    def one(number):
        client = Client(server.url)
        client.init()
        answer, digest = upload_stream(client, 2_000_000 + number)
        job = client.status(answer.json()["job_id"]).json()
        results.append((job["size"] == 2_000_000 + number, job["sha256"] == digest))
        client.close()

    threads = [threading.Thread(target=one, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert results == [(True, True)] * 12


# --- a client that leaves while a thread looks at its file's type

def begin(server):
    client = Client(server.url)
    client.init()
    return client


def form(data, name="a.png"):
    return b'--b\r\nContent-Disposition: form-data; name="file"; filename="' + name.encode() + b'"\r\n\r\n' + data + b"\r\n--b--\r\n"


def header(client, *fields):
    return request(b"POST /upload HTTP/1.1", b"Cookie: session_id=" + client.session_id.encode(), b"X-CSRF-Token: " + client.csrf.encode(),
                   b"Content-Type: multipart/form-data; boundary=b", *fields)


until = functools.partial(eventually, timeout=120)


class Descriptors:
    """Those of the API: of sockets, and of files in the making (which have no name)."""

    def __init__(self, server):
        self.folder, self.storage = Path(f"/proc/{server.children('decant-api')[0]}/fd"), str((server.data / "storage").resolve())
        self.port = f":{server.port:04X}"

    def links(self):
        found = []
        for link in self.folder.iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                found.append((link, os.readlink(link)))
        return found

    def count(self):
        return len(self.links())

    def settle(self):
        """Until all who have closed their connection are known to have left: those of theirs that wait to be closed count, too."""
        established, close_wait = "01", "08"
        until(lambda: not [line for line in map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
                           if line[1].endswith(self.port) and line[3] in (established, close_wait)])

    def sockets(self):
        return sum(target.startswith("socket:") for _, target in self.links())

    def unnamed(self):
        sizes = []
        for link, target in self.links():
            if target.startswith(self.storage + "/") and "(deleted)" in target:
                with contextlib.suppress(OSError):
                    sizes.append(link.stat().st_size)
        return sizes


@pytest.fixture
def one_slot(own_server):
    """A server with one loop that takes one upload at a time."""
    server = own_server("image", ready=False, DECANT_CLAMD="off", DECANT_THREADS="1", DECANT_MAX_UPLOADS="1")
    server.wait_listening()
    begin(server).upload("warm.png", png())  # the pool's threads are there from now on
    return server


def healthy(server):
    return requests.get(server.url + "/healthz", headers={"Connection": "close"}, timeout=60).status_code == 200


def leave_while_checked(server, client, data, leave):
    """Within halted(): the whole file is there, nobody has looked at it, and the server knows that its client has left."""
    api = Descriptors(server)
    api.settle()
    sockets = api.sockets()
    with Raw(server.port) as connection:
        body = form(data)
        connection.send(header(client, b"Content-Length: %d" % len(body)) + body)
        until(lambda: api.unnamed() == [len(data)])
        assert healthy(server)  # the one loop has been through what it had read before
        leave(connection)
    until(lambda: api.sockets() == sockets)


@pytest.mark.parametrize("leave", [Raw.reset, Raw.finish], ids=["resets", "closes"])
@pytest.mark.parametrize("data", [png(), b"no picture at all"], ids=["good", "bad"])
def test_a_client_that_leaves_while_its_file_is_looked_at(one_slot, data, leave):
    api, client, other = Descriptors(one_slot), begin(one_slot), begin(one_slot)
    files = one_slot.files()
    client.http.close(), other.http.close()
    api.settle()
    before = api.count()
    with halted(pool_of(one_slot.children("decant-api")[0])):
        leave_while_checked(one_slot, client, data, leave)
        # What it holds of the server's is held as long as its file is: else leaving would be a way around the limits.
        problem(other.upload("b.png", png()), 429, "rate_limited")
        assert api.unnamed() == [len(data)] and healthy(one_slot)
    until(lambda: api.unnamed() == [])
    until(lambda: other.upload("b.png", png()).status_code == 201)
    other.http.close()
    until(lambda: api.count() == before)
    redis = one_slot.redis()
    assert [name for name in one_slot.files() if name not in files and other.session_id not in name] == []
    assert list(redis.scan_iter(f"session:{client.session_id}:*")) == []
    assert client.session_id not in redis.hgetall("decant:stored")
    answer = client.upload("c.png", png())
    assert answer.status_code == 201, answer.text


def test_a_server_that_stops_while_a_file_is_looked_at_that_nobody_waits_for(one_slot):
    client, storage = begin(one_slot), one_slot.files()
    client.http.close()
    with halted(pool_of(one_slot.children("decant-api")[0])):
        leave_while_checked(one_slot, client, png(), Raw.reset)
        one_slot.process.send_signal(signal.SIGTERM)
        one_slot.wait_log('"stopping"')
    assert one_slot.stop() == 0
    assert one_slot.files() == storage


# --- as large as is allowed, and a byte more

SMALL, FRAMING = 100 * 1024, 64 * 1024  # what the form around the file may take besides


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("small"), DECANT_CLAMD="off", DECANT_MAX_UPLOAD="100k")
    server.start(ready=False).wait_listening()
    yield server
    server.stop()


@pytest.fixture
def sender(small):
    """A session of which nothing is left but what the test says it has stored: sender.stored."""
    client = begin(small)
    client.stored = []
    yield client
    files = [small.data / "storage" / name for name in small.files() if client.session_id in name]
    assert [path.stat().st_size for path in files] == client.stored
    assert len(list(small.redis().scan_iter(f"session:{client.session_id}:jobs:*"))) == len(client.stored)
    assert int(small.redis().hget("decant:stored", client.session_id) or 0) == sum(client.stored)
    until(lambda: Descriptors(small).unnamed() == [])
    assert client.close().status_code == 200


def in_chunks(body):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[i:i + 5000] for i in range(0, len(body), 5000))) + b"0\r\n\r\n"


def send(server, client, body, chunked):
    """The whole body, however early the answer comes."""
    with Raw(server.port) as connection:
        if chunked:
            connection.try_send(header(client, b"Transfer-Encoding: chunked") + in_chunks(body))
        else:
            connection.try_send(header(client, b"Content-Length: %d" % len(body)) + body)
        return connection.answer()


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_the_limit_is_the_files_own_size(small, sender, chunked):
    assert sender.init().json()["limits"]["max_upload_bytes"] == SMALL
    for size, status, code in [(SMALL, 201, None), (SMALL + 1, 413, "too_large"), (SMALL + FRAMING + 1, 413, "too_large")]:
        answer = send(small, sender, form(b"x" * size, "a.txt"), chunked)
        assert (answer.status, answer.code) == (status, code)
    sender.stored = [SMALL]


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
@pytest.mark.parametrize("field, status", [(FRAMING - 1024, 201), (FRAMING + 1, 413)], ids=["fits", "too much"])
def test_the_form_around_the_file_has_room_of_its_own(small, sender, chunked, field, status):
    body = b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\n' + b"n" * field + b"\r\n" + form(b"x" * SMALL, "a.txt")
    assert send(small, sender, body, chunked).status == status
    sender.stored = [SMALL] if status == 201 else []


def test_what_is_announced_too_large_is_refused_before_it_is_sent(small, sender):
    for expect in ([], [b"Expect: 100-continue"]):
        with Raw(small.port) as connection:
            connection.send(header(sender, b"Content-Length: %d" % (SMALL + FRAMING + 1), *expect))
            answer = connection.answer()  # and no "100 Continue" ahead of it
            assert (answer.status, answer.code) == (413, "too_large")
    with Raw(small.port) as connection:
        connection.send(header(sender, b"Content-Length: %d" % (SMALL + FRAMING), b"Expect: 100-continue"))
        assert connection.answer().status == 100


@pytest.mark.parametrize("fields", [[b"Content-Length: %d" % (SMALL + FRAMING)], [b"Transfer-Encoding: chunked"]], ids=["announced", "chunked"])
def test_the_byte_that_is_too_many_is_answered_before_the_rest(small, sender, fields):
    """The rest never comes, as far as the server knows; a boundary's length may be kept back to be looked at."""
    part = form(b"x" * SMALL, "a.txt").removesuffix(b"\r\n--b--\r\n") + b"x" * 100
    with Raw(small.port) as connection:
        connection.send(header(sender, *fields) + (b"%x\r\n%s\r\n" % (len(part), part) if fields[0].startswith(b"Transfer") else part))
        answer = connection.answer()
        assert (answer.status, answer.code, answer.headers["connection"]) == (413, "too_large", "close")


@pytest.mark.parametrize("announced", [10, 500, 5000, SMALL])
def test_a_body_longer_than_it_says(small, sender, announced):
    """What is announced is the body. Behind it a request would begin, which the rest is not."""
    with Raw(small.port) as connection:
        connection.try_send(header(sender, b"Content-Length: %d" % announced) + form(b"x" * (2 * SMALL), "a.txt"))
        first = connection.answer()
        assert (first.status, first.code) == (400, "bad_request")
        assert all(answer.status >= 400 for answer in connection.answers())


@pytest.mark.parametrize("leave", [Raw.reset, Raw.finish], ids=["resets", "closes"])
def test_a_body_shorter_than_it_says(small, sender, leave):
    with Raw(small.port) as connection:
        connection.send(header(sender, b"Content-Length: %d" % SMALL) + form(b"x" * 1000, "a.txt"))
        leave(connection)
        if leave is Raw.finish:
            assert connection.answer() is None
