"""Logins of accounts: access tokens, refresh tokens in a cookie, the keys that sign, and what guessing comes to."""

import base64
import hashlib
import hmac
import json
import os
import signal
import subprocess
import time
from itertools import count

import jwt
import pytest
import requests

from client import problem
from server import BIN, Server, eventually, sanitizers

PASSWORD = "a long enough pass word"
GUESSES = 3
ISSUER = "https://decant.example/" + "a" * 1500  # tokens are as large as by large keys, and so are the cookies that have some
addresses = (f"198.51.{n // 250}.{n % 250 + 1}" for n in count())
names = (f"person{n}" for n in count())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One that needs no engine and no scanner, behind a proxy that we are."""
    server = Server(tmp_path_factory.mktemp("auth"), "image", DECANT_CLAMD="off", DECANT_TRUSTED_PROXIES="127.0.0.1", DECANT_RATE_GUESS=f"{GUESSES}/h",
                    DECANT_ISSUER=ISSUER)
    server.makes_key = True
    server.start(ready=False)
    server.wait_listening()
    yield server
    server.stop()


def decant(server, *arguments, password=None):
    done = subprocess.run([BIN / "decant", *arguments], env={"PATH": "/usr/bin:/bin", "DECANT_DATA": str(server.data), **sanitizers()},
                          input=password and password + "\n", capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Person:
    """Somebody with an account, at an address, with the cookies of a browser there."""

    def __init__(self, server, name=None, address=None):
        self.server, self.name, self.address = server, name, address or next(addresses)
        self.cookies, self.access, self.answer = {}, None, None
        if name is None:
            self.name = next(names)
            decant(server, "user", "add", self.name, "--plan", "premium", "--password-stdin", password=PASSWORD)

    def elsewhere(self):
        return Person(self.server, self.name)

    def request(self, method, path, headers=None, **kwargs):
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self.answer = requests.request(method, self.server.url + path, timeout=180, **kwargs,
                                       headers={"X-Forwarded-For": self.address, **({"Cookie": cookie} if cookie else {}), **(headers or {})})
        for line in set_cookies(self.answer):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        if self.answer.status_code == 200 and "access_token" in self.answer.text:
            self.access = self.answer.json()["access_token"]
        return self.answer

    def login(self, password=PASSWORD, **kwargs):
        return self.request("POST", "/auth/login", json={"name": self.name, "password": password}, **kwargs)

    def logged_in(self):
        assert self.login().status_code == 200, self.answer.text
        return self

    def refresh(self, **kwargs):
        return self.request("POST", "/auth/refresh", **kwargs)

    def me(self, token=None):
        return self.request("GET", "/auth/me", headers={"Authorization": f"Bearer {token or self.access}"})


def set_cookies(answer):
    return answer.raw.headers.getlist("Set-Cookie")


def without_id(answer):
    return {**answer.json(), "request_id": None}


def audited(server, code):
    return [line for line in map(json.loads, filter(lambda line: line.startswith("{"), server.log().splitlines()))
            if line.get("audit") == code]


def key_set(server):
    answer = requests.get(server.url + "/.well-known/jwks.json", timeout=180)
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "public, max-age=180"
    return {key["kid"]: key for key in answer.json()["keys"]}


def kid_of(token):
    return jwt.get_unverified_header(token)["kid"]


# --- the way through


def test_a_login(server):
    person = Person(server)
    before = int(time.time())
    answer = person.login()
    body = answer.json()
    assert answer.status_code == 200 and set(body) == {"access_token", "token_type", "expires_in", "account"}
    assert body["token_type"] == "Bearer" and body["expires_in"] == 600 and answer.headers["Cache-Control"] == "no-store"
    assert body["account"]["name"] == person.name and body["account"]["plan"] == "premium"
    cookies = {line.split("=")[0]: [part.strip() for part in line.split(";")[1:]] for line in set_cookies(answer)}
    assert cookies == {"refresh_token": ["Path=/auth", "HttpOnly", "Secure", "SameSite=Strict", "Max-Age=2592000"],
                       "decant_device": ["Path=/auth", "HttpOnly", "Secure", "SameSite=Strict", "Max-Age=31536000"]}

    # by another's implementation, with what anybody can get
    token = body["access_token"]
    key = jwt.algorithms.RSAAlgorithm.from_jwk(json.dumps(key_set(server)[kid_of(token)]))
    claims = jwt.decode(token, key, algorithms=["RS256"], audience="decant", issuer=ISSUER,
                        options={"require": ["exp", "nbf", "iat", "iss", "aud", "sub", "sid", "jti", "plan"]})
    assert claims["sub"] == body["account"]["id"] and claims["plan"] == "premium"
    assert before <= claims["iat"] <= time.time() and claims["exp"] == claims["iat"] + 600
    assert jwt.get_unverified_header(token).keys() == {"alg", "typ", "kid"}

    assert person.me().status_code == 200 and person.answer.json() == body["account"]
    assert person.elsewhere().request("GET", "/auth/me").status_code == 401
    line, = [line for line in audited(server, "login") if line["account"] == claims["sub"]]
    assert person.name not in json.dumps(line) and person.address not in json.dumps(line)


def test_refresh_rotates_and_reuse_ends_the_login(server):
    person = Person(server).logged_in()
    device, first, old_access = dict(person.cookies), person.cookies["refresh_token"], person.access
    assert person.refresh().status_code == 200 and person.answer.json()["account"]["name"] == person.name
    second = person.cookies["refresh_token"]
    assert second != first and person.access != old_access and person.cookies["decant_device"] == device["decant_device"]
    assert person.me().status_code == 200 and person.me(old_access).status_code == 200
    other = person.elsewhere().logged_in()

    thief = person.elsewhere()
    thief.cookies = {"refresh_token": first}
    assert problem(thief.refresh(), 401, "auth_required")
    assert [line["account"] for line in audited(server, "refresh_reused")] == [other.answer.json()["account"]["id"]]
    assert thief.cookies["refresh_token"] == "" and "Max-Age=0" in set_cookies(thief.answer)[0]
    assert problem(person.me(), 401, "auth_invalid") and problem(person.refresh(), 401, "auth_required")
    assert other.me().status_code == 200 and other.refresh().status_code == 200  # a login of its own


def test_logout(server):
    person = Person(server).logged_in()
    kept = dict(person.cookies)
    account = person.answer.json()["account"]["id"]
    assert person.request("POST", "/auth/logout").json() == {"logged_out": True}
    assert [line["account"] for line in audited(server, "logout")][-1] == account
    assert set_cookies(person.answer) == ["refresh_token=; Path=/auth; HttpOnly; Secure; SameSite=Strict; Max-Age=0"]
    assert problem(person.me(), 401, "auth_invalid")
    person.cookies = kept
    assert problem(person.refresh(), 401, "auth_required")
    assert person.request("POST", "/auth/logout").status_code == 200  # again
    assert person.elsewhere().request("POST", "/auth/logout").status_code == 200  # and of nobody


def test_a_browsers_session_ends_with_its_login(server):
    person, other = Person(server).logged_in(), None

    def bind(who):
        answer = who.request("GET", "/session/init", headers={"Authorization": f"Bearer {who.access}"}).json()
        assert answer["account"]["name"] == person.name and who.request("GET", "/auth/me").status_code == 200
        return answer["csrf_token"]

    token = bind(person)
    assert bind(person) == token and person.refresh().status_code == 200 and bind(person) == token
    other = person.elsewhere().logged_in()
    bind(other)
    stolen = dict(person.cookies)
    assert person.request("POST", "/auth/logout").json() == {"logged_out": True}, person.answer.text
    person.cookies = stolen
    assert problem(person.request("GET", "/auth/me"), 401, "auth_required") and problem(person.request("GET", "/job_status?job_id=x"), 401, "session_required")
    assert other.request("GET", "/auth/me").status_code == 200  # by a login of its own
    # its cookie is none with the next login, nor without one
    assert person.logged_in() and bind(person) != token
    decant(server, "user", "passwd", person.name, "--password-stdin", password=PASSWORD)
    assert problem(person.request("GET", "/auth/me"), 401, "auth_required") and problem(other.request("GET", "/auth/me"), 401, "auth_required")
    assert person.request("GET", "/session/init").json()["account"] is None


def test_who_is_disabled_is_out_at_once(server):
    person = Person(server).logged_in()
    decant(server, "user", "disable", person.name)
    assert problem(person.me(), 401, "auth_invalid") and problem(person.refresh(), 401, "auth_required")
    assert problem(person.login(), 401, "login_failed")
    decant(server, "user", "enable", person.name)
    assert problem(person.me(), 401, "auth_invalid")  # that login has ended
    assert person.login().status_code == 200


def test_the_plan_is_the_one_of_now(server):
    person = Person(server).logged_in()
    decant(server, "user", "plan", person.name, "free")
    assert person.me().json()["plan"] == "free"
    assert person.refresh().json()["account"]["plan"] == "free"


# --- who has no business here


def test_nobody_learns_who_has_an_account(server):
    disabled, active, unknown = Person(server), Person(server), Person(server, "nobody of that name")
    decant(server, "user", "disable", disabled.name)
    answers = [disabled.login(), active.login("not the right pass word"), unknown.login()]
    for answer in answers:
        assert problem(answer, 401, "login_failed") and not set_cookies(answer)
        assert without_id(answer) == without_id(answers[0]) and answer.headers.keys() == answers[0].headers.keys()
    assert {line["why"] for line in audited(server, "login_failed")} >= {"disabled", "password", "unknown"}
    assert unknown.name not in server.log() and "not the right" not in server.log()


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"name": "a"}', '{"name": "", "password": "b"}', '{"name": 1, "password": "b"}',
                                  '{"name": "a", "name": "b", "password": "c"}', '{"name": "a\\u0000b", "password": "c"}'])
def test_a_body_that_is_none(server, body):
    assert problem(Person(server, "").request("POST", "/auth/login", data=body), 400, "bad_request")


def test_pages_of_others(server):
    person = Person(server).logged_in()
    for path in ("/auth/login", "/auth/refresh", "/auth/logout"):
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-site"}):
            assert problem(person.request("POST", path, headers=headers, json={"name": person.name, "password": PASSWORD}), 403, "csrf_invalid")
    assert person.refresh().status_code == 200  # nothing of that was used up


def forged(claims, key, algorithm="RS256", **header):
    return jwt.encode(claims, key, algorithm=algorithm, headers=header)


def test_tokens_that_are_none_of_ours(server):
    person = Person(server).logged_in()
    claims = jwt.decode(person.access, options={"verify_signature": False})
    kid = kid_of(person.access)
    private = (server.data / "jwt" / f"{kid}.pem").read_text()
    other = subprocess.run(["openssl", "genrsa", "2048"], check=True, capture_output=True, text=True, timeout=180).stdout
    public = subprocess.run(["openssl", "rsa", "-pubout"], input=private, check=True, capture_output=True, text=True, timeout=180).stdout
    header, payload, signature = person.access.split(".")
    now = int(time.time())

    def encoded(data):
        return base64.urlsafe_b64encode(data.encode()).rstrip(b"=").decode()

    def hmac_token():
        text = encoded(json.dumps({"alg": "HS256", "typ": "JWT", "kid": kid})) + "." + payload
        mac = hmac.new(public.encode(), text.encode(), hashlib.sha256).digest()
        return text + "." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    assert person.me(forged(claims, private, kid=kid)).status_code == 200  # else what follows would say nothing
    attacks = {
        "no algorithm": forged(claims, None, "none", kid=kid),
        "no algorithm, and a signature": encoded(json.dumps({"alg": "none", "kid": kid})) + "." + payload + "." + signature,
        "the public key as a secret": hmac_token(),
        "another hash": forged(claims, private, "RS512", kid=kid),
        "another padding": forged(claims, private, "PS256", kid=kid),
        "another key": forged(claims, other, kid=kid),
        "an unknown key": forged(claims, other, kid="another"),
        "a key by path": forged(claims, private, kid=f"../jwt/{kid}"),
        "no key": forged(claims, private),
        "a key that it brings along": forged(claims, other, kid=kid, jwk=json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(
            jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256).prepare_key(other).public_key()))),
        "a key from elsewhere": forged(claims, other, kid=kid, jku=server.url + "/jwks.json"),
        "expired": forged({**claims, "exp": now - 31}, private, kid=kid),
        "not yet": forged({**claims, "nbf": now + 3600}, private, kid=kid),
        "for others": forged({**claims, "aud": "decant-device"}, private, kid=kid),
        "of others": forged({**claims, "iss": "decant"}, private, kid=kid),
        "of no login": forged({name: value for name, value in claims.items() if name != "sid"}, private, kid=kid),
        "of another's login": forged({**claims, "sid": jwt.decode(Person(server).logged_in().access, options={"verify_signature": False})["sid"]}, private, kid=kid),
        "another payload": header + "." + encoded(json.dumps({**claims, "plan": "premium", "exp": now + 99999})) + "." + signature,
        "a device's cookie": person.cookies["decant_device"],
        "a refresh token": person.cookies["refresh_token"],
        "padded": person.access + "==",
        "much": "A" * 9000,
    }
    for name, token in attacks.items():
        answer = person.me(token)
        assert problem(answer, 401, "auth_invalid"), name
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"', name
    assert person.me().status_code == 200
    assert problem(person.request("GET", "/auth/me", headers={"Authorization": "Basic eDp5"}), 401, "auth_required")
    assert person.answer.headers["WWW-Authenticate"] == "Bearer"


# --- guessing


def test_guessing_keeps_nobody_out(server):
    victim = Person(server).logged_in()  # a device that is known
    attacker = victim.elsewhere()
    for _ in range(GUESSES):
        assert problem(attacker.login("guess guess guess"), 401, "login_failed")
    assert problem(attacker.login("guess guess guess"), 429, "rate_limited") and int(attacker.answer.headers["Retry-After"]) > 60
    assert problem(attacker.login(), 429, "rate_limited")  # not even the right one, or guessing would go on
    attacker.name = attacker.name.upper()
    assert problem(attacker.login(), 429, "rate_limited")  # it is the same account

    assert victim.login().status_code == 200
    victim.address = attacker.address
    assert victim.login().status_code == 200  # the known device, behind the attacker's own address
    assert victim.elsewhere().login().status_code == 200  # an unknown one, elsewhere
    neighbour = Person(server, address=attacker.address)
    assert neighbour.login().status_code == 200  # another account from there
    assert audited(server, "login_locked")

    # a device is not good for more guesses than a stranger, nor for another account
    thief = victim.elsewhere()
    thief.cookies = {"decant_device": victim.cookies["decant_device"]}
    for _ in range(2 * GUESSES):  # by the device, then as anybody
        assert problem(thief.login("guess guess guess"), 401, "login_failed")
    assert problem(thief.login(), 429, "rate_limited")
    attacker.cookies = {"decant_device": neighbour.cookies["decant_device"]}
    assert problem(attacker.login(), 429, "rate_limited")
    # by now that device has to come from an address that nobody guesses at
    victim.address = next(addresses)
    assert victim.login().status_code == 200


def test_the_right_password_gives_guesses_back(server):
    person = Person(server)
    for _ in range(3):
        for _ in range(GUESSES - 1):
            assert problem(person.login("wrong wrong wrong"), 401, "login_failed")
        assert person.login().status_code == 200
        person.cookies = {}  # as one that is not known


def test_an_unknown_name_is_locked_alike(server):
    stranger = Person(server, "no such name as this")
    for _ in range(GUESSES):
        assert problem(stranger.login(), 401, "login_failed")
    assert problem(stranger.login(), 429, "rate_limited")


def test_an_address_may_ask_so_often(server):
    client = Person(server, "")
    codes = [client.request("POST", "/auth/login", data="{}").status_code for _ in range(12)]
    assert codes[:10] == [400] * 10 and codes[-1] == 429
    assert '"login-address"' in client.answer.headers["RateLimit-Policy"]


# --- keys


def hang_up(server):
    for pid in server.children("decant-api"):
        os.kill(pid, signal.SIGHUP)


def test_keys_change_while_it_runs(server):
    person = Person(server).logged_in()
    old = kid_of(person.access)
    new = decant(server, "jwt-key", str(server.data / "jwt")).strip()
    path = server.data / "jwt" / f"{new}.pem"
    assert path.stat().st_mode & 0o777 == 0o600 and path.stat().st_uid == path.parent.stat().st_uid
    hang_up(server)
    eventually(lambda: set(key_set(server)) == {old, new})
    assert person.refresh().status_code == 200 and kid_of(person.access) == old  # others may not know the new one yet
    first = person.access

    os.utime(path, (time.time() - 400, time.time() - 400))
    old_path = server.data / "jwt" / f"{old}.pem"
    os.utime(old_path, (time.time() - 4000, time.time() - 4000))
    hang_up(server)
    eventually(lambda: person.refresh().status_code == 200 and kid_of(person.access) == new)
    assert person.me().status_code == 200 and person.me(first).status_code == 200

    server.process.send_signal(signal.SIGHUP)  # by its supervisor
    third = decant(server, "jwt-key", "--keep", "1", str(server.data / "jwt")).strip()
    assert not path.exists() and not old_path.exists()
    hang_up(server)
    eventually(lambda: set(key_set(server)) == {third})
    assert problem(person.me(), 401, "auth_invalid")
    assert person.refresh().status_code == 200 and kid_of(person.access) == third  # the login itself goes on
    assert person.me().status_code == 200


def test_jwt_key(tmp_path):
    def jwt_key(*arguments):
        return subprocess.run([BIN / "decant", "jwt-key", *arguments], capture_output=True, text=True, timeout=180, env={**sanitizers()})

    folder = tmp_path / "keys"
    first = jwt_key("--first", folder).stdout.strip()
    assert [path.name for path in folder.iterdir()] == [first + ".pem"] and folder.stat().st_mode & 0o777 == 0o700
    again = jwt_key("--first", folder)
    assert again.returncode == 0 and again.stdout == ""
    second = jwt_key(folder).stdout.strip()
    third = jwt_key("--keep", "2", folder).stdout.strip()
    assert {path.stem for path in folder.iterdir()} == {second, third}
    for arguments in ((), ("--keep", folder), ("--keep", "0", folder), (folder, folder), ("--nonsense", folder)):
        assert jwt_key(*arguments).returncode == 2
    assert "usage: decant jwt-key" in jwt_key("--help").stdout
    folder.chmod(0o750)
    refused = jwt_key(folder)
    assert refused.returncode == 1 and "chmod" in refused.stderr
    folder.chmod(0o700)
    (folder / f"{third}.pem").chmod(0o640)
    refused = jwt_key(folder)
    assert refused.returncode == 1 and "chmod" in refused.stderr
