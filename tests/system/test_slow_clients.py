"""Slow clients hold no place for long: each kind ends by its deadline, and all places taken by them keep nobody out for longer."""

import contextlib
import os
import subprocess
import threading
import time

import pytest
import requests

from client import Client
from fixtures import png
from raw import IS_MHD_1_0, Raw, get, request
from server import BIN, eventually, free_port, sanitizers

PLACES = 60
PATIENCE = 60
LARGE = 64 << 20


class Hasty:
    """A second API process beside a server's own, on the same Redis and storage, with short deadlines and few places."""

    def __init__(self, server):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [BIN / "decant-api"], cwd=server.data, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", **sanitizers(), "DECANT_REDIS": "unix:redis/redis.sock",
                 "DECANT_STORAGE": "storage", "DECANT_PORT": str(self.port), "DECANT_THREADS": "1",
                 "DECANT_MAX_CONNECTIONS": str(PLACES), "DECANT_HEADER_TIMEOUT": "2", "DECANT_IDLE_TIMEOUT": "2", "DECANT_RATE_WINDOW": "4"})
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self.process.poll() is None
            try:
                requests.get(self.url + "/healthz", timeout=PATIENCE)
                return
            except requests.ConnectionError:
                time.sleep(0.1)
        raise AssertionError("decant-api does not answer")

    def stop(self):
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0


@pytest.fixture(scope="module")
def hasty(server):
    api = Hasty(server)
    yield api
    api.stop()


@pytest.fixture(scope="module")
def large(server):
    """The link to a result of 64 MiB."""
    client = Client(server.url)
    client.init()
    job_id = client.start("a.png", png(), "jpg")
    assert client.wait(job_id)["status"] == "completed"
    path = server.redis().hget(f"session:{client.session_id}:jobs:{job_id}", "converted_path")
    os.truncate(server.data / "storage" / path, LARGE)
    return client.token(job_id).json()["url"].encode()


def post(*fields):
    return request(b"POST /convert HTTP/1.1", *fields)


CHUNKED = post(b"Transfer-Encoding: chunked")
# What each sends at once, what it goes on with now and then, and the answer that it gets, if any.
# The buffer for one line full, nothing is read any more: that is silence.
KINDS = {
    "nothing at all": (b"", b"", None),
    "a request line, byte by byte": (b"", b"G", None),
    "a header, byte by byte": (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ", b"a", None),
    "empty lines": (b"", b"\r\n", None),
    "a body, byte by byte": (post(b"Content-Length: 60000") + b"{", b" ", 408),
    "no body": (post(b"Content-Length: 60000"), b"", None),
    "no body, though told to go on": (post(b"Content-Length: 60000", b"Expect: 100-continue"), b"", 100),
    "a body that starts fast": (post(b"Content-Length: 60000") + b" " * 50000, b" ", 408),
    "chunks of one byte": (CHUNKED, b"1\r\n \r\n", 408),
    "an endless chunk extension": (CHUNKED + b"1;", b"a", 408),
    "an endless chunk extension, at once": (CHUNKED + b"1;" + b"a" * 100000, b"a", None),
    "endless zeros of a chunk size": (CHUNKED + b"0" * 100000, b"0", 413 if IS_MHD_1_0 else None),
    "trailers, byte by byte": (CHUNKED + b"0\r\nX: ", b"a", 408),
    "silence after an answer": (get(b"/healthz"), b"", 200),
    "a second header, byte by byte": (get(b"/healthz") + b"GET /healthz HTTP/1.1\r\n", b"X", 200),
    "half a body and the end of what is sent": (post(b"Content-Length: 60000") + b"{", None, None),
    "chunks without a last one and the end": (CHUNKED + b"1\r\n \r\n", None, None),
    "a whole request and the end": (get(b"/healthz"), None, 200),
}


def slow_client(port, number, first, more, done):
    """Sends until the server has closed; each comes from an address of its own. `more` is None: ends what it sends."""
    with Raw(port, source=f"127.0.1.{1 + number}") as raw:
        alive = raw.try_send(first)
        if more is None and alive:
            raw.finish()
        deadline = time.monotonic() + PATIENCE
        raw.socket.settimeout(0.2)
        ended = False
        while not ended and time.monotonic() < deadline:
            if more and alive:
                alive = raw.try_send(more)
            try:
                ended = not raw.receive()
            except TimeoutError:
                pass
            except ConnectionResetError:
                ended = True
        done.append((ended, int(raw.unread.split()[1]) if raw.unread else None))


def serves_soon(api):
    """One that waits for a place gets it when the slow ones have to go."""
    with Raw(api.port, source="127.0.2.1") as raw:
        raw.send(get(b"/healthz", b"Connection: close"))
        assert [a.status for a in raw.answers()] == [200]


@pytest.mark.parametrize("kind", KINDS)
def test_slow_clients_in_all_places(hasty, kind):
    first, more, status = KINDS[kind]
    done = []
    # One kind fills all the places, the others a few of them: what is to be seen there is that they end.
    n = PLACES if kind in ("a header, byte by byte", "a body, byte by byte", "silence after an answer") else 3
    threads = [threading.Thread(target=slow_client, args=(hasty.port, i, first, more, done)) for i in range(n)]
    for thread in threads:
        thread.start()
    serves_soon(hasty)
    for thread in threads:
        thread.join()
    assert done == [(True, status)] * n


def test_readers_that_take_nothing(hasty, large):
    readers = [Raw(hasty.port, source=f"127.0.1.{1 + i}", receive_buffer=4096) for i in range(PLACES)]
    for reader in readers:
        reader.send(get(large))
    serves_soon(hasty)
    for reader in readers:
        with reader:
            eventually(reader.was_cut)  # to read from it would make it an honest one


def test_reader_that_takes_a_byte_now_and_then(hasty, large):
    """Its socket always has a little room, and never much."""
    with Raw(hasty.port, receive_buffer=4096) as reader:
        reader.send(get(large))
        deadline = time.monotonic() + PATIENCE
        with contextlib.suppress(ConnectionResetError):
            while reader.socket.recv(40):
                assert time.monotonic() < deadline
                time.sleep(0.1)


def test_slow_but_honest_reader(hasty, large):
    """64 KiB/s for three windows, then the rest: as long as it reads, it gets everything."""
    with Raw(hasty.port, receive_buffer=65536) as reader:
        reader.send(get(large, b"Connection: close"))
        until = time.monotonic() + 13
        while time.monotonic() < until:
            target = len(reader.unread) + 32768
            while len(reader.unread) < target:
                assert reader.receive()
            time.sleep(0.5)
        reader_has = len(reader.unread)
        assert reader_has < LARGE // 2
        while data := reader.socket.recv(1 << 20):
            reader_has += len(data)
    assert reader_has > LARGE


def test_slow_but_honest_upload(hasty):
    """2 KiB/s over more than a window."""
    with Raw(hasty.port) as raw:
        raw.send(post(b"Content-Length: 20000"))
        for _ in range(20):
            raw.send(b" " * 1000)
            time.sleep(0.3)
        assert raw.answer().status == 401


def test_waiting_for_a_job_is_not_slow(hasty):
    """Longer than all the deadlines: the client has nothing to send or to take."""
    client = Client(hasty.url)
    client.init()
    job_id = client.upload("a.png", png()).json()["job_id"]
    since = time.monotonic()
    assert client.status(job_id, wait=6).json()["status"] == "uploaded"
    assert time.monotonic() - since >= 5
    client.close()
