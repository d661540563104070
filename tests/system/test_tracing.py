"""traceparent: a request's trace goes with its job, through the queue, into what API and worker log of it."""

import json
import os
import re
import signal

import pytest

from client import Client, problem
from fixtures import png
from raw import Raw, get

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def lines(server, **wanted):
    found = []
    for line in server.log().splitlines():
        if line.startswith("{"):
            entry = json.loads(line)
            if all(entry.get(key) == text for key, text in wanted.items()):
                found.append(entry)
    return found


def converted(server, client, headers):
    """The job's lines in the log, after a conversion that was asked for with these headers."""
    job_id = client.upload("a.png", png()).json()["job_id"]
    answer = client.request("POST", "/convert", json={"job_id": job_id, "target_format": "jpg"}, headers=headers)
    assert answer.status_code == 202 and "traceparent" not in answer.headers and "traceresponse" not in answer.headers
    client.wait(job_id)
    server.wait_log(f'"message":"task over","job_id":"{job_id}"')
    return lines(server, job_id=job_id), answer


def test_a_trace_goes_with_its_job(server, client):
    found, answer = converted(server, client, {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    assert {entry["message"] for entry in found} >= {"task queued", "task started", "conversion over", "task over"}
    assert {entry["trace_id"] for entry in found} == {TRACE}
    assert {entry["program"] for entry in found} == {"decant-api", "worker"}
    [queued] = [entry for entry in found if entry["message"] == "task queued"]
    assert queued["request_id"] == answer.headers["X-Request-Id"]


BAD = ["", "x", f"00-{TRACE}-00f067aa0ba902b7", f"00-{TRACE.upper()}-00f067aa0ba902b7-01", f"ff-{TRACE}-00f067aa0ba902b7-01",
       f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-{TRACE}-00f067aa0ba902b7-01-more"]


@pytest.mark.parametrize("traceparent", BAD, ids=range(len(BAD)))
def test_what_is_none_is_replaced(server, client, traceparent):
    found, _ = converted(server, client, {"traceparent": traceparent})
    [trace_id] = {entry["trace_id"] for entry in found}
    assert re.fullmatch("[0-9a-f]{32}", trace_id) and trace_id != TRACE and len(found) >= 4


def test_without_one_each_job_has_its_own(server, client):
    first, second = ({entry["trace_id"] for entry in converted(server, client, {})[0]} for _ in range(2))
    assert len(first) == len(second) == 1 and first != second


def test_two_are_nobodys_word(server, client):
    field = f"traceparent: 00-{TRACE}-00f067aa0ba902b7-01".encode()
    with Raw(server.port) as raw:
        raw.send(get(b"/download?token=" + b"0" * 64, field, field))
        answer = raw.answer()
    assert answer.code == "token_invalid"
    [audit] = lines(server, request_id=answer.headers["x-request-id"])
    assert audit["audit"] == "token_invalid" and audit["trace_id"] != TRACE


def test_a_refusal_is_logged_with_its_trace(server, client):
    answer = client.request("GET", "/job_status?job_id=" + "0" * 8, headers={"traceparent": f"00-{TRACE[::-1]}-00f067aa0ba902b7-00"})
    request_id = problem(answer, 404, "job_not_found")["request_id"]
    [audit] = lines(server, request_id=request_id)
    assert audit["trace_id"] == TRACE[::-1]


def test_the_message_has_it_where_opentelemetry_looks(own_server):
    server = own_server("image")
    [worker] = server.children("decant-worker")
    os.kill(worker, signal.SIGSTOP)
    client = Client(server.url)
    client.init()
    for _ in range(2):  # the worker may have asked for one in the moment that it was stopped
        job_id = client.upload("a.png", png()).json()["job_id"]
        client.request("POST", "/convert", json={"job_id": job_id, "target_format": "jpg"},
                       headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    headers = json.loads(server.redis().lindex("decant.images\x06\x163", 0))["headers"]
    os.kill(worker, signal.SIGCONT)
    version, trace, span, flags = headers["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "01") and span != "00f067aa0ba902b7"
    client.close()
