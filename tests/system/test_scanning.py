"""Malware is found wherever it hides, refused, and gone; no verdict means no conversion."""

import os
import signal
import time

import pytest
import requests

from client import Client
from fixtures import docx, eicar, png, zipped


@pytest.mark.parametrize("name, data, target", [
    ("eicar.txt", eicar(), "pdf"),
    ("eicar.docx", docx(extra=[("word/embeddings/object1.bin", eicar())]), "pdf"),
    ("zip-in.docx", docx(extra=[("word/embeddings/object1.bin", zipped([("eicar.com", eicar())]))]), "pdf"),
    ("nested.docx", docx(extra=[("word/embeddings/object1.bin", zipped([("inner.zip", zipped([("eicar.com", eicar())]))]))]), "txt"),
])
def test_infected(client, server, name, data, target):
    job_id = client.start(name, data, target)
    job = client.wait(job_id)
    assert job["status"] == "failed" and job["error_code"] == "infected", job
    assert job["output"] is None
    folder = server.data / "storage" / client.session_id / job_id
    assert [p for p in folder.rglob("*") if p.is_file()] == []
    assert "Eicar" in server.redis().hget(f"session:{client.session_id}:jobs:{job_id}", "signature")
    assert client.token(job_id).status_code == 409


def test_what_cannot_be_looked_through_is_no_pass_and_no_malware(client, server):
    packed = eicar()
    for depth in range(20):  # clamd's MaxRecursion is 17
        packed = zipped([(f"{depth}.zip" if depth else "eicar.com", packed)])
    job_id = client.start("deep.docx", docx(extra=[("word/embeddings/object1.bin", packed)]), "pdf")
    job = client.wait(job_id)
    assert job["status"] == "failed" and job["error_code"] == "too_complex", job
    assert "virus scanner could not look through" in job["error_message"]
    stored = server.redis().hgetall(f"session:{client.session_id}:jobs:{job_id}")
    assert stored["scan"] == "incomplete" and not stored["signature"]
    assert client.token(job_id).status_code == 409


def test_missing_signatures_are_said_loudly(server):
    if any(os.path.exists(f"/var/lib/clamav/{n}") for n in ("main.cvd", "main.cld", "daily.cvd", "daily.cld")):
        pytest.skip("this machine has real signatures")
    assert "real virus signatures are missing" in server.log()
    ready = requests.get(server.url + "/readyz").json()
    assert ready["scanner"]["test_signatures"] is True and "freshclam" in ready["scanner"]["detail"]


def test_scanner_that_hangs(own_server):
    server = own_server(DECANT_SCAN_TIMEOUT="2")
    client = Client(server.url)
    client.init()
    clamd = server.children("clamd")[0]
    os.kill(clamd, signal.SIGSTOP)
    try:
        job_id = client.start("a.png", png(), "jpg")
        seen = set()
        deadline = time.monotonic() + 60
        while (job := client.status(job_id).json())["status"] not in ("failed", "completed") and time.monotonic() < deadline:
            seen.add(job["status"])
            time.sleep(0.05)
        assert job["status"] == "failed" and job["error_code"] == "scanner_unavailable", job
        assert "scanning" in seen and "processing" not in seen
    finally:
        os.kill(clamd, signal.SIGCONT)
    assert client.result("b.png", png(), "jpg")[0]["status"] == "completed"


def test_scanner_that_dies_comes_back(own_server):
    server = own_server(DECANT_SCAN_TIMEOUT="30")
    client = Client(server.url)
    client.init()
    os.kill(server.children("clamd")[0], signal.SIGKILL)
    assert client.result("a.png", png(), "jpg")[0]["status"] == "completed"
