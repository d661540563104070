"""decant.convert_file: a stock Celery client has a file of its own converted, and nobody else's."""

import os
import signal
import time

import celery
import pytest

from client import Client
from fixtures import docx, eicar, png, slow_docx
from server import Server


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A server with an exchange folder, and a Celery application beside it."""
    server = Server(tmp_path_factory.mktemp("server"), "image office", DECANT_MAX_UPLOAD="1M").start()
    url = f"redis+socket://{server.data}/redis/redis.sock?virtual_host=0"
    app = celery.Celery(broker=url, backend=url, set_as_current=False)
    app.conf.task_default_queue = "decant"
    yield server, app
    app.backend.remove_pending_result = lambda result: result
    app.close()
    server.stop()


def folder(server, *parts):
    storage = server.data / "storage"
    path = storage.joinpath("exchange", *parts)
    owner = storage.stat()
    for at in [storage / "exchange", *(storage.joinpath("exchange", *parts[:i + 1]) for i in range(len(parts)))]:
        if not at.exists():
            at.mkdir(mode=0o755)
            os.chown(at, owner.st_uid, owner.st_gid)
    return path


def put(server, name, data, *parts, mode=0o644):
    path = folder(server, *parts) / name
    path.write_bytes(data)
    path.chmod(mode)
    os.chown(path, folder(server).stat().st_uid, folder(server).stat().st_gid)
    return str(path.relative_to(server.data / "storage"))


def convert(app, source, target, **more):
    return app.send_task("decant.convert_file", kwargs={"source": source, "target_format": target, **more})


def assert_no_attempts(server):
    """The copy goes when its process is gone, which is after the result is there."""
    private = server.data / "storage" / ".exchange"
    deadline = time.monotonic() + 60
    while private.exists() and list(private.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_result_tells_the_fonts(shared):
    server, app = shared
    source = put(server, "a.rtf", b"{\\rtf1\\ansi{\\fonttbl{\\f0 Calibri;}}\\f0 Hello}")
    told = convert(app, source, "pdf").get(timeout=300)["fonts_substituted"]
    assert told == [{"font": "Calibri", "used": "Carlito", "metric_compatible": True}]
    assert "fonts_substituted" not in convert(app, put(server, "a.png", png()), "jpg").get(timeout=300)


def test_result_lies_beside_the_source(shared):
    server, app = shared
    source = put(server, "A report.docx", docx(), "in", "2026")
    value = convert(app, source, "pdf").get(timeout=300)
    assert value["format"] == "pdf" and value["pages"] == 1
    result = server.data / "storage" / value["result"]
    assert result.parent == folder(server, "in", "2026") and result.name.startswith("A report-") and result.suffix == ".pdf"
    assert result.read_bytes().startswith(b"%PDF-") and result.stat().st_size == value["size"]
    assert result.stat().st_mode & 0o777 == 0o644
    assert (server.data / "storage" / source).exists()
    assert_no_attempts(server)


def test_options_and_groups(shared):
    server, app = shared
    sources = [put(server, f"{i}.png", png()) for i in range(4)]
    tasks = celery.group(app.signature("decant.convert_file", kwargs={"source": s, "target_format": "jpg"}) for s in sources)
    values = tasks.apply_async().get(timeout=300)
    assert len({v["result"] for v in values}) == 4
    with pytest.raises(Exception) as caught:
        convert(app, sources[0], "jpg", options={"quality": 5000}).get(timeout=300)
    assert type(caught.value).__name__ == "bad_arguments"


@pytest.mark.parametrize("source, code", [
    ("exchange/none.png", "not_found"),
    ("exchange/../secret.png", "bad_arguments"),
    ("/etc/passwd.png", "bad_arguments"),
    ("exchange/link.png", "not_found"),
    ("exchange/away/a.png", "not_found"),
    ("exchange/hard.png", "not_found"),
    ("exchange/mistake.png", "type_mismatch"),
    ("exchange/large.png", "payload_too_large"),
    ("exchange/a.exe", "unsupported_target"),
])
def test_refused(shared, source, code):
    server, app = shared
    base, storage = folder(server), server.data / "storage"
    put(server, "mistake.png", docx())
    put(server, "large.png", png() + bytes(1 << 20))
    if not (storage / "secret.png").exists():
        (storage / "secret.png").write_bytes(png())
        os.link(storage / "secret.png", base / "hard.png")
        (base / "link.png").symlink_to("../secret.png")
        (base / "away").symlink_to("..")
    before = server.files()
    with pytest.raises(Exception) as caught:
        convert(app, source, "jpg").get(timeout=300)
    assert type(caught.value).__name__ == code
    assert_no_attempts(server)
    assert server.files() == before


def test_session_folders_are_out_of_reach(shared):
    server, app = shared
    client = Client(server.url)
    client.init()
    client.upload("a.png", png())
    stored, = [f for f in server.files() if f.startswith(client.session_id)]
    for source in (stored, f"exchange/../{stored}"):
        with pytest.raises(Exception) as caught:
            convert(app, source, "jpg").get(timeout=300)
        assert type(caught.value).__name__ == "bad_arguments"
    client.close()


def test_infected_is_removed(shared):
    server, app = shared
    source = put(server, "bad.txt", eicar())
    with pytest.raises(Exception) as caught:
        convert(app, source, "pdf").get(timeout=300)
    assert type(caught.value).__name__ == "infected"
    assert not (server.data / "storage" / source).exists()
    assert_no_attempts(server)


def test_survives_the_worker(shared):
    """kill -9 of the worker: another run of the task leaves one result and nothing else."""
    server, app = shared
    source = put(server, "slow.docx", slow_docx(20000), "slow")
    result = convert(app, source, "pdf")
    deadline = time.monotonic() + 300
    while result.state != "PROGRESS":
        assert time.monotonic() < deadline and result.state in ("PENDING", "STARTED", "PROGRESS")
        time.sleep(0.02)
    os.kill(server.children("decant-worker")[0], signal.SIGKILL)
    value = result.get(timeout=300)
    assert sorted(p.name for p in folder(server, "slow").iterdir()) == sorted(["slow.docx", value["result"].split("/")[-1]])
    assert_no_attempts(server)
