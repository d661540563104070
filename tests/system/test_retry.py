"""POST /retry: a job that has failed or was cancelled runs again from its stored upload, as if for the first time."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from client import Client, new_client, problem
from fixtures import eicar, pdf, png, slow_pdf
from server import eventually, still, waiting, work_folders
from sse import Events

ENGINES = "image pdf pages"  # of stack
PASSWORD = "xyzzy Grüße 471"
BROKEN = b"%PDF-1.4\n" + b"nothing of a document " * 200 + b"\n%%EOF\n"
FRESH = {"error_code": None, "error_message": None, "completed_at": None, "started_at": None, "output": None, "progress": 0, "attempts": 0,
         "engine": None, "engine_version": None, "sandbox": None, "queue_ms": None, "duration_ms": None, "cpu_ms": 0, "peak_kib": 0, "fonts_substituted": None}


def retry(client, job_id, **body):
    return client.request("POST", "/retry", json={"job_id": job_id, **body})


def cancel(client, job_id):
    return client.request("POST", "/cancel", json={"job_id": job_id})


def folder(server, client, job_id):
    return server.data / "storage" / client.session_id / job_id


def upload_of(server, client, job_id):
    (path,) = (folder(server, client, job_id) / "uploads").iterdir()
    return path


@pytest.fixture
def protected(tmp_path):
    """A PDF that PASSWORD opens."""
    plain, secret = tmp_path / "plain.pdf", tmp_path / "secret.pdf"
    plain.write_bytes(pdf(["the words inside"]))
    subprocess.run(["qpdf", "--encrypt", PASSWORD, "the owner's", "256", "--", plain, secret], check=True)
    return secret.read_bytes()


def test_a_cancelled_job_runs_again(stack):
    server, client = stack
    with still(server.children("decant-worker")[0]):
        job_id = client.start("a.png", png(), "jpg", quality=37)
        first = cancel(client, job_id).json()
        answer = retry(client, job_id)
        assert answer.status_code == 202, answer.text
        queued = answer.json()
        assert queued["job_id"] == job_id and queued["status"] == "queued" and queued["target_format"] == "jpg"
        assert queued["task_id"] != first["task_id"] and queued["queue_position"] == 0 and "estimated_wait_ms" in queued
        fresh = client.status(job_id).json()
        assert {name: fresh[name] for name in FRESH} == FRESH and fresh["created_at"] == first["created_at"]
        assert server.redis().hget(f"session:{client.session_id}:jobs:{job_id}", "options") == '{"quality":37}'
    job = client.wait(job_id)
    assert job["status"] == "completed" and job["attempts"] == 1 and job["task_id"] == queued["task_id"] and job["error_code"] is None
    assert client.download(client.token(job_id).json()["url"]).content.startswith(b"\xff\xd8")
    problem(retry(client, job_id), 409, "wrong_state")
    assert client.status(job_id).json() == job


def test_over_and_over(stack):
    """Whatever an attempt is at when it is cancelled, the next one is another one's."""
    server, client = stack
    job_id = client.start("slow.pdf", slow_pdf(30), "png", dpi=300)
    tasks = set()
    for i in range(15):
        if i % 3:
            eventually(lambda: work_folders(folder(server, client, job_id)))
        answer = cancel(client, job_id)
        assert answer.status_code == 200 and answer.json()["status"] == "cancelled", answer.text
        tasks.add(answer.json()["task_id"])
        assert retry(client, job_id).status_code == 202
    job = client.wait(job_id)
    assert job["status"] == "completed" and job["attempts"] == 1, job
    assert client.download(client.token(job_id).json()["url"]).content.startswith(b"PK")
    redis = server.redis()
    eventually(lambda: redis.hlen("unacked") == 0 and not work_folders(server.data / "storage"))
    assert len(tasks) == 15 and all('"REVOKED"' in redis.get(f"celery-task-meta-{task}") for task in tasks)
    assert len(list((folder(server, client, job_id) / "converted").iterdir())) == 1
    assert waiting(redis, "decant.pdf") == 0 and redis.llen("decant:dead") == 0


def test_a_failed_job_runs_again(stack):
    server, client = stack
    events = Events(client)
    job_id = client.start("a.pdf", BROKEN, "png")
    first = client.wait(job_id)
    assert first["status"] == "failed" and first["error_code"] == "corrupt_input"
    upload_of(server, client, job_id).write_bytes(pdf())  # as if it had been no fault of the file
    assert retry(client, job_id).status_code == 202
    assert client.wait(job_id)["status"] == "completed"
    states = [event.job["status"] for event in events.until(lambda event: event.job["status"] == "completed")]
    assert "failed" in states and states[-1] == "completed"
    events.close()


def test_options_replace_the_earlier_ones(stack):
    server, client = stack
    with still(server.children("decant-worker")[0]):
        job_id = client.start("a.png", png(), "jpg", quality=37)
        key = f"session:{client.session_id}:jobs:{job_id}"
        for body, stored in (({"options": {"quality": 5}}, '{"quality":5}'), ({"options": None}, '{"quality":5}'), ({"options": {}}, "{}"), ({}, "{}")):
            assert cancel(client, job_id).status_code == 200
            assert retry(client, job_id, **body).status_code == 202
            assert server.redis().hget(key, "options") == stored
        assert cancel(client, job_id).status_code == 200
        before = client.status(job_id).json()
        for options in ({"quality": 1000}, {"nothing": 1}, [], "x"):
            problem(retry(client, job_id, options=options), 400, "bad_request")
        assert client.status(job_id).json() == before


def test_secrets_are_asked_for_again(stack, protected):
    server, client = stack
    job_id = client.start("secret.pdf", protected, "txt")
    assert client.wait(job_id)["error_code"] == "password_required"
    assert retry(client, job_id).status_code == 202  # none were given: none are missing
    assert client.wait(job_id)["error_code"] == "password_required"
    assert retry(client, job_id, options={"password": "wrong"}).status_code == 202
    assert client.wait(job_id)["error_code"] == "password_required"
    before = client.status(job_id).json()
    assert "password" in problem(retry(client, job_id), 400, "bad_request")["detail"]
    assert client.status(job_id).json() == before
    assert retry(client, job_id, options={"password": PASSWORD}).status_code == 202
    assert client.wait(job_id)["status"] == "completed"
    assert b"the words inside" in client.download(client.token(job_id).json()["url"]).content

    # also of one that was not to be: what is asked for on the result would be missing
    with still(server.children("decant-worker")[0]):
        job_id = client.start("a.pdf", pdf(), "pdf", new_password=PASSWORD, rotate=90)
        assert server.redis().hget(f"session:{client.session_id}:jobs:{job_id}", "sealed_secrets")
        assert cancel(client, job_id).status_code == 200
        assert server.redis().hget(f"session:{client.session_id}:jobs:{job_id}", "sealed_secrets") == ""
        assert "new_password" in problem(retry(client, job_id), 400, "bad_request")["detail"]
        assert retry(client, job_id, options={"new_password": PASSWORD}).status_code == 202
        assert cancel(client, job_id).status_code == 200
        assert retry(client, job_id, options={"rotate": 90}).status_code == 202  # they are no longer wanted
        assert cancel(client, job_id).status_code == 200
        assert retry(client, job_id).status_code == 202
    assert client.wait(job_id)["status"] == "completed"


def test_the_file_is_gone(client, other):
    job_id = client.start("eicar.txt", eicar() + b" again", "pdf")
    before = client.wait(job_id)
    assert before["error_code"] == "infected"
    assert "no longer stored" in problem(retry(client, job_id), 409, "wrong_state")["detail"]
    problem(retry(other, job_id), 404, "job_not_found")
    assert client.status(job_id).json() == before


def test_one_that_was_never_started_and_has_lost_its_file(client):
    """As a part of another one, in which a virus was found."""
    ids = [client.upload("a.txt", data).json()["job_id"] for data in (b"a text\n", eicar() + b" once more")]
    assert client.request("POST", "/convert", json={"job_ids": ids, "target_format": "pdf"}).status_code == 202
    assert client.wait(ids[0])["error_code"] == "infected"
    eventually(lambda: client.status(ids[1]).json()["status"] == "failed")
    assert "no longer stored" in problem(retry(client, ids[1]), 409, "wrong_state")["detail"]


def test_many(stack):
    server, client = stack
    ids = [client.upload(f"{i}.pdf", pdf([f"part {i}"])).json()["job_id"] for i in range(3)]
    with still(server.children("decant-worker")[0]):
        assert client.request("POST", "/convert", json={"job_ids": ids, "target_format": "pdf"}).status_code == 202
        assert cancel(client, ids[0]).status_code == 200
    lost = upload_of(server, client, ids[2])
    data = lost.read_bytes()
    lost.unlink()
    problem(retry(client, ids[0]), 409, "wrong_state")
    lost.write_bytes(data)
    os.chown(lost, upload_of(server, client, ids[1]).stat().st_uid, -1)
    answer = retry(client, ids[0])
    assert answer.status_code == 202, answer.text
    job = client.wait(ids[0])
    assert job["status"] == "completed" and job["output"]["pages"] == 3, job


def test_at_once(stack):
    """One call starts it, the others are told so."""
    server, client = stack
    with still(server.children("decant-worker")[0]):
        job_id = client.start("a.png", png(), "jpg")
        assert cancel(client, job_id).status_code == 200
        others = []
        for _ in range(8):
            others.append(Client(server.url))
            others[-1].session_id, others[-1].csrf = client.session_id, client.csrf
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda one: retry(one, job_id), others))
        assert sorted(answer.status_code for answer in answers) == [202] + [409] * 7
        assert waiting(server.redis(), "decant.images") == 1
    assert client.wait(job_id)["status"] == "completed"


def test_limits_hold(own_server):
    server = own_server("image", DECANT_SESSION_QUEUE="1", DECANT_RATE_CONVERT="session=5/h")
    client = new_client(server)
    with still(server.children("decant-worker")[0]):
        job_id = client.start("a.png", png(), "jpg")
        assert cancel(client, job_id).status_code == 200
        client.start("b.png", png(), "jpg")
        before = client.status(job_id).json()
        problem(retry(client, job_id), 429, "rate_limited")
        assert client.status(job_id).json() == before
        assert cancel(client, job_id).status_code == 200
        assert "Retry-After" in retry(client, job_id).headers
    client.close()


def test_retry_refused(client, other):
    uploaded = client.upload("a.png", png()).json()["job_id"]
    problem(retry(client, uploaded), 409, "wrong_state")
    completed = client.start("a.png", png(), "jpg")
    assert client.wait(completed)["status"] == "completed"
    problem(retry(client, completed), 409, "wrong_state")
    failed = client.start("a.pdf", BROKEN, "png")
    assert client.wait(failed)["status"] == "failed"
    absent = problem(retry(client, "00000000-0000-4000-8000-000000000000"), 404, "job_not_found")
    for job_id in (failed, "x"):
        theirs = problem(retry(other, job_id), 404, "job_not_found")
        assert {**theirs, "request_id": 0} == {**absent, "request_id": 0}
    problem(client.request("POST", "/retry", json={"job_id": failed}, csrf=False), 403, "csrf_invalid")
    for body in (b"", b"[]", b"{}", b'{"job_id": 5}', b'{"job_ids": ["x"]}', b'{"job_id": "x", "options": 5}'):
        problem(client.request("POST", "/retry", data=body), 400, "bad_request")
    assert client.status(failed).json()["status"] == "failed"


def test_retry_under_way(stack):
    server, client = stack
    with still(server.children("decant-worker")[0]):
        job_id = client.start("a.png", png(), "jpg")
        problem(retry(client, job_id), 409, "wrong_state")
    assert client.wait(job_id)["status"] == "completed"
