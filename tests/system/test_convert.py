"""decant convert, as it is used in a shell."""

import json
import os
import pty
import signal
import stat
import subprocess
import time

import pytest

from fixtures import docx, pdf, png, slow_docx
from server import BIN


@pytest.fixture
def folder(tmp_path):
    """A working folder, and a TMPDIR in which nothing may be left."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o711)
    work = tmp_path / "work"
    work.mkdir()
    yield work
    assert os.listdir(tmp_path / "tmp") == []
    assert [name for name in os.listdir(work) if name.startswith(".decant")] == []


def environment(folder, **more):
    return {"PATH": "/usr/bin:/bin", "TMPDIR": str(folder.parent / "tmp"), **more}


def convert(folder, *words, **more):
    return subprocess.run([BIN / "decant", "convert", *map(str, words)], cwd=folder, env=environment(folder, **more),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


def test_one_file(folder):
    (folder / "in.docx").write_bytes(docx())
    done = convert(folder, "in.docx", "out.pdf")
    assert done.returncode == 0, done.stderr
    assert "in.docx -> out.pdf" in done.stdout
    assert (folder / "out.pdf").read_bytes().startswith(b"%PDF-")
    assert sorted(os.listdir(folder)) == ["in.docx", "out.pdf"]


def test_many_files_and_json(folder):
    for name, data in ("a.png", png()), ("b.png", png(64, 64)), ("broken.png", png()[:40]), ("fake.png", pdf()):
        (folder / name).write_bytes(data)
    done = convert(folder, "a.png", "broken.png", "missing.png", "fake.png", "b.png", "--to", "jpg", "-o", "out", "--json")
    results = {r["input"]: r for r in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 13, done.stderr  # broken.png is the first that failed
    assert sorted(os.listdir(folder / "out")) == ["a.jpg", "b.jpg"]
    assert set(results["a.png"]) == {"input", "output", "status", "error_code", "error_message", "ms", "pages", "cpu_ms",
                                     "peak_kib", "pss_kib", "fonts_substituted"}
    assert results["a.png"]["status"] == "completed" and results["a.png"]["output"] == "out/a.jpg"
    assert results["a.png"]["error_code"] is None and results["a.png"]["peak_kib"] > 0
    assert results["a.png"]["fonts_substituted"] is None
    assert results["broken.png"]["error_code"] == "corrupt_input" and results["broken.png"]["output"] is None
    assert results["missing.png"]["error_code"] == "input_unreadable"
    assert results["fake.png"]["error_code"] == "type_mismatch"


@pytest.mark.parametrize("words, status", [
    (["in.png", "in.docx"], 2),
    (["in.png"], 2),
    (["in.png", "out.jpg", "--nonsense"], 2),
    (["in.png", "out.jpg", "--option", "quality=9999"], 2),
    (["missing.png", "out.jpg"], 3),
    (["empty.png", "out.jpg"], 3),
    (["folder.png", "out.jpg"], 3),
    (["in.png", "nowhere/out.jpg"], 4),
    (["in.png", "folder.jpg"], 4),
    (["in.png", "out.jpg", "--clamd", "unix:/nowhere/clamd", "--scan-timeout", "1"], 11),
])
def test_exit_status(folder, words, status):
    (folder / "in.png").write_bytes(png())
    (folder / "empty.png").write_bytes(b"")
    (folder / "folder.png").mkdir()
    (folder / "folder.jpg").mkdir()
    done = convert(folder, *words)
    assert done.returncode == status, done.stderr
    assert done.stderr.count("decant convert: ") == 1 or "DECANT_" in done.stderr or "--help" in done.stderr
    assert not (folder / "out.jpg").exists()


def test_help_lists_what_the_statuses_mean(folder):
    done = convert(folder, "--help")
    assert done.returncode == 0
    for line in ("10  infected", "12  password_required", "15  timed_out", "--job-timeout"):
        assert line in done.stdout


def test_replaces_whole_files_and_keeps_their_mode(folder):
    (folder / "in.png").write_bytes(png())
    (folder / "real.jpg").write_bytes(b"before")
    (folder / "real.jpg").chmod(0o640)
    (folder / "out.jpg").symlink_to("real.jpg")
    assert convert(folder, "in.png", "out.jpg").returncode == 0
    assert (folder / "out.jpg").is_symlink()
    assert (folder / "real.jpg").read_bytes().startswith(b"\xff\xd8")
    assert stat.S_IMODE((folder / "real.jpg").stat().st_mode) == 0o640


def test_a_failure_leaves_what_was_there(folder):
    (folder / "in.png").write_bytes(png()[:40])
    (folder / "out.jpg").write_bytes(b"before")
    assert convert(folder, "in.png", "out.jpg").returncode == 13
    assert (folder / "out.jpg").read_bytes() == b"before"


def test_many_pages_come_as_a_zip_that_replaces_nothing_unnamed(folder):
    (folder / "in.pdf").write_bytes(pdf(["one", "two", "three"]))
    (folder / "out.zip").write_bytes(b"mine")
    done = convert(folder, "in.pdf", "out.png")
    assert done.returncode == 4 and "--force" in done.stderr
    assert (folder / "out.zip").read_bytes() == b"mine"
    done = convert(folder, "in.pdf", "out.png", "--force")
    assert done.returncode == 0 and "out.zip" in done.stdout
    assert (folder / "out.zip").read_bytes().startswith(b"PK")
    assert not (folder / "out.png").exists()


def test_no_name_reaches_a_terminal_raw(folder):
    name = "evil\x1b[2Jname.png"
    (folder / name).write_bytes(png())
    done = convert(folder, name, "out.jpg")
    assert done.returncode == 0 and "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(folder, sig):
    (folder / "slow.docx").write_bytes(slow_docx(20000))
    (folder / "slow.pdf").write_bytes(b"before")
    process = subprocess.Popen([BIN / "decant", "convert", "slow.docx", "slow.pdf"], cwd=folder,
                               env=environment(folder), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    work = folder.parent / "tmp"
    deadline = time.monotonic() + 60
    while not list(work.glob("decant-*/job-0/work-*")):  # the engine has it
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(sig)
    assert process.wait(30) == 128 + sig
    assert (folder / "slow.pdf").read_bytes() == b"before"


def test_progress_on_a_terminal(folder):
    (folder / "in.docx").write_bytes(docx())
    ours, theirs = pty.openpty()
    process = subprocess.Popen([BIN / "decant", "convert", "in.docx", "out.pdf"], cwd=folder, env=environment(folder),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # EIO: the other side is closed
        pass
    os.close(ours)
    assert process.wait(60) == 0
    assert b"\r[" in shown and b"0/1" in shown and b"in.docx" in shown
    assert shown.endswith(b"\r\x1b[K")


def test_separators_of_tables(client):
    sheet = client.result("a.csv", b"a;b\n1;2,5\n", "xlsx", source_separator="semicolon")[1]
    assert client.result("a.xlsx", sheet, "csv", separator="pipe")[1].splitlines()[0] == b'"a"|"b"'
    assert client.result("a.csv", b"a;b\n1;2\n", "tsv", source_separator="comma")[1].splitlines()[0] == b'a;b'
    assert client.convert(client.upload("a.csv", b"a,b\n").json()["job_id"], "xlsx", separator="pipe").status_code == 400
