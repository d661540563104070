"""The commands that manage accounts and API keys, against a Redis of the test's own."""

import contextlib
import json
import os
import pty
import re
import subprocess
import time

import pytest
import redis as redis_client

from server import BIN, PATIENCE, eventually, sanitizers

PASSWORD = "correct horse battery"


class Commands:
    def __init__(self, folder):
        self.socket = folder / "redis.sock"
        self.process = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--dir", folder], stdout=subprocess.DEVNULL)
        self.redis = redis_client.Redis(unix_socket_path=str(self.socket), decode_responses=True)
        eventually(self.answers)

    def answers(self):
        with contextlib.suppress(redis_client.RedisError):
            return self.redis.ping()

    def environment(self):
        return {"PATH": "/usr/bin:/bin", "DECANT_REDIS": f"unix:{self.socket}", **sanitizers()}

    def run(self, *words, status=0, stdin=""):
        done = subprocess.run([BIN / "decant", *words], input=stdin, capture_output=True, text=True, timeout=PATIENCE, env=self.environment(), start_new_session=True)
        assert done.returncode == status, (words, done.stdout, done.stderr)
        return done

    def refused(self, *words, because, stdin=""):
        done = self.run(*words, status=1, stdin=stdin)
        assert because in done.stderr and not done.stdout, done
        assert "Sanitizer" not in done.stderr

    def add(self, name, *words):
        return self.run("user", "add", name, "--password-stdin", *words, stdin=PASSWORD + "\n")

    def users(self):
        return {user["name"]: user for user in json.loads(self.run("user", "list", "--json").stdout)}

    def keys(self, *words):
        return json.loads(self.run("key", "list", "--json", *words).stdout)

    def account(self, name):
        return self.redis.hgetall("account:" + self.redis.hget("account_names", name.lower()))


@pytest.fixture(scope="module")
def module_commands(tmp_path_factory):
    commands = Commands(tmp_path_factory.mktemp("accounts"))
    yield commands
    commands.process.kill()
    commands.process.wait()


@pytest.fixture
def commands(module_commands):
    module_commands.redis.flushall()
    return module_commands


def test_an_account_from_first_to_last(commands):
    assert commands.add("Ada@Example.org", "--plan", "premium").stdout == "Ada@Example.org added, plan premium\n"
    commands.run("user", "add", "bob", "--no-password")
    assert list(commands.users()) == ["Ada@Example.org", "bob"]
    ada, bob = commands.users().values()
    assert (ada["plan"], ada["has_password"], ada["disabled_at"], ada["last_login_at"]) == ("premium", True, None, None)
    assert (bob["plan"], bob["has_password"]) == ("free", False)
    stored = commands.account("ada@example.org")
    assert stored["password"].startswith("$argon2id$v=19$m=65536,t=2,p=1$") and PASSWORD not in str(stored)

    commands.run("user", "plan", "ada@example.ORG", "free")
    commands.run("user", "disable", "bob")
    table = commands.run("user", "list").stdout.splitlines()
    assert table[0].split() == ["PLAN", "STATE", "CREATED", "LAST", "LOGIN", "NAME"]
    assert [line.split()[0:2] + line.split()[-1:] for line in table[1:]] == [["free", "enabled", "Ada@Example.org"], ["free", "disabled", "bob"]]
    commands.run("user", "enable", "bob")
    assert commands.users()["bob"]["disabled_at"] is None

    commands.run("user", "remove", "bob")
    commands.run("user", "remove", "ADA@example.org")
    assert commands.users() == {} and commands.redis.dbsize() == 0


def test_what_is_refused(commands):
    commands.add("ada")
    before = commands.account("ada")
    commands.refused("user", "add", "ADA", "--no-password", because="there is an account of that name")
    commands.refused("user", "add", "bob", "--password-stdin", stdin="123456789\n", because="10 characters")
    commands.refused("user", "add", "bob", "--password-stdin", stdin="x" * 1025 + "\n", because="1024 bytes")
    commands.refused("user", "add", "bob", "--password-stdin", stdin="x" * 5000 + "\n", because="1024 bytes")
    commands.refused("user", "add", "bob", "--password-stdin", because="not empty")
    commands.refused("user", "add", "bob", because="no terminal")
    commands.refused("user", "add", "bob", "--plan", "gold", "--no-password", because="no such plan")
    commands.refused("user", "add", " bob", "--no-password", because="A name has 1 to 64 characters")
    commands.refused("user", "add", "x" * 65, "--no-password", because="A name has 1 to 64 characters")
    commands.refused("user", "passwd", "ada", "--password-stdin", stdin="short\n", because="10 characters")
    commands.refused("user", "plan", "ada", "gold", because="no such plan")
    for verb in ("passwd", "disable", "enable", "remove"):
        commands.refused("user", verb, "carol", because="carol: there is no account of that name")
    commands.refused("user", "plan", "carol", "free", because="there is no account of that name")
    commands.refused("key", "create", "--user", "carol", "--scope", "read", because="there is no account of that name")
    commands.refused("key", "create", "--user", "ada", "--scope", "write", because="the scopes are convert and read")
    commands.refused("key", "create", "--user", "ada", "--scope", "read", "--name", "a\nb", because="128 bytes")
    commands.refused("key", "list", "--user", "carol", because="there is no account of that name")
    commands.refused("key", "revoke", "0123456789ab", because="there is no key of that id")
    commands.refused("key", "revoke", "*", because="there is no key of that id")
    for words in (["user"], ["user", "add"], ["user", "plan", "ada"], ["user", "add", "a", "b"], ["user", "add", "a", "--plan"], ["user", "list", "x"],
                  ["user", "passwd", "ada", "--plan", "free"], ["key", "create"], ["key", "create", "--user", "ada"], ["key", "revoke"], ["key", "list", "--scope", "read"]):
        assert "usage: decant " + words[0] in commands.run(*words, status=2).stderr
    for words in (["user", "list", "--data", "."], ["key", "create", "--user", "ada", "--scope", "read", "--redis=unix:none"], ["queue", "dead", "list", "--data", "."]):
        assert "stands in front of the command" in commands.run(*words, status=2).stderr
    assert commands.account("ada") == before and list(commands.users()) == ["ada"] and commands.keys() == []


def test_keys(commands):
    commands.add("ada")
    commands.run("user", "add", "bob", "--no-password")
    made = commands.run("key", "create", "--user", "ADA", "--scope", "convert,read", "--name", "build server")
    assert re.fullmatch(r"dk_[0-9a-f]{12}_[0-9a-f]{64}\n", made.stdout) and "only time" in made.stderr
    _, key_id, secret = made.stdout.strip().split("_")
    commands.run("key", "create", "--user", "bob", "--scope", "read")
    assert secret not in str(commands.redis.hgetall("apikey:" + key_id))
    key, = commands.keys("--user", "ada")
    assert (key["id"], key["user"], key["name"], key["scopes"], key["last_used_at"], key["revoked_at"]) == (key_id, "ada", "build server", "convert,read", None, None)
    assert [key["user"] for key in commands.keys()] == ["ada", "bob"]

    commands.run("key", "revoke", key_id)
    key, = commands.keys("--user", "ada")
    assert key["revoked_at"]
    row = commands.run("key", "list", "--user", "ada").stdout.splitlines()[1]
    assert row.startswith(key_id) and key["revoked_at"] in row and row.endswith("build server")
    commands.run("key", "revoke", key_id)
    assert commands.keys("--user", "ada") == [key]
    commands.run("user", "remove", "ada")
    assert [key["user"] for key in commands.keys()] == ["bob"]


def test_a_new_password_ends_logins(commands):
    """As does disabling."""
    commands.add("ada")
    ada = commands.account("ada")
    for words in (["passwd", "ada", "--password-stdin"], ["passwd", "ada", "--no-password"], ["disable", "ada"]):
        commands.redis.hset("refresh_family:f", mapping={"account": ada["id"]})
        commands.redis.zadd(f"account:{ada['id']}:families", {"f": 4e12})
        commands.run("user", *words, stdin="another horse\n")
        assert not commands.redis.exists("refresh_family:f", f"account:{ada['id']}:families")
    assert commands.account("ada")["password"] == "" and commands.users()["ada"]["disabled_at"]


def test_asked_on_a_terminal(commands):
    """Twice, and not shown; two different ones change nothing."""
    def talk(words, answers):
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(BIN / "decant", ["decant", "user", *words], commands.environment())
        shown, deadline = b"", time.monotonic() + PATIENCE
        for question, answer in answers:
            while question not in shown:
                assert time.monotonic() < deadline
                shown += os.read(terminal, 1000)
            os.write(terminal, answer.encode() + b"\n")
        with contextlib.suppress(OSError):  # Linux's word for the end of a terminal
            while more := os.read(terminal, 1000):
                shown += more
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()

    status, shown = talk(["add", "ada"], [(b"Password: ", PASSWORD), (b"Once more: ", PASSWORD)])
    assert status == 0 and "ada added" in shown and PASSWORD not in shown
    before = commands.account("ada")
    status, shown = talk(["passwd", "ada"], [(b"Password: ", PASSWORD), (b"Once more: ", PASSWORD + "x")])
    assert status == 1 and "two different ones" in shown and commands.account("ada") == before


def test_without_redis(commands):
    commands.add("ada")
    commands.redis.config_set("maxmemory", 1)
    try:
        commands.refused("user", "plan", "ada", "premium", because="No space left")
    finally:
        commands.redis.config_set("maxmemory", 0)
    nowhere = {"env": {"PATH": "/usr/bin:/bin", "DECANT_REDIS": f"unix:{commands.socket}.not", **sanitizers()}}
    done = subprocess.run([BIN / "decant", "user", "add", "bob", "--no-password"], capture_output=True, text=True, timeout=PATIENCE, **nowhere)
    assert done.returncode == 1 and f"decant user: Redis at unix:{commands.socket}.not can't be reached" in done.stderr
