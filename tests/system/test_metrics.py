"""GET /metrics: what it says is well-formed, true, bounded, and not for everybody; what is built on it names what exists."""

import json
import os
import re
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from client import Client
from exposition import parse, value
from fixtures import pdf, png
from server import PATIENCE, still

ROOT = Path(__file__).resolve().parents[2]


def read(server, **headers):
    return requests.get(server.url + "/metrics", headers=headers, timeout=30)


def metrics(server):
    answer = read(server)
    assert answer.status_code == 200, answer.text
    return parse(answer.text)


def wait_until(server, true, timeout=PATIENCE):
    """Workers tell every five seconds."""
    deadline = time.monotonic() + timeout
    while not true(found := metrics(server)):
        assert time.monotonic() < deadline, "\n".join(f"{k} {v}" for f in found.values() for k, v in f.samples.items())
        time.sleep(0.5)
    return found


def convert(server, name, data, target):
    client = Client(server.url)
    client.init()
    job, content = client.result(name, data, target)
    client.close()
    return job, content


def test_every_line_is_well_formed(server, client):
    client.result("a.png", png(), "jpg")
    answer = read(server)
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    families = parse(answer.text)
    assert requests.head(server.url + "/metrics", timeout=30).status_code == 200
    # another reader's opinion
    theirs = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert len(theirs) == len(families)
    for name, family in families.items():
        assert theirs[name.removesuffix("_total") if family.kind == "counter" else name].type == family.kind
        assert len(family.samples) == len(theirs[name.removesuffix("_total") if family.kind == "counter" else name].samples)


def test_a_conversion_is_seen_in_all_of_it(own_server):
    server = own_server(None, DECANT_SCAN_CACHE="0")
    before = metrics(server)
    job, content = convert(server, "a.pdf", pdf(), "txt")
    kind = {"engine": "pdf", "source": "pdf", "target": "txt"}
    found = wait_until(server, lambda m: value(m, "decant_jobs_finished_total", outcome="ok", **kind) == 1)
    for route, method, status in (("/session/init", "GET", "200"), ("/upload", "POST", "201"), ("/convert", "POST", "202"),
                                  ("/download_token", "POST", "201"), ("/download", "GET", "200"), ("/session/close", "POST", "200")):
        assert value(found, "decant_http_requests_total", route=route, method=method, status=status) == 1, route
        assert value(found, "decant_http_request_duration_seconds_count", route=route, method=method) == 1, route
    assert value(found, "decant_http_requests_total", route="/metrics", method="GET", status="200") >= 1
    assert value(found, "decant_uploads_total", format="pdf") == 1
    assert value(found, "decant_upload_bytes_total", format="pdf") == len(pdf())
    assert value(found, "decant_downloads_total") == 1 and value(found, "decant_download_bytes_total") == len(content)
    assert value(found, "decant_http_connections_total") > value(before, "decant_http_connections_total")
    assert value(found, "decant_http_open_connections") >= 1
    assert value(found, "decant_job_wait_seconds_sum", **kind) == pytest.approx(job["queue_ms"] / 1000)
    assert value(found, "decant_job_run_seconds_sum", **kind) == pytest.approx(job["duration_ms"] / 1000)
    assert value(found, "decant_job_cpu_seconds_total", **kind) == pytest.approx(job["cpu_ms"] / 1000)
    assert value(found, "decant_job_peak_memory_bytes_sum", engine="pdf") == job["peak_rss_bytes"]
    assert value(found, "decant_tasks_ended_total", ending="completed") == 1
    assert value(found, "decant_scanner_verdicts_total", verdict="clean", origin="clamd") == 1
    assert value(found, "decant_scanner_duration_seconds_count") == 1
    assert value(found, "decant_redis_command_duration_seconds_count") > value(before, "decant_redis_command_duration_seconds_count")
    assert value(found, "decant_worker_redis_command_duration_seconds_count") > 0
    assert value(found, "decant_workers") == 1 and value(found, "decant_worker_slots") >= 1
    assert value(found, "decant_storage_free_bytes") > 0
    assert {labels[0][1] for _, labels in found["decant_part_ok"].samples} == {
        "redis", "storage", "disk", "queue", "workers", "engines", "scanner", "sandbox"}
    assert set(found["decant_part_ok"].samples.values()) == {1}
    assert {engine for (_, labels), n in found["decant_engines"].samples.items() for key, engine in labels
            if key == "engine" and n == 1 and ("state", "up") in labels} == {"office", "image", "pdf", "media", "markup", "archive", "font", "pages", "press", "ocr"}


def test_nothing_of_clients_is_in_it(server, client, other):
    job, _ = client.result("very-private-name.png", png(), "jpg")
    other.status(job["job_id"])
    requests.get(server.url + "/some/path/of/a/stranger?token=abc", timeout=30)
    requests.request("BREW", server.url + "/upload", timeout=30)
    text = read(server).text
    for secret in (client.session_id, job["job_id"], job["task_id"], client.csrf, "very-private-name", "stranger", "BREW", "127.0.0.1"):
        assert secret not in text
    families = parse(text)
    assert value(families, "decant_http_requests_total", route="none", method="other", status="404") >= 1
    assert value(families, "decant_http_errors_total", code="job_not_found") >= 1


def test_labels_are_words_of_ours(server, client):
    client.result("a.png", png(), "webp")
    formats = requests.get(server.url + "/formats", timeout=30).json()["formats"]
    allowed = {"engine": {"office", "image", "pdf", "media", "markup", "archive", "font", "pages", "press", "ocr"}, "source": set(formats), "target": set(formats), "format": set(formats),
               "queue": {"decant", "decant.documents", "decant.images", "decant.pdf", "decant.media", "decant.archives", "decant.ocr", "decant.previews"}, "method": {"GET", "POST", "PATCH", "DELETE", "OPTIONS", "other"}}
    # what somebody put there who can write to Redis
    for field in ("jobs pdf pdf exe ok", "jobs pdf pdf png secret", "tasks x", "kills pdf \"}", "evil 1"):
        server.redis().hset("decant:counts", field, 1)
    for family in metrics(server).values():
        for _, labels in family.samples:
            for key, text in labels:
                assert text in allowed.get(key, {text}), (family.name, key, text)
                assert re.fullmatch(r"[A-Za-z0-9_./+{}-]+", text), text
    assert "evil" not in read(server).text


def test_refusals_are_counted_by_class_and_name(own_server):
    server = own_server("image", DECANT_RATE_READ="session=1/h:1", DECANT_SESSION_QUEUE="1")
    client = Client(server.url)
    client.init()
    job_id = client.upload("a.png", png()).json()["job_id"]
    answers = [client.status(job_id).status_code for _ in range(3)]
    assert answers == [200, 429, 429]
    found = metrics(server)
    limited = {labels: n for (_, labels), n in found["decant_rate_limited_total"].samples.items() if n}
    assert limited == {(("class", "read"), ("limit", "session")): 2}
    assert value(found, "decant_http_errors_total", code="rate_limited") == 2
    assert value(found, "decant_http_requests_total", route="/job_status", method="GET", status="429") == 2
    client.close()


def test_the_queue_is_told_by_length_and_age(own_server):
    server = own_server("image", DECANT_JOBS="1")
    [worker] = server.children("decant-worker")
    client = Client(server.url)
    client.init()
    os.kill(worker, signal.SIGSTOP)
    try:
        for position in range(3):
            job_id = client.upload("a.png", png()).json()["job_id"]
            answer = client.convert(job_id, "jpg").json()
            # the worker may have asked for one in the moment that it was stopped
            assert position - 1 <= answer["queue_position"] <= position
        time.sleep(1.5)
        found = metrics(server)
        assert value(found, "decant_queue_messages", queue="decant.images") >= 2
        assert value(found, "decant_queue_messages_max") == 10000
        assert 1.4 < value(found, "decant_queue_oldest_message_age_seconds", queue="decant.images") < PATIENCE
        for other in ("decant", "decant.documents", "decant.pdf"):
            assert found["decant_queue_messages"].samples["decant_queue_messages", (("queue", other),)] == 0
            assert value(found, "decant_queue_oldest_message_age_seconds", queue=other) == 0
        assert value(found, "decant_jobs", state="queued") >= 2
    finally:
        os.kill(worker, signal.SIGCONT)
    wait_until(server, lambda m: value(m, "decant_queue_messages", queue="decant.images") == 0 and
               value(m, "decant_jobs_finished_total", engine="image", source="png", target="jpg", outcome="ok") == 3)
    assert value(metrics(server), "decant_queue_oldest_message_age_seconds", queue="decant.images") == 0
    client.close()


def test_counters_outlive_workers_and_engines_are_counted(own_server):
    server = own_server("image pdf")
    kind = {"engine": "image", "source": "png", "target": "jpg", "outcome": "ok"}
    convert(server, "a.png", png(), "jpg")
    wait_until(server, lambda m: value(m, "decant_jobs_finished_total", **kind) == 1)
    [engine] = server.children("decant-engine-pdf")[:1]
    os.kill(engine, signal.SIGKILL)
    wait_until(server, lambda m: value(m, "decant_engine_restarts_total", engine="pdf") == 1)
    [worker] = server.children("decant-worker")
    os.kill(worker, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while worker in server.children("decant-worker"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    server.wait_ready()
    convert(server, "a.png", png(), "jpg")
    found = wait_until(server, lambda m: value(m, "decant_jobs_finished_total", **kind) == 2)
    assert value(found, "decant_engine_restarts_total", engine="pdf") == 1


def test_without_redis_it_tells_what_it_knows(own_server):
    server = own_server("image")
    convert(server, "a.png", png(), "jpg")
    for redis in server.children("redis-server"):
        with still(redis):
            found = metrics(server)
    assert value(found, "decant_part_ok", part="redis") == 0 and value(found, "decant_part_ok", part="storage") == 1
    assert value(found, "decant_uploads_total", format="png") == 1
    assert "decant_queue_messages" not in found and "decant_jobs_finished_total" not in found
    server.wait_listening()


# --- who may read it

HIDDEN = {"Host": "convert.example.com"}, {"X-Forwarded-For": "127.0.0.1"}, {"X-Forwarded-Proto": "https"}, {"Forwarded": "for=127.0.0.1"}, \
    {"Via": "1.1 proxy"}, {"X-Real-IP": "127.0.0.1"}, {"Host": "127.0.0.1.example.com"}, {"Host": "[::1"}, {"Host": "128.0.0.1"}


def same_as_unknown(server, answer):
    unknown = requests.get(server.url + "/metrics2", timeout=30)
    assert answer.status_code == unknown.status_code == 404
    ids = ("Date", "X-Request-Id", "Content-Length")
    assert {k: v for k, v in answer.headers.items() if k not in ids} == {k: v for k, v in unknown.headers.items() if k not in ids}
    assert {**answer.json(), "request_id": 0} == {**unknown.json(), "request_id": 0}


@pytest.mark.parametrize("headers", HIDDEN, ids=[" ".join(h.values()) for h in HIDDEN])
def test_who_was_passed_on_sees_no_metrics(server, headers):
    if headers == {"Host": "[::1"}:
        assert read(server, **headers).status_code == 400
        return
    same_as_unknown(server, read(server, **headers))


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.3.2.1:80", "[::1]:8080"])
def test_this_machine_sees_them(server, host):
    assert read(server, Host=host).status_code == 200


def test_off_is_off(own_server):
    server = own_server("image", ready=False, DECANT_METRICS="off")
    server.wait_listening()
    same_as_unknown(server, read(server))


def test_networks_look_through_proxies_that_are_trusted(own_server):
    server = own_server("image", ready=False, DECANT_METRICS="10.1.0.0/16 192.0.2.7", DECANT_TRUSTED_PROXIES="127.0.0.1")
    server.wait_listening()
    for address, status in (("10.1.2.3", 200), ("192.0.2.7", 200), ("192.0.2.8", 404), ("10.1.2.3, 203.0.113.9", 404),
                            ("203.0.113.9, 10.1.2.3", 200)):
        assert read(server, **{"X-Forwarded-For": address}).status_code == status, address
    assert read(server).status_code == 404  # 127.0.0.1 is in none of them


def test_a_proxy_that_is_not_trusted_vouches_for_nobody(own_server):
    server = own_server("image", ready=False, DECANT_METRICS="127.0.0.0/8")
    server.wait_listening()
    assert read(server).status_code == 200
    assert read(server, Host="decant.internal:8080").status_code == 200
    assert read(server, **{"X-Forwarded-For": "127.0.0.1"}).status_code == 404


@pytest.fixture
def token_file():
    """token_file(TEXT[, MODE]): its path; the file belongs to whom the server becomes."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)

        def write(text, mode=0o600):
            path = Path(folder) / f"token{len(os.listdir(folder))}"
            path.write_text(text + "\n")
            path.chmod(mode)
            if os.geteuid() == 0:
                shutil.chown(path, "decant-api")
            return str(path)

        yield write


def test_a_token_is_wanted_where_there_is_one(own_server, token_file):
    server = own_server("image", ready=False, DECANT_METRICS="any", DECANT_METRICS_TOKEN_FILE=token_file("a-token-of-the-operator"))
    server.wait_listening()
    for authorization, status in (("Bearer a-token-of-the-operator", 200), ("bearer a-token-of-the-operator", 200), ("Bearer a-token", 404),
                                  ("Bearer ", 404), ("Basic a-token-of-the-operator", 404), ("Bearer a-token-of-the-operator2", 404)):
        assert read(server, Authorization=authorization, **{"X-Forwarded-For": "203.0.113.9"}).status_code == status, authorization
    assert read(server).status_code == 404
    assert "a-token-of-the-operator" not in server.log()


@pytest.mark.parametrize("environment, words", [
    ({"DECANT_METRICS": "any"}, "DECANT_METRICS is any"), ({"DECANT_METRICS": "everybody"}, "DECANT_METRICS is not off"),
    ({"DECANT_METRICS": ""}, "DECANT_METRICS is not off"), ({"DECANT_METRICS_TOKEN_FILE": "/does/not/exist"}, "DECANT_METRICS_TOKEN_FILE must be")])
def test_what_is_set_wrongly_is_refused_at_the_start(own_server, environment, words):
    server = own_server("image", ready=False, **environment)
    server.wait_log(words)
    assert server.process.wait(PATIENCE) != 0


def test_a_short_or_open_token_is_refused(own_server, token_file):
    for text, mode, words in (("short", 0o600, "too short"), ("long-enough-to-be-one", 0o644, "this user alone")):
        server = own_server("image", ready=False, DECANT_METRICS_TOKEN_FILE=token_file(text, mode))
        server.wait_log(words)
        assert server.process.wait(PATIENCE) != 0


# --- what is built on it

NAME = re.compile(r"\b(?:decant|process)_[a-z_]+\b")


def sample_names(families):
    return {name for family in families.values() for name in
            ([family.name + ending for ending in ("_bucket", "_sum", "_count")] if family.kind == "histogram" else [family.name])}


def labels_of(families):
    """{sample's name: its labels}, of those that have samples."""
    return {name: {key for key, _ in labels} for family in families.values() for name, labels in family.samples}


def check_expression(expression, families):
    found = NAME.findall(expression)
    assert found, expression
    unknown = set(found) - sample_names(families)
    assert not unknown, f"{unknown} in {expression}"
    known = labels_of(families)
    for name, selector in re.findall(r"\b((?:decant|process)_[a-z_]+)\{([^}]*)\}", expression):
        keys = set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", selector)) - {"job", "instance"}
        assert keys <= known.get(name, keys), f"{keys - known[name]} of {name} in {expression}"
    for by in re.findall(r"\bby \(([^)]*)\)", expression):
        keys = {key.strip() for key in by.split(",")} - {"instance", "job"}
        assert keys <= set().union(*(known.get(name, keys) for name in found)), f"{keys} in {expression}"
    assert expression.count("(") == expression.count(")") and expression.count("{") == expression.count("}")


@pytest.fixture
def seen(server, client):
    """All families, with a sample in each that has one after a conversion."""
    client.result("a.png", png(), "jpg")
    return wait_until(server, lambda m: m["decant_jobs_finished_total"].samples)


def test_the_dashboard_asks_for_what_there_is(seen):
    board = json.loads((ROOT / "deploy/grafana/decant.json").read_text())
    assert board["schemaVersion"] >= 36 and board["title"] and board["uid"] and "__inputs" not in board
    ids, asked = [panel["id"] for panel in board["panels"]], set()
    assert len(ids) == len(set(ids))
    places = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & places, panel["title"]
        places |= cells
        assert panel["type"] in ("row", "stat", "timeseries") and panel["title"]
        for target in panel.get("targets", []):
            check_expression(target["expr"], seen)
            asked |= {re.sub("_(bucket|sum|count)$", "", name) for name in NAME.findall(target["expr"])}
        assert panel["type"] == "row" or panel["targets"]
    assert set(seen) - asked <= {"decant_build_info", "process_start_time_seconds"}, "what is measured is shown"


def test_the_alerts_ask_for_what_there_is(seen):
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())
    documented = (ROOT / "docs/metrics.md").read_text()
    names = set()
    for group in rules["groups"]:
        for rule in group["rules"]:
            check_expression(rule["expr"], seen)
            assert rule["alert"] not in names and rule["labels"]["severity"] in ("warning", "critical")
            assert rule["annotations"]["summary"] and rule["annotations"]["description"]
            assert f"`{rule['alert']}`" in documented
            names.add(rule["alert"])
    assert set(re.findall(r"`(Decant[A-Za-z]+)`", documented)) == names


def test_each_metric_is_documented_with_its_labels(seen):
    text = (ROOT / "docs/metrics.md").read_text()
    rows = dict(re.findall(r"^\| `((?:decant|process)_[a-z_]+)` \| ([^|]*) \|", text, re.M))
    assert set(rows) == set(seen)
    known = labels_of(seen)
    for name, family in seen.items():
        kind, *labels = [word.strip("`, ") for word in rows[name].split()]
        assert kind == family.kind, name
        sample = name + "_bucket" if family.kind == "histogram" else name
        if sample in known:
            assert set(labels) == known[sample] - {"le"}, name


def test_the_runbook_has_a_line_for_each_alert():
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    lines = [line for line in (ROOT / "docs/operations.md").read_text().splitlines() if line.startswith("| `Decant")]
    assert alerts and set(re.findall(r"`(Decant\w+)`", "\n".join(line.split("|")[1] for line in lines))) == alerts
