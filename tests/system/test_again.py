"""Asking twice: a repeat under the same Idempotency-Key is answered as the first request was, and what a session has a result of already is not
converted again."""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from client import problem
from exposition import parse, value
from fixtures import pdf, png, slow_pdf
from server import Server, eventually, still

PASSWORD = "xyzzy Grüße 471"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), "archive image pages pdf", DECANT_JOBS="2", DECANT_RESULT_CACHE="3600").start()
    yield server
    server.stop()


def ask(client, path, key, headers=None, **body):
    return client.request("POST", path, json=body, headers={"Idempotency-Key": key, **(headers or {})})


def new_key():
    return f'"{uuid.uuid4()}"'


def uploaded(client, name="a.png", data=None):
    answer = client.upload(name, data or png())
    assert answer.status_code == 201, answer.text
    return answer.json()["job_id"]


def content(client, job_id):
    answer = client.download(client.token(job_id).json()["url"])
    assert answer.status_code == 200, answer.text
    return answer.content


def convert(client, job_id, target, headers=None, **options):
    """The answer of POST /convert, which has to be well."""
    answer = client.request("POST", "/convert", json={"job_id": job_id, "target_format": target, "options": options}, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer.json()


def again(client, name, data, target, headers=None, **options):
    """Uploads and converts; the answer, and the bytes of the result."""
    job_id = uploaded(client, name, data)
    answer = convert(client, job_id, target, headers, **options)
    job = client.wait(job_id)
    assert job["status"] == "completed" and job["cached"] == answer["cached"], job
    return answer, content(client, job_id)


def is_cached(client, name, data, target, headers=None, **options):
    return again(client, name, data, target, headers, **options)[0]["cached"]


# --- Idempotency-Key

def test_a_repeat_is_answered_as_the_first_was(server, client):
    job_id, key = uploaded(client), new_key()
    first = ask(client, "/convert", key, job_id=job_id, target_format="jpg", options={"quality": 37})
    assert first.status_code == 202 and "Idempotent-Replayed" not in first.headers
    assert first.json()["cached"] is False
    client.wait(job_id)
    for same in (key, key.strip('"')):  # in quotes as the draft has it, or without
        repeat = ask(client, "/convert", same, target_format="jpg", options={"quality": 37}, job_id=job_id)
        assert (repeat.status_code, repeat.content) == (202, first.content)
        assert repeat.headers["Idempotent-Replayed"] == "true" and repeat.headers["Content-Type"] == first.headers["Content-Type"]
    assert client.status(job_id).json()["attempts"] == 1 and client.status(job_id).json()["task_id"] == first.json()["task_id"]
    problem(ask(client, "/convert", new_key(), job_id=job_id, target_format="jpg", options={"quality": 37}), 409, "wrong_state")

    problem(ask(client, "/convert", key, job_id=job_id, target_format="jpg", options={"quality": 38}), 422, "idempotency_mismatch")
    problem(ask(client, "/retry", key, job_id=job_id), 422, "idempotency_mismatch")
    assert ask(client, "/convert", key, target_format="jpg", options={"quality": 37}, job_id=job_id).content == first.content


def test_what_came_to_nothing_may_be_made_anew(server, client):
    job_id, key = uploaded(client), new_key()
    problem(ask(client, "/convert", key, job_id=job_id, target_format="docx"), 422, "unsupported_target")
    problem(ask(client, "/convert", key, job_id=job_id, target_format="jpg", options={"quality": 1000}), 400, "bad_request")
    answer = ask(client, "/convert", key, job_id=job_id, target_format="jpg")
    assert answer.status_code == 202
    assert ask(client, "/convert", key, job_id=job_id, target_format="jpg").content == answer.content


@pytest.mark.parametrize("key", ['""', '"a', 'a b', '"a"b', "x" * 256, '"\\a"', '"ü"'.encode()])
def test_a_key_is_one_text(server, client, key):
    problem(ask(client, "/convert", key, job_id=uploaded(client), target_format="jpg"), 400, "bad_request")


def test_of_many_at_once_one_is_carried_out(server, client):
    job_id, key = uploaded(client, "slow.pdf", slow_pdf(3)), new_key()
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: ask(client, "/convert", key, job_id=job_id, target_format="png"), range(12)))
    accepted = {answer.content for answer in answers if answer.status_code == 202}
    assert len(accepted) == 1
    for answer in answers:
        if answer.status_code != 202:
            problem(answer, 409, "idempotency_busy")
            assert int(answer.headers["Retry-After"]) >= 1
    assert client.wait(job_id)["attempts"] == 1
    assert ask(client, "/convert", key, job_id=job_id, target_format="png").content in accepted


def test_keys_of_sessions_have_nothing_to_do_with_each_other(server, client, other):
    key = new_key()
    for who in (client, other):
        answer = ask(who, "/convert", key, job_id=uploaded(who), target_format="jpg")
        assert answer.status_code == 202 and "Idempotent-Replayed" not in answer.headers


def test_an_answer_that_was_lost(server, client):
    """The server has died, or Redis was away, just when the job had been started: nothing is kept of the answer."""
    job_id, key, redis = uploaded(client), new_key(), server.redis()
    first = ask(client, "/convert", key, job_id=job_id, target_format="jpg").json()
    client.wait(job_id)
    (name,) = redis.hkeys(f"session:{client.session_id}:answers")
    redis.hdel(f"session:{client.session_id}:answers", name)
    repeat = ask(client, "/convert", key, job_id=job_id, target_format="jpg")
    assert repeat.status_code == 202
    assert repeat.json() == {**first, "status": "completed", "queue_position": 0, "estimated_wait_ms": None}

    # It is still being answered, by somebody of whom nothing is heard any more.
    record = {**json.loads(redis.hget(f"session:{client.session_id}:answers", name)), "owner": "somebody", "until_ms": "99999999999999"}
    del record["answer"]
    redis.hset(f"session:{client.session_id}:answers", name, json.dumps(record))
    answer = ask(client, "/convert", key, job_id=job_id, target_format="jpg")
    problem(answer, 409, "idempotency_busy")
    redis.hset(f"session:{client.session_id}:answers", name, json.dumps({**record, "until_ms": "1"}))
    assert ask(client, "/convert", key, job_id=job_id, target_format="jpg").json() == repeat.json()


def leave(client, key, body):
    """Sends a request and waits for no answer."""
    text = json.dumps(body).encode()
    host, port = client.url.removeprefix("http://").split(":")
    head = (f"POST /convert HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: session_id={client.session_id}\r\nX-CSRF-Token: {client.csrf}\r\n"
            f"Idempotency-Key: {key}\r\nContent-Length: {len(text)}\r\n\r\n")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head.encode() + text)


def test_who_has_not_waited_for_the_answer(server, client):
    """Whatever the request had come to when its client left: the repeat starts nothing twice. Half of the jobs are answered from a result that there is."""
    known = png(48, 30)
    again(client, "a.png", known, "jpg")
    tasks = set()
    for i in range(20):
        job_id, key = uploaded(client, "a.png", known if i % 2 else png(49, 20 + i)), new_key()
        leave(client, key, {"job_id": job_id, "target_format": "jpg"})
        answer = eventually(lambda: (a := ask(client, "/convert", key, job_id=job_id, target_format="jpg")).status_code != 409 and a)
        assert answer.status_code == 202, answer.text
        job = client.wait(job_id)
        assert job["status"] == "completed" and (job["task_id"], job["cached"]) == (answer.json()["task_id"], answer.json()["cached"])
        assert job["attempts"] == (0 if job["cached"] else 1)
        assert len(list((server.data / "storage" / client.session_id / job_id / "converted").iterdir())) == 1
        tasks.add(job["task_id"])
    assert len(tasks - {None}) >= 10


def test_retry_has_keys_too(server, client):
    with still(server.children("decant-worker")[0]):
        job_id, key = client.start("a.png", png(), "gif"), new_key()
        assert client.request("POST", "/cancel", json={"job_id": job_id}).status_code == 200
        first = ask(client, "/retry", key, job_id=job_id)
        assert first.status_code == 202
        assert ask(client, "/retry", key, job_id=job_id).content == first.content
    client.wait(job_id)


# --- and of one call: the jobs are what is remembered

def call(client, key, *files, prefer=None, **fields):
    headers = {"Idempotency-Key": key} if key else {}
    return client.request("POST", "/v1/convert", files=[("file", file) for file in files], data=fields, headers={**headers, **({"Prefer": prefer} if prefer else {})})


def jobs_of(server, client):
    return server.redis().zcard(f"session:{client.session_id}:jobs")


def test_one_call_is_made_once(server, client):
    file, key = ("a.png", png(50, 30)), new_key()
    first = call(client, key, file, to="jpg", quality="61")
    assert first.status_code == 200 and "Idempotent-Replayed" not in first.headers, first.text
    repeat = call(client, key, file, quality="61", to="JPEG")
    assert (repeat.status_code, repeat.content, repeat.headers["Idempotent-Replayed"]) == (200, first.content, "true")
    for name in "X-Job-Id", "Location", "Content-Disposition", "Content-Type":
        assert repeat.headers[name] == first.headers[name]
    later = call(client, key, file, to="jpg", quality="61", prefer="respond-async")
    assert later.status_code == 202 and later.headers["Location"] == first.headers["Location"] and later.json() == client.status(first.headers["X-Job-Id"]).json()
    for files, fields in (([file], {"to": "jpg"}), ([file], {"to": "webp", "quality": "61"}), ([("b.png", file[1])], {"to": "jpg", "quality": "61"}),
                          ([("a.png", png(51, 30))], {"to": "jpg", "quality": "61"}), ([file, file], {"to": "jpg", "quality": "61"})):
        problem(call(client, key, *files, **fields), 422, "idempotency_mismatch")
    problem(ask(client, "/convert", key, job_id=first.headers["X-Job-Id"], target_format="jpg"), 422, "idempotency_mismatch")
    assert jobs_of(server, client) == 1 and not [member for member in server.redis().zrange("decant:kept", 0, -1) if client.session_id in member]
    assert client.request("DELETE", first.headers["Location"]).status_code == 204
    problem(call(client, key, file, to="jpg", quality="61"), 404, "job_not_found")


def test_one_call_of_many_files_and_one_that_fails(server, client):
    files, key = [("a.png", png(52, 30)), ("b.png", png(53, 30))], new_key()
    first = call(client, key, *files, to="jpg")
    repeat = call(client, key, *files, to="jpg")
    assert first.status_code == repeat.status_code == 200 and jobs_of(server, client) == 2
    assert [zipfile.ZipFile(io.BytesIO(answer.content)).namelist() for answer in (first, repeat)] == [["a.jpg", "b.jpg"]] * 2 and repeat.content == first.content
    problem(call(client, key, *files[::-1], to="jpg"), 422, "idempotency_mismatch")

    broken, key = ("a.png", png()[:40]), new_key()
    answers = [call(client, key, broken, to="jpg") for _ in range(2)]
    for answer in answers:
        problem(answer, 422, "corrupt_input")
    assert answers[0].headers["X-Job-Id"] == answers[1].headers["X-Job-Id"] and jobs_of(server, client) == 3
    key = new_key()  # what comes to nothing leaves nothing, and its key free
    problem(call(client, key, ("a.png", pdf()), to="jpg"), 422, "type_mismatch")
    assert call(client, key, files[0], to="jpg").status_code == 200


def test_one_call_by_many_at_once_and_by_who_comes_back(server, client):
    file, key = ("a.png", png(54, 30)), new_key()
    with ThreadPoolExecutor(6) as pool, still(server.children("decant-worker")[0]):
        started = call(client, key, file, to="gif", prefer="respond-async")
        waiting = [pool.submit(call, client, key, file, to="gif") for _ in range(3)]
        client.status(started.json()["job_id"], wait=1)
        os.kill(server.children("decant-worker")[0], signal.SIGCONT)
        answers = [answer.result() for answer in waiting]
    assert started.status_code == 202 and {answer.headers["X-Job-Id"] for answer in answers} == {started.json()["job_id"]}
    assert {answer.status_code for answer in answers} == {200} and len({answer.content for answer in answers}) == 1

    key = new_key()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: call(client, key, ("a.png", png(55, 30)), to="gif"), range(6)))
    for answer in answers:
        assert answer.status_code == 200 or problem(answer, 409, "idempotency_busy")
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1 and jobs_of(server, client) == 2

    # who leaves while it waits
    key, body = new_key(), (b'--b\r\nContent-Disposition: form-data; name="to"\r\n\r\njpg\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
                            + png(56, 30) + b"\r\n--b--\r\n")
    answers, before = f"session:{client.session_id}:answers", jobs_of(server, client)
    with still(server.children("decant-worker")[0]):
        host, port = client.url.removeprefix("http://").split(":")
        head = (f"POST /v1/convert HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: session_id={client.session_id}\r\nX-CSRF-Token: {client.csrf}\r\n"
                f"Content-Type: multipart/form-data; boundary=b\r\nIdempotency-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(head.encode() + body)
            eventually(lambda: sum('"answer"' in record for record in server.redis().hvals(answers)) == 3)
    answer = call(client, key, ("a.png", png(56, 30)), to="jpg")
    assert answer.status_code == 200 and answer.headers["Idempotent-Replayed"] == "true" and jobs_of(server, client) == before + 1


def test_one_call_uses_results_that_stay(server, client):
    """Of a call of which nothing is left there is none."""
    file = ("a.png", png(57, 30))
    assert call(client, None, file, to="webp").status_code == 200
    eventually(lambda: jobs_of(server, client) == 0)  # it goes behind the answer
    kept = [call(client, None, file, to="webp", keep="true") for _ in range(2)]
    assert [client.request("GET", answer.headers["Location"]).json()["cached"] for answer in kept] == [False, True]
    with still(server.children("decant-worker")[0]):
        assert call(client, None, file, to="webp").content == kept[0].content
    eventually(lambda: jobs_of(server, client) == 2)


# --- results that there are

def test_the_same_again_is_there_at_once(server, client):
    data = png(40, 30)
    first, made = again(client, "a.png", data, "jpg", quality=41)
    original = client.status(first["job_id"]).json()
    assert first["cached"] is False and original["cached"] is False
    with still(server.children("decant-worker")[0]):  # nobody converts anything
        job_id = uploaded(client, "another name.png", data)
        answer = convert(client, job_id, "jpg", quality=41)
        assert answer == {"job_id": job_id, "task_id": None, "status": "completed", "target_format": "jpg", "queue_position": 0,
                          "estimated_wait_ms": 0, "cached": True}
        job = client.status(job_id).json()
        assert content(client, job_id) == made
    for same in ("target_format", "sha256", "engine", "engine_version", "sandbox", "fonts_substituted"):
        assert job[same] == original[same]
    assert job["output"] == {**original["output"], "filename": "another name.jpg"}
    assert job["status"] == "completed" and job["cached"] is True and job["progress"] == 100 and job["task_id"] is None and job["error_code"] is None
    assert (job["attempts"], job["queue_ms"], job["duration_ms"], job["cpu_ms"]) == (0, 0, 0, 0)
    assert job["started_at"] and job["completed_at"]

    metrics = parse(requests.get(server.url + "/metrics", timeout=60).text)
    assert value(metrics, "decant_results_reused_total") >= 1

    # It is the job's own: it counts, and stays when the other one is gone.
    redis, sid = server.redis(), client.session_id
    assert int(redis.hget("decant:stored", sid)) == 2 * (len(data) + len(made))
    shutil.rmtree(server.data / "storage" / sid / original["job_id"])
    assert content(client, job_id) == made
    assert client.request("GET", f"/preview?job_id={job_id}").status_code == 200

    # So the next one is converted, as the result that was remembered is no more; and then that one serves.
    assert [is_cached(client, "a.png", data, "jpg", quality=41) for _ in range(2)] == [False, True]


def test_what_is_not_the_same(server, client):
    data = png(41, 30)
    assert [is_cached(client, "a.png", data, "jpg", **options) for options in ({"quality": 50}, {"quality": 51}, {}, {"rotate": 90})] == [False] * 4
    assert not is_cached(client, "a.png", data, "webp", quality=50) and not is_cached(client, "a.png", png(42, 30), "jpg", quality=50)
    assert is_cached(client, "a.png", data, "jpg", quality=50) and is_cached(client, "a.png", data, "jpg")
    assert not is_cached(client, "a.png", data, "jpg", {"Cache-Control": "no-cache"})


def test_never_of_another_session(server, client, other):
    data = png(43, 30)
    assert not is_cached(client, "a.png", data, "jpg")
    assert not is_cached(other, "a.png", data, "jpg")
    assert is_cached(client, "a.png", data, "jpg") and is_cached(other, "a.png", data, "jpg")
    client.close()
    assert not [key for key in server.redis().scan_iter(f"session:{client.session_id}*")]
    client.init()
    assert not is_cached(client, "a.png", data, "jpg")


def test_what_redis_says_is_not_believed(server, client, other):
    """A record that leads to somebody else's result."""
    data = png(46, 30)
    theirs, _ = again(other, "a.png", png(47, 30), "jpg")
    mine, made = again(client, "a.png", data, "jpg")
    redis, keys = server.redis(), [f"session:{who.session_id}:jobs:{answer['job_id']}" for who, answer in ((other, theirs), (client, mine))]
    redis.hset(keys[1], mapping=dict(zip(("converted_path", "output_size"), redis.hmget(keys[0], "converted_path", "output_size"))))
    answer, bytes_now = again(client, "a.png", data, "jpg")
    assert answer["cached"] is False and bytes_now == made


def test_a_result_that_is_too_old_or_of_another_engine(server, client):
    data, redis = png(44, 30), server.redis()
    first, _ = again(client, "a.png", data, "jpg")
    made = f"session:{client.session_id}:made"
    (fingerprint,) = redis.zrange(made, 0, -1)
    redis.zincrby(made, -3601 * 1000, fingerprint)
    answer, _ = again(client, "a.png", data, "jpg")
    assert answer["cached"] is False
    assert redis.hget(f"session:{client.session_id}:results", fingerprint) == answer["job_id"]
    redis.hset(f"session:{client.session_id}:jobs:{answer['job_id']}", "engine_version", "libvips 1.0")
    assert [is_cached(client, "a.png", data, "jpg") for _ in range(2)] == [False, True]


def test_one_that_has_failed_is_tried_again(server, client):
    broken = b"%PDF-1.4\n" + b"nothing of a document " * 200 + b"\n%%EOF\n"
    for _ in range(2):
        job_id = uploaded(client, "a.pdf", broken)
        assert convert(client, job_id, "png")["cached"] is False
        assert client.wait(job_id)["status"] == "failed"


def test_what_had_a_password_is_nobody_elses(server, client, tmp_path):
    plain, secret = tmp_path / "plain.pdf", tmp_path / "secret.pdf"
    plain.write_bytes(pdf(["the words inside"]))
    subprocess.run(["qpdf", "--encrypt", PASSWORD, "the owner's", "256", "--", plain, secret], check=True)
    for _ in range(2):
        assert not is_cached(client, "a.pdf", secret.read_bytes(), "png", password=PASSWORD)
    job_id = uploaded(client, "a.pdf", secret.read_bytes())
    assert convert(client, job_id, "png")["cached"] is False
    assert client.wait(job_id)["error_code"] == "password_required"

    # Nothing that is stored tells anything of it: a key with another password is the same request.
    job_id, key = uploaded(client, "a.pdf", secret.read_bytes()), new_key()
    answers = [ask(client, "/convert", key, job_id=job_id, target_format="png", options={"password": word}) for word in (PASSWORD, "another")]
    assert answers[0].status_code == 202 and answers[0].content == answers[1].content
    assert client.wait(job_id)["status"] == "completed"


def test_of_many_files(server, client):
    def merge(names, target):
        ids = [uploaded(client, name, data) for name, data in names]
        answer = client.request("POST", "/convert", json={"job_ids": ids, "target_format": target})
        assert answer.status_code == 202, answer.text
        assert client.wait(ids[0])["status"] == "completed"
        return answer.json()["cached"], content(client, ids[0])

    pages = [("a.pdf", pdf(["one"])), ("b.png", png(20, 20))]
    first = merge(pages, "zip")
    assert first[0] is False and merge(pages, "zip") == (True, first[1])
    assert merge(pages[::-1], "zip")[0] is False and merge([("c.pdf", pages[0][1]), pages[1]], "zip")[0] is False
    assert [merge(pages, "pdf")[0] for _ in range(2)] == [False, True]

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.png", png(21, 20))
    assert [is_cached(client, "a.zip", archive.getvalue(), "zip", each=each) for each in ("jpg", "gif", "jpg")] == [False, False, True]


def test_no_room_for_a_copy(server, client):
    """Then it is converted, as it would be without."""
    data = png(45, 30)
    again(client, "a.png", data, "jpg")
    job_id = uploaded(client, "a.png", data)
    server.redis().hincrby("decant:stored", client.session_id, 2 << 30)
    assert convert(client, job_id, "jpg")["cached"] is False
    assert client.wait(job_id)["status"] == "completed"
    assert len(list((server.data / "storage" / client.session_id / job_id / "converted").iterdir())) == 1
