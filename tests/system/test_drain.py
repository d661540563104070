"""A new worker is deployed beside an old one, which is asked to end: it takes nothing more, finishes what it has within its grace, and hands back
the rest, so that nothing is lost and nothing begun in vain counts against a job."""

import signal

import pytest

from client import Client
from fixtures import png, slow_pdf
from parts import Parts, parts_folder
from server import BIN, PATIENCE, eventually, free_port, work_folders


@pytest.fixture
def site():
    """An API and the old worker; Redis keeps nothing."""
    with parts_folder() as folder:
        port = free_port()
        site = Parts(folder, DECANT_ENGINES="image pdf", DECANT_JOBS="2", DECANT_SPARE_JOBS="0", DECANT_REDIS=f"tcp:127.0.0.1:{port}",
                     DECANT_MAX_DELIVERIES="1")  # a delivery that counts is the last
        site.start("redis", "redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--maxmemory-policy", "noeviction")
        site.start("decant-api")
        yield site
        site.stop()


def start_worker(site, name, **environment):
    site.start(name, BIN / "decant-worker", DECANT_WORKER_NAME=name, **environment)
    eventually(lambda: "claiming tasks" in site.log(name), lambda: site.log(name))


def begun(site):
    """A client and its jobs: two are being converted by the old worker, and three wait."""
    client = Client(site.url)
    client.init()
    jobs = [client.start("slow.pdf", slow_pdf(250), "png") for _ in range(2)]
    eventually(lambda: all(client.status(job_id).json()["status"] == "processing" for job_id in jobs))
    return client, jobs, [client.start("a.png", png(), "jpg") for _ in range(3)]


def ask_to_end(site, name):
    """The process, which is the test's to wait for."""
    process = site.processes.pop(name)
    process.send_signal(signal.SIGTERM)
    return process


def test_what_runs_is_finished_and_what_waits_is_left(site):
    start_worker(site, "old", DECANT_GRACE=str(PATIENCE))
    site.wait_ready()
    client, running, waiting = begun(site)
    old = ask_to_end(site, "old")
    eventually(lambda: '"stopping"' in site.log("old"))
    started = site.log("old").count('"task started"')
    start_worker(site, "new")
    assert [client.wait(job_id)["status"] for job_id in waiting] == ["completed"] * 3
    assert old.wait(PATIENCE) == 0, site.log("old")[-3000:]
    assert [(job["status"], job["attempts"]) for job in map(client.wait, running)] == [("completed", 1)] * 2
    assert site.log("old").count('"task started"') == started and site.log("old").count('"ending":"completed"') == 2


def test_what_the_grace_is_too_short_for_is_handed_back(site):
    start_worker(site, "old", DECANT_GRACE="0")
    site.wait_ready()
    client, running, waiting = begun(site)
    assert ask_to_end(site, "old").wait(PATIENCE) == 0, site.log("old")[-3000:]
    assert site.log("old").count('"ending":"released"') == 2
    assert [client.status(job_id).json()["status"] for job_id in running + waiting] == ["queued"] * 5
    start_worker(site, "new")
    assert [client.wait(job_id)["status"] for job_id in running + waiting] == ["completed"] * 5
    eventually(lambda: not work_folders(site.folder / "storage"))
