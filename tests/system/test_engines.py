"""DECANT_ENGINES: a server runs the engines that it is told to, and offers what these convert, no more."""

import contextlib
import json
import subprocess

import pytest
import requests

from client import Client, problem
from fixtures import docx, png
from server import BIN, Server, eventually, free_port, sanitizers


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A server for pictures alone."""
    server = Server(tmp_path_factory.mktemp("pictures"), "image").start()
    yield server
    server.stop()


def test_a_server_without_office_is_ready_and_offers_none(pictures):
    ready = requests.get(pictures.url + "/readyz", timeout=10).json()
    assert ready["ready"] and set(ready["sandbox"]["engines"]) == set(ready["engines"]["states"]) == {"image"}
    assert pictures.children("decant-engine-image")
    assert not pictures.children("decant-engine-office") and not pictures.children("decant-engine-pdf")

    formats = requests.get(pictures.url + "/formats", timeout=10).json()["formats"]
    sources = {name for name, entry in formats.items() if entry["targets"]}
    assert {"png", "jpg", "svg"} <= sources and not {"docx", "txt", "pdf"} & sources
    assert "pdf" in formats["png"]["targets"] and "docx" not in formats

    client = Client(pictures.url)
    client.init()
    problem(client.upload("a.docx", docx()), 415, "unsupported_type")
    assert client.result("a.png", png(), "jpg")[1].startswith(b"\xff\xd8")
    for target, why in (("pdf", "does not run on this server"), ("jpg", "one PDF or one archive")):
        form = {"to": (None, target), "merge": (None, "true"), "file": ("a.png", png())}
        assert why in problem(client.request("POST", "/v1/convert", files=form), 422, "unsupported_target")["detail"]
        jobs = [client.upload("a.png", png()).json()["job_id"] for _ in range(2)]
        assert why in problem(client.request("POST", "/convert", json={"job_ids": jobs, "target_format": target}), 422, "unsupported_target")["detail"]
    client.close()


def test_what_serve_prints_can_be_done(pictures):
    """Not the session of the README, which converts a text."""
    pictures.wait_log("Decant is ready")
    assert "hello.txt" not in pictures.log()


def test_an_api_that_offers_more_than_the_workers_run_says_so(pictures, tmp_path):
    """They were set up apart, and differently: what is for nobody waits, and stands before nothing."""
    port = free_port()
    environment = {"PATH": "/usr/bin:/bin", **sanitizers(), "DECANT_REDIS": "unix:redis/redis.sock", "DECANT_STORAGE": "storage",
                   "DECANT_DISK_RESERVE": "1M", "DECANT_PORT": str(port), "DECANT_ENGINES": "image office"}
    with open(tmp_path / "api.log", "wb") as log:
        api = subprocess.Popen([BIN / "decant-api"], env=environment, cwd=pictures.data, stdout=log, stderr=log)

    def says():
        assert api.poll() is None, (tmp_path / "api.log").read_text()
        with contextlib.suppress(requests.ConnectionError):
            ready = requests.get(f"http://127.0.0.1:{port}/readyz", timeout=10).json()
            return ready["workers"]["ok"] and ready

    try:
        ready = eventually(says)
        assert not ready["ready"] and "DECANT_ENGINES" in ready["engines"]["detail"]
        assert requests.get(pictures.url + "/readyz", timeout=10).status_code == 200
        client = Client(f"http://127.0.0.1:{port}")
        client.init()
        job = client.start("a.docx", docx(), "pdf")
        assert client.result("a.png", png(), "jpg")[1].startswith(b"\xff\xd8")
        assert client.status(job).json()["status"] == "queued"
        # in the queue of stock clients any worker may take it, and says why it can't convert it
        assert pictures.redis().lmove("decant.documents\x06\x163", "decant\x06\x163", "RIGHT", "RIGHT")
        job = client.wait(job)
        assert (job["status"], job["error_code"]) == ("failed", "internal"), job
        pictures.wait_log("DECANT_ENGINES must be the same")
        client.close()
    finally:
        api.terminate()
        api.wait(60)


def run(tmp_path, *words, **environment):
    return subprocess.run([*words], capture_output=True, text=True, timeout=300, cwd=tmp_path,
                          env={"PATH": "/usr/bin:/bin", "DECANT_CLAMD": "off", **sanitizers(), **environment})


@pytest.mark.parametrize("names", ["", " , ", "image,tiff", "Office", "all"], ids=["empty", "blank", "unknown", "case", "all"])
@pytest.mark.parametrize("program, words, status", [("decant", ["serve", "--data", "var"], 78), ("decant-worker", [], 2), ("decant-api", [], 78),
                                                    ("decant", ["doctor"], 78)], ids=["serve", "worker", "api", "doctor"])
def test_names_of_none_are_refused_at_start(tmp_path, program, words, status, names):
    done = run(tmp_path, BIN / program, *words, DECANT_ENGINES=names)
    assert done.returncode == status and done.stderr.startswith("DECANT_ENGINES: ") and "one or more of: office image pdf media markup archive font pages press ocr" in done.stderr
    assert not (tmp_path / "var").exists()


def test_doctor_tries_those_that_run(tmp_path):
    done = run(tmp_path, BIN / "decant", "doctor", "--engines", "pdf,image")
    engines = [line.split()[2] for line in done.stdout.splitlines() if " engine " in line]
    assert done.returncode == 0 and engines == ["image", "pdf"], done.stdout
    assert any(line.split() == ["ok", "engines", "image", "pdf"] for line in done.stdout.splitlines())


def without_ffmpeg(*words, cwd=None):
    """As on a machine that has none: in a mount namespace with nothing in its place."""
    script = 'mount --bind /dev/null /usr/bin/ffmpeg && exec "$@"'
    return subprocess.run(["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", BIN / "decant", *words], cwd=cwd,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180)


def test_an_engine_without_its_program_is_not_offered(tmp_path):
    formats = {name: entry["targets"] for name, entry in json.loads(without_ffmpeg("formats", "--json").stdout)["formats"].items()}
    assert "pdf" in formats["docx"] and "mp3" not in formats
    (tmp_path / "a.wav").write_bytes(b"RIFF\x24\0\0\0WAVE")
    done = without_ffmpeg("convert", "a.wav", "a.mp3", cwd=tmp_path)
    assert done.returncode == 2 and "a.wav" in done.stderr
    doctor = without_ffmpeg("doctor").stdout
    assert any("engine media" in line and "/usr/bin/ffmpeg is missing" in line for line in doctor.splitlines()), doctor
