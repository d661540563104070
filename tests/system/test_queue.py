"""How jobs wait: by kind of conversion, and where a stock consumer finds them."""

import contextlib
import json
import os
import signal
import subprocess
import time

import celery
import kombu

from client import new_client
from fixtures import docx, pdf, png, slow_docx
from server import BIN, waiting


@contextlib.contextmanager
def stopped(server):
    """The worker stands still; its conversions and engines don't."""
    worker = server.children("decant-worker")[0]
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


def wait_status(client, job_id, status, timeout=300):
    deadline = time.monotonic() + timeout
    while client.status(job_id).json()["status"] != status:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def kombu_connection(server):
    return kombu.Connection(f"redis+socket://{server.data}/redis/redis.sock?virtual_host=0")


def decant_queue(server, *words, status=0, **environment):
    done = subprocess.run([BIN / "decant", "queue", "--data", server.data, *words], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done


def test_documents_do_not_stand_before_pictures(own_server):
    server = own_server("image office", DECANT_JOBS="2")
    client = new_client(server)
    documents = [client.start(f"{i}.docx", slow_docx(20000), "pdf") for i in range(4)]
    wait_status(client, documents[0], "processing")
    assert client.wait(client.start("a.png", png(), "jpg"))["status"] == "completed"
    # one slot is not theirs: it was free, and no document took it
    states = [client.status(job).json()["status"] for job in documents]
    assert states[-1] == "queued" and sum(state in ("scanning", "processing") for state in states) <= 1, states
    client.close()


def test_each_family_has_a_queue(own_server):
    server = own_server("image office pdf")
    client = new_client(server)
    with stopped(server):
        jobs = {"decant.images": client.start("a.png", png(), "jpg"), "decant.documents": client.start("a.docx", docx(), "pdf"),
                "decant.pdf": client.start("a.pdf", pdf(), "txt")}
        redis = server.redis()
        assert {name: waiting(redis, name) for name in jobs} == {name: 1 for name in jobs} and redis.llen("decant") == 0
        # a stock consumer finds each of them, and gives it back
        with kombu_connection(server) as connection:
            for name, job in jobs.items():
                queue = connection.SimpleQueue(name)
                message = queue.get(timeout=30)
                assert message.headers["task"] == "decant.convert" and message.payload[1]["job_id"] == job
                assert message.delivery_info["routing_key"] == name
                message.requeue()
                queue.close()
        assert {name: waiting(redis, name) for name in jobs} == {name: 1 for name in jobs}
    for job in jobs.values():
        assert client.wait(job)["status"] == "completed"
    client.close()


def test_sessions_take_turns(own_server):
    """In the plain list, so that stock consumers serve in the same order."""
    server = own_server("image", DECANT_JOBS="1")
    many, one = new_client(server), new_client(server)
    with stopped(server):
        theirs = [many.start(f"{i}.png", png(), "jpg") for i in range(40)]
        mine = one.start("mine.png", png(), "jpg")
        with kombu_connection(server) as connection:
            queue = connection.SimpleQueue("decant.images")
            seen = [queue.get(timeout=30) for _ in range(3)]
            assert [message.payload[1]["job_id"] for message in seen] == [theirs[0], mine, theirs[1]]
            for message in seen:
                message.requeue()
            queue.close()
    assert one.wait(mine)["status"] == "completed"
    assert all(many.wait(job)["status"] == "completed" for job in theirs)
    for client in (many, one):
        client.close()


def test_a_job_in_the_wrong_queue_finds_its_own(own_server):
    """Whoever moves a message into another queue, by hand or by mistake, changes nothing but when it runs."""
    server = own_server("image office", DECANT_JOBS="2")
    client = new_client(server)
    slow = client.start("slow.docx", slow_docx(20000), "pdf")
    wait_status(client, slow, "processing")
    with stopped(server):
        moved = client.start("a.docx", docx(), "pdf")
        redis = server.redis()
        assert redis.lmove("decant.documents\x06\x163", "decant\x06\x163", "RIGHT", "RIGHT")
    # the slot that is left is not for documents: it goes to where it belongs, and waits there
    deadline = time.monotonic() + 60
    while waiting(redis, "decant") or redis.hlen("unacked") > 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert client.wait(client.start("a.png", png(), "jpg"))["status"] == "completed"
    job = client.wait(moved)
    assert job["status"] == "completed" and job["attempts"] == 1
    client.close()


def test_what_is_read_waits_in_a_queue_of_its_own(own_server):
    """It takes seconds a page: whatever step of the way it is, pictures and PDFs that are only drawn don't wait behind it."""
    server = own_server("image pdf ocr")
    client = new_client(server)
    with stopped(server):
        for name, data, target, options in (("a.png", png(), "pdf", {}), ("a.png", png(), "pdf", {"ocr": "eng"}), ("a.png", png(), "txt", {}),
                                            ("a.pdf", pdf(), "txt", {}), ("a.pdf", pdf(), "txt", {"ocr": "eng"})):
            client.start(name, data, target, **options)
        assert [waiting(server.redis(), f"decant.{name}") for name in ("images", "pdf", "ocr")] == [1, 1, 3]
    client.close()


def test_operator_replays_a_job(own_server):
    server = own_server("image office pdf")
    client = new_client(server)
    with stopped(server):
        job = client.start("a.png", png(), "jpg")
        status = json.loads(decant_queue(server, "status", "--json").stdout)
        assert {row["name"]: row["waiting"] for row in status["queues"]} == {
            "decant": 0, "decant.documents": 0, "decant.images": 1, "decant.pdf": 0, "decant.media": 0, "decant.archives": 0, "decant.ocr": 0, "decant.previews": 0}
        assert 0 <= status["oldest_s"] < 300
        task = json.loads(server.redis().lindex("decant.images\x06\x163", 0))["headers"]["id"]
        server.redis().set(f"decant:deliveries:{task}", 3)  # it has brought down three workers
    assert client.wait(job)["status"] == "failed"
    letter, = json.loads(decant_queue(server, "dead", "list", "--json").stdout)
    assert letter["task"] == "decant.convert" and letter["queue"] == "decant.images"
    whole = json.loads(decant_queue(server, "dead", "show", str(letter["id"])).stdout)
    assert json.loads(whole["message"])["headers"]["id"] == letter["task_id"] == task
    assert decant_queue(server, "dead", "replay", str(letter["id"])).stdout == f"{letter['id']} replayed\n"
    assert client.wait(job)["status"] == "completed"
    status = decant_queue(server, "status").stdout
    assert "dead letters 0" in status and "workers alive: 1" in status
    assert "no such letter" in decant_queue(server, "dead", "replay", str(letter["id"]), status=1).stderr

    # a letter whose session has ended can be dropped, and no more
    with stopped(server):
        job = client.start("b.png", png(), "jpg")
        task = json.loads(server.redis().lindex("decant.images\x06\x163", 0))["headers"]["id"]
        server.redis().set(f"decant:deliveries:{task}", 3)
    assert client.wait(job)["status"] == "failed"
    client.close()
    refused = decant_queue(server, "dead", "replay", "--all", status=1)
    assert "session of its job has ended" in refused.stderr
    assert json.loads(decant_queue(server, "dead", "list", "--json").stdout)
    decant_queue(server, "dead", "drop", "--all")
    assert json.loads(decant_queue(server, "dead", "list", "--json").stdout) == []


def test_operator_errors(tmp_path):
    def run(*words, **environment):
        return subprocess.run([BIN / "decant", "queue", *words], capture_output=True, text=True, timeout=60, env=environment, cwd=tmp_path)

    for words in ([], ["dead"], ["dead", "show"], ["dead", "show", "x"], ["dead", "replay"], ["dead", "drop", "1", "x"], ["status", "now"],
                  ["--unknown"], ["undead", "list"]):
        done = run("--redis", f"unix:{tmp_path}/none", *words)
        assert done.returncode == (1 if words and words[0] in ("dead", "status") and len(words) > 1 else 2), (words, done)
        assert done.stderr
    done = run("status", DECANT_REDIS=f"unix:{tmp_path}/none")
    assert done.returncode == 1 and "can't be reached" in done.stderr
    (tmp_path / "open").write_text("secret")
    (tmp_path / "open").chmod(0o644)
    done = run("status", DECANT_REDIS_PASSWORD_FILE=str(tmp_path / "open"))
    assert done.returncode == 1 and "DECANT_REDIS_PASSWORD_FILE" in done.stderr


def test_scanner_that_is_back_later(own_server):
    """No verdict is no fault of the file: the job waits without a slot, and is tried again."""
    server = own_server("image", DECANT_SCAN_TIMEOUT="2")
    client = new_client(server)
    app = celery.Celery(broker=kombu_connection(server).as_uri(), backend=f"redis+socket://{server.data}/redis/redis.sock?virtual_host=0",
                        set_as_current=False)
    app.backend.remove_pending_result = lambda result: result  # it would look for this Redis when the interpreter ends
    clamd = server.children("clamd")[0]
    os.kill(clamd, signal.SIGSTOP)
    try:
        started = client.upload("a.png", png()).json()["job_id"]
        result = app.AsyncResult(client.convert(started, "jpg").json()["task_id"])
        deadline = time.monotonic() + 180
        while result.state != "RETRY":
            assert time.monotonic() < deadline and not result.ready()
            time.sleep(0.02)
        assert type(result.info).__name__ == "scanner_unavailable"
        assert client.status(started).json()["status"] == "queued"
        assert json.loads(decant_queue(server, "status", "--json").stdout)["delayed"] == 1
    finally:
        os.kill(clamd, signal.SIGCONT)
    job = client.wait(started)
    assert job["status"] == "completed" and job["attempts"] == 2, job
    assert result.get(timeout=60)["status"] == "completed"
    app.close()
    client.close()


def test_killed_from_outside_is_tried_again(own_server):
    """As by the kernel, when the machine is short of memory."""
    server = own_server("office")
    client = new_client(server)
    job_id = client.start("slow.docx", slow_docx(20000), "pdf")
    wait_status(client, job_id, "processing")
    zygote = server.children("decant-engine-office")[0]
    deadline = time.monotonic() + 180
    while client.status(job_id).json()["status"] == "processing":
        assert time.monotonic() < deadline
        for pid in server.children("decant-engine-office"):
            if pid != zygote:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    assert client.status(job_id).json()["status"] in ("queued", "scanning")
    job = client.wait(job_id)
    assert job["status"] == "completed" and job["attempts"] == 2, job
    client.close()
