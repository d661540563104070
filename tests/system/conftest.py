import contextlib
import os
import shutil
import tempfile
import zlib
from pathlib import Path

import pytest

import contract
from client import Client
from server import BIN, BUILD, Server


LONGEST = ["test_types", "test_convert_cli", "test_crashes", "test_preview", "test_queue", "test_users", "test_audit", "test_slow_clients", "test_chaos", "test_download_all",
           "test_celery_tools", "test_sentinel", "test_cancel", "test_metrics", "test_passwords", "test_client", "test_redis_password", "test_cgroups", "test_scanning",
           "test_upload", "test_archives", "test_auth", "test_retry", "test_http", "test_celery"]


contract.watch()


def pytest_collection_modifyitems(items):
    """The files that take longest come first, so that none of several processes is left alone with one of them."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


def pytest_make_parametrize_id(val, argname):
    """Files as parameters go by a number, and not by all their bytes."""
    return f"{argname}-{len(val)}-{zlib.crc32(val):08x}" if isinstance(val, bytes) and len(val) > 40 else None


@pytest.fixture(autouse=True)
def contract_kept_in_threads():
    yield
    broken, contract.broken_elsewhere[:] = contract.broken_elsewhere[:], []
    assert not broken, "\n".join(broken)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests that don't need to break or configure it."""
    server = Server(tmp_path_factory.mktemp("server")).start()
    yield server
    server.stop()


@pytest.fixture
def own_server(tmp_path):
    """own_server(engines, NAME=value, …): a server with settings of its own, ended with the test. As the worker tries clamd by a file as large as
    an upload may be, that is less than usual."""
    started = []

    def start(engines, ready=True, **environment):
        started.append(Server(tmp_path / f"server{len(started)}", engines, **{"DECANT_MAX_UPLOAD": "48M", **environment}))
        started[-1].log_path.parent.mkdir()
        return started[-1].start(ready)

    yield start
    for server in started:
        server.stop()


@contextlib.contextmanager
def session(server):
    client = Client(server.url)
    client.init()
    yield client
    client.close()


@pytest.fixture
def client(server):
    with session(server) as client:
        yield client


@pytest.fixture
def other(server):
    """Somebody else's session on the same server."""
    with session(server) as client:
        yield client


@pytest.fixture
def stack(own_server, request):
    """A server with two slots that the test has for itself, and a session; with the engines that its file names."""
    server = own_server(getattr(request.module, "ENGINES", "image pdf"), DECANT_JOBS="2")
    with session(server) as client:
        yield server, client


@pytest.fixture
def programs():
    """A folder with all programs, where the worker's user may look too."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for program in BIN.glob("decant-*"):
            shutil.copy(program, folder)
        yield Path(folder)


@pytest.fixture
def greedy(programs):
    """A folder with all programs, where the office engine does to its file what that says: tests/unit/sandbox/greedy_engine.c."""
    shutil.copy(BUILD / "tests/unit/sandbox/decant-engine-greedy", programs / "decant-engine-office")
    return str(programs)
