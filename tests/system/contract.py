"""Every answer that a test gets has to be one that the server's openapi.json describes: method, path, status, type, headers and JSON; and what the server takes has to be
what that says it takes. A server's contract is learnt when it is ready, that of an nginx in front of it when it answers. Of bytes that are sent by hand each answer is looked at
as well, and held against the request where it was a whole and plain one (raw.py)."""

import functools
import hashlib
import json
import re
import threading
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

import requests
from jsonschema import Draft202012Validator, RefResolver
from jsonschema.exceptions import best_match

PAGE_FILE = re.compile(r"/docs/|/.+\.(html|js|css|svg|png|ico|webmanifest|json|txt|woff2)")
METHOD_NOT_ALLOWED = {"method_not_allowed"}
LIMITED = {"rate_limited"}  # files of the page are paths of no operation

watching = None  # the thread that raising is heard in
contracts = {}  # by the server's origin
broken_elsewhere = []  # in threads, where raising fails no test


class Broken(AssertionError):
    pass


def closed(schema):
    """The same, where an object may have no member that isn't described: clients pass these over, but here one is something that nobody has documented."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    same = {name: closed(part) for name, part in schema.items()}
    if same.get("type") == "object" and isinstance(same.get("properties"), dict):
        same.setdefault("additionalProperties", False)
    return same


def media_type(headers):
    return headers.get("Content-Type", "").split(";")[0].strip()


def demand(condition, words):
    if not condition:
        raise Broken(words)


class Contract:
    def __init__(self, text):
        self.document = closed(json.loads(text))
        self.resolver = RefResolver("", self.document)
        self.patterns = [(re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))), path) for path in self.document["paths"] if "{" in path]
        self.anywhere = self.response({"$ref": "#/components/responses/Anywhere"})
        self.seen = set()

    def response(self, response):
        return self.resolver.resolve(response["$ref"])[1] if "$ref" in response else response

    @functools.lru_cache(maxsize=None)
    def validator(self, pointer):
        """Of the schema that stands there in the document."""
        return Draft202012Validator({"$ref": pointer}, resolver=self.resolver)

    def check_value(self, pointer, value, what):
        error = best_match(self.validator(pointer).iter_errors(value))
        demand(error is None, error and f"{what} is not as described: at {error.json_path}: {error.message[:500]}")

    def check_schema(self, name, value):
        self.check_value(f"#/components/schemas/{name}", value, f"this {name}")

    def path(self, path):
        """The described one that this is, or None."""
        return path if path in self.document["paths"] else next((described for pattern, described in self.patterns if pattern.fullmatch(path)), None)

    def check(self, request, answer, streams):
        url = urlsplit(request.url)
        path, method = self.path(url.path), request.method.lower()
        item = self.document["paths"].get(path, {})
        method = "get" if method == "head" and method not in item else method
        operation = item.get(method)
        if operation:
            self.check_operation(path, method, operation, request, answer, streams)
            if answer.status_code < 300:
                self.check_parameters(operation, url.query)
                self.check_request(path, method, operation, request)
        elif request.method != "OPTIONS" or answer.status_code >= 400:  # a preflight has no more to it than headers
            self.check_undescribed(path, url.path, answer, streams)

    # --- answers

    def check_operation(self, path, method, operation, request, answer, streams):
        described = operation["responses"].get(str(answer.status_code))
        if described is None:
            demand(answer.status_code >= 400, "this status is not described")
            self.check_problem(answer, (), streams)
            return
        at = ["paths", path, method, "responses", str(answer.status_code)]
        if "$ref" in described:
            at, described = described["$ref"][2:].split("/"), self.response(described)
        self.check_headers(described, answer)
        self.check_body(described, at, request, answer, streams)

    def check_headers(self, described, answer):
        for name, header in described.get("headers", {}).items():
            header = self.response(header)
            said = answer.headers.get(name)
            demand(said is not None or not header.get("required"), f"the header {name} is missing")
            if said is not None:
                error = best_match(Draft202012Validator(header["schema"], resolver=self.resolver).iter_errors(said))
                demand(error is None, error and f"the header {name} is not as described: {error.message}")

    def check_body(self, described, at, request, answer, streams):
        kinds = described.get("content", {})
        if not kinds:
            demand(streams or not answer.content, "a body is not described")
            return
        kind = media_type(answer.headers)
        told = kind if kind in kinds else "*/*"
        demand(told in kinds, f"the type {kind or '(none)'} is not described, but {', '.join(kinds)}")
        if told.endswith("json") and request.method != "HEAD" and not streams:
            self.check_json(at + ["content", told, "schema"], answer.content)

    def check_json(self, at, content):
        pointer = "#/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in at)
        known = (pointer, hashlib.sha256(content).digest())  # the catalogue is large, and always the same
        if known not in self.seen:
            self.check_value(pointer, json.loads(content), "the answer")
            self.seen.add(known)

    def check_problem(self, answer, more, streams):
        """One that any call may end with, or has one of these codes."""
        demand(media_type(answer.headers) == "application/problem+json", "an error is no problem document")
        if not streams and answer.content:
            problem = answer.json()
            self.check_schema("Problem", problem)
            codes = self.anywhere["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"]
            demand(problem["code"] in {*codes, *more}, f"the code {problem['code']} is not described")
            demand(problem["status"] == answer.status_code, "the status within is another one")

    def check_undescribed(self, path, asked, answer, streams):
        if answer.status_code < 400:
            demand(PAGE_FILE.fullmatch(asked), "this path is not described" if path is None else "this method is not described")
            return
        self.check_problem(answer, METHOD_NOT_ALLOWED | LIMITED, streams)
        demand(answer.status_code != 405 or "Allow" in answer.headers, "the header Allow is missing")

    # --- what was taken

    def check_parameters(self, operation, query):
        known = {parameter["name"] for parameter in map(self.response, operation.get("parameters", ())) if parameter["in"] == "query"}
        unknown = {name for name, _ in parse_qsl(query, keep_blank_values=True)} - known
        demand(not unknown, f"parameters are taken that are not described: {', '.join(sorted(unknown))}")

    def check_request(self, path, method, operation, request):
        if "application/json" in operation.get("requestBody", {}).get("content", {}) and isinstance(request.body, (str, bytes)):
            pointer = f"#/paths/{path.replace('/', '~1')}/{method}/requestBody/content/application~1json/schema"
            self.check_value(pointer, json.loads(request.body), "what was taken")


    # --- where it isn't known what was asked

    @functools.cached_property
    def codes(self):
        """(status, code) of each error that is described anywhere."""
        found = {(405, "method_not_allowed")}
        answers = [(0, self.anywhere), *((int(status), self.response(response)) for item in self.document["paths"].values() for operation in item.values()
                                         for status, response in operation["responses"].items() if status != "default")]
        for status, response in answers:
            for part in response.get("content", {}).get("application/problem+json", {}).get("schema", {}).get("allOf", ()):
                found |= {(status, code) for code in part.get("properties", {}).get("code", {}).get("enum", ())}
        return found

    def check_refusal(self, answer, streams=False):
        demand(media_type(answer.headers) == "application/problem+json" and "X-Request-Id" in answer.headers, "an error is no problem document")
        if not streams and answer.content:
            problem = answer.json()
            self.check_schema("Problem", problem)
            demand(problem["status"] == answer.status_code and {(problem["status"], problem["code"]), (0, problem["code"])} & self.codes, "this error is described nowhere")


class Front:
    """nginx before a server: what has an X-Request-Id is the server's, or of nginx as the server would say it. Else it is a file of the page, or a refusal in nginx's own words; where it
    `speaks` as the server, by its configuration, it has these for what it can't read, and for a range that there is none of in a file that it hands out."""

    OWN_WORDS = {True: {400, 416}, False: {400, 404, 405, 413, 416, 429, 502, 503, 504}}

    def __init__(self, behind, speaks):
        self.behind, self.own_words = behind, self.OWN_WORDS[speaks]
        self.check_schema = behind.check_schema

    @staticmethod
    def as_the_server(answer):
        return "X-Request-Id" in answer.headers and answer.status_code != 416

    def check(self, request, answer, streams):
        if self.as_the_server(answer):
            self.behind.check(request, answer, streams)
        elif answer.status_code >= 400:
            self.check_refusal(answer, streams)
        else:
            demand(PAGE_FILE.fullmatch(urlsplit(request.url).path) or urlsplit(request.url).path in ("/", "/docs"), "nginx answers what is not a file of the page")

    def check_refusal(self, answer, streams=False):
        if self.as_the_server(answer):
            self.behind.check_refusal(answer, streams)
            return
        demand(answer.status_code in self.own_words, "nginx has no such refusal of its own")
        demand(media_type(answer.headers) == "text/html", "nginx's own words are no page")


@functools.lru_cache(maxsize=None)
def contract_of(text):
    return Contract(text)


def origin(url):
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def learn(url):
    """From now on the answers of this server are looked at, where anybody watches."""
    if not watching:
        return
    contracts.pop(origin(url), None)
    answer = requests.get(url + "/openapi.json", timeout=60)
    assert answer.status_code == 200, f"openapi.json: {answer.status_code} {answer.text}"
    contracts[origin(url)] = contract_of(answer.text)


def learn_front(url, behind, speaks=False):
    """`url` is that of an nginx before the server at `behind`, whose contract is known."""
    if watching:
        contracts[origin(url)] = Front(contracts[origin(behind)], speaks)


def complain(words):
    if threading.current_thread() is not watching:  # which need not be the first: pytest-xdist may run tests in another
        broken_elsewhere.append(words)
    raise Broken(words)


def check_schema(url, name, value):
    """Of what did not come as an answer of its own: an event."""
    contract = contracts.get(origin(url))
    if contract:
        try:
            contract.check_schema(name, value)
        except Broken as broken:
            complain(f"{url}: {broken}")


def look(request, answer, streams=False):
    """request: method, url and body; None where it isn't known. answer: status_code, headers (whatever their case), content and json()."""
    contract = contracts.get(origin(request.url))
    try:
        if contract and request.method:
            contract.check(request, answer, streams)
        elif contract and answer.status_code >= 400:
            contract.check_refusal(answer)
    except Broken as broken:
        said = "" if streams else f"\n{answer.content[:500]}"
        complain(f"{request.method} {urlsplit(request.url).path} answered {answer.status_code}, and openapi.json says otherwise: {broken}{said}")


def look_at(url, method, status, headers, content, body=None, streams=False):
    """The same, for who has no `requests`. `method` None: what was asked isn't known."""
    answer = SimpleNamespace(status_code=status, headers=requests.structures.CaseInsensitiveDict(headers), content=content, json=lambda: json.loads(content))
    look(SimpleNamespace(method=method, url=url, body=body), answer, streams)


def watch():
    """All that goes out by `requests`, whoever sends it."""
    global watching
    send = requests.Session.send

    def send_and_look(self, request, **settings):
        answer = send(self, request, **settings)
        look(request, answer, settings.get("stream"))
        return answer

    requests.Session.send = send_and_look
    watching = threading.current_thread()
