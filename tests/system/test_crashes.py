"""Kill -9 of any part while a conversion runs: after the restart the job completes, once."""

import contextlib
import json
import os
import shutil
import signal
import threading
import time

import pytest
import requests

from client import Client
from fixtures import pdf, png, slow_docx, slow_pdf
from server import BUILD, eventually


def start_slow(client, name="slow.pdf", data=slow_pdf(), target="png"):
    job_id = client.start(name, data, target)
    eventually(lambda: client.status(job_id).json()["status"] == "processing", every=0.02)
    return job_id


def once(server, client, job_id, head=b"PK"):
    """Completed, one result, nothing left over."""
    folder = server.data / "storage" / client.session_id / job_id
    assert len(list((folder / "converted").iterdir())) == 1
    eventually(lambda: not list(folder.glob("work-*")))
    redis = server.redis()
    assert not [name for name in redis.scan_iter("decant*", _type="list") if redis.llen(name)]
    assert redis.hlen("unacked") == 0 and redis.zcard("unacked_index") == 0
    answer = client.download(client.token(job_id).json()["url"])
    assert answer.content.startswith(head)


def begin(server):
    client = Client(server.url)
    client.init()
    return server, client


@pytest.fixture
def crash_server(own_server):
    return begin(own_server("image pdf"))


def kill_and_wait(server, client, job_id, victim):
    os.kill(server.children(victim)[0], signal.SIGKILL)
    job = client.wait(job_id)
    assert job["status"] == "completed", job


@pytest.mark.parametrize("victim", ["decant-worker", "decant-launch", "decant-engine-pdf"])
def test_killed_while_converting(crash_server, victim):
    server, client = crash_server
    job_id = start_slow(client)
    kill_and_wait(server, client, job_id, victim)
    once(server, client, job_id)


def test_office_killed_while_converting(own_server):
    """The engine that takes long to come back."""
    server, client = begin(own_server("office"))
    job_id = start_slow(client, "slow.docx", slow_docx(20000), "pdf")
    kill_and_wait(server, client, job_id, "decant-engine-office")
    once(server, client, job_id, b"%PDF-")


def test_engines_replaced_while_converting(crash_server):
    server, client = crash_server
    server.wait_log('"engine":"pdf"')
    old = server.children("decant-engine-pdf")[0]
    job_id = start_slow(client)
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("replacing the engines")
    job = client.wait(job_id)
    assert job["status"] == "completed" and job.get("attempts", 1) == 1, job
    once(server, client, job_id)
    eventually(lambda: server.children("decant-engine-pdf") and old not in server.children("decant-engine-pdf"))
    assert client.wait(client.start("next.pdf", pdf(), "png"))["status"] == "completed"


def test_the_worker_is_told_to_replace_them_without_a_scanner_too(own_server):
    """There is one part less then, and the API must not be taken for the worker: a hang-up would end it."""
    server = own_server("image", DECANT_CLAMD="off")
    api = server.children("decant-api")
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("replacing the engines")
    assert server.children("decant-api") == api


def test_a_refused_sandbox_ends_all(own_server, programs):
    shutil.copy(BUILD / "tests/unit/engine/decant-engine-lawless", programs / "decant-engine-pdf")
    server = own_server("image pdf", ready=False, DECANT_BINDIR=str(programs))
    assert server.process.wait(60) == 78
    assert "policy can't be compiled" in server.log()
    assert '"audit":"sandbox_refused","engine":"pdf"' in server.log()


def test_a_missing_engine_takes_its_conversions_alone(own_server, programs):
    (programs / "decant-engine-pdf").unlink()
    server = own_server("image pdf", ready=False, DECANT_BINDIR=str(programs))
    server.wait_log("engine down")
    server.wait_log('"engine":"image"')
    server.wait_log("claiming tasks")
    assert server.process.poll() is None


def test_api_killed(crash_server):
    server, client = crash_server
    job_id = start_slow(client)
    os.kill(server.children("decant-api")[0], signal.SIGKILL)
    server.wait_ready()
    assert client.wait(job_id)["status"] == "completed"
    once(server, client, job_id)


def in_background(fn):
    def run():
        with contextlib.suppress(requests.ConnectionError):
            fn()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    time.sleep(0.3)
    return thread


def assert_api_ended_well(server):
    server.wait_log('"part ended"')  # said when the supervisor has been told, a bit after the process is gone
    ends = [line for line in map(json.loads, filter(lambda line: line.startswith("{"), server.log().splitlines()))
            if line.get("part") == "decant-api"]
    assert [(end["message"], end.get("status")) for end in ends] == [("part ended", 0)], ends


@pytest.mark.parametrize("grace, signals", [("2", 1), ("60", 2)])
def test_api_does_not_wait_longer_than_its_grace(own_server, grace, signals):
    """Nor at all after a second signal."""
    server, client = begin(own_server("image", DECANT_GRACE=grace))
    job_id = client.upload("a.png", png()).json()["job_id"]
    poll = in_background(lambda: client.status(job_id, wait=30))
    api = server.children("decant-api")
    for _ in range(signals):
        os.kill(api[0], signal.SIGTERM)
        time.sleep(0.3)
    eventually(lambda: server.children("decant-api") != api)
    poll.join(30)
    assert not poll.is_alive()


def test_api_stopped_while_a_session_closes(own_server):
    """The worker lets go of nothing, so that closing outlasts the grace."""
    server, client = begin(own_server("pdf", DECANT_GRACE="0"))
    start_slow(client)
    worker, api = server.children("decant-worker")[0], server.children("decant-api")
    os.kill(worker, signal.SIGSTOP)
    close = in_background(client.close)
    os.kill(api[0], signal.SIGTERM)
    eventually(lambda: server.children("decant-api") != api)
    close.join(10)
    os.kill(worker, signal.SIGCONT)
    assert_api_ended_well(server)


def test_api_stopped_while_redis_hangs(own_server):
    server, client = begin(own_server("image", DECANT_GRACE="0"))
    redis, api = server.children("redis-server")[0], server.children("decant-api")
    os.kill(redis, signal.SIGSTOP)
    waiting = [in_background(fn) for fn in (lambda: client.status("x"), client.close, Client(server.url).init, lambda: client.token("x"))]
    os.kill(api[0], signal.SIGTERM)
    eventually(lambda: server.children("decant-api") != api)
    for thread in waiting:
        thread.join(10)
    os.kill(redis, signal.SIGCONT)
    assert_api_ended_well(server)


def test_redis_killed(crash_server):
    server, client = crash_server
    waiting = client.upload("a.pdf", pdf()).json()["job_id"]
    job_id = start_slow(client)
    os.kill(server.children("redis-server")[0], signal.SIGKILL)
    eventually(lambda: client.status(job_id).status_code == 200)
    assert client.wait(job_id)["status"] == "completed"
    once(server, client, job_id)
    assert client.convert(waiting, "txt").status_code == 202
    assert client.wait(waiting)["status"] == "completed"


def test_everything_killed_with_jobs_waiting(crash_server):
    """The supervisor itself dies: its parts end too, and the next start goes on with what was queued."""
    server, client = crash_server
    jobs = [client.start("slow.pdf", slow_pdf(60), "png") for _ in range(6)]
    parts = [pid for name in ("decant-api", "decant-worker", "redis-server", "clamd", "decant-engine-pdf") for pid in server.children(name)]
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in parts))
    server.start()
    assert [client.wait(job_id)["status"] for job_id in jobs] == ["completed"] * 6
    for job_id in jobs:
        once(server, client, job_id)


def test_stopped_with_jobs_waiting(crash_server):
    """Ctrl-C loses nothing."""
    server, client = crash_server
    jobs = [client.start("slow.pdf", slow_pdf(60), "png") for _ in range(6)] + [client.start("a.png", png(), "jpg")]
    assert server.stop(signal.SIGINT) == 0
    server.start()
    for job_id in jobs:
        assert client.wait(job_id)["status"] == "completed"


def test_closing_cut_short_can_be_repeated(crash_server):
    server, client = crash_server
    server.no_janitor()
    job_id = start_slow(client)
    worker = server.children("decant-worker")[0]
    os.kill(worker, signal.SIGSTOP)  # so that the closing has to wait for it
    try:
        thread = threading.Thread(target=pytest.raises, args=(requests.ConnectionError, client.close))
        thread.start()
        eventually(lambda: server.redis().exists(f"session:{client.session_id}:closing"))
        os.kill(server.children("decant-api")[0], signal.SIGKILL)
        thread.join(30)
    finally:
        os.kill(worker, signal.SIGCONT)
    server.wait_listening()
    assert client.status(job_id).status_code == 401
    assert client.request("POST", "/session/close", csrf=False).status_code == 403
    assert client.close().json() == {"closed": True}
    assert client.close().status_code == 401
    assert server.files() == [] and [key for key in server.redis().scan_iter("*") if client.session_id in key] == []


def test_upload_broken_off_leaves_nothing(server, client):
    import socket
    before = server.files()
    with socket.create_connection(("127.0.0.1", server.port)) as s:
        s.sendall((f"POST /upload HTTP/1.1\r\nHost: x\r\nCookie: session_id={client.session_id}\r\nX-CSRF-Token: {client.csrf}\r\n"
                   "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 5000000\r\n\r\n"
                   '--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n').encode() + b"x" * 1000000)
        time.sleep(0.3)
    eventually(lambda: server.files() == before)
    assert server.redis().zcard(f"session:{client.session_id}:jobs") == 0
