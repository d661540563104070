"""GET /events against the contract: order, resuming, limits, and what happens when something goes away."""

import collections
import contextlib
import os
import signal
import subprocess
import time

import pytest
import requests

from client import Client, problem
from fixtures import png
from server import BIN, eventually, free_port, sanitizers
from sse import Events

STATUSES = ["uploaded", "queued", "scanning", "processing", "completed"]


@pytest.fixture
def events():
    """events(client, …): a stream that is closed with the test."""
    opened = []

    def connect(*args, **options):
        opened.append(Events(*args, **options))
        return opened[-1]

    yield connect
    for stream in opened:
        stream.close()


def upload(client, name="a.png", data=png()):
    answer = client.upload(name, data)
    assert answer.status_code == 201, answer.text
    return answer.json()["job_id"]


def ends(job_id, status="completed"):
    return lambda event: event.job["job_id"] == job_id and event.job["status"] == status


def change(server, client, job_id, **fields):
    """What a worker does, but at once."""
    redis = server.redis()
    key = f"session:{client.session_id}:jobs:{job_id}"
    redis.hset(key, mapping=fields)
    redis.publish(f"decant:job:{job_id}", redis.hget(key, "status"))


def test_header(client, events):
    stream = events(client)
    assert stream.status == 200 and stream.chunked
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.headers["cache-control"] == "no-store"
    assert stream.headers["x-accel-buffering"] == "no"
    assert stream.headers["connection"] == "close"
    assert stream.headers["x-request-id"]


def test_a_job_from_upload_to_end(client, events):
    stream = events(client)
    job_id = client.start("a.png", png(), "jpg")
    seen = stream.until(ends(job_id))
    assert all(event.kind == "job" and event.job["job_id"] == job_id for event in seen)
    assert [event.id for event in seen] == sorted({event.id for event in seen})
    order = [STATUSES.index(event.job["status"]) for event in seen]
    assert order == sorted(order)
    progress = [event.job["progress"] for event in seen]
    assert progress == sorted(progress) and progress[-1] == 100
    states = [{name: value for name, value in event.job.items()} for event in seen]
    assert all(a != b for a, b in zip(states, states[1:]))
    assert seen[-1].job == client.status(job_id).json()


def test_state_at_the_beginning(client, events):
    jobs = [upload(client, f"{i}.png") for i in range(70)]
    stream = events(client)
    seen = stream.until(lambda event: event.job["job_id"] == jobs[-1])
    assert [event.job["job_id"] for event in seen] == jobs
    assert stream.next(0.3) is None


def test_resuming(client, events):
    first, second = upload(client, "1.png"), upload(client, "2.png")
    stream = events(client)
    seen = stream.until(lambda event: event.job["job_id"] == second)
    stream.close()
    client.convert(first, "pdf")
    client.wait(first)
    third = upload(client, "3.png")

    later = events(client, last_id=seen[-1].id).until(lambda event: event.job["job_id"] == third)
    assert [event.job["job_id"] for event in later] == [first, third]
    assert later[0].job["status"] == "completed" and later[0].id > seen[-1].id

    # From the middle: what came after, and nothing before it. From the end: only what comes.
    assert [e.job["job_id"] for e in events(client, last_id=later[0].id).until(lambda e: e.job["job_id"] == third)] == [third]
    stream = events(client, last_id=later[-1].id)
    fourth = upload(client, "4.png")
    assert stream.next().job["job_id"] == fourth


@pytest.mark.parametrize("last_id", ["", "zzz", "-1", "9007199254740000", "99999999999999999999999", "0"])
def test_unknown_ids_begin_at_the_beginning(client, events, last_id):
    job_id = upload(client)
    assert events(client, last_id=last_id).next().job["job_id"] == job_id


def test_resuming_at_another_process(server, client, events, tmp_path):
    port = free_port()
    environment = {"PATH": "/usr/bin:/bin", **sanitizers(), "DECANT_REDIS": "unix:redis/redis.sock", "DECANT_STORAGE": "storage",
                   "DECANT_PORT": str(port), "DECANT_DISK_RESERVE": "1M"}
    log_path = tmp_path / "api.log"
    with open(log_path, "wb") as log:
        process = subprocess.Popen([BIN / "decant-api"], cwd=server.data, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        there = Client(f"http://127.0.0.1:{port}")
        there.session_id, there.csrf = client.session_id, client.csrf

        def is_there():
            assert process.poll() is None, log_path.read_text()
            with contextlib.suppress(requests.ConnectionError):
                return requests.get(there.url + "/readyz", timeout=10).json()["redis"]["ok"]

        eventually(is_there)
        first = upload(client, "1.png")
        here = events(client)
        seen = here.next()
        assert seen.job["job_id"] == first
        second = upload(client, "2.png")
        both = [here.next(), events(there, last_id=seen.id).next()]
        assert [event.job["job_id"] for event in both] == [second, second]
        assert both[0].id == both[1].id and both[0].job == both[1].job
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_sessions_are_apart(client, other, events):
    mine, theirs = events(client), events(other)
    job_id = upload(client)
    assert mine.next().job["job_id"] == job_id
    own = upload(other, "own.png")
    assert theirs.next().job["job_id"] == own
    assert theirs.next(0.3) is None and mine.next(0.3) is None


def test_all_streams_of_a_session_see_all(client, events):
    streams = [events(client) for _ in range(5)]
    job_id = client.start("a.png", png(), "webp")
    seen = [stream.until(ends(job_id)) for stream in streams]
    # Each loop of the server looks by itself and may miss a state in between; but an id means the same to all.
    assert len({one[-1].id for one in seen}) == 1
    jobs = {}
    for one in seen:
        assert [event.id for event in one] == sorted({event.id for event in one})
        for event in one:
            assert jobs.setdefault(event.id, event.job) == event.job


def test_sessions_of_one_bucket(own_server, events):
    """The process finds who follows a session by the first digits of its id: three with the same ones come, are told of their own, and go."""
    server = own_server("image", ready=False, DECANT_THREADS="1", DECANT_RATE_SESSION="off")
    server.wait_listening()
    buckets = collections.defaultdict(list)
    clients = []
    while len(clients) < 3:
        client = Client(server.url)
        client.init()
        clients = buckets[int(client.session_id[:3], 16) % 1024]
        clients.append(client)
    streams = [events(client) for client in clients]
    for left in ([0, 1, 2], [0, 2], [2]):  # first the one in the middle goes, then the oldest
        for i in left:
            job_id = upload(clients[i])
            assert streams[i].next().job["job_id"] == job_id
        assert not any(streams[i].next(0.1) for i in left)
        gone = 1 if 1 in left else left[0]
        assert clients[gone].close().status_code == 200
        assert streams[gone].wait_end() == []
    assert events(clients[2]).status == 401


def test_streams_of_a_session_go_in_any_order(client, events):
    streams = [events(client) for _ in range(4)]
    for gone in (1, 3, 0):  # from between two, the newest, the oldest
        streams[gone].close()
        job_id = upload(client)
        for i, stream in enumerate(streams):
            if stream.socket.fileno() >= 0:
                assert stream.until(lambda event: event.job["job_id"] == job_id), i


def test_no_session(server, client, events):
    problem(requests.get(server.url + "/events"), 401, "session_required")
    stranger = Client(server.url)
    stranger.session_id = "0" * 64
    assert events(stranger).status == 401
    problem(client.request("POST", "/events"), 405, "method_not_allowed")


def test_head_and_http10(client, events):
    head = events(client, method="HEAD")
    assert head.status == 200 and head.headers["content-type"] == "text/event-stream"
    assert head.socket.recv(100) == b""
    job_id = upload(client)
    old = events(client, version="1.0")
    assert old.status == 200 and not old.chunked
    assert old.next().job["job_id"] == job_id


def test_closing_the_session_ends_the_stream(server, events):
    client = Client(server.url)
    client.init()
    job_id = client.start("a.png", png(), "jpg")
    client.wait(job_id)
    streams = [events(client), events(client)]
    for stream in streams:
        stream.until(ends(job_id))
    client.close()
    for stream in streams:
        assert stream.wait_end() == []
    assert not server.redis().keys(f"session:{client.session_id}*")
    assert events(client).status == 401


def test_expiry_ends_the_stream(own_server, events):
    server = own_server("image", ready=False, DECANT_SESSION_TTL="3")
    server.wait_listening()
    client = Client(server.url)
    client.init()
    stream = events(client)
    stream.wait_end(timeout=20)
    assert events(client).status == 401


def test_stopping_ends_the_stream(own_server, events):
    server = own_server("image", ready=False)
    server.wait_listening()
    client = Client(server.url)
    client.init()
    stream = events(client)
    job_id = upload(client)
    assert stream.next().job["job_id"] == job_id
    assert server.stop() == 0
    assert stream.wait_end() == []


def test_limits(own_server, events):
    server = own_server("image", ready=False, DECANT_SESSION_EVENT_STREAMS="2", DECANT_MAX_EVENT_STREAMS="3")
    server.wait_listening()
    one, two = Client(server.url), Client(server.url)
    one.init()
    two.init()
    open_streams = [events(one), events(one)]
    answer = one.request("GET", "/events", stream=True)
    problem(answer, 429, "rate_limited")
    assert int(answer.headers["Retry-After"]) > 0
    open_streams.append(events(two))
    assert events(two).status == 429
    assert one.request("HEAD", "/events").status_code == 429

    # A client that goes is noticed, whatever the server was doing.
    open_streams[0].close()
    eventually(lambda: events(two).status == 200)
    assert events(one).status == 429


def test_redis_goes_away(own_server, events):
    server = own_server("image", ready=False)
    server.wait_listening()
    client = Client(server.url)
    client.init()
    job_id = upload(client)
    stream = events(client)
    before = stream.next()
    [redis] = server.children("redis-server")
    os.kill(redis, signal.SIGKILL)
    again = stream.next(60)  # the server starts it again; the state of all jobs comes once more
    assert again.job == before.job and again.id >= before.id
    assert stream.next(0.3) is None
    change(server, client, job_id, status="queued")
    assert stream.next().job["status"] == "queued"


def test_redis_hangs(own_server, events):
    """As little as a connection that breaks does one that says nothing end a stream."""
    server = own_server("image", ready=False)
    server.wait_listening()
    client = Client(server.url)
    client.init()
    job_id = upload(client)
    stream = events(client)
    assert stream.next().job["status"] == "uploaded"
    [redis] = server.children("redis-server")
    os.kill(redis, signal.SIGSTOP)
    assert stream.next(8) is None and not stream.ended
    os.kill(redis, signal.SIGCONT)
    change(server, client, job_id, status="queued")
    stream.until(ends(job_id, "queued"))


def test_progress_ten_times_a_second(server, client, events):
    job_id = upload(client)
    stream = events(client)
    stream.next()
    change(server, client, job_id, status="processing", progress=0)
    stream.until(ends(job_id, "processing"))
    started = time.monotonic()
    for percent in range(1, 100):
        change(server, client, job_id, progress=percent)
        time.sleep(0.005)
    seen = stream.until(lambda event: event.job["progress"] == 99)
    assert len(seen) <= (time.monotonic() - started) * 10 + 2
    # But a new status is told at once.
    change(server, client, job_id, progress=99, status="failed")
    assert stream.next().job["status"] == "failed"


def test_a_reader_that_falls_behind_gets_the_newest_state(server, client, events):
    jobs = [upload(client, f"{'x' * 200}{i}.png") for i in range(190)]
    stream = events(client, receive_buffer=4096)
    time.sleep(0.3)  # the socket is full now
    rounds = 10
    for percent in range(1, rounds + 1):
        for job_id in jobs:
            change(server, client, job_id, status="processing", progress=percent)
        time.sleep(0.1)
    last, seen = {}, []
    while len([job for job in last.values() if job["progress"] == rounds]) < len(jobs):
        seen.append(stream.next())
        last[seen[-1].job["job_id"]] = seen[-1].job
    assert [event.id for event in seen] == sorted(event.id for event in seen)
    assert len(seen) <= 3 * len(jobs), "a queue of old states was kept"


def test_nothing_is_left_of_many_streams(own_server, events):
    server = own_server("image", ready=False, DECANT_SESSION_EVENT_STREAMS="500", DECANT_THREADS="1")
    server.wait_listening()
    [pid] = server.children("decant-api")
    client = Client(server.url)
    client.init()
    job_id = upload(client)
    assert client.status(job_id).status_code == 200  # on the same connection: the upload has ended, and its file is closed

    def descriptors():
        return len(os.listdir(f"/proc/{pid}/fd"))

    before = descriptors()
    streams = [events(client) for _ in range(300)]
    for stream in streams:
        assert stream.next().job["job_id"] == job_id
    assert descriptors() >= before + 290  # a few of before were about to close
    for stream in streams:
        stream.close()
    eventually(lambda: descriptors() <= before + 5)
