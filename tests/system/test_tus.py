"""Resumable uploads by tus 1.0.0: what the protocol says, and that nothing is lost or mixed, whatever breaks at whatever byte."""

import base64
import hashlib
import os
import random
import signal
import subprocess

import pytest
import requests

from client import Client, new_client, problem
from fixtures import pdf, png
from raw import Raw, request
from server import BIN, Server, eventually, sanitizers

BYTES = "application/offset+octet-stream"


@pytest.fixture(scope="module")
def tus_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("tus"), "image pdf", DECANT_MAX_UPLOAD="6M", DECANT_SESSION_QUOTA="16M", DECANT_MAX_JOBS="12", DECANT_PLAN_FREE="upload=4M", DECANT_PLAN_PREMIUM="retention=7d").start()
    yield server
    server.stop()


@pytest.fixture
def client(tus_server):
    client = new_client(tus_server)
    yield client
    client.close()


def metadata(name):
    return f"filename {base64.b64encode(name.encode()).decode()},filetype aW1hZ2UvcG5n"


def tus(client, method, path, **headers):
    data = headers.pop("data", None)
    fields = {"Tus-Resumable": "1.0.0", **{name.replace("_", "-"): str(value) for name, value in headers.items() if value is not None}}
    return client.request(method, path, headers=fields, data=data)


def create(client, name, length, **headers):
    return tus(client, "POST", "/files", Upload_Length=length, Upload_Metadata=metadata(name), **headers)


def begin(client, name, length):
    answer = create(client, name, length)
    assert answer.status_code == 201 and answer.headers["Tus-Resumable"] == "1.0.0" and answer.headers["Upload-Offset"] == "0", answer.text
    return answer.headers["Location"]


def patch(client, path, offset, data, **headers):
    return tus(client, "PATCH", path, Upload_Offset=offset, Content_Type=BYTES, data=data, **headers)


def offset(client, path):
    answer = tus(client, "HEAD", path)
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store", answer.headers
    return int(answer.headers["Upload-Offset"])


def checksum(data, name="sha256"):
    return f"{name} {base64.b64encode(hashlib.new(name, data).digest()).decode()}"


def noise(size=3 << 20):
    """A PDF of that size, which no two runs of bytes are alike in."""
    data = pdf()
    return data + b"\n%" + random.Random(8).randbytes(size - len(data) - 2)


def stored(server, client):
    return int(server.redis().hget("decant:stored", client.session_id) or 0)


def is_whole(server, client, path, data):
    """It is a job, of these bytes."""
    job_id = path.rpartition("/")[2]
    told = tus(client, "GET", path).json()
    assert told["state"] == "complete" and told["job"]["job_id"] == told["id"] == job_id and told["offset"] == told["length"] == len(data)
    job = client.status(job_id).json()
    assert job["sha256"] == hashlib.sha256(data).hexdigest() and job["size"] == len(data)
    (upload,) = (server.data / "storage" / client.session_id / job_id / "uploads").iterdir()
    assert upload.read_bytes() == data
    assert server.redis().zscore(f"session:{client.session_id}:files", job_id) is None
    return told["job"]


def test_what_is_spoken(tus_server):
    answer = requests.options(tus_server.url + "/files", timeout=60)
    assert answer.status_code == 204 and answer.headers["Tus-Version"] == answer.headers["Tus-Resumable"] == "1.0.0"
    assert answer.headers["Tus-Extension"] == "creation,creation-with-upload,termination,checksum,expiration"
    assert answer.headers["Tus-Max-Size"] == str(4 << 20) and answer.headers["Tus-Checksum-Algorithm"] == "sha1,sha256"


def test_in_pieces_to_a_result(tus_server, client):
    data = png(300, 200)
    third = len(data) // 3
    path = begin(client, "Über uns.png", len(data))
    assert stored(tus_server, client) == len(data)
    for at in range(0, 2 * third, third):
        answer = patch(client, path, at, data[at:at + third])
        assert answer.status_code == 204 and answer.headers["Upload-Offset"] == str(at + third) and "Upload-Expires" in answer.headers, answer.text
        assert "Upload-Job" not in answer.headers
    answer = tus(client, "HEAD", path)
    assert answer.headers["Upload-Length"] == str(len(data)) and answer.headers["Upload-Metadata"] == metadata("Über uns.png")
    assert tus(client, "GET", path).json() == {"id": path[7:], "state": "uploading", "offset": 2 * third, "length": len(data), "job": None}
    answer = patch(client, path, 2 * third, data[2 * third:])
    assert answer.status_code == 204 and answer.headers["Upload-Job"] == path.rpartition("/")[2]
    job = is_whole(tus_server, client, path, data)
    plain = client.upload("Über uns.png", data).json()
    assert {**job, "job_id": 0, "created_at": 0} == {**plain, "job_id": 0, "created_at": 0}
    assert stored(tus_server, client) == 2 * len(data)
    # the last answer may have been lost: each of these tells it again
    assert offset(client, path) == len(data)
    answer = patch(client, path, len(data), b"")
    assert answer.status_code == 204 and answer.headers["Upload-Job"] == job["job_id"]
    problem(patch(client, path, 0, data), 409, "offset_mismatch")
    assert client.convert(job["job_id"], "jpg").status_code == 202 and client.wait(job["job_id"])["status"] == "completed"
    assert tus(client, "GET", path).json()["job"]["status"] == "completed"
    # that is a job like others: so it is deleted
    answer = tus(client, "DELETE", path)
    assert answer.status_code == 204 and answer.headers["Tus-Resumable"] == "1.0.0"
    problem(tus(client, "GET", path), 404, "upload_not_found")
    problem(client.status(job["job_id"]), 404, "job_not_found")
    assert stored(tus_server, client) == len(data)


def test_deleted_by_its_job(tus_server, client):
    """Who deletes a job need not know whether all of its file has come."""
    data = png()
    for delete, status in ((lambda id: client.request("POST", "/delete", json={"job_id": id}), 200), (lambda id: client.request("DELETE", f"/v1/jobs/{id}"), 204)):
        path = begin(client, "a.png", len(data))
        job_id = path.rpartition("/")[2]
        with Raw(tus_server.port) as sending:
            sending.send(head_of(client, path, 0, len(data)) + data[:50])
            wait_written(tus_server, path, 50)
            answer = delete(job_id)
            assert answer.status_code == status and (status == 204 or answer.json() == {"job_id": job_id, "deleted": True}), answer.text
            assert sending.answer().code == "upload_busy"
        problem(delete(job_id), 404, "job_not_found")
        assert tus(client, "HEAD", path).status_code == 404
    assert stored(tus_server, client) == 0 and not os.listdir(tus_server.data / "storage" / client.session_id)


def decant(server, *words):
    return subprocess.run([BIN / "decant", *words], capture_output=True, text=True, check=True, timeout=120,
                          env={"PATH": "/usr/bin:/bin", "DECANT_DATA": str(server.data), **sanitizers()}).stdout


def test_by_an_account(tus_server):
    """By its keys alone, as much as its plan allows, and for as long."""
    decant(tus_server, "user", "add", "ann", "--plan", "premium", "--no-password")
    reads, ann = (Client(tus_server.url, bearer=next(word for word in decant(tus_server, "key", "create", "--user", "ann", "--scope", scope).split() if word.startswith("dk_")))
                  for scope in ("read", "convert,read"))
    data = noise(5 << 20)  # more than others may send
    problem(create(reads, "a.pdf", len(data)), 403, "scope_required")
    assert tus(ann, "OPTIONS", "/files").headers["Tus-Max-Size"] == str(6 << 20)
    path = begin(ann, "a.pdf", len(data))
    half = len(data) // 2
    assert patch(ann, path, 0, data[:half]).status_code == 204 and offset(ann, path) == half
    for method in ("GET", "PATCH", "DELETE"):
        problem(tus(reads, method, path, Upload_Offset=half, Content_Type=BYTES), 403, "scope_required")
    answer = patch(ann, path, half, data[half:])
    assert answer.status_code == 204
    job_id = answer.headers["Upload-Job"]
    assert reads.status(job_id).json()["sha256"] == hashlib.sha256(data).hexdigest()
    (kept,) = tus_server.redis().zrange("decant:kept", 0, -1)
    assert kept.endswith("/" + job_id)
    assert tus(ann, "DELETE", path).status_code == 204 and not tus_server.redis().exists("decant:kept")


def test_created_with_its_bytes(tus_server, client):
    data = png()
    answer = create(client, "a.png", len(data), Content_Type=BYTES, data=data)
    assert answer.status_code == 201 and answer.headers["Upload-Offset"] == str(len(data)) and answer.headers["Upload-Job"] in answer.headers["Location"]
    is_whole(tus_server, client, answer.headers["Location"], data)
    answer = create(client, "a.png", len(data), Content_Type=BYTES, data=data[:50])
    assert answer.status_code == 201 and answer.headers["Upload-Offset"] == "50"
    path = answer.headers["Location"]
    answer = tus(client, "POST", path, X_HTTP_Method_Override="PATCH", Upload_Offset=50, Content_Type=BYTES, data=data[50:])
    assert answer.status_code == 204
    is_whole(tus_server, client, path, data)


def test_what_is_refused(tus_server, client):
    data = png()
    path = begin(client, "a.png", len(data))
    for answer in (client.request("POST", "/files", headers={"Upload-Length": "1"}), client.request("PATCH", path, headers={"Tus-Resumable": "0.2.2"})):
        problem(answer, 412, "tus_version")
        assert answer.headers["Tus-Version"] == "1.0.0"
    assert tus(client, "HEAD", path, Tus_Resumable="2.0.0").status_code == 412
    problem(create(client, "a.exe", 10), 415, "unsupported_type")
    problem(create(client, "a.png", (4 << 20) + 1), 413, "too_large")
    problem(create(client, "a.png", 0), 422, "empty_file")
    for headers in ({"Upload_Length": "-1"}, {"Upload_Length": "1x"}, {"Upload_Defer_Length": 1}, {"Upload_Length": 5, "Upload_Metadata": "filename !"},
                    {"Upload_Length": 5, "Upload_Metadata": None}, {"Upload_Length": 5, "Upload_Checksum": "md5 AAAA"}):
        problem(tus(client, "POST", "/files", **{"Upload_Metadata": metadata("a.png"), **headers}), 400, "bad_request")
    problem(patch(client, path, 1, data), 409, "offset_mismatch")
    problem(patch(client, path, 0, data + b"more"), 413, "too_large")
    problem(patch(client, path, "a", data), 400, "bad_request")
    problem(patch(client, path, 0, data, Upload_Checksum="sha1 AAAA"), 400, "bad_request")
    problem(tus(client, "PATCH", path, Upload_Offset=0, Content_Type="application/octet-stream", data=data), 415, "unsupported_type")
    problem(tus(client, "POST", path, X_HTTP_Method_Override="PUT"), 400, "bad_request")
    problem(client.request("PATCH", path, csrf=False, headers={"Tus-Resumable": "1.0.0"}), 403, "csrf_invalid")
    assert offset(client, path) == 0
    other = new_client(tus_server)
    for method in ("GET", "PATCH", "DELETE"):
        answer = tus(other, method, path, Upload_Offset=0, Content_Type=BYTES)
        assert problem(answer, 404, "upload_not_found")["detail"] == problem(tus(other, method, "/files/x", Upload_Offset=0, Content_Type=BYTES), 404, "upload_not_found")["detail"]
    assert tus(other, "HEAD", path).status_code == 404
    other.close()
    answer = patch(client, path, 0, data)
    assert answer.status_code == 204
    is_whole(tus_server, client, path, data)


def test_what_it_really_is(tus_server, client):
    """The name said something else than the bytes: the room is free again, and the reason stays to be asked for."""
    data = b"no picture at all " * 100
    path = begin(client, "a.png", len(data))
    refusal = problem(patch(client, path, 0, data), 422, "type_mismatch")
    assert problem(tus(client, "GET", path), 422, "type_mismatch")["detail"] == refusal["detail"]
    problem(patch(client, path, len(data), b""), 422, "type_mismatch")
    assert offset(client, path) == len(data)  # or its client would send it again
    problem(tus(client, "DELETE", path), 404, "upload_not_found")
    assert stored(tus_server, client) == 0 and not os.listdir(tus_server.data / "storage" / client.session_id)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_checksums(tus_server, client, algorithm):
    data = noise(1 << 20)
    half = len(data) // 2
    path = begin(client, "a.pdf", len(data))
    problem(patch(client, path, 0, data[:half], Upload_Checksum=checksum(b"other", algorithm)), 460, "checksum_mismatch")
    assert offset(client, path) == 0
    assert patch(client, path, 0, data[:half], Upload_Checksum=checksum(data[:half], algorithm)).status_code == 204
    assert offset(client, path) == half
    # broken off: what came was never proved
    with Raw(tus_server.port) as raw:
        raw.send(head_of(client, path, half, len(data) - half, b"Upload-Checksum: " + checksum(data[half:], algorithm).encode()) + data[half:half + 50000])
        wait_written(tus_server, path, half + 50000)
    assert offset(client, path) == half
    assert patch(client, path, half, data[half:]).status_code == 204  # without one
    is_whole(tus_server, client, path, data)


def head_of(client, path, at, length, *fields):
    return request(b"PATCH " + path.encode() + b" HTTP/1.1", b"Cookie: session_id=" + client.session_id.encode(), b"X-CSRF-Token: " + client.csrf.encode(),
                   b"Tus-Resumable: 1.0.0", b"Upload-Offset: %d" % at, b"Content-Length: %d" % length, b"Content-Type: " + BYTES.encode(), *fields)


def file_of(server, path):
    """The one that it is written into."""
    (found,) = (server.data / "storage").glob(f"*/{path.rpartition('/')[2]}/uploads/*")
    return found


def wait_written(server, path, size):
    eventually(lambda: file_of(server, path).stat().st_size >= size)


def test_broken_at_any_byte(tus_server, client):
    """Each time HEAD says where to go on, and the file is whole in the end."""
    chance = random.Random(88)
    data = noise(256 << 10)
    path = begin(client, "a.pdf", len(data))
    at = 0
    while at < len(data) - 1:
        assert offset(client, path) == at
        piece = min(chance.choice([1, 2, 100, 5000, 40000, 65536]), len(data) - 1 - at)
        with Raw(tus_server.port) as raw:
            raw.send(head_of(client, path, at, len(data) - at) + data[at:at + piece])
            wait_written(tus_server, path, at + piece)
            chance.choice([raw.reset, raw.finish, lambda: None])()
        at += piece
    assert patch(client, path, at, data[at:]).status_code == 204
    is_whole(tus_server, client, path, data)


def test_who_resumes_takes_over(tus_server, client):
    """A connection that has died may stand for long: it keeps nobody from going on, and adds nothing any more."""
    data = noise(1 << 20)
    path = begin(client, "a.pdf", len(data))
    with Raw(tus_server.port) as dead:
        dead.send(head_of(client, path, 0, len(data)) + data[:300000])
        wait_written(tus_server, path, 300000)
        assert tus(client, "GET", path).json()["offset"] == 300000  # which disturbs nobody
        with Raw(tus_server.port) as second:
            second.send(head_of(client, path, 300000, len(data) - 300000) + data[300000:400000])
            wait_written(tus_server, path, 400000)
            assert dead.answer().code == "upload_busy"
            dead.try_send(b"x" * 100000)
            assert offset(client, path) == 400000
            assert second.answer().code == "upload_busy"
            assert patch(client, path, 400000, data[400000:]).status_code == 204
    is_whole(tus_server, client, path, data)


def test_what_there_is_room_for(tus_server, client):
    """An announced upload counts with all of its length, and as a job; given up, it counts no more."""
    paths = [begin(client, "a.png", 4 << 20) for _ in range(4)]
    problem(create(client, "a.png", 100), 507, "storage_full")
    problem(client.upload("a.png", png()), 507, "storage_full")
    answer = tus(client, "DELETE", paths.pop())
    assert answer.status_code == 204 and answer.headers["Tus-Resumable"] == "1.0.0"
    assert len(os.listdir(tus_server.data / "storage" / client.session_id)) == 3
    for _ in range(9):
        begin(client, "a.png", 100)
    problem(create(client, "a.png", 100), 429, "rate_limited")
    problem(client.upload("a.png", png()), 429, "rate_limited")
    assert tus(client, "HEAD", paths[0]).status_code == 200
    session_id = client.session_id
    client.close()
    assert not os.path.exists(tus_server.data / "storage" / session_id) and not tus_server.redis().keys(f"session:{session_id}*")
    assert tus(client, "HEAD", paths[0]).status_code == 401
    client.session_id = None
    client.init()


def test_a_server_that_dies(tus_server, client):
    """Between two pieces, within one, and just before the job is made."""
    data = noise()
    path = begin(client, "a.pdf", len(data))
    assert patch(client, path, 0, data[:1000]).status_code == 204
    with Raw(tus_server.port) as raw:
        raw.send(head_of(client, path, 1000, len(data) - 1000) + data[1000:2 << 20])
        wait_written(tus_server, path, 2 << 20)
        restart_api(tus_server)
    assert offset(client, path) == 2 << 20
    assert patch(client, path, 2 << 20, data[2 << 20:-10]).status_code == 204
    with file_of(tus_server, path).open("ab") as file:  # as one leaves it that dies then
        file.write(data[-10:])
    assert offset(client, path) == len(data)
    is_whole(tus_server, client, path, data)


def restart_api(server):
    (api,) = server.children("decant-api")
    os.kill(api, signal.SIGKILL)
    eventually(lambda: server.children("decant-api") not in ([], [api]))
    server.wait_listening()


def test_it_expires(own_server):
    server = own_server("image", DECANT_PARTIAL_TTL="1")
    client = new_client(server)
    path = begin(client, "a.png", 1000)
    assert patch(client, path, 0, png()[:50]).status_code == 204
    eventually(lambda: tus(client, "HEAD", path).status_code == 404)
    problem(patch(client, path, 50, b"x"), 404, "upload_not_found")
    assert client.close().status_code == 200 and not server.files() and not server.redis().keys("session:*")
