"""What a job needs is away for a while, or full: the job is told why, or waits, the rest goes on, and all recovers by itself."""

import os
import time

import pytest
import requests

from client import new_client, problem
from disk import on_small_disk
from fixtures import noise, png, slow_pdf
from server import eventually, still, work_folders

PAUSE_S = 10  # longer than a lease, and than whoever asks Redis waits for its answer


def test_redis_paused(own_server):
    """Its answers are late, not lost: what ran meanwhile completes, and once; who asks is told to come back."""
    server = own_server("image pdf", DECANT_CLAMD="off")
    client = new_client(server)
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
    with on_small_disk(tmp_path, "image pdf", DECANT_MAX_RETRIES="1") as server:
        yield server.start()


LARGE = 2000  # pixels a side: as a bitmap 12 MiB


def fill(storage, but=256 << 10):
    """All but so many bytes."""
    disk, filler = os.statvfs(storage), storage / "filler"
    filler.write_bytes(b"\1" * (disk.f_bavail * disk.f_frsize - but))
    return filler


def said(server):
    """What it has logged of conversions that found no room."""
    return [line for line in server.log().splitlines() if '"outcome":"internal","detail":"No space left on device"' in line]


def test_the_disk_is_full_while_converting(small_disk):
    """What doesn't fit is tried again, fails as no fault of its own and leaves nothing; what fits goes on; uploads are refused; and when there is room
    again all is well."""
    client = new_client(small_disk)
    storage = small_disk.data / "storage"
    large, small = (client.upload("a.png", png(width, width)).json()["job_id"] for width in (LARGE, 8))
    filler = fill(storage)
    assert client.convert(large, "bmp").status_code == 202
    job = client.wait(large)
    assert (job["status"], job["error_code"]) == ("failed", "internal") and job["error_message"], job
    assert len(said(small_disk)) == 2, small_disk.log()[-3000:]
    assert client.convert(small, "jpg").status_code == 202
    assert client.wait(small)["status"] == "completed"
    problem(client.upload("c.png", png()), 507, "storage_full")
    assert requests.get(small_disk.url + "/readyz", timeout=30).json()["disk"]["ok"] is False
    eventually(lambda: not work_folders(storage) and len(list((storage / client.session_id / large).rglob("*.*"))) == 1,
               lambda: str(small_disk.files()))
    filler.unlink()
    assert client.wait(client.start("a.png", png(LARGE, LARGE), "bmp"))["status"] == "completed"
    small_disk.wait_ready()


# Each is written by a library of its own, or by none.
TARGETS = ("png", "jpg", "webp", "tiff", "gif", "jxl", "jp2", "avif", "pgm", "bmp", "tga", "pdf")


def test_what_has_no_room_completes_when_there_is_some(tmp_path):
    """Whatever a library makes of it: at a full disk no file is called damaged or too complex."""
    with on_small_disk(tmp_path, "image pdf", DECANT_MAX_RETRIES="10") as server:
        server.start()
        client = new_client(server)
        jobs = {client.upload("a.ppm", noise(400)).json()["job_id"]: target for target in TARGETS}
        jobs[client.upload("a.pdf", slow_pdf(20)).json()["job_id"]] = "png"
        filler = fill(server.data / "storage", but=64 << 10)  # none of the results; but Redis, whose log lies there too, has to take in all jobs
        for job_id, target in jobs.items():
            assert client.convert(job_id, target).status_code == 202
        eventually(lambda: all(f'"job_id":"{job_id}"' in "".join(said(server)) for job_id in jobs), lambda: server.log()[-3000:])
        assert not [line for line in server.log().splitlines() if '"conversion over"' in line and line not in said(server)]
        filler.unlink()
        assert [client.wait(job_id)["status"] for job_id in jobs] == ["completed"] * len(jobs)


def test_an_engine_that_hangs_or_crashes_on_one_file(own_server, greedy):
    """Each file says what becomes of it; those beside it and after it are converted."""
    server = own_server("office image", DECANT_BINDIR=greedy, DECANT_CLAMD="off", DECANT_JOBS="4", DECANT_JOB_TIMEOUT="4")
    client = new_client(server)
    hangs, crashes = (client.start("a.txt", text, "pdf") for text in (b"hang", b"crash"))
    assert client.wait(client.start("a.png", png(), "jpg"))["status"] == "completed"
    assert client.wait(client.start("a.txt", b"modest", "pdf"))["status"] == "completed"
    assert [client.wait(job_id)["error_code"] for job_id in (hangs, crashes)] == ["timed_out", "engine_crashed"]
    assert client.wait(client.start("b.txt", b"modest", "pdf"))["status"] == "completed"
    eventually(lambda: not work_folders(server.data / "storage"))
