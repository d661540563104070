"""Whose jobs they are: accounts by their keys beside sessions by their cookies, what each plan allows, and what an account keeps."""

import json

import pytest

from accounts import PASSWORD, add_account, add_key, decant
from client import Client, new_client, problem
from fixtures import png
from server import Server, eventually, still
from sse import Events


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("owners"), "image", DECANT_PLAN_FREE="upload=64k jobs=3", DECANT_PLAN_PREMIUM="upload=1M jobs=200 priority=0 retention=7d",
                    DECANT_RATE_CONVERT="session=100/h:100").start()
    add_account(server, "ann", "premium")
    add_account(server, "bob", "premium")
    add_account(server, "fred", "free")
    yield server
    server.stop()


def history(client, **parameters):
    answer = client.request("GET", "/history?" + "&".join(f"{name}={value}" for name, value in parameters.items()))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_key_stands_for_cookie_and_token(server):
    ann = add_key(server, "ann")
    job, data = ann.result("a.png", png(), "jpg")
    assert data[:3] == b"\xff\xd8\xff" and job["status"] == "completed"
    assert ann.request("GET", f"/preview?job_id={job['job_id']}&size=64").status_code == 200
    # no cookie can be made of it, nor does a cookie help it
    assert "Set-Cookie" not in ann.status(job["job_id"]).headers
    ann.session_id = new_client(server).session_id
    assert ann.status(job["job_id"]).status_code == 200
    problem(ann.request("GET", "/session/init"), 403, "scope_required")
    problem(ann.close(), 400, "bad_request")
    assert ann.status(job["job_id"]).status_code == 200


def test_two_keys_of_one_account_see_the_same_and_two_accounts_do_not(server):
    ann, again, bob, nobody = add_key(server, "ann"), add_key(server, "ann"), add_key(server, "bob"), new_client(server)
    job, _ = ann.result("a.png", png(), "jpg")
    token = ann.token(job["job_id"]).json()["url"]
    assert again.status(job["job_id"]).json() == ann.status(job["job_id"]).json()
    assert again.download(token).status_code == 200
    for other in bob, nobody:
        missing = other.status("00000000-0000-4000-8000-000000000000")
        for answer in (other.status(job["job_id"]), other.convert(job["job_id"], "webp"), other.token(job["job_id"]),
                       other.request("POST", "/delete", json={"job_id": job["job_id"]}), other.request("DELETE", f"/v1/jobs/{job['job_id']}"),
                       other.request("GET", f"/v1/jobs/{job['job_id']}/result"), other.request("GET", f"/preview?job_id={job['job_id']}")):
            assert problem(answer, 404, "job_not_found")["detail"] == missing.json()["detail"]
    assert history(bob)["jobs"] == []


def test_bearers_that_are_none(server):
    good = add_key(server, "ann")
    revoked = add_key(server, "ann")
    decant(server, "key", "revoke", revoked.bearer.split("_")[1])
    cookie = new_client(server)
    for bearer in ("x", "dk_", "dk_" + "0" * 12 + "_" + "0" * 64, good.bearer[:-1] + ("0" if good.bearer[-1] != "0" else "1"), good.bearer + "0", revoked.bearer,
                   "eyJhbGciOiJub25lIn0.e30."):
        # a cookie beside it does not help
        answer = cookie.request("GET", "/job_status?job_id=x", headers={"Authorization": f"Bearer {bearer}"})
        problem(answer, 401, "auth_invalid")
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    # what needs nobody asks nobody
    assert cookie.request("GET", "/formats", headers={"Authorization": "Bearer x"}).status_code == 200
    assert cookie.request("GET", "/job_status?job_id=x", headers={"Authorization": "Basic eDp5"}).status_code == 404


def test_a_disabled_account_is_nobody_at_once(server):
    add_account(server, "eve", "premium")
    eve = add_key(server, "eve")
    job, _ = eve.result("a.png", png(), "jpg")
    links = [eve.request("POST", "/download_token", json=body).json()["url"] for body in ({"job_id": job["job_id"]}, {"job_ids": [job["job_id"]]})]
    decant(server, "user", "disable", "eve")
    problem(eve.status(job["job_id"]), 401, "auth_invalid")
    for link in links:
        problem(eve.download(link), 404, "token_invalid")
    decant(server, "user", "enable", "eve")
    assert eve.status(job["job_id"]).status_code == 200
    assert [eve.download(link).status_code for link in links] == [200, 200]


def test_an_event_stream_is_proved_again(tmp_path):
    """Who had a right to listen hears what is new no more than the life of an access token after it has ended."""
    server = Server(tmp_path, "image", DECANT_CLAMD="off", DECANT_ACCESS_TTL="10").start(ready=False)
    server.wait_listening()
    try:
        add_account(server, "ann", "premium")
        ann, lost = add_key(server, "ann"), add_key(server, "ann")
        stream = Events(lost)
        first = ann.upload("a.png", png()).json()["job_id"]
        assert stream.until(lambda event: event.job["job_id"] == first)
        decant(server, "key", "revoke", lost.bearer.split("_")[1])

        def ended():
            ann.upload("b.png", png())
            stream.next(1)
            return stream.ended

        eventually(ended)
        assert Events(lost, last_id=1).status == 401 and Events(ann).status == 200
    finally:
        server.stop()


def test_a_browser_that_logs_in(server):
    """Its cookie is the account's from then on, beside its keys; what it had before stays nobody's."""
    add_account(server, "grace", "premium", password=PASSWORD)
    browser, key = new_client(server), add_key(server, "grace")
    before, anonymous = browser.start("a.png", png(), "jpg"), browser.session_id
    login = browser.request("POST", "/auth/login", json={"name": "grace", "password": PASSWORD})
    bearer = {"Authorization": f"Bearer {login.json()['access_token']}"}
    session = browser.enter(browser.request("GET", "/session/init", headers=bearer)).json()
    assert session["plan"] == "premium" and session["account"]["name"] == "grace" and session["limits"]["max_upload_bytes"] == 1 << 20
    assert browser.session_id != anonymous
    problem(browser.status(before), 404, "job_not_found")
    job, data = browser.result("b.png", png(), "jpg")
    assert key.status(job["job_id"]).json() == browser.status(job["job_id"]).json() and data
    assert browser.request("GET", "/job_status?job_id=" + job["job_id"] + "&wait=1").status_code == 200
    # its cookie needs the CSRF token, as any; asked again it is the same session, with the token or without
    problem(browser.request("POST", "/delete", json={"job_id": job["job_id"]}, csrf=False), 403, "csrf_invalid")
    assert browser.init().json()["csrf_token"] == session["csrf_token"]
    assert browser.request("GET", "/session/init", headers=bearer).json()["csrf_token"] == session["csrf_token"]
    assert history(browser)["jobs"][0]["job_id"] == job["job_id"]
    # no space is ever told, nor is it good for a cookie
    space = server.redis().hget("account:" + session["account"]["id"], "space")
    assert space not in login.text + json.dumps(session) + browser.status(job["job_id"]).text
    thief = Client(server.url)
    thief.session_id = space
    problem(thief.status(job["job_id"]), 401, "session_required")
    # closing ends the browser's session alone
    assert browser.close().json() == {"closed": True}
    problem(browser.status(job["job_id"]), 401, "session_required")
    assert key.status(job["job_id"]).status_code == 200
    # and an account that is disabled takes its browsers along
    browser.enter(browser.request("GET", "/session/init", headers=bearer))
    decant(server, "user", "disable", "grace")
    problem(browser.status(job["job_id"]), 401, "session_required")
    assert browser.init().json()["account"] is None


def test_events_of_an_account(server):
    """By a bearer and by a browser's cookie, again and again: each gives back the place that it has taken."""
    add_account(server, "heidi", "premium", password=PASSWORD)
    key, browser = add_key(server, "heidi"), new_client(server)
    login = browser.request("POST", "/auth/login", json={"name": "heidi", "password": PASSWORD})
    browser.enter(browser.request("GET", "/session/init", headers={"Authorization": f"Bearer {login.json()['access_token']}"}))
    job_id = key.upload("a.png", png()).json()["job_id"]
    for client in [key, browser] * 20:  # more than may be open at once
        with client.request("GET", "/events", stream=True) as events:
            assert events.status_code == 200
            assert job_id in next(line for line in events.iter_lines(chunk_size=1) if line.startswith(b"data: ")).decode()


def test_scopes(server):
    job, _ = add_key(server, "ann").result("a.png", png(), "jpg")
    reads, converts = add_key(server, "ann", "read"), add_key(server, "ann", "convert")
    assert reads.status(job["job_id"]).status_code == 200 and reads.token(job["job_id"]).status_code == 201
    problem(reads.upload("a.png", png()), 403, "scope_required")
    problem(reads.request("POST", "/delete", json={"job_id": job["job_id"]}), 403, "scope_required")
    answer = converts.status(job["job_id"])
    problem(answer, 403, "scope_required")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'
    assert converts.start("a.png", png(), "jpg")
    # Of a job whose id is known it is told what it would be of a copy: as of an upload, and nothing of the result.
    told = converts.request("GET", f"/files/{job['job_id']}").json()["job"]
    copy = converts.request("POST", "/duplicate", json={"job_id": job["job_id"]}).json()
    own = ("job_id", "status", "created_at")
    assert told["status"] == "completed" and {**told, **{name: copy[name] for name in own}} == copy


def test_plans(server):
    ann, fred, nobody = add_key(server, "ann"), add_key(server, "fred"), new_client(server)
    picture = png(64, 64) + b"\0" * 100_000
    for client in fred, nobody:
        problem(client.upload("a.png", picture), 413, "too_large")
        for _ in range(3):
            assert client.upload("a.png", png()).status_code == 201
        problem(client.upload("a.png", png()), 429, "rate_limited")
    assert ann.upload("a.png", picture).status_code != 413
    assert nobody.init().json()["limits"]["max_jobs"] == 3 and nobody.init().json()["plan"] == "free"
    problem(fred.request("GET", "/history"), 403, "plan_required")
    problem(nobody.request("GET", "/history"), 401, "auth_required")
    decant(server, "user", "plan", "fred", "premium")
    assert len(history(fred)["jobs"]) == 3
    assert fred.upload("a.png", picture).status_code != 413


def test_rates_follow_the_plan(own_server):
    server = own_server("image", DECANT_RATE_CONVERT="session=3/h:3", DECANT_PLAN_PREMIUM="rate=2")
    add_account(server, "ann", "premium")
    ann, nobody = add_key(server, "ann"), new_client(server)
    ann.status("x")  # its plan is known from here on
    refused = {client: [client.request("POST", "/cancel", json={"job_id": "x"}).status_code for _ in range(7)] for client in (ann, nobody)}
    assert refused[ann] == [404] * 6 + [429] and refused[nobody] == [404] * 3 + [429] * 4


def test_what_an_account_has_comes_first(own_server):
    server = own_server("image", DECANT_JOBS="1")
    add_account(server, "ann", "premium")
    ann, nobody = add_key(server, "ann"), new_client(server)
    [worker] = server.children("decant-worker")
    with still(worker):
        first = [nobody.start(f"{i}.png", png(), "jpg") for i in range(8)]
        late = ann.start("a.png", png(), "jpg")
    started = sorted([*(nobody.wait(job)["started_at"] for job in first), ann.wait(late)["started_at"]])
    # one or two of the others were begun already, or are in the worker's hands
    assert started.index(ann.status(late).json()["started_at"]) <= 2


def test_history(server):
    add_account(server, "carol", "premium")
    carol = add_key(server, "carol")
    jobs = [carol.upload(f"{i}.png", png()).json()["job_id"] for i in range(5)]
    page = history(carol, limit=2)
    assert [job["job_id"] for job in page["jobs"]] == jobs[:2:-1] and page["retention_seconds"] == 7 * 86400
    assert page["jobs"][0] == carol.status(jobs[4]).json()
    second = history(carol, limit=2, cursor=page["next_cursor"])
    third = history(carol, limit=2, cursor=second["next_cursor"])
    assert [job["job_id"] for job in second["jobs"] + third["jobs"]] == jobs[2::-1] and third["next_cursor"] is None
    for parameters in ("limit=0", "limit=101", "limit=x", "cursor=x", f"cursor=1.{jobs[0]}x"):
        problem(carol.request("GET", f"/history?{parameters}"), 400, "bad_request")
    # it can be deleted, one by one and as a whole
    assert carol.request("DELETE", f"/v1/jobs/{jobs[0]}").status_code == 204
    assert len(history(carol)["jobs"]) == 4
    assert carol.request("DELETE", "/history").json() == {"deleted": 4, "left": 0}
    assert history(carol) == {"jobs": [], "next_cursor": None, "retention_seconds": 7 * 86400}
    space = server.redis().hget("account:" + server.redis().hget("account_names", "carol"), "space")
    assert not list((server.data / "storage" / space).glob("*/*"))


def test_jobs_end_with_the_retention_of_the_plan(server):
    add_account(server, "dora", "premium")
    dora = add_key(server, "dora")
    job, _ = dora.result("a.png", png(), "jpg")
    redis = server.redis()
    kept = [member for member in redis.zrange("decant:kept", 0, -1) if job["job_id"] in member]
    assert len(kept) == 1 and redis.zscore("decant:kept", kept[0]) - 7 * 86400_000 < 1000 * float(redis.time()[0] + 1)
    redis.zadd("decant:kept", {kept[0]: 1})
    eventually(lambda: dora.status(job["job_id"]).status_code == 404)
    eventually(lambda: not list((server.data / "storage").glob(f"*/{job['job_id']}")))
    assert history(dora)["jobs"] == []
