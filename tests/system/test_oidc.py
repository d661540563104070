"""Single sign-on against a small provider (oidc_provider.py): the whole way of a browser, and whatever must not get anybody in."""

import contextlib
import re
import subprocess
import urllib.parse

import pytest
import redis as redis_client
import requests

from oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider
from parts import parts_folder, write_secret
from server import BIN, PATIENCE, Server, eventually, free_port, sanitizers
from test_webhooks import LOOPBACK, NAME, make_certificate

PUBLIC = "https://convert.example.com"


class Place:
    def __init__(self, folder):
        make_certificate(folder)
        self.provider = Provider(folder, NAME)
        self.server = Server(folder, "image", DECANT_OIDC_ISSUER=self.provider.issuer, DECANT_OIDC_CLIENT_ID=CLIENT_ID, DECANT_PUBLIC_URL=PUBLIC,
                             DECANT_OIDC_CLIENT_SECRET_FILE=str(write_secret(folder, CLIENT_SECRET + "\n", 0o600, "client-secret")),
                             DECANT_OIDC_PLAN_CLAIM="groups", DECANT_OIDC_PREMIUM="staff convert-premium", DECANT_CA_FILE=str(folder / "ca.pem"),
                             DECANT_COURIER_NETWORKS=LOOPBACK, DECANT_COURIER_PORTS=str(self.provider.port), DECANT_COURIER_USER="decant",
                             DECANT_RATE_LOGIN="off", DECANT_CLAMD="off").start(ready=False)
        self.server.wait_listening()
        self.redis = redis_client.Redis(unix_socket_path=str(self.server.data / "redis/redis.sock"), decode_responses=True)
        eventually(lambda: self.redis.exists("decant:oidc:provider"), self.server.log)

    def decant(self, *argv):
        done = subprocess.run([BIN / "decant", *argv], env={"PATH": "/usr/bin:/bin", "DECANT_DATA": str(self.server.data), **sanitizers()}, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr

    def log_of(self, why):
        return eventually(lambda: f'"why":"{why}"' in self.server.log(), lambda: f"{why} is not in the log\n{self.server.log()[-3000:]}")


@pytest.fixture(scope="module")
def place():
    with parts_folder() as folder:
        place = Place(folder)
        yield place
        place.server.stop()
        place.provider.stop()


@pytest.fixture
def provider(place):
    yield place.provider
    place.provider.lie()


class Browser:
    """With cookies, and without following anything by itself."""

    def __init__(self, place, url=None):
        self.place, self.cookies, self.sent, self.asked = place, {}, [], {}
        self.url = url or place.server.url

    def get(self, path, **kwargs):
        return self.ask("GET", path, **kwargs)

    def ask(self, method, path, **kwargs):
        url = self.url + path.removeprefix(PUBLIC)
        answer = requests.request(method, url, timeout=PATIENCE, allow_redirects=False, headers={"Cookie": "; ".join(f"{n}={v}" for n, v in self.cookies.items())}, **kwargs)
        for line in answer.raw.headers.getlist("Set-Cookie"):
            self.sent.append(line)
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def begin(self, path="/auth/oidc/login"):
        """To the provider; where that sends the browser."""
        answer = self.get(path)
        assert answer.status_code == 303 and answer.headers["Cache-Control"] == "no-store"
        self.asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer.headers["Location"]).query))
        at = requests.get(answer.headers["Location"], verify=self.place.server.environment["DECANT_CA_FILE"], allow_redirects=False, timeout=PATIENCE)
        assert at.headers["Location"].startswith(PUBLIC + "/auth/oidc/callback?")
        return at.headers["Location"]

    def login(self, path="/auth/oidc/login"):
        """Where it ends."""
        return self.end(self.begin(path))

    def end(self, callback):
        answer = self.get(callback)
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"]

    def account(self):
        """As the page does it then: the cookie of the login gives a token, and that the account."""
        answer = self.ask("POST", "/auth/refresh")
        assert answer.status_code == 200, answer.text
        return answer.json()["account"]


@pytest.fixture
def browser(place):
    return Browser(place)


def refused(browser, word, callback=None):
    assert (browser.end(callback) if callback else browser.login()) == f"/?login_error={word}"
    assert not browser.cookies.get("refresh_token") and browser.ask("POST", "/auth/refresh").status_code == 401


# --- the way through


def test_a_login(place, provider, browser):
    assert browser.get("/session/init").json()["logins"] == {"password": True, "oidc": True}
    provider.person = {"sub": "ada", "email": "ada@example.org", "email_verified": True, "groups": ["all", "staff"]}
    assert browser.login("/auth/oidc/login?return=%2Fdocs%3Fa%3Db") == "/docs?a=b"
    began = next(line for line in browser.sent if line.startswith("oidc_state=") and "Max-Age=600" in line)
    assert {part.strip() for part in began.split(";")[1:]} == {"Path=/auth/oidc", "HttpOnly", "Secure", "SameSite=Lax", "Max-Age=600"}
    assert "SameSite=Strict" in next(line for line in browser.sent if line.startswith("refresh_token=")) and not browser.cookies["oidc_state"]
    account = browser.account()
    assert account["name"] == "ada@example.org" and account["plan"] == "premium"

    # the same person again, who has another plan and another address now; nobody else has either
    provider.person = {"sub": "ada", "email": "ada@example.net", "groups": ["all"]}
    again = Browser(place)
    assert again.login() == "/"
    assert again.account() == {**account, "plan": "free"}
    assert browser.account() == {**account, "plan": "free"}
    assert place.redis.hget("account_oidc", f"{provider.issuer} ada") == account["id"]

    # no password has come of it, and no code or token is in the log
    assert browser.ask("POST", "/auth/login", json={"name": "ada@example.org", "password": "x" * 12}).status_code == 401
    assert browser.asked["state"] not in place.server.log() and browser.asked["nonce"] not in place.server.log()
    assert not place.redis.keys("decant:oidc:request*") and not place.redis.keys("decant:oidc:answer:*") and not place.redis.keys("decant:oidc:login:*")


@pytest.mark.parametrize("algorithm", ["PS256", "ES256", "EdDSA", "RS256"])
def test_another_key(place, provider, browser, algorithm):
    """The provider has changed it: the token names one that isn't known, and the set is fetched again."""
    provider.person = {"sub": "ada", "email": "ada@example.org"}
    provider.rotate(algorithm)
    before = provider.asked.count("/keys")
    assert browser.login() == "/" and provider.asked.count("/keys") == before + 1
    assert Browser(place).login() == "/" and provider.asked.count("/keys") == before + 1


def test_a_name_that_is_somebodys(place, provider, browser):
    """Whoever has the address at the provider is not for that who has the name here."""
    place.decant("user", "add", "root@example.org", "--plan", "premium", "--no-password")
    owner = place.redis.hget("account_names", "root@example.org")
    provider.person = {"sub": "mallory", "email": "Root@example.org"}
    assert browser.login() == "/"
    account = browser.account()
    assert account["id"] != owner and account["plan"] == "free" and account["name"].startswith("Root@example.org-")
    assert place.redis.hget("account_names", "root@example.org") == owner and place.redis.hget(f"account:{owner}", "oidc") == ""
    assert browser.login() == "/" and browser.account() == account


def test_disabled(place, provider, browser):
    provider.person = {"sub": "eve", "email": "eve@example.org"}
    assert browser.login() == "/" and browser.account()["name"] == "eve@example.org"
    place.decant("user", "disable", "eve@example.org")
    refused(Browser(place), "disabled")


@contextlib.contextmanager
def another_api(place, **environment):
    """Beside that of the server, with other settings, and in its folder, as its user can't walk there."""
    port = free_port()
    environment = {**place.server.environment, "PATH": "/usr/bin:/bin", **sanitizers(), "DECANT_PORT": str(port), "DECANT_REDIS": "unix:redis/redis.sock",
                   "DECANT_STORAGE": "storage", "DECANT_JWT_KEYS": "jwt", "DECANT_LOG_LEVEL": "error", **environment}
    with subprocess.Popen([BIN / "decant-api"], cwd=place.server.data, env={name: value for name, value in environment.items() if value is not None}, stderr=subprocess.PIPE, text=True) as api:
        try:
            yield api, f"http://127.0.0.1:{port}"
        finally:
            api.terminate()


def test_who_is_not_known(place, provider, browser):
    def answers():
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(url + "/readyz", timeout=PATIENCE).json()["redis"]["ok"]

    provider.person = {"sub": "ada", "email": "ada@example.org"}
    assert browser.login() == "/"
    with another_api(place, DECANT_OIDC_CREATE="off") as (_, url):
        eventually(answers)
        assert Browser(place, url).login() == "/"
        provider.person = {"sub": "bob", "email": "bob@example.org"}
        refused(Browser(place, url), "unknown")
    assert not place.redis.hexists("account_names", "bob@example.org")


def test_without_keys_there_is_no_login(place):
    with another_api(place, DECANT_JWT_KEYS=None) as (api, _):
        assert api.wait(PATIENCE) == 78 and "DECANT_OIDC_ISSUER needs DECANT_JWT_KEYS" in api.stderr.read()


# --- what gets nobody in


def test_states(place, provider, browser):
    provider.person = {"sub": "ada", "email": "ada@example.org"}
    callback = browser.begin()
    refused(Browser(place), "expired", callback)  # another browser: it has no cookie, or one of its own
    other = Browser(place)
    other.begin()
    refused(other, "expired", callback)
    assert browser.end(callback) == "/"
    browser.cookies.pop("refresh_token")
    refused(browser, "expired", callback)  # a second time, though with the cookie
    callback = browser.begin()
    refused(browser, "expired", callback.replace("state=", "no="))

    # a code of another login, by one's own state: the verifier is another one
    foreign, mine = Browser(place).begin(), browser.begin()
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(foreign).query)["code"][0]
    refused(browser, "invalid", mine.replace(urllib.parse.parse_qs(urllib.parse.urlsplit(mine).query)["code"][0], code))

    # what no provider would send, and no JSON can hold
    for code in "%FF", "%C3%A4", "":
        mine = browser.begin()
        refused(browser, "invalid", re.sub(r"code=[^&]*", f"code={code}", mine))


def test_another_providers_answer(place, provider, browser):
    provider.lie({"answer_iss": "https://evil.example"})
    refused(browser, "invalid")
    callback = browser.begin().partition("&iss=")[0]
    refused(browser, "invalid", callback)  # it says that it names itself, and does not


def test_denied(place, provider, browser):
    provider.lie({"deny": "access_denied"})
    refused(browser, "denied")
    provider.lie({"deny": "<script>"})
    refused(browser, "invalid")


@pytest.mark.parametrize("why, faults, claims", [
    ("nonce", {}, {"nonce": "another"}), ("audience", {}, {"aud": "another"}), ("audience", {}, {"aud": [CLIENT_ID, "another"]}), ("audience", {}, {"azp": "another"}),
    ("issuer", {}, {"iss": "https://evil.example"}), ("expired", {}, {"exp": 1}), ("not_yet", {}, {"iat": 9999999999}), ("access_token", {}, {"at_hash": "AAAA"}),
    ("claim_missing", {}, {"sub": ""}), ("algorithm", {"alg": "none"}, {}), ("algorithm", {"alg": "HS256"}, {}), ("signature", {"key": "another"}, {}),
    ("key_unknown", {"kid": "unknown"}, {})])
def test_tokens(place, provider, browser, why, faults, claims):
    provider.person = {"sub": "ada", "email": "ada@example.org"}
    provider.lie(faults, **claims)
    refused(browser, "invalid")
    place.log_of(why)


def test_places_to_return_to(browser):
    for path in ("https://evil.example", "//evil.example", "/\\evil.example", "x", "/a b", "/" + "a" * 512):
        answer = browser.get("/auth/oidc/login", params={"return": path})
        assert answer.status_code == 400 and answer.json()["code"] == "bad_request", path


# --- and when it isn't there


def test_a_provider_that_fails(place, provider, browser):
    provider.lie({"status": 503})
    refused(browser, "unavailable")
    callback = browser.begin()
    provider.stop()
    refused(browser, "unavailable", callback)
    place.redis.delete("decant:oidc:provider")  # as when the courier has not reached it for an hour
    assert Browser(place).get("/auth/oidc/login").headers["Location"] == "/?login_error=unavailable"
