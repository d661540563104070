"""POST /v1/convert: files in, result out, in one call of which nothing stays; and jobs by their paths."""

import io
import os
import re
import signal
import subprocess
import zipfile
from pathlib import Path

import pytest
import requests

from client import Client, problem
from fixtures import docx, eicar, pdf, png, slow_pdf
from raw import Raw
from server import Server, eventually, still

API = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text()
ABSENT = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), "image pdf office pages", DECANT_JOBS="2", DECANT_SESSION_UPLOADS="1", DECANT_ANONYMOUS_CALLS="2").start()
    yield server
    server.stop()


def call(client, *files, prefer=None, **fields):
    return client.request("POST", "/v1/convert", files=[("file", file) for file in files], data=fields, headers={"Prefer": prefer} if prefer else {})


def left(server, client):
    """What is there of the session's jobs: keys, files and folders."""
    keys = server.redis().keys(f"session:{client.session_id}:jobs*") + server.redis().keys(f"session:{client.session_id}:waiting")
    return keys + list((server.data / "storage").glob(f"{client.session_id}/*"))


def nothing_is_left(server, client):
    eventually(lambda: not left(server, client), lambda: left(server, client))
    assert int(server.redis().hget("decant:stored", client.session_id) or 0) == 0


def form(*parts, boundary="b"):
    """Parts are (name, text) or (name, file name, bytes)."""
    body = b""
    for name, *rest in parts:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        body += f'; filename="{rest[0]}"\r\n\r\n'.encode() + rest[1] if len(rest) == 2 else b"\r\n\r\n" + rest[0].encode()
        body += b"\r\n"
    return body + f"--{boundary}--\r\n".encode()


def send_form(client, *parts):
    return client.request("POST", "/v1/convert", data=form(*parts), headers={"Content-Type": "multipart/form-data; boundary=b"})


# --- the answer

def test_the_result_is_the_answer(server, client):
    for name, data, to, start, mime in (("Grüße.txt", "Grüße\n".encode(), "pdf", b"%PDF-", "application/pdf"), ("a.png", png(), "JPEG", b"\xff\xd8\xff", "image/jpeg"),
                                        ("a.docx", docx(), "pdf", b"%PDF-", "application/pdf")):
        answer = call(client, (name, data), to=to)
        assert answer.status_code == 200 and answer.content.startswith(start), answer.text
        assert answer.headers["Content-Type"] == mime and answer.headers["Cache-Control"] == "private, no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert answer.headers["Content-Disposition"].startswith("attachment; filename=") and "Location" not in answer.headers
        nothing_is_left(server, client)
        problem(client.request("GET", "/v1/jobs/" + answer.headers["X-Job-Id"]), 404, "job_not_found")
    assert "filename*=UTF-8''a.pdf" in answer.headers["Content-Disposition"]


def test_options_are_fields_in_any_order(client):
    widths = []
    for parts in ((("dpi", "36"), ("file", "a.pdf", pdf()), ("to", "png"), ("pages", "1")), (("options", '{"dpi": 72}'), ("to", "png"), ("file", "a.pdf", pdf()))):
        answer = send_form(client, *parts)
        assert answer.status_code == 200, answer.text
        widths.append(int.from_bytes(answer.content[16:20], "big"))
    assert widths[1] == pytest.approx(2 * widths[0], abs=2)


def test_a_password_is_a_field(server, client):
    locked = call(client, ("a.pdf", pdf(["Locked."])), to="pdf", new_password="a secret word")
    assert locked.status_code == 200, locked.text
    problem(call(client, ("a.pdf", locked.content), to="txt"), 422, "password_required")
    assert b"Locked." in call(client, ("a.pdf", locked.content), to="txt", password="a secret word").content
    assert "a secret word" not in server.log()


def test_many_results_are_one_archive(server, client):
    answer = call(client, ("a.png", png()), ("b.txt", b"hello\n"), ("a.png", png(32, 24)), to="pdf")
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/zip", answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["a.pdf", "b.pdf", "a (2).pdf"]
        assert all(archive.read(name).startswith(b"%PDF-") for name in archive.namelist())
    nothing_is_left(server, client)


def test_many_files_become_one(server, client, tmp_path):
    answer = call(client, ("a.txt", b"First.\n"), ("b.pdf", pdf(["Second."])), to="pdf", merge="true", linearize="true")
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/pdf", answer.text
    (tmp_path / "a.pdf").write_bytes(answer.content)
    text = subprocess.run(["pdftotext", tmp_path / "a.pdf", "-"], check=True, capture_output=True, text=True).stdout
    assert [page.strip() for page in text.split("\f")[:-1]] == ["First.", "Second."]
    nothing_is_left(server, client)


# --- refusals and failures

@pytest.mark.parametrize("parts, status, code, words", [
    ([("to", "pdf")], 400, "bad_request", "no file"),
    ([("file", "a.png", png())], 400, "bad_request", 'no field "to"'),
    ([("file", "a.png", png()), ("to", "pdf"), ("qualty", "3")], 400, "bad_request", '"qualty"'),
    ([("file", "a.png", png()), ("to", "jpg"), ("dpi", "72")], 400, "bad_request", 'no option "dpi"'),
    ([("file", "a.png", png()), ("to", "jpg"), ("quality", "lots")], 400, "bad_request", '"quality" must be a whole number'),
    ([("file", "a.png", png()), ("to", "jpg"), ("options", "[]")], 400, "bad_request", '"options"'),
    ([("file", "a.png", png()), ("to", "jpg"), *2 * [("options", '{"quality": 3' + 40_000 * " " + "}")]], 413, "too_large", "too long"),
    ([("file", "a.png", png()), ("to", "docx")], 422, "unsupported_target", "GET /formats"),
    ([("file", "a.png", png()), ("to", "nonsense")], 422, "unsupported_target", "GET /formats"),
    ([("file", "a.exe", b"x"), ("to", "pdf")], 415, "unsupported_type", "extension"),
    ([("file", "a.png", b""), ("to", "jpg")], 422, "empty_file", "empty"),
    ([("to", "jpg"), ("file", "a.png", png()), ("file", "b.png", pdf())], 422, "type_mismatch", "b.png: "),
    ([("to", "jpg"), ("file", "a.png", png()), ("file", "b.pdf", pdf()), ("dpi", "72")], 400, "bad_request", "a.png: "),
    ([("to", "jpg"), ("file", "a.png", png()), ("file", "b.png", png()), ("keep", "true")], 400, "bad_request", "respond-async"),
    ([("to", "jpg"), ("file", "a.png", png()), ("callback_url", "https://example.org")], 400, "bad_request", "respond-async"),
    ([("to", "jpg"), ("file", "a.png", png()), ("file", "b.png", png()), ("merge", "true")], 422, "unsupported_target", "one PDF or one archive"),
    ([("to", "jpg"), ("file", "a.png", png()[:40])], 422, "corrupt_input", "damaged"),
    ([("to", "pdf"), ("file", "a.txt", eicar())], 422, "infected", "malware"),
    ([("to", "png"), ("file", "a.pdf", pdf()), ("pages", "7")], 422, "bad_options", "page"),
    ([("to", "jpg"), ("file", "a.png", png()), ("file", "b.png", png()[:40])], 422, "corrupt_input", "b.png: "),
    ([("to", "pdf"), ("file", "a.txt", b"a\n"), ("file", "b.png", png()[:40]), ("merge", "1")], 422, "corrupt_input", "b.png: The file is damaged")],
    ids=lambda value: value if isinstance(value, str) else None)
def test_what_fails_says_why_and_leaves_nothing(server, client, parts, status, code, words):
    assert words in problem(send_form(client, *parts), status, code)["detail"]
    nothing_is_left(server, client)


def test_a_broken_upload_leaves_nothing(server, client):
    whole = form(("to", "jpg"), ("file", "a.png", png()), ("file", "b.png", png()))
    for body in (whole[:-20], whole[:300], b"no form at all"):
        problem(client.request("POST", "/v1/convert", data=body, headers={"Content-Type": "multipart/form-data; boundary=b"}), 400, "bad_request")
    problem(client.request("POST", "/v1/convert", json={"to": "pdf"}), 400, "bad_request")
    with Raw(server.port) as raw:
        raw.send(head(client, len(whole)) + whole[:-20])
    nothing_is_left(server, client)
    # its place among the uploads is free again, of which this session has one
    eventually(lambda: call(client, ("a.png", png()), to="jpg").status_code == 200)


def head(client, length):
    return (f"POST /v1/convert HTTP/1.1\r\nHost: x\r\nCookie: session_id={client.session_id}\r\nX-CSRF-Token: {client.csrf}\r\n"
            f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n").encode()


def test_who_leaves_cancels(server, client):
    body = form(("file", "slow.pdf", slow_pdf(300)), ("to", "png"), ("dpi", "600"))
    with Raw(server.port) as raw:
        raw.send(head(client, len(body)) + body)
        eventually(lambda: [key for key in server.redis().keys(f"session:{client.session_id}:jobs:*") if server.redis().hget(key, "status") == "processing"])
    nothing_is_left(server, client)


# --- who does not wait

def test_respond_async(server, client, other):
    answer = call(client, ("a.pdf", pdf()), to="txt", prefer="respond-async")
    assert answer.status_code == 202 and answer.headers["Preference-Applied"] == "respond-async", answer.text
    job, where = answer.json(), answer.headers["Location"]
    assert where == "/v1/jobs/" + job["job_id"] and job["target_format"] == "txt" and answer.headers["X-Job-Id"] == job["job_id"]
    assert client.wait(job["job_id"])["status"] == "completed"
    assert client.request("GET", where).json() == client.request("GET", where + "?wait=5").json() == client.status(job["job_id"]).json()

    result = client.request("GET", where + "/result")
    assert result.status_code == 200 and b"Hello" in result.content and result.headers["Content-Disposition"].startswith("attachment; filename=\"a.txt\"")
    assert result.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    nothing = client.request("HEAD", where + "/result")
    assert nothing.status_code == 200 and not nothing.content and int(nothing.headers["Content-Length"]) == len(result.content)
    part = client.request("GET", where + "/result", headers={"Range": "bytes=1-3"})
    assert part.status_code == 206 and part.content == result.content[1:4]
    problem(client.request("POST", where + "/cancel"), 409, "wrong_state")

    for stranger in (other, Client(server.url)):  # of another session, and of none
        for method, path in (("GET", where), ("GET", where + "/result"), ("POST", where + "/cancel"), ("DELETE", where)):
            answer = stranger.request(method, path)
            problem(answer, *((404, "job_not_found") if stranger is other else (401, "session_required")))
    for method, path in (("DELETE", where), ("POST", where + "/cancel"), ("POST", "/v1/convert")):
        problem(client.request(method, path, csrf=False), 403, "csrf_invalid")

    answer = client.request("DELETE", where)
    assert answer.status_code == 204 and not answer.content
    for method, path in (("GET", where), ("GET", where + "/result"), ("DELETE", where), ("GET", "/v1/jobs/" + ABSENT), ("DELETE", "/v1/jobs/x"), ("GET", "/v1/jobs/x/result")):
        problem(client.request(method, path), 404, "job_not_found")
    nothing_is_left(server, client)


def test_a_slow_one_by_its_path(server, client):
    """Waited for as long as was asked, there is a job to come back for."""
    answer = call(client, ("slow.pdf", slow_pdf(300)), to="png", dpi="600", prefer="wait=1")
    assert answer.status_code == 202 and answer.headers["Preference-Applied"] == "wait=1", answer.text
    where = answer.headers["Location"]
    problem(client.request("GET", where + "/result"), 409, "wrong_state")
    assert client.request("POST", where + "/cancel").status_code in (200, 202)
    assert client.wait(answer.json()["job_id"])["status"] == "cancelled"
    problem(client.request("GET", where + "/result"), 409, "cancelled_by_user")
    assert client.request("DELETE", where).status_code == 204
    nothing_is_left(server, client)


def test_what_stays(server, client):
    answer = call(client, ("a.png", png()), to="jpg", keep="true")
    where = answer.headers["Location"]
    assert answer.status_code == 200 and client.request("GET", where + "/result").content == answer.content
    failed = call(client, ("a.png", png()[:40]), to="jpg", keep="true")
    problem(failed, 422, "corrupt_input")
    assert failed.headers["Location"] == "/v1/jobs/" + failed.headers["X-Job-Id"]
    problem(client.request("GET", failed.headers["Location"] + "/result"), 422, "corrupt_input")
    many = call(client, ("a.png", png()), ("b.png", png()), to="jpg", prefer="respond-async")
    assert many.status_code == 202 and [job["original_filename"] for job in many.json()["jobs"]] == ["a.png", "b.png"] and "Location" not in many.headers
    assert [client.wait(job["job_id"])["status"] for job in many.json()["jobs"]] == ["completed"] * 2


def test_an_api_that_dies_leaves_no_job_for_long(server, client):
    """Nobody knows of it: it goes when such a call would have ended long ago. Who was told of a job has it as long as others."""
    told = call(client, ("b.png", png()), to="jpg", prefer="respond-async").json()["job_id"]
    body, redis = form(("file", "a.png", png()), ("to", "jpg")), server.redis()
    with still(server.children("decant-worker")[0]), Raw(server.port) as raw:
        raw.send(head(client, len(body)) + body)
        member = eventually(lambda: next((member for member in redis.zrange("decant:kept", 0, -1) if client.session_id in member), None))
        eventually(lambda: redis.hget(f"session:{client.session_id}:jobs:{member.split('/')[1]}", "status") == "queued")
        os.kill(server.children("decant-api")[0], signal.SIGKILL)
    assert 3000 < redis.zscore("decant:kept", member) / 1000 - redis.time()[0] < 4000 and told not in member
    redis.zadd("decant:kept", {member: 1})
    server.wait_ready()
    eventually(lambda: client.request("GET", "/v1/jobs/" + member.split("/")[1]).status_code == 404)
    assert client.wait(told)["status"] == "completed"


# --- who comes with nothing

def bare(server, *files, headers=None, path="/v1/convert", **fields):
    return requests.post(server.url + path, files=[("file", file) for file in files or [("a.png", png())]], data={"to": "jpg", **fields}, headers=headers, timeout=300)


def sessions(server):
    """What there is of all sessions."""
    redis = server.redis()
    return {*redis.keys("session:*"), *redis.hkeys("decant:stored"), *redis.zrange("decant:kept", 0, -1), *(path.name for path in (server.data / "storage").iterdir())}


def test_nothing_is_enough_and_nothing_is_left(server):
    before = sessions(server)
    answer = bare(server)
    assert answer.status_code == 200 and answer.content.startswith(b"\xff\xd8") and not {"Set-Cookie", "Location"} & set(answer.headers), answer.text
    many = bare(server, ("a.png", png()), ("b.png", png()))
    assert many.status_code == 200 and len(zipfile.ZipFile(io.BytesIO(many.content)).namelist()) == 2
    problem(bare(server, ("a.png", png()[:40])), 422, "corrupt_input")
    problem(bare(server, ("a.png", b"no picture")), 422, "type_mismatch")
    for headers, fields in (({"Prefer": "respond-async"}, {}), ({"Prefer": "wait=5"}, {}), ({"Idempotency-Key": "k"}, {}), ({}, {"keep": "true"}),
                            ({"Prefer": "respond-async"}, {"callback_url": "https://example.com/"})):
        assert "need a session or a bearer" in problem(bare(server, headers=headers, **fields), 401, "session_required")["detail"]
    eventually(lambda: sessions(server) == before, lambda: sessions(server) ^ before)
    assert requests.get(server.url + "/openapi.json", timeout=60).json()["paths"]["/v1/convert"]["post"]["security"][-1] == {}


def test_what_is_wrong_is_not_nothing(server, client):
    """A bearer, a session or a page that may not is refused as ever; and so are other calls."""
    before = sessions(server)
    own = {"Cookie": f"session_id={client.session_id}"}
    for headers, status, code in (({"Authorization": "Bearer "}, 401, "auth_invalid"), ({"Authorization": "Bearer dk_" + "0" * 12 + "_" + "0" * 64}, 401, "auth_invalid"),
                                  (own, 403, "csrf_invalid"), ({**own, "X-CSRF-Token": "0" * 64}, 403, "csrf_invalid"),
                                  ({"Cookie": "session_id=" + "0" * 64}, 401, "session_required"), ({"Cookie": "session_id="}, 401, "session_required"),
                                  ({"X-CSRF-Token": client.csrf}, 401, "session_required"), ({"Origin": "https://evil.example"}, 403, "csrf_invalid"),
                                  ({"Origin": "null"}, 403, "csrf_invalid"), ({"Sec-Fetch-Site": "cross-site"}, 403, "csrf_invalid"),
                                  ({"Origin": server.url, "Sec-Fetch-Site": "same-origin"}, 401, "session_required")):
        problem(bare(server, headers=headers), status, code)
    for path in "/upload", "/convert", "/v1/jobs/x/cancel":
        problem(bare(server, path=path), 401, "session_required")
    assert sessions(server) == before


def test_one_address_has_its_turns(server):
    """Two here; who leaves gives his back, with all that was begun. Of who dies with the server the rest goes by itself."""
    before, redis = sessions(server), server.redis()
    body = form(("file", "a.png", png()), ("to", "jpg"))
    request = (f"POST /v1/convert HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body

    def waiting():
        return [key for key in redis.keys("session:*:jobs:*") if key not in before and redis.hget(key, "status") == "queued"]

    with still(server.children("decant-worker")[0]):
        with Raw(server.port) as first, Raw(server.port) as second:
            first.send(request)
            second.send(request)
            eventually(lambda: len(waiting()) == 2)
            problem(bare(server), 429, "rate_limited")
        eventually(lambda: sessions(server) == before, lambda: sessions(server) ^ before)
        with Raw(server.port) as raw:
            raw.send(request)
            session_id = eventually(waiting)[0].split(":")[1]
            os.kill(server.children("decant-api")[0], signal.SIGKILL)
    server.wait_ready()
    assert 3000 < redis.ttl("session:" + session_id) < 4000
    for key in redis.keys(f"session:{session_id}*"):
        redis.pexpire(key, 1)
    eventually(lambda: not (server.data / "storage" / session_id).exists())
    assert bare(server).status_code == 200


def test_who_comes_with_nothing_waits_to_the_end(own_server):
    server = own_server("pdf", DECANT_CLAMD="off", DECANT_ANONYMOUS_CALLS="1", DECANT_CALL_WAIT="1")
    before = sessions(server)
    for _ in range(2):  # the only turn is free again with the answer
        problem(bare(server, ("slow.pdf", slow_pdf(300)), to="png", dpi="600"), 504, "timed_out")
    assert sessions(server) == before


# --- the document

def test_the_lines_of_the_document(server, client, tmp_path):
    """As they stand there, but for the server's address."""
    (tmp_path / "report.docx").write_bytes(docx(["From the document."]))
    (tmp_path / "scan.png").write_bytes(png())
    section = API[API.index("## POST /v1/convert"):API.index("## GET /v1/jobs")]
    bash, python = (re.search(rf"```{language}\n(.*?)```", section, re.S)[1] for language in ("sh", "python"))
    own = {"https://decant.example.com": server.url}
    for old, new in own.items():
        assert old in bash and old in python
        bash, python = bash.replace(old, new), python.replace(old, new)
    run = subprocess.run(["bash", "-euo", "pipefail", "-c", bash], cwd=tmp_path, capture_output=True, text=True, timeout=300,
                         env={"PATH": "/usr/bin:/bin", "SESSION": client.session_id, "CSRF": client.csrf})
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-") and zipfile.is_zipfile(tmp_path / "both.zip")
    (tmp_path / "report.pdf").unlink()
    run = subprocess.run(["/usr/bin/python3", "-c", python], cwd=tmp_path, capture_output=True, text=True, timeout=300,
                         env={"PATH": "/usr/bin:/bin", "SESSION": client.session_id, "CSRF": client.csrf})
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-")
