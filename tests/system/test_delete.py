"""POST /delete: nothing of one job is left, and nothing of another is touched."""

import contextlib
import os
import threading
from pathlib import Path

import pytest

from client import Client, problem
from fixtures import noise, pdf, png, slow_pdf
from processes import processes
from server import Server, eventually, still, waiting
from sse import Events

ABSENT = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), "image pdf pages", DECANT_JOBS="2", DECANT_SESSION_QUOTA="2M").start()
    yield server
    server.stop()


def delete(client, job_id, **kwargs):
    return client.request("POST", "/delete", json={"job_id": job_id}, **kwargs)


def converters(server, job_id):
    """The processes that see the job's folder."""
    found = []
    for pid in processes(server):
        with contextlib.suppress(OSError):
            if job_id in Path(f"/proc/{pid}/mountinfo").read_text():
                found.append(pid)
    return found


def assert_gone(server, client, job_id, answer):
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"job_id": job_id, "deleted": True}
    assert not (server.data / "storage" / client.session_id / job_id).exists()
    redis, sid = server.redis(), client.session_id
    assert not redis.exists(f"session:{sid}:jobs:{job_id}")
    assert redis.zscore(f"session:{sid}:jobs", job_id) is None
    assert f"session:{sid}:jobs:{job_id}" not in redis.smembers(f"session:{sid}:waiting")
    for key in redis.smembers(f"session:{sid}:previews"):
        assert redis.hget(key, "job_id") != job_id
    problem(client.status(job_id), 404, "job_not_found")
    problem(delete(client, job_id), 404, "job_not_found")


def test_a_completed_job(server, client):
    """With its file, its result, its picture, its links and its share of what the session may store."""
    job_id, other_id = (client.start("a.ppm", noise(side), "jpg") for side in (200, 100))
    other = [client.wait(job) for job in (job_id, other_id)][1]
    assert client.request("GET", f"/preview?job_id={job_id}").status_code == 200
    links = [client.token(job).json()["url"] for job in (job_id, other_id)]
    both = client.request("POST", "/download_token", json={"job_ids": [job_id, other_id]}).json()["url"]
    assert [client.download(url).status_code for url in (*links, both)] == [200] * 3

    assert_gone(server, client, job_id, delete(client, job_id))
    assert [problem(client.download(url), 404, "token_invalid") for url in (links[0], both)]
    assert client.download(links[1]).status_code == 200 and client.status(other_id).json() == other
    assert int(server.redis().hget("decant:stored", client.session_id)) == other["size"] + other["output"]["size"]


def test_what_it_took_is_free(server, client):
    uploaded = client.upload("a.ppm", noise(700)).json()["job_id"]
    problem(client.upload("b.ppm", noise(700)), 507, "storage_full")
    assert_gone(server, client, uploaded, delete(client, uploaded))
    assert client.upload("b.ppm", noise(700)).status_code == 201


def test_a_job_that_runs(server, client):
    """Its process is gone when the answer comes; who waits for its status, and who listens, is told."""
    events = Events(client)
    job_id = client.start("slow.pdf", slow_pdf(300), "png", dpi=600)
    eventually(lambda: converters(server, job_id))
    task = client.status(job_id).json()["task_id"]
    polled = []
    other = Client(client.url)
    other.session_id = client.session_id
    poll = threading.Thread(target=lambda: polled.append(wait_gone(other, job_id)))
    poll.start()
    answer = delete(client, job_id)
    assert not converters(server, job_id)
    assert_gone(server, client, job_id, answer)
    poll.join()
    problem(polled[0], 404, "job_not_found")
    told = events.until(lambda event: event.kind == "deleted")
    assert told[-1].job == {"job_id": job_id} and told[-1].id > told[-2].id
    events.close()
    later = Events(client, last_id=told[-2].id)  # who was away
    assert [event.kind for event in later.until(lambda event: event.kind == "deleted")] == ["deleted"]
    later.close()
    redis = server.redis()
    assert '"REVOKED"' in redis.get(f"celery-task-meta-{task}")
    eventually(lambda: redis.hlen("unacked") == 0 and redis.zcard("decant:delayed") == 0)


def wait_gone(client, job_id):
    while (answer := client.status(job_id, wait=30)).status_code == 200:
        pass
    return answer


def test_jobs_that_wait(server, client):
    redis = server.redis()
    with still(server.children("decant-worker")[0]):
        job_id = client.start("a.png", png(), "jpg")
        assert waiting(redis, "decant.images") == 1
        assert_gone(server, client, job_id, delete(client, job_id))
        assert waiting(redis, "decant.images") == 0

        ids = [client.upload(f"{i}.png", png(i + 1, 4)).json()["job_id"] for i in range(2)]
        assert client.request("POST", "/convert", json={"job_ids": ids, "target_format": "pdf"}).status_code == 202
        problem(delete(client, ids[1]), 409, "wrong_state")  # the other one needs its file
        assert client.status(ids[1]).json()["status"] == "uploaded"
        for job in ids:
            assert_gone(server, client, job, delete(client, job))
    assert client.wait(client.start("a.png", png(), "jpg"))["status"] == "completed"


def test_while_its_picture_is_made(server, client):
    """Whoever waits for that hears that there is none."""
    job_id = client.start("a.png", png(200, 200), "jpg")
    assert client.wait(job_id)["status"] == "completed"
    answers, other = [], Client(client.url)
    other.session_id = client.session_id
    with still(server.children("decant-worker")[0]):
        thread = threading.Thread(target=lambda: answers.append(other.request("GET", f"/preview?job_id={job_id}")))
        thread.start()
        eventually(lambda: waiting(server.redis(), "decant.previews") == 1)
        assert_gone(server, client, job_id, delete(client, job_id))
        thread.join()
    problem(answers[0], 404, "job_not_found")
    eventually(lambda: waiting(server.redis(), "decant.previews") == 0)
    assert not (server.data / "storage" / client.session_id / job_id).exists()


def test_a_worker_that_hangs(server, client):
    """Nobody waits for it for ever; when it comes back, it finds no job, ends the process and leaves nothing."""
    redis, job_id = server.redis(), client.start("slow.pdf", slow_pdf(300), "png", dpi=600)
    eventually(lambda: converters(server, job_id))
    with still(server.children("decant-worker")[0]):
        assert delete(client, job_id).status_code == 200
        problem(client.status(job_id), 404, "job_not_found")
    eventually(lambda: not converters(server, job_id) and redis.hlen("unacked") == 0)
    assert not (server.data / "storage" / client.session_id / job_id).exists()
    assert not redis.exists(f"session:{client.session_id}:jobs:{job_id}")
    assert client.wait(client.start("a.png", png(), "jpg"))["status"] == "completed"


def test_files_that_stay(server, client):
    """As after a crash between the two halves: the job is gone, and its folder is left to the janitor (test_janitor.c)."""
    job_id = client.upload("a.png", png()).json()["job_id"]
    uploads = server.data / "storage" / client.session_id / job_id / "uploads"
    mode = uploads.stat().st_mode
    uploads.chmod(0o500)
    os.chown(uploads, os.getuid(), os.getgid())
    problem(delete(client, job_id), 500, "internal")
    problem(client.status(job_id), 404, "job_not_found")
    problem(delete(client, job_id), 404, "job_not_found")
    assert list(uploads.iterdir())
    uploads.chmod(mode)


def test_refused(server, client, other):
    uploaded = client.upload("a.pdf", pdf()).json()["job_id"]
    problem(delete(client, uploaded, csrf=False), 403, "csrf_invalid")
    absent = problem(delete(client, ABSENT), 404, "job_not_found")
    for job_id in (uploaded, "x", "../../etc"):
        theirs = problem(delete(other, job_id), 404, "job_not_found")
        assert {**theirs, "request_id": 0} == {**absent, "request_id": 0}
    assert client.status(uploaded).json()["status"] == "uploaded"
    for body in (b"", b"[]", b"{}", b'{"job_id": 5}', b'{"job_ids": ["x"]}'):
        problem(client.request("POST", "/delete", data=body), 400, "bad_request")
    assert problem(client.request("GET", "/delete"), 405, "method_not_allowed")
