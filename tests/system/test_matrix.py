"""Who may call what: every route of the server by everybody who may come. Which routes there are and what each of them needs is what the
server says of itself (openapi.json, made of the route table); what that comes to for whom is said once, in refusal()."""

import re
import subprocess
import time
from dataclasses import dataclass
from typing import Callable

import jwt
import pytest
import requests

from client import Client, new_client, problem
from fixtures import png
from server import BIN, Server, sanitizers

PASSWORD = "a long enough pass word"
ABSENT = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    rates = {f"DECANT_RATE_{kind}": "off" for kind in ("SESSION", "UPLOAD", "CONVERT", "READ", "DOWNLOAD", "PAGE", "LOGIN", "GUESS")}
    server = Server(tmp_path_factory.mktemp("matrix"), "image", DECANT_CLAMD="off", DECANT_MAX_JOBS="500", **rates).start()
    yield server
    server.stop()


# --- the rows: what is sent there, and what is answered to who may

@dataclass
class Row:
    send: Callable = lambda job_id: {}
    granted: tuple = (200, None)  # status and code, where the job is somebody else's
    own: int = None  # the status where the job is the caller's, and has been completed; None: it is about no job
    key: tuple = None  # `granted` for an API key,
    token: tuple = None  # and for an access token, where these are others
    ends: bool = False  # what the caller comes with is no more


def about(own, **more):
    """A job that the body names."""
    return Row(lambda job_id: {"json": {"job_id": job_id, **more}}, (404, "job_not_found"), own)


def asked(own):
    """One that the query names."""
    return Row(lambda job_id: {"params": {"job_id": job_id}}, (404, "job_not_found"), own)


def named(own):
    """One that the path names."""
    return Row(granted=(404, "job_not_found"), own=own)


def in_pieces(granted, own=None, **headers):
    return Row(lambda job_id: {"headers": {"Tus-Resumable": "1.0.0", **{name.replace("_", "-"): value for name, value in headers.items()}}}, granted, own)


def picture(**fields):
    return lambda job_id: {"files": {"file": ("a.png", png())}, "data": fields}


ROWS = {
    "GET /session/init": Row(key=(403, "scope_required")),
    "POST /session/close": Row(key=(400, "bad_request"), token=(400, "bad_request"), ends=True),
    "POST /upload": Row(picture(), (201, None)),
    "OPTIONS /files": Row(granted=(204, None)),
    "POST /files": in_pieces((201, None), Upload_Length="5", Upload_Metadata="filename YS5wbmc="),
    "GET /files/{id}": in_pieces((404, "upload_not_found"), own=200),
    "PATCH /files/{id}": in_pieces((404, "upload_not_found"), own=409, Upload_Offset="0", Content_Type="application/offset+octet-stream"),
    "DELETE /files/{id}": in_pieces((404, "upload_not_found"), own=204),
    "POST /files/{id}": in_pieces((404, "upload_not_found"), own=204, X_HTTP_Method_Override="DELETE"),
    "POST /duplicate": about(201),
    "POST /convert": about(409, target_format="jpg"),
    "POST /retry": about(409),
    "POST /cancel": about(409),
    "POST /delete": about(200),
    "GET /job_status": asked(200),
    "GET /events": Row(lambda job_id: {"stream": True}),
    "GET /history": Row(),
    "DELETE /history": Row(),
    "POST /download_token": about(201),
    "GET /download": Row(lambda job_id: {"params": {"token": "0" * 64}}, (404, "token_invalid")),
    "GET /download/archive": Row(lambda job_id: {"params": {"token": "0" * 64}}, (404, "token_invalid")),
    "GET /preview": asked(200),
    "POST /v1/convert": Row(picture(to="jpg")),
    "GET /v1/jobs/{id}": named(200),
    "DELETE /v1/jobs/{id}": named(204),
    "GET /v1/jobs/{id}/result": named(200),
    "POST /v1/jobs/{id}/cancel": named(409),
    "POST /auth/login": Row(lambda job_id: {"json": {"name": "nobody", "password": PASSWORD}}, (401, "login_failed")),
    "POST /auth/refresh": Row(granted=(401, "auth_required")),
    "POST /auth/logout": Row(),
    "GET /auth/me": Row(),
    "GET /auth/oidc/login": Row(granted=(404, "not_found")),  # it knows no provider
    "GET /auth/oidc/callback": Row(granted=(404, "not_found")),
    "GET /.well-known/jwks.json": Row(),
    "GET /": Row(),
    "GET /formats": Row(),
    "GET /healthz": Row(),
    "GET /readyz": Row(),
    "GET /metrics": Row(),
    "GET /openapi.json": Row(),
    "GET /docs": Row(granted=(404, "not_found")),  # this server has no page
}


# --- the columns: who calls

@dataclass
class Who:
    name: str
    make: Callable  # what it sends, anew
    kind: str = "cookie"  # or "key", "token", "nobody" and "bad": a bearer that is none, or none any more
    csrf: bool = True
    account: bool = False
    premium: bool = False
    scopes: tuple = ("read", "convert")
    owner: bool = False

    def __post_init__(self):
        self.headers = self.make()


def refusal(needs, scope, who):
    """What this one is told where that is needed, or None: it may."""
    if "good_bearer" not in needs:
        return None  # whatever is sent, nobody looks at it
    if who.kind == "bad":
        return 401, "auth_invalid"
    if "session" not in needs:
        return None
    if who.kind == "nobody":
        return 401, "auth_required" if "account" in needs else "session_required"
    if "csrf" in needs and who.kind == "cookie" and not who.csrf:
        return 403, "csrf_invalid"
    if "account" in needs and not who.account:
        return 401, "auth_required"
    if scope not in who.scopes:
        return 403, "scope_required"
    if "premium" in needs and not who.premium:
        return 403, "plan_required"
    return None


def decant(server, *words, stdin=None):
    return subprocess.run([BIN / "decant", *words], input=stdin, capture_output=True, text=True, check=True, timeout=180,
                          env={"PATH": "/usr/bin:/bin", "DECANT_DATA": str(server.data), **sanitizers()}).stdout


def add_account(server, name, plan):
    decant(server, "user", "add", name, "--plan", plan, "--password-stdin", stdin=PASSWORD + "\n")


def add_key(server, name, scope="convert,read"):
    return next(word for word in decant(server, "key", "create", "--user", name, "--scope", scope).split() if word.startswith("dk_"))


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


def login(server, name):
    answer = requests.post(server.url + "/auth/login", json={"name": name, "password": PASSWORD}, timeout=180)
    assert answer.status_code == 200, answer.text
    return answer


def token(server, name):
    return login(server, name).json()["access_token"]


def logged_out(server, name):
    answer = login(server, name)
    refresh = next(line for line in answer.raw.headers.getlist("Set-Cookie") if line.startswith("refresh_token=")).split(";")[0]
    assert requests.post(server.url + "/auth/logout", headers={"Cookie": refresh}, timeout=180).json() == {"logged_out": True}
    return answer.json()["access_token"]


def altered(server, good, sign=True, **claims):
    """The good token with other claims; by the server's own key, or by none."""
    kid = jwt.get_unverified_header(good)["kid"]
    claims = {**jwt.decode(good, options={"verify_signature": False}), **claims}
    key = (server.data / "jwt" / f"{kid}.pem").read_text() if sign else None
    return jwt.encode(claims, key, "RS256" if sign else "none", {"kid": kid})


def revoked(server, name):
    key = add_key(server, name)
    decant(server, "key", "revoke", key.split("_")[1])
    return key


def of_account(server, access):
    """The headers of a browser that has logged in."""
    client = Client(server.url, bearer=access)
    client.init()
    client.bearer = None
    return client.headers()


def everybody(server, owner):
    for name, plan in ("free", "free"), ("premium", "premium"), ("gone", "premium"):
        add_account(server, name, plan)
    access, gone = token(server, "premium"), add_key(server, "gone")
    decant(server, "user", "disable", "gone")
    long_ago = int(time.time()) - 3600
    known = {"account": True, "premium": True}
    assert requests.get(server.url + "/auth/me", headers=bearer(altered(server, access))).status_code == 200  # else the two below would say nothing

    def cookie(csrf):
        client = new_client(server)
        headers = client.headers(csrf=False)
        return headers | {"X-CSRF-Token": csrf} if csrf else headers

    def key(name, make, **more):
        text = make()
        return Who(name, lambda: bearer(text), "key", account=True, **more)

    def bad(name, text):
        return Who(name, lambda: bearer(text) | new_client(server).headers(), "bad")  # with a cookie, on which it must not fall back

    return [
        Who("nothing", dict, "nobody"),
        Who("an unknown cookie", lambda: {"Cookie": "session_id=" + "0" * 64, "X-CSRF-Token": "0" * 64}, "nobody"),
        Who("the owner's session", lambda: new_client(server).headers(), owner=True),
        Who("a cookie without CSRF token", lambda: cookie(None), csrf=False),
        Who("a cookie with a wrong CSRF token", lambda: cookie("0" * 64), csrf=False),
        Who("a cookie with another session's CSRF token", lambda: cookie(owner.csrf), csrf=False),
        Who("another session", lambda: new_client(server).headers()),
        Who("a free account's session", lambda: of_account(server, token(server, "free")), account=True),
        Who("a premium account's session", lambda: of_account(server, access), **known),
        Who("a premium account's cookie without CSRF token", lambda: {"Cookie": of_account(server, access)["Cookie"]}, csrf=False, **known),
        Who("an access token", lambda: bearer(access), "token", **known),
        key("a free account's key", lambda: add_key(server, "free")),
        key("a premium account's key", lambda: add_key(server, "premium"), premium=True),
        key("a key that may read", lambda: add_key(server, "premium", "read"), premium=True, scopes=("read",)),
        key("a key that may convert", lambda: add_key(server, "premium", "convert"), premium=True, scopes=("convert",)),
        bad("an expired access token", altered(server, access, iat=long_ago, nbf=long_ago, exp=long_ago + 600)),
        bad("the token of a login that has ended", logged_out(server, "premium")),
        bad("a token that nobody signed", altered(server, access, sign=False)),
        bad("a revoked key", revoked(server, "premium")),
        bad("a disabled account's key", gone),
        bad("a key that never was", "dk_" + "0" * 12 + "_" + "0" * 64),
        bad("no bearer at all", "nonsense"),
        bad("an empty bearer", ""),
    ]


# ---

def operations(server):
    """{"GET /formats": what openapi.json says of it}"""
    paths = requests.get(server.url + "/openapi.json").json()["paths"]
    return {f"{method.upper()} {path}": operation for path, item in paths.items() for method, operation in item.items()}


def send(server, route, row, headers, job_id):
    method, path = route.split()
    more = row.send(job_id)
    headers = {**headers, **more.pop("headers", {})}
    return requests.request(method, server.url + re.sub(r"\{\w+\}", job_id, path), headers=headers, timeout=180, allow_redirects=False, **more)


def finished_job(client):
    job_id = client.start("a.png", png(), "jpg")
    assert client.wait(job_id)["status"] == "completed"
    return job_id


def expected(operation, row, who):
    refused = refusal(operation["x-decant-needs"], operation["x-decant-scope"], who)
    if refused:
        return refused
    if who.owner and row.own:
        return row.own, "wrong_state" if row.own == 409 else None
    looked_at = "good_bearer" in operation["x-decant-needs"]
    return (looked_at and {"key": row.key, "token": row.token}.get(who.kind)) or row.granted


def check(answer, status, code):
    try:
        assert answer.status_code == status, (answer.status_code, answer.headers)  # and no body: a stream has no end
        if code:
            problem(answer, status, code)
            assert answer.headers.get("WWW-Authenticate") == {"auth_invalid": 'Bearer error="invalid_token"', "scope_required": 'Bearer error="insufficient_scope"'}.get(
                code, "Bearer" if status == 401 else None)
    except AssertionError as error:
        return str(error)
    finally:
        answer.close()


def test_every_route_by_everybody(server):
    owner = new_client(server)
    theirs = finished_job(owner)
    routes, columns = operations(server), everybody(server, owner)
    assert set(routes) == set(ROWS), "each route is a row of this matrix"
    cells, wrong = 0, []
    for route, operation in routes.items():
        row = ROWS[route]
        for who in columns:
            headers, job_id = who.make() if row.ends else who.headers, theirs
            if who.owner and row.own:
                headers, job_id = owner.headers(), finished_job(owner)
            status, code = expected(operation, row, who)
            complaint = check(send(server, route, row, headers, job_id), status, code)
            cells += 1
            if complaint:
                wrong.append(f"{route} by {who.name}: not {status} {code or ''}, but {complaint}")
    assert not wrong, "\n".join(wrong)
    assert cells == len(routes) * len(columns) and len(columns) == 23 and len(routes) >= 41
    assert owner.status(theirs).json()["status"] == "completed"  # nobody has done anything to it


# --- two accounts

MORE = {  # of the same routes, other ways to name a job
    "POST /convert": [Row(lambda job_id: {"json": {"job_ids": [job_id, ABSENT], "target_format": "zip"}})],
    "POST /download_token": [Row(lambda job_id: {"json": {"job_ids": [job_id]}})],
}


def without_id(answer):
    request_id = answer.headers["X-Request-Id"]
    headers = {name: value for name, value in answer.headers.items() if name not in ("X-Request-Id", "Date")}
    return answer.status_code, headers, answer.content.replace(request_id.encode(), b"")


def test_two_accounts_see_nothing_of_each_other(server):
    """What is another's looks, byte for byte, as what never was."""
    clients = []
    for name in "ann", "bob":
        add_account(server, name, "premium")
        clients.append(Client(server.url, bearer=add_key(server, name)))
    ann, bob = clients
    theirs = {"completed": finished_job(ann), "uploaded": ann.upload("b.png", png()).json()["job_id"]}
    before = [ann.status(job_id).json() for job_id in theirs.values()]
    compared = 0
    for route, row in ROWS.items():
        for way in [row, *MORE.get(route, [])] if row.own else []:
            never = without_id(send(server, route, way, bob.headers(), ABSENT))
            assert never[0] == 404, (route, never)
            for job_id in theirs.values():
                assert without_id(send(server, route, way, bob.headers(), job_id)) == never, route
                compared += 1
    assert compared == 2 * (sum(1 for row in ROWS.values() if row.own) + sum(map(len, MORE.values())))
    assert [ann.status(job_id).json() for job_id in theirs.values()] == before
    assert bob.request("GET", "/history").json()["jobs"] == [] and len(ann.request("GET", "/history").json()["jobs"]) == 2
    assert bob.request("DELETE", "/history").json() == {"deleted": 0, "left": 0}

    # a link is for whom it was given to, and no more than one that never was when the job is gone
    url = ann.token(theirs["completed"]).json()["url"]
    never = without_id(bob.download("/download?token=" + "0" * 64))
    assert bob.download(url).status_code == 200
    assert ann.request("POST", "/delete", json={"job_id": theirs["completed"]}).status_code == 200
    assert without_id(bob.download(url)) == never and never[0] == 404
