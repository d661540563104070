"""Each decision that security rests on is one line of the log, with its code and nothing that is secret."""

import json
import time

from client import Client

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


def audits(server, field, value):
    lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
    return [line["audit"] for line in lines if "audit" in line and line.get(field) == value]


def refused(server, answer, code):
    assert answer.json()["code"] == code, answer.text
    assert audits(server, "request_id", answer.json()["request_id"]) == [code]


def test_refusals_by_the_api(server, client):
    refused(server, client.request("GET", "/download?token=" + "x" * 43), "token_invalid")
    refused(server, client.status("6f9619ff-8b86-4011-b42d-00c04fc964ff"), "job_not_found")
    refused(server, client.request("POST", "/download_token", json={}, csrf=False), "csrf_invalid")
    refused(server, Client(server.url).token("6f9619ff-8b86-4011-b42d-00c04fc964ff"), "session_required")
    refused(server, client.upload("a.exe", b"MZ"), "unsupported_type")
    refused(server, client.upload("a.pdf", b"no PDF at all"), "type_mismatch")


def test_sessions_begin_and_end(server):
    client = Client(server.url)
    begun, ended = client.init(), client.close()
    assert audits(server, "request_id", begun.headers["X-Request-Id"]) == ["session_created"]
    assert audits(server, "request_id", ended.headers["X-Request-Id"]) == ["session_closed"]
    assert client.session_id not in server.log() and client.csrf not in server.log()


def test_what_the_scanner_finds(server, client):
    job = client.upload("a.txt", EICAR).json()["job_id"]
    client.convert(job, "pdf")
    deadline = time.monotonic() + 60
    while audits(server, "job_id", job) != ["infected"]:
        assert time.monotonic() < deadline, audits(server, "job_id", job)
        time.sleep(0.1)
