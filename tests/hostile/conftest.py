"""The corpus is run once, several files at a time, before the first test that asks how a file ended; each file is a test."""

import os
import random
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "system"), str(Path(__file__).resolve().parent)]

import corpus  # noqa: E402
from run import Run  # noqa: E402
from server import Server  # noqa: E402
from watch import Listener  # noqa: E402

SEED = os.environ.get("DECANT_HOSTILE_SEED", secrets.token_hex(4))


# How many of the files are sent, other ones with each seed; 0: all.
FILES = int(os.environ.get("DECANT_HOSTILE_FILES", "0"))


def pytest_report_header():
    return f"hostile corpus: {FILES or 'all'} of {len(corpus.CASES)} files, DECANT_HOSTILE_SEED={SEED}"


def pytest_collection_modifyitems(config, items):
    cases = [item for item in items if "case" in getattr(getattr(item, "callspec", None), "params", {})]
    if not FILES or len(cases) <= FILES:
        return
    left_out = set(random.Random(SEED).sample(cases, len(cases) - FILES))
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def listener():
    with Listener() as listener:
        yield listener


@pytest.fixture(scope="session")
def context(listener):
    """Canaries in a folder that everybody may read, the engine's user too."""
    folder = Path(tempfile.mkdtemp(prefix="decant-canary-", dir="/tmp"))
    folder.chmod(0o755)
    secret, colour = "canary" + secrets.token_hex(12), (secrets.randbelow(200) + 17, secrets.randbelow(200) + 17, 251)
    context = corpus.Context(folder, listener.ports, secret, colour, SEED)
    context.write_canaries()
    yield context
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def run(request, context, tmp_path_factory):
    # The scanner is a fence of its own, with tests of its own: here it would hide what the others do.
    server = Server(tmp_path_factory.mktemp("server"), DECANT_CLAMD="off", DECANT_JOBS="4", DECANT_JOB_TIMEOUT="10",
                    DECANT_JOB_MEMORY="768M", DECANT_JOB_OUTPUT="64M", DECANT_MAX_UPLOAD="32M", DECANT_HOSTILE_CANARY=context.secret)
    server.start()
    chosen = {item.callspec.params["case"].name for item in request.session.items
              if getattr(item, "callspec", None) and "case" in item.callspec.params}
    run = Run(server, context, [case for case in corpus.CASES if case.name in chosen])
    try:
        run.all()
        yield run
    finally:
        server.stop()
