"""Our queue and Celery's own programs, face to face: stock Debian Celery on one side, tests/unit/queue/queue_echo.c
on the other, over a Redis of the test's own."""

import json
import signal
import socket
import subprocess
import sys
import time

import celery
import pytest
import redis
from celery.exceptions import TaskRevokedError

from server import BUILD, eventually, free_port

ECHO = BUILD / "tests/unit/queue/queue_echo"

STOCK_WORKER = """
import celery, json, os, sys
app = celery.Celery(broker=sys.argv[1], backend=sys.argv[1])
app.conf.task_default_queue = "decant"
app.conf.task_track_started = True

@app.task(name="test.stock", bind=True)
def stock(self, **kwargs):
    request = self.request
    return {"kwargs": kwargs, "id": request.id, "origin": request.origin, "kwargsrepr": request.kwargsrepr,
            "reply_to": request.reply_to, "correlation_id": request.correlation_id, "root_id": request.root_id,
            "delivery_info": request.delivery_info}

@app.task(name="test.after", bind=True)
def after(self, *args, **kwargs):
    return {"args": args, "kwargs": kwargs, "parent": self.request.parent_id, "root": self.request.root_id}

@app.task(name="test.hang")
def hang(**kwargs):
    import time
    time.sleep(60)

app.worker_main(["worker", "--pool=solo", "--queues=" + sys.argv[2], "--loglevel=warning", "--without-gossip",
                 "--without-mingle", "--hostname=stock@test"])
"""


def end(process, how=signal.SIGTERM):
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture
def server(tmp_path):
    port = free_port()
    process = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly",
                                "no", "--dir", str(tmp_path)], stdout=subprocess.DEVNULL)
    client = redis.Redis(port=port, decode_responses=True)

    def up():
        try:
            return client.ping()
        except redis.ConnectionError:
            return False

    eventually(up)
    client.url = f"redis://127.0.0.1:{port}/0"
    client.our_url = f"tcp:127.0.0.1:{port}"
    yield client
    end(process)


@pytest.fixture
def app(server):
    app = celery.Celery(broker=server.url, backend=server.url, set_as_current=False)
    app.conf.task_default_queue = "decant"
    app.conf.task_queue_max_priority = 10
    yield app
    # Results that live on (in tracebacks that pytest keeps) would look for this Redis when the interpreter ends.
    app.backend.remove_pending_result = lambda result: result
    app.close()


def start_ours(server):
    return subprocess.Popen([ECHO, server.our_url, "work"])


@pytest.fixture
def ours(server):
    process = start_ours(server)
    eventually(lambda: server.zcard("decant:workers"))
    yield process
    assert process.poll() is None, "our worker has ended"
    end(process)


def start_stock(server, queue="decant"):
    process = subprocess.Popen([sys.executable, "-c", STOCK_WORKER, server.url, queue], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    # its binding is the last thing it declares before it consumes
    eventually(lambda: server.exists(f"_kombu.binding.{queue}") or process.poll() is not None)
    assert process.poll() is None
    return process


@pytest.fixture
def stock(server):
    process = start_stock(server)
    yield process
    end(process)


def send_ours(server, name, kwargs):
    done = subprocess.run([ECHO, server.our_url, "send", name, json.dumps(kwargs)], check=True, capture_output=True,
                          text=True, timeout=20)
    return done.stdout.strip()


def assert_clean(server):
    eventually(lambda: not server.exists("unacked", "unacked_index", "decant"))


KWARGS = {"src": "ü/😀.docx", "empty": [], "object": {}, "none": None, "number": 1.5, "big": "x" * 100_000}


def test_success(server, app, ours):
    result = app.send_task("test.echo", kwargs=KWARGS)
    assert result.get(timeout=60) == KWARGS
    assert result.state == "SUCCESS"
    assert result.date_done is not None
    assert_clean(server)


def test_compressed(app, server, ours):
    """kombu packs bodies when it is told to; much that packs to little is refused before it fills memory."""
    result = app.send_task("test.echo", kwargs=KWARGS, compression="gzip")
    assert result.get(timeout=60) == KWARGS
    bomb = app.send_task("test.echo", kwargs={"a": "x" * 50_000_000}, compression="gzip")
    with pytest.raises(Exception, match="unpacks to more"):
        bomb.get(timeout=60)
    assert_clean(server)


def test_failure_raises(app, ours):
    result = app.send_task("test.fail")
    with pytest.raises(Exception) as caught:
        result.get(timeout=60)
    assert type(caught.value).__name__ == "EchoError"
    assert str(caught.value) == "asked to fail"
    assert result.state == "FAILURE"


def test_started_is_seen(app, ours):
    result = app.send_task("test.slow", kwargs={"a": 1})
    states = []
    result.get(timeout=60, on_message=lambda body: states.append(body["status"]))
    assert states == ["STARTED", "SUCCESS"]
    assert result.result == {"a": 1}


def test_started_names_the_worker(app, ours):
    result = app.send_task("test.slow")
    eventually(lambda: result.state == "STARTED")
    assert result.info == {"pid": ours.pid, "hostname": socket.gethostname()}
    result.get(timeout=60)


@pytest.mark.parametrize("priority", range(10))
def test_priorities(app, ours, priority):
    assert app.send_task("test.echo", kwargs={"p": priority}, priority=priority).get(timeout=60) == {"p": priority}


def test_countdown(server, app, ours):
    start = time.monotonic()
    result = app.send_task("test.echo", kwargs={"a": 1}, countdown=1.5)
    eventually(lambda: server.zcard("decant:delayed"))
    assert result.get(timeout=60) == {"a": 1}
    assert time.monotonic() - start > 1.4
    assert_clean(server)


def test_expired_is_revoked(app, server):
    result = app.send_task("test.echo", expires=0.2)
    time.sleep(0.4)
    process = start_ours(server)
    try:
        with pytest.raises(TaskRevokedError, match="expired"):
            result.get(timeout=60)
    finally:
        end(process)


def test_ignore_result(app, server, ours):
    result = app.send_task("test.echo", ignore_result=True)
    eventually(lambda: server.exists(f"decant:deliveries:{result.id}") == 0 and server.llen("decant") == 0)
    assert_clean(server)
    assert server.exists(f"celery-task-meta-{result.id}") == 0


def test_groups(app, ours):
    tasks = celery.group(app.signature("test.echo", kwargs={"n": n}) for n in range(20))
    assert tasks.apply_async().get(timeout=60) == [{"n": n} for n in range(20)]


@pytest.mark.parametrize("options", [
    {"compression": "bzip2"},
    {"serializer": "pickle"},
    {"link": "group"},
    {"link": "chord"},
])
def test_what_is_not_supported_fails_loudly(server, app, ours, options):
    if "link" in options:
        group = celery.group([app.signature("test.echo")], app=app)
        options = {"link": group if options["link"] == "group" else celery.chord(group, app.signature("test.echo"), app=app)}
    app.conf.accept_content = ["json", "pickle"]
    result = app.send_task("test.echo", **options)
    with pytest.raises(Exception) as caught:
        result.get(timeout=60)
    assert type(caught.value).__name__ == "TaskRejected"
    letter = json.loads(server.lindex("decant:dead", 0))
    assert letter["reason"] == str(caught.value)
    assert json.loads(letter["message"])["headers"]["id"] == result.id
    assert app.send_task("test.echo", kwargs={"a": 1}).get(timeout=60) == {"a": 1}


def decant_queue(server, *words):
    done = subprocess.run([BUILD / "bin/decant", "queue", "--redis", server.our_url, *words], check=True, capture_output=True,
                          text=True, timeout=60)
    return done.stdout


def test_replayed_dead_letter_runs(server, app):
    """A task that was given up runs when it is replayed, and its client's get() returns."""
    result = app.send_task("test.echo", kwargs={"src": "ü", "empty": []}, priority=9)
    server.set(f"decant:deliveries:{result.id}", 3)
    process = start_ours(server)
    try:
        eventually(lambda: server.llen("decant:dead"))
        letter, = json.loads(decant_queue(server, "dead", "list", "--json"))
        assert letter["task_id"] == result.id and letter["reason"] == "too often"
        assert decant_queue(server, "dead", "replay", str(letter["id"])) == f"{letter['id']} replayed\n"
        eventually(lambda: app.AsyncResult(result.id).state == "SUCCESS")
        assert app.AsyncResult(result.id).get(timeout=60) == {"src": "ü", "empty": []}
    finally:
        end(process)


def test_stock_worker_runs_a_replayed_one(server, app):
    task = send_ours(server, "test.stock", {"a": 1})
    server.set(f"decant:deliveries:{task}", 3)
    process = start_ours(server)
    eventually(lambda: server.llen("decant:dead"))
    end(process)
    decant_queue(server, "dead", "replay", "--all")
    process = start_stock(server)
    try:
        assert app.AsyncResult(task).get(timeout=30)["kwargs"] == {"a": 1}
    finally:
        end(process)


@pytest.fixture
def after(server):
    """A stock worker on a queue of its own, for what follows our tasks."""
    process = start_stock(server, "stock")
    yield
    end(process)


def test_link(app, ours, after):
    result = app.send_task("test.echo", kwargs=KWARGS, link=[app.signature("test.after", args=[1], queue="stock"),
                                                             app.signature("test.after", args=[2], queue="stock", immutable=True)])
    assert result.get(timeout=60) == KWARGS
    first, second = result.children
    assert first.get(timeout=60) == {"args": [KWARGS, 1], "kwargs": {}, "parent": result.id, "root": result.id}
    assert second.get(timeout=60) == {"args": [2], "kwargs": {}, "parent": result.id, "root": result.id}


def test_errback(server, app, ours, after):
    errback = app.signature("test.after", queue="stock", task_id="b0410a91-1b15-49cf-9e75-98342b467ba9")
    result = app.send_task("test.fail", link_error=errback, link=app.signature("test.never"))
    with pytest.raises(Exception, match="asked to fail"):
        result.get(timeout=60)
    assert app.AsyncResult(errback.options["task_id"]).get(timeout=60)["args"] == [result.id]
    assert_clean(server)


def test_chain(server, app, ours, after):
    """Ours, a stock worker's with our result, and ours again, sent by the stock worker."""
    tasks = celery.chain(app.signature("test.echo", kwargs={"a": []}), app.signature("test.after", args=[1], queue="stock"),
                         app.signature("test.slow", kwargs={"b": 2}, immutable=True), app=app)
    result = tasks.apply_async()
    assert result.get(timeout=60) == {"b": 2}
    assert result.parent.get(timeout=60)["args"] == [{"a": []}, 1]
    assert result.parent.parent.get(timeout=60) == {"a": []}
    assert_clean(server)


def test_chain_that_fails_is_not_waited_for(server, app, ours):
    tasks = celery.chain(app.signature("test.fail"), app.signature("test.echo"), app.signature("test.echo"), app=app)
    result = tasks.apply_async()
    with pytest.raises(Exception, match="asked to fail"):
        result.get(timeout=60)
    assert result.state == result.parent.state == "FAILURE"
    assert_clean(server)


def test_chain_of_ours_alone(app, ours):
    tasks = celery.chain(*(app.signature("test.echo", kwargs={"n": n}) for n in range(20)), app=app)
    assert tasks.apply_async().get(timeout=60) == {"n": 19}


def test_killed_worker_is_taken_over(server, app):
    first = start_ours(server)
    second = None
    try:
        result = app.send_task("test.slow", kwargs={"a": 1})
        eventually(lambda: result.state == "STARTED")
        second = start_ours(server)
        end(first, signal.SIGKILL)
        assert result.get(timeout=60) == {"a": 1}
        assert_clean(server)
    finally:
        for process in (first, second):
            if process:
                end(process)


def test_stock_worker_runs_ours(server, app, stock):
    kwargs = {"job_id": "b0410a91-1b15-49cf-9e75-98342b467ba9", "session_id": "secret", "empty": [], "object": {}}
    task = send_ours(server, "test.stock", kwargs)
    seen = app.AsyncResult(task).get(timeout=20)
    assert seen["kwargs"] == kwargs
    assert seen["id"] == seen["correlation_id"] == seen["root_id"] == task
    assert seen["kwargsrepr"] == "{'job_id': 'b0410a91-1b15-49cf-9e75-98342b467ba9', 'session_id': '...', " \
                                 "'empty': '...', 'object': '...'}"
    assert seen["origin"].startswith("gen") and seen["origin"].endswith("@" + socket.gethostname())
    assert seen["reply_to"]
    assert not seen["delivery_info"].pop("redelivered")  # None or, in newer Celery, False
    assert seen["delivery_info"] == {"exchange": "", "routing_key": "decant", "priority": 0}
    assert_clean(server)


def test_stock_sweep_finds_the_way(server, app):
    """A stock consumer may sweep what we claimed (its timeout has passed): it reads our entry in `unacked`."""
    task = send_ours(server, "test.stock", {"a": 1})
    message = server.rpop("decant")
    server.hset("unacked", "decant:00000000-0000-4000-8000-000000000000", f'[{message}, "", "decant"]')
    server.zadd("unacked_index", {"decant:00000000-0000-4000-8000-000000000000": time.time() - 7200})
    process = start_stock(server)
    try:
        assert app.AsyncResult(task).get(timeout=30)["kwargs"] == {"a": 1}
        assert_clean(server)
    finally:
        end(process)


def test_we_leave_stock_claims_alone(server, app, stock, ours):
    """Two kinds of workers share `unacked`: what a stock worker holds stays there while ours reap."""
    task = app.send_task("test.hang").id

    def held():
        return [v for v in server.hvals("unacked") if task in v]

    # whichever of the two takes it first: ours answers at once, and then another is sent
    while not held():
        time.sleep(0.3)
        if server.exists(f"celery-task-meta-{task}") and not held():
            task = app.send_task("test.hang").id
    time.sleep(6)
    assert held()
    end(stock, signal.SIGKILL)
