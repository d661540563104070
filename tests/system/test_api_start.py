"""decant-api on its own: what it does not start with, and what it says then."""

import contextlib
import os
import signal
import socket
import subprocess
import time

import pytest
import requests

from server import BIN, eventually, free_port, sanitizers, still

PATIENCE = 60
CONFIG = 78  # sysexits.h: to start it again does not help


def environment(folder, **more):
    return {"PATH": "/usr/bin:/bin", **sanitizers(), "DECANT_REDIS": f"unix:{folder}/none.sock", "DECANT_STORAGE": str(folder / "storage"),
            "DECANT_PORT": str(free_port()), **more}


@pytest.fixture
def folder(tmp_path):
    """One in which the user that root becomes may make the storage."""
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == os.geteuid() and path.stat().st_mode & 0o777 == 0o700:
            path.chmod(0o711)
    tmp_path.chmod(0o777)
    return tmp_path


def refused(folder, *arguments, **more):
    result = subprocess.run([BIN / "decant-api", *arguments], env=environment(folder, **more), capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == CONFIG, result.stderr
    return result.stderr


CASES = [({"DECANT_REDIS": "localhost"}, "DECANT_REDIS is not unix:PATH, tcp:HOST:PORT or sentinel://"),
         ({"DECANT_REDIS": "sentinel://one;tcp:two:6379"}, "DECANT_REDIS is not unix:PATH, tcp:HOST:PORT or sentinel://"),
         ({"DECANT_REDIS": "sentinel://:secret@one"}, "DECANT_REDIS is not unix:PATH, tcp:HOST:PORT or sentinel://"),
         ({"DECANT_REDIS_PORTS": "many"}, "DECANT_REDIS_PORTS"),
         ({"DECANT_SENTINEL_PASSWORD_FILE": "/nowhere"}, "DECANT_SENTINEL_PASSWORD_FILE must be a file"),
         ({"DECANT_SEAL_PUBLIC": "abc"}, "DECANT_SEAL_PUBLIC is not a public key"),
         ({"DECANT_JWT_KEYS": "/nowhere"}, "set DECANT_JWT_KEYS to a folder of keys"),
         ({"DECANT_RATE_GUESS": "often"}, "DECANT_RATE_GUESS"),
         ({"DECANT_STORAGE": "/proc/nothing/storage"}, "set DECANT_STORAGE to a folder"),
         ({"DECANT_LISTEN": "192.0.2.1"}, "set DECANT_LISTEN and DECANT_PORT"),
         ({"DECANT_LISTEN": "localhost"}, "set DECANT_LISTEN and DECANT_PORT"),
         ({"DECANT_REDIS_PASSWORD_FILE": "/nowhere"}, "DECANT_REDIS_PASSWORD_FILE must be a file"),
         ({"DECANT_RATE_READ": "often"}, "DECANT_RATE_READ"),
         ({"DECANT_TRUSTED_PROXIES": "localhost"}, "DECANT_TRUSTED_PROXIES"),
         ({"DECANT_PORT": "many"}, "DECANT_PORT")]
if os.geteuid() == 0:  # who is not root stays who they are
    CASES += [({"DECANT_USER": "root"}, "is root itself"), ({"DECANT_USER": "nobody-of-that-name"}, "does not exist")]


@pytest.mark.parametrize("settings, words", CASES, ids=lambda case: "=".join(*case.items()) if isinstance(case, dict) else "")
def test_what_it_does_not_start_with(folder, settings, words):
    assert words in refused(folder, **settings)


def test_a_password_that_others_may_read(folder):
    password = folder / "password"
    password.write_text("secret\n")
    password.chmod(0o644)
    said = refused(folder, DECANT_REDIS_PASSWORD_FILE=str(password))
    assert "DECANT_REDIS_PASSWORD_FILE" in said and "secret" not in said


def test_a_port_that_is_taken(folder):
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert "is ours and free" in refused(folder, DECANT_PORT=str(other.getsockname()[1]))


def test_arguments_are_options_alone(folder):
    assert "takes no arguments" in refused(folder, "nonsense")
    assert "unknown option" in refused(folder, "--nonsense", "1")
    assert "needs a value" in refused(folder, "--port")


def test_help(folder):
    result = subprocess.run([BIN / "decant-api", "--help"], env=environment(folder), capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 0 and "--max-upload" in result.stdout and result.stderr == ""


@contextlib.contextmanager
def running(folder, **more):
    settings = environment(folder, **more)
    with open(folder / "api.log", "wb") as log:
        process = subprocess.Popen([BIN / "decant-api"], env=settings, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield process, int(settings["DECANT_PORT"])
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0, (folder / "api.log").read_text()


def healthy(host, port):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"http://{host}:{port}/healthz", timeout=PATIENCE).status_code == 200
        time.sleep(0.1)
    return False


def has_ipv6():
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


def test_both_families(folder):
    if not has_ipv6():
        assert "set DECANT_LISTEN and DECANT_PORT" in refused(folder, DECANT_LISTEN="::")
        return
    with running(folder, DECANT_LISTEN="::") as (_, port):
        assert healthy("127.0.0.1", port) and healthy("[::1]", port)


def test_too_few_descriptors_are_told(folder):
    with running(folder, DECANT_MAX_CONNECTIONS="1000000", DECANT_MAX_EVENT_STREAMS="1000000") as (_, port):
        assert healthy("127.0.0.1", port)
        assert "fewer descriptors than DECANT_MAX_CONNECTIONS" in (folder / "api.log").read_text()


def test_it_serves_without_redis(folder):
    """And ends at the first signal, though Redis was never there."""
    with running(folder) as (process, port):
        assert healthy("127.0.0.1", port)
        answer = requests.get(f"http://127.0.0.1:{port}/session/init", timeout=PATIENCE)
        assert answer.status_code == 503 and answer.json()["code"] == "unavailable"
        answer = requests.get(f"http://127.0.0.1:{port}/readyz", timeout=PATIENCE)
        assert answer.status_code == 503 and not answer.json()["redis"]["ok"]
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


@contextlib.contextmanager
def stopped_redis(folder):
    """One that takes connections and answers nothing."""
    path = folder / "redis.sock"
    with subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", path, "--unixsocketperm", "777", "--save", "", "--dir", folder], stdout=subprocess.DEVNULL) as redis:
        try:
            eventually(path.is_socket)
            with still(redis.pid):
                yield redis
        finally:
            redis.terminate()


def test_who_comes_before_redis_has_answered_waits_for_it(folder):
    with stopped_redis(folder) as redis, running(folder, DECANT_REDIS=f"unix:{folder}/redis.sock", DECANT_THREADS="1") as (_, port):
        with socket.socket() as client:
            client.settimeout(PATIENCE)
            eventually(lambda: client.connect_ex(("127.0.0.1", port)) == 0)
            client.sendall(b"GET /session/init HTTP/1.1\r\nHost: localhost\r\n\r\n")
            redis.send_signal(signal.SIGCONT)
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_nobody_waits_long_for_redis(folder):
    with stopped_redis(folder), running(folder, DECANT_REDIS=f"unix:{folder}/redis.sock") as (_, port):
        assert healthy("127.0.0.1", port)
        assert "Redis" not in (folder / "api.log").read_text()  # it is not known yet that there is none
