"""Uploads: never held in memory, atomic, fast enough, many at once, and never larger than is allowed."""

import contextlib
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
    server = own_server("office image")
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


def until(condition, timeout=120):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Descriptors:
    """Those of the API: of sockets, and of files in the making (which have no name)."""

    def __init__(self, server):
        self.folder, self.storage = Path(f"/proc/{server.children('decant-api')[0]}/fd"), str((server.data / "storage").resolve())

    def links(self):
        found = []
        for link in self.folder.iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                found.append((link, os.readlink(link)))
        return found

    def count(self):
        return len(self.links())

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
    server = own_server(ready=False, DECANT_CLAMD="off", DECANT_THREADS="1", DECANT_MAX_UPLOADS="1")
    server.wait_listening()
    begin(server).upload("warm.png", png())  # the pool's threads are there from now on
    return server


def healthy(server):
    return requests.get(server.url + "/healthz", headers={"Connection": "close"}, timeout=60).status_code == 200


def leave_while_checked(server, client, data, leave):
    """Within halted(): the whole file is there, nobody has looked at it, and the server knows that its client has left."""
    api = Descriptors(server)
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
    until(lambda: api.unnamed() == [])
    before = api.count()
    with halted(pool_of(one_slot.children("decant-api")[0])):
        leave_while_checked(one_slot, client, data, leave)
        # What it holds of the server's is held as long as its file is: else leaving would be a way around the limits.
        problem(other.upload("b.png", png()), 429, "rate_limited")
        assert api.unnamed() == [len(data)] and healthy(one_slot)
        other.http.close()
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
