"""POST /cancel: whatever a job is at, it ends as cancelled, its process is gone by then, and nothing of it is left."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import celery
import celery.exceptions
import celery.result
import pytest
import requests

from client import Client, new_client, problem
from exposition import parse, value
from fixtures import pdf, png, slow_docx, slow_pdf
from processes import processes
from server import eventually, still, waiting, work_folders
from sse import Events


def cancel(client, job_id, **kwargs):
    return client.request("POST", "/cancel", json={"job_id": job_id}, **kwargs)


def wait_status(client, job_id, *statuses):
    return eventually(lambda: (job := client.status(job_id).json())["status"] in statuses and job)


def start_slow(server, client):
    """A conversion that takes a minute and more, and is under way: its id."""
    job_id = client.start("slow.pdf", slow_pdf(300), "png", dpi=600)
    eventually(lambda: converters(server, job_id))
    wait_status(client, job_id, "processing")
    return job_id


def converters(server, job_id):
    """The processes that see the job's folder: the engines' children that convert it."""
    found = []
    for pid in processes(server):
        with contextlib.suppress(OSError):
            if job_id in Path(f"/proc/{pid}/mountinfo").read_text():
                found.append(pid)
    return found


def assert_cancelled(server, client, job_id):
    """It is, and of its run there is nothing left but that."""
    job = client.wait(job_id)
    assert not converters(server, job_id)
    assert job["status"] == "cancelled" and job["error_code"] == "cancelled_by_user" and job["error_message"], job
    assert job["completed_at"] and job["output"] is None and job["progress"] < 100
    redis = server.redis()
    assert redis.hmget(f"session:{client.session_id}:jobs:{job_id}", "worker", "cancelling") == ["", ""]
    assert '"REVOKED"' in redis.get(f"celery-task-meta-{job['task_id']}")
    eventually(lambda: redis.hlen("unacked") == 0 and redis.zcard("decant:delayed") == 0)
    assert redis.llen("decant:dead") == 0 and not redis.exists(f"decant:deliveries:{job['task_id']}")
    folder = server.data / "storage" / client.session_id / job_id
    assert len(list((folder / "uploads").iterdir())) == 1  # the upload stays
    assert not list(folder.glob("converted/*")) and not work_folders(folder)
    problem(client.token(job_id), 409, "wrong_state")
    return job


def test_a_job_that_waits(stack):
    server, client = stack
    with still(server.children("decant-worker")[0]):
        jobs = [client.start(f"{i}.png", png(), "jpg") for i in range(3)]
        answer = cancel(client, jobs[1])
        assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store"
        assert answer.json() == client.status(jobs[1]).json()
        assert answer.json()["status"] == "cancelled" and answer.json()["attempts"] == 0
        assert waiting(server.redis(), "decant.images") == 2
        again = cancel(client, jobs[1])
        assert again.status_code == 200 and again.json() == answer.json()
        problem(client.convert(jobs[1], "jpg"), 409, "wrong_state")
    assert_cancelled(server, client, jobs[1])
    for job in (jobs[0], jobs[2]):
        assert client.wait(job)["status"] == "completed"

    # as Celery's clients see it
    socket = f"{server.data}/redis/redis.sock"
    app = celery.Celery(broker=f"redis+socket://{socket}", backend=f"redis+socket://{socket}")
    result = celery.result.AsyncResult(answer.json()["task_id"], app=app)
    assert result.state == "REVOKED"
    with pytest.raises(celery.exceptions.TaskRevokedError):
        result.get(timeout=30)


def test_what_was_cancelled_takes_no_place(own_server):
    server = own_server("image", DECANT_JOBS="1", DECANT_SESSION_QUEUE="2", DECANT_QUEUE_MAX="3")
    client = new_client(server)
    with still(server.children("decant-worker")[0]):
        for _ in range(5):
            assert cancel(client, client.start("a.png", png(), "jpg")).json()["status"] == "cancelled"
        jobs = [client.start("a.png", png(), "jpg") for _ in range(2)]
        assert waiting(server.redis(), "decant.images") == 2
    assert [client.wait(job)["status"] for job in jobs] == ["completed"] * 2
    client.close()


def test_a_job_that_runs(stack):
    """Its process is gone when the status says so, and its place is free."""
    server, client = stack
    events = Events(client)
    job_id = start_slow(server, client)
    answer = cancel(client, job_id)
    assert answer.status_code in (200, 202) and answer.json()["job_id"] == job_id
    assert answer.status_code == (200 if answer.json()["status"] == "cancelled" else 202), answer.text
    while client.status(job_id).json()["status"] != "cancelled":
        time.sleep(0.005)
    assert not converters(server, job_id) and not work_folders(server.data / "storage" / client.session_id)
    assert assert_cancelled(server, client, job_id)["attempts"] == 1
    assert cancel(client, job_id).json() == client.status(job_id).json()
    told = events.until(lambda event: event.job["status"] == "cancelled")[-1]
    assert told.job == client.status(job_id).json()
    events.close()
    assert [client.wait(client.start("a.pdf", pdf(), "png"))["status"] for _ in range(3)] == ["completed"] * 3

    def counted():
        found = parse(requests.get(server.url + "/metrics", timeout=30).text)
        return value(found, "decant_jobs_finished_total", engine="pdf", source="pdf", target="png", outcome="cancelled_by_user")

    eventually(lambda: counted() == 1)


def test_an_office_document(own_server):
    server = own_server("office")
    client = new_client(server)
    job_id = client.start("slow.docx", slow_docx(60000), "pdf")
    eventually(lambda: converters(server, job_id))
    assert cancel(client, job_id).status_code in (200, 202)
    assert_cancelled(server, client, job_id)
    client.close()


def test_one_of_many(own_server):
    """The one that runs is cancelled; the others are as they were."""
    server = own_server("image pdf pages", DECANT_JOBS="2")
    client = new_client(server)
    ids = [client.upload(f"{i}.png", png(i + 1, 4)).json()["job_id"] for i in range(3)]
    with still(server.children("decant-worker")[0]):
        answer = client.request("POST", "/convert", json={"job_ids": ids, "target_format": "pdf"})
        assert answer.status_code == 202, answer.text
        problem(cancel(client, ids[1]), 409, "wrong_state")
        assert cancel(client, ids[0]).json()["status"] == "cancelled"
    assert_cancelled(server, client, ids[0])
    assert [client.status(i).json()["status"] for i in ids[1:]] == ["uploaded"] * 2

    ids = [client.upload(f"{i}.pdf", slow_pdf(200 + i)).json()["job_id"] for i in range(30)]
    answer = client.request("POST", "/convert", json={"job_ids": ids, "target_format": "pdf"})
    assert answer.status_code == 202, answer.text
    eventually(lambda: converters(server, ids[0]))
    assert cancel(client, ids[0]).status_code in (200, 202)
    assert_cancelled(server, client, ids[0])
    client.close()


def test_while_it_is_scanned(own_server):
    server = own_server("image", DECANT_SCAN_CACHE="0")
    client = new_client(server)
    with still(server.children("clamd")[0]):
        job_id = client.start("a.png", png(), "jpg")
        wait_status(client, job_id, "scanning")
        assert cancel(client, job_id).json()["status"] == "cancelled"
        assert_cancelled(server, client, job_id)
    client.close()


def test_what_is_tried_again_later(own_server):
    server = own_server("image", DECANT_SCAN_TIMEOUT="1", DECANT_SCAN_CACHE="0", DECANT_MAX_RETRIES="10")
    client = new_client(server)
    redis = server.redis()
    with still(server.children("clamd")[0]):
        job_id = client.start("a.png", png(), "jpg")
        eventually(lambda: redis.zcard("decant:delayed") == 1)
        answer = cancel(client, job_id)
        assert answer.status_code == 200 and answer.json()["status"] == "cancelled"
        assert_cancelled(server, client, job_id)
    client.close()


def test_a_worker_that_dies_meanwhile(stack):
    """It was told, and could not do it any more: whoever takes the job over does not run it."""
    server, client = stack
    job_id = start_slow(server, client)
    worker = server.children("decant-worker")[0]
    os.kill(worker, signal.SIGSTOP)
    for _ in range(2):
        answer = cancel(client, job_id)
        assert answer.status_code == 202 and answer.json()["status"] == "processing", answer.text
    os.kill(worker, signal.SIGKILL)
    assert assert_cancelled(server, client, job_id)["attempts"] == 1
    assert client.wait(client.start("a.pdf", pdf(), "png"))["status"] == "completed"


def test_a_redis_that_dies_meanwhile(stack):
    """The message to the worker is lost; what the job says is not."""
    server, client = stack
    job_id = start_slow(server, client)
    with still(server.children("decant-worker")[0]):
        assert cancel(client, job_id).status_code == 202
        time.sleep(1.1)  # appendfsync everysec
        os.kill(server.children("redis-server")[0], signal.SIGKILL)
        eventually(lambda: client.status(job_id).status_code == 200)
    assert_cancelled(server, client, job_id)


def test_the_server_is_stopped_meanwhile(stack):
    server, client = stack
    job_id = start_slow(server, client)
    with still(server.children("decant-worker")[0]):
        assert cancel(client, job_id).status_code == 202
    assert server.stop() == 0
    server.start()
    assert assert_cancelled(server, client, job_id)["attempts"] == 1


def test_twice_at_once(stack):
    server, client = stack
    job_id = start_slow(server, client)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(cancel(new_session(client), job_id))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 4, [answer.text for answer in answers]
    assert len({answer.text for answer in answers}) == 1
    assert_cancelled(server, client, job_id)


def new_session(client):
    """The same session on a connection of its own."""
    other = Client(client.url)
    other.session_id, other.csrf = client.session_id, client.csrf
    return other


def test_in_the_moment_in_which_it_ends(stack):
    """One of the two wins, and the answer says which."""
    server, client = stack
    seen = set()
    for i in range(60):
        job_id = client.start("a.png", png(200 + i, 200), "jpg")
        time.sleep(i * 0.002)
        answer = cancel(client, job_id)
        seen.add(answer.status_code)
        if answer.status_code == 409:
            problem(answer, 409, "wrong_state")
            assert client.status(job_id).json()["status"] == "completed"
            assert client.token(job_id).status_code == 201
        else:
            assert answer.status_code in (200, 202), answer.text
            assert_cancelled(server, client, job_id)
    assert seen <= {200, 202, 409} and 409 in seen


def test_session_closed_meanwhile(stack):
    server, client = stack
    job_id = start_slow(server, client)
    other = new_session(client)
    with still(server.children("decant-worker")[0]):
        answers = []
        thread = threading.Thread(target=lambda: answers.append(cancel(other, job_id)))
        thread.start()
        eventually(lambda: server.redis().hget(f"session:{client.session_id}:jobs:{job_id}", "cancelling"))
        closing = threading.Thread(target=lambda: answers.append(client.close()))
        closing.start()
        eventually(lambda: not server.redis().exists(f"session:{client.session_id}"))
    thread.join()
    closing.join()
    assert {answer.status_code for answer in answers} <= {200, 404}, [answer.text for answer in answers]
    assert not server.redis().keys(f"session:{client.session_id}*") and not converters(server, job_id)
    client.init()


def test_refused(client, other):
    uploaded = client.upload("a.png", png()).json()["job_id"]
    problem(cancel(client, uploaded), 409, "wrong_state")
    assert client.status(uploaded).json()["status"] == "uploaded"
    completed = client.start("a.png", png(), "jpg")
    job = client.wait(completed)
    assert job["status"] == "completed"
    problem(cancel(client, completed), 409, "wrong_state")
    assert client.status(completed).json() == job and client.token(completed).status_code == 201
    failed = client.start("a.pdf", b"%PDF-1.4\n" + b"nothing " * 400 + b"\n%%EOF\n", "png")
    assert client.wait(failed)["status"] == "failed"
    problem(cancel(client, failed), 409, "wrong_state")

    problem(cancel(client, uploaded, csrf=False), 403, "csrf_invalid")
    absent = problem(cancel(client, "00000000-0000-4000-8000-000000000000"), 404, "job_not_found")
    for job_id in (completed, "x", "../../etc"):
        theirs = problem(cancel(other, job_id), 404, "job_not_found")
        assert {**theirs, "request_id": 0} == {**absent, "request_id": 0}
    for body in (b"", b"[]", b"{}", b'{"job_id": 5}', b'{"job_ids": ["x"]}'):
        problem(client.request("POST", "/cancel", data=body), 400, "bad_request")
    answer = client.request("GET", "/cancel")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "POST"
