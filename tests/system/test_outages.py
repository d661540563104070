"""What a job needs is away for a while, or full: the job is told why, or waits, the rest goes on, and all recovers by itself."""

import os
import time

import pytest
import requests

from client import Client, problem
from disk import on_small_disk
from fixtures import png, slow_pdf
from server import eventually, still, work_folders

PAUSE_S = 10  # longer than a lease, and than whoever asks Redis waits for its answer


def begun(server):
    client = Client(server.url)
    client.init()
    return client


def test_redis_paused(own_server):
    """Its answers are late, not lost: what ran meanwhile completes, and once; who asks is told to come back."""
    server = own_server("image pdf", DECANT_CLAMD="off")
    client = begun(server)
    jobs = [client.start("slow.pdf", slow_pdf(), "png"), client.start("a.png", png(), "jpg"), client.start("b.png", png(), "webp")]
    eventually(lambda: client.status(jobs[0]).json()["status"] == "processing")
    with still(server.children("redis-server")[0]):
        end = time.monotonic() + PAUSE_S
        problem(client.status(jobs[0]), 503, "unavailable")
        problem(client.upload("c.png", png()), 503, "unavailable")
        time.sleep(max(0, end - time.monotonic()))
    server.wait_ready()
    assert [client.wait(job_id)["status"] for job_id in jobs] == ["completed"] * 3
    for job_id in jobs:
        folder = server.data / "storage" / client.session_id / job_id
        assert len(list((folder / "converted").iterdir())) == 1
        eventually(lambda: not list(folder.glob("work-*")))
    redis = server.redis()
    eventually(lambda: redis.hlen("unacked") == 0 and not [name for name in redis.scan_iter("decant*", _type="list") if redis.llen(name)])
    assert client.wait(client.start("d.png", png(), "jpg"))["status"] == "completed"


@pytest.fixture
def small_disk(tmp_path):
    with on_small_disk(tmp_path, "image pdf") as server:
        yield server.start()


LARGE = 2000  # pixels a side: as a bitmap 12 MiB


def test_the_disk_is_full_while_converting(small_disk):
    """What doesn't fit fails with a code and leaves nothing; what fits goes on; uploads are refused; and when there is room again all is well."""
    client = begun(small_disk)
    storage = small_disk.data / "storage"
    large, small = (client.upload("a.png", png(width, width)).json()["job_id"] for width in (LARGE, 8))
    disk, filler = os.statvfs(storage), storage / "filler"
    filler.write_bytes(b"\1" * (disk.f_bavail * disk.f_frsize - (256 << 10)))
    assert client.convert(large, "bmp").status_code == client.convert(small, "jpg").status_code == 202
    job = client.wait(large)
    assert job["status"] == "failed" and job["error_code"] in ("too_complex", "no_output", "internal") and job["error_message"], job
    assert client.wait(small)["status"] == "completed"
    problem(client.upload("c.png", png()), 507, "storage_full")
    assert requests.get(small_disk.url + "/readyz", timeout=30).json()["disk"]["ok"] is False
    eventually(lambda: not work_folders(storage) and len(list((storage / client.session_id / large).rglob("*.*"))) == 1,
               lambda: str(small_disk.files()))
    filler.unlink()
    assert client.wait(client.start("a.png", png(LARGE, LARGE), "bmp"))["status"] == "completed"
    small_disk.wait_ready()


def test_an_engine_that_hangs_or_crashes_on_one_file(own_server, greedy):
    """Each file says what becomes of it; those beside it and after it are converted."""
    server = own_server("office image", DECANT_BINDIR=greedy, DECANT_CLAMD="off", DECANT_JOBS="4", DECANT_JOB_TIMEOUT="4")
    client = begun(server)
    hangs, crashes = (client.start("a.txt", text, "pdf") for text in (b"hang", b"crash"))
    assert client.wait(client.start("a.png", png(), "jpg"))["status"] == "completed"
    assert client.wait(client.start("a.txt", b"modest", "pdf"))["status"] == "completed"
    assert [client.wait(job_id)["error_code"] for job_id in (hangs, crashes)] == ["timed_out", "engine_crashed"]
    assert client.wait(client.start("b.txt", b"modest", "pdf"))["status"] == "completed"
    eventually(lambda: not work_folders(server.data / "storage"))
