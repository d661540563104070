"""openapi.json is an OpenAPI document, and what holds every answer of these tests against it (contract.py) sees what is wrong."""

import json
import re
import threading
from types import SimpleNamespace

import pytest
import requests
from jsonschema import Draft202012Validator

import contract
from client import Client, problem
from contract import Broken, Contract, Front
from fixtures import png
from server import Server

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), "image", DECANT_MAX_UPLOAD="1M").start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def document(small):
    return requests.get(small.url + "/openapi.json").json()


def schemas(part):
    """All that stand in the document where a schema stands."""
    if isinstance(part, dict):
        yield from (part["schema"],) if "schema" in part else ()
        for name, value in part.items():
            if name != "schema":
                yield from schemas(value)
    elif isinstance(part, list):
        for value in part:
            yield from schemas(value)


# --- https://spec.openapis.org/oas/v3.1.0: there is no Debian package that knows it all, and this is what its schema asks of what we have in it

def test_it_is_openapi(document):
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"]) and document["info"]["title"] and document["info"]["version"]
    tags = {tag["name"] for tag in document["tags"]}
    ids = set()
    for path, item in document["paths"].items():
        assert path.startswith("/") and set(item) <= METHODS, path
        for method, operation in item.items():
            where = f"{method} {path}"
            assert set(operation) <= {"tags", "summary", "description", "operationId", "parameters", "requestBody", "responses", "security",
                                     "x-decant-needs", "x-decant-scope"}, where
            assert operation["operationId"] not in ids and set(operation["tags"]) <= tags, where
            ids.add(operation["operationId"])
            for need in operation["security"]:
                assert all(name in document["components"]["securitySchemes"] and scopes == [] for name, scopes in need.items()), where
            for status, response in operation["responses"].items():
                assert re.fullmatch(r"[1-5]\d\d|default", status), where
                assert "$ref" in response or response["description"] and set(response) <= {"description", "headers", "content"}, where
            for parameter in operation.get("parameters", ()):
                assert "$ref" in parameter or {"name", "in", "schema"} <= set(parameter) and parameter["in"] in ("query", "header", "path", "cookie"), where
            assert "requestBody" not in operation or operation["requestBody"]["content"], where


def test_its_schemas_are_schemas(document):
    found = [*schemas(document["paths"]), *document["components"]["schemas"].values(), *schemas({name: document["components"][name] for name in ("headers", "parameters", "responses")})]
    assert len(found) > 100
    for schema in found:
        Draft202012Validator.check_schema(schema)


def test_examples_are_what_they_are_of(document):
    whole = Contract(json.dumps(document))
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", ()):
            whole.check_schema(name, example)


def test_it_tells_of_this_very_server(document, server):
    """Which engines it has, and how much it takes."""
    assert "1114112 bytes" in document["paths"]["/upload"]["post"]["responses"]["413"]["description"]
    formats = document["components"]["schemas"]["Format"]["enum"]
    assert "png" in formats and "docx" not in formats
    assert set(requests.get(server.url + "/openapi.json").json()["components"]["schemas"]["Format"]["enum"]) == set(requests.get(server.url + "/formats").json()["formats"])


# --- what watches the other tests

def answer_of(small, method="GET", path="/healthz", headers=(), **changes):
    """One as it came, and as it could have been. A header of None is left out."""
    came = requests.request(method, small.url + path)
    answer = SimpleNamespace(**{"status_code": came.status_code, "content": came.content, **changes})
    answer.headers = {name: value for name, value in {**came.headers, **dict(headers)}.items() if value is not None}
    answer.json = lambda: json.loads(answer.content)
    return came.request, answer


def test_what_came_is_as_described(small):
    for method, path in ("GET", "/healthz"), ("HEAD", "/healthz"), ("POST", "/convert"), ("GET", "/nowhere"), ("PUT", "/healthz"), ("OPTIONS", "/files"):
        request, answer = answer_of(small, method, path)
        contract.contracts[small.url].check(request, answer, False)


@pytest.mark.parametrize("words, changes", [
    ("this status is not described", {"status_code": 201}), ("no problem document", {"status_code": 500}),
    ("the type text/plain is not described", {"headers": {"Content-Type": "text/plain"}}), ("the type (none) is not described", {"headers": {"Content-Type": None}}),
    ("X-Request-Id is missing", {"headers": {"X-Request-Id": None}}), ("X-Request-Id is not as described", {"headers": {"X-Request-Id": "x"}}),
    ("'more' was unexpected", {"content": b'{"status": "ok", "version": "1", "more": 1}'}), ("'version' is a required property", {"content": b'{"status": "ok"}'}),
    ("1 is not of type 'string'", {"content": b'{"status": "ok", "version": 1}'}), ("'ok' was expected", {"content": b'{"status": "poorly", "version": "1"}'}),
    ("is not of type 'object'", {"content": b"[]"})])
def test_what_is_not_described_is_seen(small, words, changes):
    request, answer = answer_of(small, **changes)
    with pytest.raises(Broken, match=re.escape(words)):
        contract.contracts[small.url].check(request, answer, False)


@pytest.mark.parametrize("method, path, words, old, new", [
    ("POST", "/convert", "session_required", b"session_required", b"job_not_found"), ("POST", "/convert", "'request_id' is a required property", b'"request_id"', b'"id"'),
    ("POST", "/convert", "401 was expected", b'"status":401', b'"status":403'), ("GET", "/nowhere", "the code job_not_found is not described", b"not_found", b"job_not_found"),
    ("GET", "/nowhere", "the status within", b'"status":404', b'"status":405'), ("GET", "/nowhere", "'detail' is a required property", b'"detail"', b'"details"')])
def test_a_problem_that_is_not_described_is_seen(small, method, path, words, old, new):
    request, answer = answer_of(small, method, path)
    assert old in answer.content
    answer.content = answer.content.replace(old, new)
    with pytest.raises(Broken, match=words):
        contract.contracts[small.url].check(request, answer, False)


def test_other_bodies_and_headers_are_seen(small):
    whole = contract.contracts[small.url]
    request, answer = answer_of(small, "OPTIONS", "/files", content=b"more")
    with pytest.raises(Broken, match="a body is not described"):
        whole.check(request, answer, False)
    request, answer = answer_of(small, "PUT", headers={"Allow": None})
    with pytest.raises(Broken, match="Allow is missing"):
        whole.check(request, answer, False)


def test_what_was_taken_is_seen(small):
    token = {"token": "0" * 64, "url": "/download?token=" + "0" * 64, "expires_at": "2026-11-30T10:00:00Z"}
    request, answer = answer_of(small, status_code=201, content=json.dumps(token).encode())
    whole, request.method, request.url = contract.contracts[small.url], "POST", small.url + "/download_token"
    request.body = b'{"job_id": "ebca5c7b-97b3-4f71-bd14-4f7441581681"}'
    whole.check(request, answer, False)
    request.body = b'{"job": "ebca5c7b-97b3-4f71-bd14-4f7441581681"}'
    with pytest.raises(Broken, match="what was taken is not as described"):
        whole.check(request, answer, False)


def test_a_refusal_of_nobody_knows_what_is_looked_at(small):
    """As of bytes that are no whole request."""
    whole = contract.contracts[small.url]
    whole.check_refusal(answer_of(small, path="/nowhere")[1])
    for words, changes in (("no problem document", {"headers": {"X-Request-Id": None}}), ("no problem document", {"headers": {"Content-Type": "text/html"}}),
                           ("described nowhere", {"status_code": 400}), ("is a required property", {"content": b"{}"})):
        with pytest.raises(Broken, match=words):
            whole.check_refusal(answer_of(small, path="/nowhere", **changes)[1])


def test_what_an_nginx_says_is_seen(small):
    """Of what it passes on, of its own words, and of the page's files."""
    speaks, plain = Front(contract.contracts[small.url], True), Front(contract.contracts[small.url], False)
    page = {"X-Request-Id": None, "Content-Type": "text/html"}
    for nginx in speaks, plain:
        nginx.check(*answer_of(small), False)
        nginx.check(*answer_of(small, path="/nowhere"), False)
        nginx.check(*answer_of(small, status_code=416, headers={"Content-Type": "text/html"}), False)
        for words, changes in (("this status", {"status_code": 201}), ("not a file of the page", {"headers": page}), ("no page", {"status_code": 400, "headers": {"X-Request-Id": None}}),
                               ("no such refusal", {"status_code": 418, "headers": page})):
            with pytest.raises(Broken, match=words):
                nginx.check(*answer_of(small, **changes), False)
        with pytest.raises(Broken, match="described nowhere"):
            nginx.check_refusal(answer_of(small, path="/nowhere", status_code=400)[1])
    plain.check(*answer_of(small, status_code=502, headers=page), False)
    for status in 404, 413, 429, 502, 503:
        with pytest.raises(Broken, match="no such refusal"):
            speaks.check(*answer_of(small, status_code=status, headers=page), False)


def test_what_nobody_has_described_is_seen(small):
    whole = contract.contracts[small.url]
    for path, words in ("/nowhere", "this path"), ("/healthz?more=1", "parameters"):
        request, answer = answer_of(small)
        request.url = small.url + path
        with pytest.raises(Broken, match=words):
            whole.check(request, answer, False)
    request, answer = answer_of(small)
    request.method = "PUT"
    with pytest.raises(Broken, match="this method"):
        whole.check(request, answer, False)
    problem(requests.get(small.url + "/nowhere"), 404, "not_found")
    problem(requests.put(small.url + "/healthz"), 405, "method_not_allowed")


def test_what_varies_in_a_path_is_one_path(small, document):
    request, answer = answer_of(small)
    whole = Contract(json.dumps({**document, "paths": {"/v1/things/{id}/state": document["paths"]["/healthz"]}}))
    for request.url in (small.url + "/v1/things/1/state", small.url + "/v1/things/a-b/state"):
        whole.check(request, answer, False)
    for request.url in (small.url + "/v1/things/1/2/state", small.url + "/v1/things//state", small.url + "/v1/things/1"):
        with pytest.raises(Broken, match="this path"):
            whole.check(request, answer, False)


def test_each_answer_is_looked_at(small, monkeypatch):
    """Also in a thread, where nobody hears what is raised."""
    changed = contract.contracts[small.url].document["components"]["schemas"]
    monkeypatch.setitem(changed, "Upload", {"type": "string"})
    client = Client(small.url)
    client.init()
    with pytest.raises(Broken, match="POST /upload answered 201, and openapi.json says otherwise: the answer is not as described"):
        client.upload("a.png", png())
    heard = []
    thread = threading.Thread(target=lambda: heard.append(pytest.raises(Broken, client.upload, "b.png", png())))
    thread.start()
    thread.join()
    assert len(heard) == len(contract.broken_elsewhere) == 1
    contract.broken_elsewhere.clear()
    client.close()
