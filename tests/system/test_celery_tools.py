"""Celery's own tools steer our worker: Debian's `celery inspect`, `status`, `control` and `events` against a whole
`decant serve`. A halted clamd holds conversions where they are for as long as a test wants."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid

import celery
import pytest
from celery.exceptions import TaskRevokedError

from client import Client
from fixtures import png
from server import PATIENCE, Server, eventually, still

NODE = "decant@test"
def end(process):
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Tools:
    """Celery's programs and its client, on the Redis of a server. `folder` gets the module that `-A` wants."""

    def __init__(self, server, folder, **transport_options):
        self.folder = folder
        self.url = f"redis+socket://{server.data}/redis/redis.sock?virtual_host=0"
        folder.mkdir(exist_ok=True)
        (folder / "tool.py").write_text(
            f"import celery\napp = celery.Celery('tool', broker={self.url!r}, backend={self.url!r})\n"
            f"app.conf.broker_transport_options = {transport_options!r}\n")
        self.app = celery.Celery(broker=self.url, backend=self.url, set_as_current=False)
        self.app.conf.broker_transport_options = transport_options
        self.app.conf.task_default_queue = "decant"
        # Results that live on (in tracebacks that pytest keeps) would look for this Redis when the interpreter ends.
        self.app.backend.remove_pending_result = lambda result: result

    def command(self, *arguments):
        return [sys.executable, "-m", "celery", "-A", "tool", *arguments]

    def run(self, *arguments):
        done = subprocess.run(self.command(*arguments), cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def inspect(self, command, *arguments, node=NODE):
        """What `celery inspect` has as the node's answer. With a destination it waits no longer than it has to."""
        answers = json.loads(self.run("inspect", "-j", "-t", "60", "-d", node, command, *arguments))
        assert list(answers) == [node]
        return answers[node]

    def control(self, command, *arguments):
        """The same of Celery's client, for arguments that `celery control` can't give."""
        return self.app.control.broadcast(command, arguments=dict(arguments), destination=[NODE], reply=True, timeout=60)[0][NODE]

    @contextlib.contextmanager
    def events(self):
        """`celery events --dump`; yields a function that waits for a line with these words, and gives all lines so far."""
        path = self.folder / f"events-{uuid.uuid4()}"
        with open(path, "w") as out:
            process = subprocess.Popen(self.command("events", "--dump"), cwd=self.folder, stdout=out, stderr=out)

        def lines():
            return path.read_text().splitlines()

        def wait_for(*words):
            eventually(lambda: any(all(word in line for word in words) for line in lines()))
            return lines()

        try:
            wait_for("heartbeat")  # so it listens
            yield wait_for
        finally:
            end(process)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("tools"), "image", DECANT_WORKER_NAME=NODE, DECANT_JOBS="1", DECANT_SCAN_TIMEOUT="900",
                    DECANT_SCAN_CACHE="0").start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def tools(server, tmp_path_factory):
    return Tools(server, tmp_path_factory.mktemp("celery"))


def halted_scanner(server):
    return still(server.children("clamd")[0])


def start_held(client):
    """A job that its worker has begun, and can't go on with: its id and its task's."""
    job_id = client.start("a.png", png(), "jpg")
    eventually(lambda: client.status(job_id).json()["status"] == "scanning")
    return job_id, client.status(job_id).json()["task_id"]


def start_waiting(client):
    job_id = client.start("b.png", png(), "jpg")
    return job_id, client.status(job_id).json()["task_id"]


def assert_revoked(tools, task_id, how):
    result = tools.app.AsyncResult(task_id)
    with pytest.raises(TaskRevokedError, match=how):
        result.get(timeout=PATIENCE)
    assert result.state == "REVOKED"


# --- who is there


def test_status(tools):
    bare = subprocess.run([sys.executable, "-m", "celery", "-b", tools.url, "status", "-t", "60", "-d", NODE], cwd=tools.folder,
                          capture_output=True, text=True, timeout=PATIENCE)
    assert f"{NODE}: OK" in bare.stdout
    assert "1 node online" in tools.run("status", "-t", "10")
    assert f"{NODE}: OK" in tools.run("status", "-t", "60", "-d", NODE)


def test_inspect(server, tools):
    worker = server.children("decant-worker")[0]
    assert tools.inspect("ping") == {"ok": "pong"}
    assert tools.inspect("registered") == ["decant.convert", "decant.convert_file", "decant.preview"]
    assert tools.inspect("reserved") == []
    assert tools.inspect("scheduled") == []
    assert tools.inspect("query_task", str(uuid.uuid4())) == {}
    assert [queue["name"] for queue in tools.inspect("active_queues")] == ["decant", "decant.images", "decant.previews"]
    assert "decant:" in tools.inspect("report")["ok"]
    clock = tools.inspect("clock")["clock"]
    assert tools.inspect("clock")["clock"] > clock > 0
    stats = tools.inspect("stats")
    assert stats["pid"] == worker
    assert stats["pool"]["max-concurrency"] == 1
    assert stats["rusage"]["maxrss"] > 0
    conf = tools.inspect("conf")
    assert conf["task_default_queue"] == "decant"
    assert str(server.data) not in json.dumps(conf) + json.dumps(stats)


def test_others_are_not_meant(tools):
    """By destination, by pattern: nobody answers in the time that a worker would need many times over."""
    control = tools.app.control
    assert control.ping(destination=["other@test"], timeout=3) == []
    assert control.broadcast("ping", pattern="other@*", matcher="glob", reply=True, timeout=3) == []
    assert control.broadcast("ping", pattern="decant@t?st", matcher="glob", reply=True, limit=1, timeout=60) == [{NODE: {"ok": "pong"}}]
    assert control.broadcast("ping", pattern=r"decant@\w+$", matcher="pcre", reply=True, limit=1, timeout=60)


def test_what_cannot_be_had_says_so(tools):
    out = tools.run("control", "-t", "60", "-d", NODE, "autoscale", "3", "1")
    assert "ERROR" in out and "Autoscale not enabled" in out
    assert "error" in tools.control("time_limit", ("task_name", "decant.convert"), ("hard", 3))
    assert tools.control("no_such_command") == {"error": "KeyError('no_such_command')"}


def test_malformed_messages(server, tools):
    redis = server.redis()
    worker = server.children("decant-worker")
    for message in ["", "x", "[]", "{}", "[" * 100_000, b"\xff\xfe\x00", json.dumps({"headers": {}, "properties": {}, "body": "%"}),
                    json.dumps({"headers": None, "properties": [], "body": {}, "content-type": 1})]:
        redis.publish("/0.celery.pidbox", message)
    mailbox = tools.app.control.mailbox(tools.app.connection())
    for command, arguments in [("revoke", [1]), ("revoke", {"task_id": {"a": 1}}), ("ping", "x"), (None, {}), (["ping"], {}),
                               ("hello", {"from_node": 1, "revoked": [1]}), ("pool_grow", {"n": 1e300}), ("shutdown " * 99, {})]:
        mailbox._broadcast(command, arguments if isinstance(arguments, dict) else {"x": arguments}, reply=False)
    assert tools.inspect("ping") == {"ok": "pong"}
    assert server.children("decant-worker") == worker


# --- tasks


def test_a_task_is_seen_and_terminated(server, tools):
    client = Client(server.url)
    client.init()
    with halted_scanner(server):
        job_id, task_id = start_held(client)
        (task,) = tools.inspect("active")
        assert task["id"] == task_id
        assert task["name"] == task["type"] == "decant.convert"
        assert task["args"] == []
        assert task["kwargs"] == {"job_id": job_id, "session_id": "..."}
        assert task["hostname"] == NODE
        assert time.time() - PATIENCE < task["time_start"] <= time.time() + 1
        assert task["worker_pid"] == server.children("decant-worker")[0]
        assert task["acknowledged"] is False
        assert task["delivery_info"] == {"exchange": "", "routing_key": "decant.images", "priority": 3, "redelivered": False}
        assert tools.inspect("query_task", task_id, "x") == {task_id: ["active", task]}
        assert tools.inspect("stats")["total"]["decant.convert"] >= 1
        assert tools.app.AsyncResult(task_id).state == "STARTED"

        # what runs is left alone, unless it is to be terminated; a name of no signal changes nothing
        assert "error" in tools.control("revoke", ("task_id", task_id), ("terminate", True), ("signal", "SIGFOO"))
        tools.run("control", "-t", "60", "-d", NODE, "revoke", task_id)
        assert [t["id"] for t in tools.inspect("active")] == [task_id]

        assert f"terminate: {task_id}" in tools.run("control", "-t", "60", "-d", NODE, "terminate", "SIGKILL", task_id)
        job = client.wait(job_id)
        assert (job["status"], job["error_code"]) == ("cancelled", "cancelled_by_operator")
        assert_revoked(tools, task_id, "terminated")
        assert tools.inspect("active") == []
    assert client.result("c.png", png(20, 20), "jpg")[0]["status"] == "completed"  # the slot is free again
    client.close()


def test_flower_says_one_where_celery_says_true(server, tools):
    client = Client(server.url)
    client.init()
    with halted_scanner(server):
        job_id, task_id = start_held(client)
        assert tools.control("revoke", ("task_id", [task_id, "x"]), ("terminate", 1), ("signal", "TERM")) == {"ok": f"terminate: {task_id}"}
        assert client.wait(job_id)["status"] == "cancelled"
    client.close()


def test_a_waiting_task_is_revoked(server, tools):
    client = Client(server.url)
    client.init()
    with halted_scanner(server):
        first, _ = start_held(client)
        second, task_id = start_waiting(client)
        third, _ = start_waiting(client)
        assert "flagged as revoked" in tools.run("control", "-t", "60", "-d", NODE, "revoke", task_id)
        assert task_id in tools.inspect("revoked")
        assert client.status(second).json()["status"] == "queued"
    assert client.wait(first)["status"] == client.wait(third)["status"] == "completed"
    job = client.wait(second)
    assert (job["status"], job["error_code"]) == ("cancelled", "cancelled_by_operator")
    assert_revoked(tools, task_id, "revoked")
    client.close()


def test_a_worker_that_starts_later_knows(server, tools):
    client = Client(server.url)
    client.init()
    with halted_scanner(server):
        first, _ = start_held(client)
        second, task_id = start_waiting(client)
        tools.run("control", "-t", "60", "-d", NODE, "revoke", task_id)
        old = server.children("decant-worker")[0]
        os.kill(old, signal.SIGKILL)
        eventually(lambda: [pid for pid in server.children("decant-worker") if pid != old])
    assert client.wait(second)["status"] == "cancelled"
    assert client.wait(first)["status"] == "completed"
    assert_revoked(tools, task_id, "revoked")
    assert task_id in tools.inspect("revoked")
    client.close()


def test_claiming_stops_and_goes_on(server, tools):
    client = Client(server.url)
    client.init()
    for queue in "decant", "decant.images":
        assert "no longer consuming" in tools.run("control", "-t", "60", "-d", NODE, "cancel_consumer", queue)
    try:
        job_id, task_id = start_waiting(client)
        assert [queue["name"] for queue in tools.inspect("active_queues")] == ["decant.previews"]
        time.sleep(2)  # two ticks of the claimer
        assert client.status(job_id).json()["status"] == "queued"
        assert tools.app.AsyncResult(task_id).state == "PENDING"
    finally:
        for queue in "decant", "decant.images":
            tools.run("control", "-t", "60", "-d", NODE, "add_consumer", queue)
    assert client.wait(job_id)["status"] == "completed"
    client.close()


def test_scheduled(server, tools):
    later = tools.app.send_task("decant.convert", args=["Secret.docx"], kwargs={"name": "Secret.docx"}, countdown=3600)
    eventually(lambda: server.redis().zcard("decant:delayed"))
    (entry,) = tools.inspect("scheduled")
    assert entry["request"]["id"] == later.id
    assert entry["request"]["worker_pid"] is None
    assert "Secret" not in json.dumps(entry)
    server.redis().delete("decant:delayed")


# --- events


def test_events(server, tools):
    client = Client(server.url)
    client.init()
    with tools.events() as wait_for:
        quiet = client.start("quiet.png", png(), "jpg")
        client.wait(quiet)
        tools.run("control", "-t", "60", "-d", NODE, "enable_events")
        job_id = client.start("Secret.png", png(), "jpg")
        good = client.wait(job_id)["task_id"]
        bad = client.wait(client.start("broken.png", png()[:-20], "jpg"))["task_id"]
        with halted_scanner(server):
            held, revoked = start_held(client)
            tools.app.control.revoke(revoked, terminate=True, signal="SIGTERM")
            client.wait(held)
        wait_for("task revoked", revoked)
        refused = tools.app.send_task("other.task", kwargs={"name": "Secret.docx"}).id
        wait_for("task rejected", refused)
        assert "task events disabled" in tools.run("control", "-t", "60", "-d", NODE, "disable_events")
        after = client.wait(client.start("after.png", png(), "jpg"))["task_id"]
        tools.app.control.heartbeat(destination=[NODE])
        lines = wait_for("heartbeat", "freq=2.0")
    mine = [line for line in lines if good in line]
    assert [line.split("] ")[1].split(":")[0] for line in mine] == ["task received", "task started", "task succeeded"]
    assert all(line.startswith(NODE) for line in mine)
    clocks = [int(line.split("clock=")[1].split(",")[0]) for line in mine]
    assert clocks == sorted(set(clocks))
    assert job_id in mine[0] and "'session_id': '...'" in mine[0]
    assert "runtime=" in mine[2] and "'status': 'completed'" in mine[2]
    assert any("task failed" in line and "exception=corrupt_input(" in line for line in lines if bad in line)
    assert any("terminated=True" in line and "signum=15" in line for line in lines if revoked in line)
    assert not any("Secret" in line or client.session_id in line for line in lines)
    assert not any(after in line for line in lines)
    assert client.status(quiet).json()["task_id"] not in "\n".join(lines)
    beat = next(line for line in lines if "heartbeat" in line)
    for field in ["active=", "processed=", "loadavg=[", "sw_ident=decant", "sw_sys=Linux", "utcoffset=", "pid=", "freq="]:
        assert field in beat
    client.close()


# --- beside a stock worker

STOCK = """
import celery, sys
app = celery.Celery("stock", broker=sys.argv[1], backend=sys.argv[1])
app.worker_main(["worker", "--pool=solo", "--queues=stock", "--loglevel=warning", "--hostname=stock@test"])
"""


def test_a_stock_worker_mingles(server, tools):
    """It asks us when it starts, and knows then what was revoked before; and we answer each in our own name."""
    task_id = str(uuid.uuid4())
    tools.run("control", "-t", "60", "-d", NODE, "revoke", task_id)
    process = subprocess.Popen([sys.executable, "-c", STOCK, tools.url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: process.poll() is not None or tools.app.control.ping(destination=["stock@test"], timeout=5))
        assert process.poll() is None
        assert task_id in tools.inspect("revoked", node="stock@test")
        assert "2 nodes online" in tools.run("status", "-t", "15")
    finally:
        end(process)


# --- a prefix, events from the start, and the end


def test_prefix_and_events_from_the_start(own_server, tmp_path):
    server = own_server("image", DECANT_WORKER_NAME=NODE, DECANT_QUEUE_KEYPREFIX="pfx:", DECANT_TASK_EVENTS="on")
    tools = Tools(server, tmp_path / "celery", global_keyprefix="pfx:")
    stranger = Tools(server, tmp_path / "stranger")
    client = Client(server.url)
    client.init()
    with tools.events() as wait_for:
        task_id = client.result("a.png", png(), "jpg")[0]["task_id"]
        lines = wait_for("task succeeded", task_id)
    assert [line.split("] ")[1].split(":")[0] for line in lines if task_id in line] == [
        "task sent", "task received", "task started", "task succeeded"]
    assert "queue=decant.images" in next(line for line in lines if "task sent" in line)
    assert tools.app.AsyncResult(task_id).get(timeout=PATIENCE)["status"] == "completed"
    assert tools.inspect("ping") == {"ok": "pong"}
    assert stranger.app.control.ping(timeout=3) == []
    strange = tools.app.send_task("other.task")
    with pytest.raises(Exception, match="decant.preview alone"):
        strange.get(timeout=PATIENCE)
    keys = server.redis().keys("*")
    assert not [key for key in keys if key.startswith(("unacked", "_kombu", "decant:claims", "decant:dead"))]
    assert "pfx:decant:dead" in keys

    with tools.events() as wait_for:
        worker = server.children("decant-worker")[0]
        tools.app.control.shutdown(destination=[NODE])
        wait_for("shutdown")  # which is what it calls worker-offline
        eventually(lambda: worker not in server.children("decant-worker"))
    assert '"message":"worker ended"' in server.log()
    client.close()
