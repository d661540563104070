"""POST /duplicate: a new job with a copy of another one's file, in one piece and counted as an upload is."""

import os
import threading

import requests

from client import Client, new_client, problem
from exposition import parse, value
from fixtures import eicar, pdf, png


def duplicate(client, job_id, **kwargs):
    return client.request("POST", "/duplicate", json={"job_id": job_id}, **kwargs)


def upload_of(server, client, job_id):
    (path,) = (server.data / "storage" / client.session_id / job_id / "uploads").iterdir()
    return path


def test_a_copy_is_a_job_of_its_own(stack):
    server, client = stack
    upload = client.upload("Über uns.png", png(200, 100))
    first = upload.json()
    answer = duplicate(client, first["job_id"])
    assert answer.status_code == 201, answer.text
    copy = answer.json()
    assert copy["job_id"] != first["job_id"] and copy["created_at"] >= first["created_at"]
    assert {**copy, "job_id": 0, "created_at": 0} == {**first, "job_id": 0, "created_at": 0}
    assert client.status(copy["job_id"]).json()["sha256"] == client.status(first["job_id"]).json()["sha256"]
    theirs, ours = upload_of(server, client, first["job_id"]), upload_of(server, client, copy["job_id"])
    assert theirs.read_bytes() == ours.read_bytes() and theirs.stat().st_ino != ours.stat().st_ino and ours.stat().st_nlink == 1
    assert ours.stat().st_mode == theirs.stat().st_mode and ours.stat().st_uid == theirs.stat().st_uid
    for job_id, target, head in ((first["job_id"], "jpg", b"\xff\xd8"), (copy["job_id"], "webp", b"RIFF")):
        assert client.convert(job_id, target).status_code == 202
        assert client.wait(job_id)["status"] == "completed"
        assert client.download(client.token(job_id).json()["url"]).content.startswith(head)
    # of one that is completed, failed, or has been cancelled
    again = duplicate(client, first["job_id"]).json()
    assert again["status"] == "uploaded" and again["targets"] == first["targets"]
    problem(client.token(again["job_id"]), 409, "wrong_state")
    failed = client.start("a.pdf", b"%PDF-1.4\n" + b"nothing of a document " * 200 + b"\n%%EOF\n", "png")
    assert client.wait(failed)["status"] == "failed"
    assert duplicate(client, failed).status_code == 201
    found = parse(requests.get(server.url + "/metrics", timeout=30).text)
    assert value(found, "decant_uploads_total", format="png") == 1  # what was sent


def test_a_large_copy(stack):
    server, client = stack
    data = pdf() + b"\n" + os.urandom(40 << 20)
    job_id = client.upload("a.pdf", data).json()["job_id"]
    assert upload_of(server, client, duplicate(client, job_id).json()["job_id"]).read_bytes() == data


def test_copies_count(own_server):
    data = png(200, 200)
    server = own_server("image", DECANT_MAX_JOBS="3", DECANT_SESSION_QUOTA=str(10 * len(data)))
    client = new_client(server)
    job_id = client.upload("a.png", data).json()["job_id"]
    for _ in range(2):
        assert duplicate(client, job_id).status_code == 201
    redis = server.redis()
    assert int(redis.hget("decant:stored", client.session_id)) == 3 * len(data)
    upload_of(server, client, job_id).unlink()  # there is nothing to be copied: it is told before
    problem(duplicate(client, job_id), 429, "rate_limited")
    assert len(os.listdir(server.data / "storage" / client.session_id)) == 3
    redis.hset("decant:stored", client.session_id, 10 * len(data))
    redis.zrem(f"session:{client.session_id}:jobs", redis.zrange(f"session:{client.session_id}:jobs", -1, -1)[0])
    problem(duplicate(client, job_id), 507, "storage_full")
    assert not os.listdir(server.data / "storage" / ".incoming")
    client.close()


def test_a_disk_without_room(own_server):
    server = own_server("image", DECANT_DISK_RESERVE="1M")
    client = new_client(server)
    job_id = client.upload("a.png", png()).json()["job_id"]
    assert server.stop() == 0
    server.environment["DECANT_DISK_RESERVE"] = "1T"
    server.start(ready=False)
    server.wait_listening()
    problem(duplicate(client, job_id), 507, "storage_full")
    assert client.status(job_id).json()["status"] == "uploaded"
    client.close()


def test_closed_while_it_is_copied(stack):
    """Nothing of the session is left, whichever of them is faster."""
    server, client = stack
    for i in range(6):
        one = new_client(server)
        job_id = one.upload("a.pdf", pdf() + b"\n" + os.urandom(8 << 20)).json()["job_id"]
        other = Client(server.url)
        other.session_id, other.csrf = one.session_id, one.csrf
        answers = []
        thread = threading.Thread(target=lambda: answers.append(duplicate(other, job_id)))
        thread.start()
        assert one.close().status_code == 200
        thread.join()
        assert answers[0].status_code in (201, 401, 404, 409), answers[0].text
        assert not (server.data / "storage" / one.session_id).exists()
        assert not server.redis().keys(f"session:{one.session_id}*")


def test_duplicate_refused(client, other):
    job_id = client.upload("a.png", png()).json()["job_id"]
    absent = problem(duplicate(client, "00000000-0000-4000-8000-000000000000"), 404, "job_not_found")
    for id in (job_id, "x"):
        theirs = problem(duplicate(other, id), 404, "job_not_found")
        assert {**theirs, "request_id": 0} == {**absent, "request_id": 0}
    problem(duplicate(client, job_id, csrf=False), 403, "csrf_invalid")
    for body in (b"", b"[]", b"{}", b'{"job_id": 5}'):
        problem(client.request("POST", "/duplicate", data=body), 400, "bad_request")
    problem(client.request("GET", "/duplicate"), 405, "method_not_allowed")


def test_the_file_is_gone(client, other):
    job_id = client.start("eicar.txt", eicar() + b" once more", "pdf")
    before = client.wait(job_id)
    assert before["error_code"] == "infected"
    assert "no longer stored" in problem(duplicate(client, job_id), 409, "wrong_state")["detail"]
    problem(duplicate(other, job_id), 404, "job_not_found")
    assert client.status(job_id).json() == before
