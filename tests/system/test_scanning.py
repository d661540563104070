"""Malware is found wherever it hides, refused, and gone; no verdict means no conversion."""

import base64
import os
import signal
import struct
import subprocess
import time
import zlib

import pytest
import requests

from client import Client
from fixtures import docx, eicar, png, zipped
from server import BIN, Server, sanitizers


@pytest.mark.parametrize("name, data, target", [
    ("eicar.txt", eicar(), "pdf"),
    ("eicar.docx", docx(extra=[("word/embeddings/object1.bin", eicar())]), "pdf"),
    ("zip-in.docx", docx(extra=[("word/embeddings/object1.bin", zipped([("eicar.com", eicar())]))]), "pdf"),
    ("nested.docx", docx(extra=[("word/embeddings/object1.bin", zipped([("inner.zip", zipped([("eicar.com", eicar())]))]))]), "txt"),
])
def test_infected(client, server, name, data, target):
    job_id = client.start(name, data, target)
    job = client.wait(job_id)
    assert job["status"] == "failed" and job["error_code"] == "infected", job
    assert job["output"] is None
    folder = server.data / "storage" / client.session_id / job_id
    assert [p for p in folder.rglob("*") if p.is_file()] == []
    assert "Eicar" in server.redis().hget(f"session:{client.session_id}:jobs:{job_id}", "signature")
    assert client.token(job_id).status_code == 409


def test_what_cannot_be_looked_through_is_no_pass_and_no_malware(client, server):
    packed = eicar()
    for depth in range(20):  # clamd's MaxRecursion is 17
        packed = zipped([(f"{depth}.zip" if depth else "eicar.com", packed)])
    job_id = client.start("deep.docx", docx(extra=[("word/embeddings/object1.bin", packed)]), "pdf")
    job = client.wait(job_id)
    assert job["status"] == "failed" and job["error_code"] == "too_complex", job
    assert "virus scanner could not look through" in job["error_message"]
    stored = server.redis().hgetall(f"session:{client.session_id}:jobs:{job_id}")
    assert stored["scan"] == "incomplete" and not stored["signature"]
    assert client.token(job_id).status_code == 409


def test_missing_signatures_are_said_loudly(server):
    if any(os.path.exists(f"/var/lib/clamav/{n}") for n in ("main.cvd", "main.cld", "daily.cvd", "daily.cld")):
        pytest.skip("this machine has real signatures")
    assert "real virus signatures are missing" in server.log()
    ready = requests.get(server.url + "/readyz").json()
    assert ready["scanner"]["test_signatures"] is True and "freshclam" in ready["scanner"]["detail"]


def test_infected_bytes_are_gone_before_anybody_is_told(client, server):
    """The disk is looked at from within the message that says so."""
    told = server.redis().pubsub(ignore_subscribe_messages=True)
    answer = client.upload("eicar.txt", eicar() + b" once")
    job_id = answer.json()["job_id"]
    key = f"session:{client.session_id}:jobs:{job_id}"
    told.subscribe(f"decant:job:{job_id}")
    told.get_message(timeout=10)
    folder = server.data / "storage" / client.session_id / job_id
    assert [p for p in folder.rglob("*") if p.is_file()]
    client.convert(job_id, "pdf")
    deadline = time.monotonic() + 60
    while server.redis().hget(key, "status") not in ("failed", "completed"):
        told.get_message(timeout=1)
        assert time.monotonic() < deadline
    assert [p for p in folder.rglob("*") if p.is_file()] == []
    assert "Eicar" in server.redis().hget(key, "signature")
    told.close()


def test_the_same_bytes_are_not_scanned_twice(client, server):
    """clamd is halted, and what it has said of these bytes still holds."""
    data = png(17, 13)
    client.result("a.png", data, "jpg")
    infected = eicar() + b" twice"
    assert client.wait(client.start("a.txt", infected, "pdf"))["error_code"] == "infected"
    clamd = server.children("clamd")[0]
    os.kill(clamd, signal.SIGSTOP)
    try:
        assert client.result("b.png", data, "webp")[0]["status"] == "completed"
        assert client.wait(client.start("b.txt", infected, "html"))["error_code"] == "infected"
    finally:
        os.kill(clamd, signal.SIGCONT)


@pytest.fixture(scope="module")
def strict_server(tmp_path_factory):
    """Refuses what is encrypted, and knows a virus more."""
    server = Server(tmp_path_factory.mktemp("strict"), "office image", DECANT_SCAN_ENCRYPTED="refuse").start()
    database = server.data / "clamav" / "database" / "decant-test.ndb"
    with open(database, "a") as f:
        f.write("Decant.Hidden:0:*:" + HIDDEN.hex() + "\n")
    os.kill(server.children("clamd")[0], signal.SIGUSR2)  # reloads
    yield server
    server.stop()


HIDDEN = b"what only an unpacked document shows: 7f3a9c"


def flat_with_picture(picture):
    """A flat document with a picture, in base64 that is broken up by lines."""
    text = base64.b64encode(picture).decode()
    lines = "\n".join(text[i:i + 61] for i in range(0, len(text), 61))
    return ('<?xml version="1.0" encoding="UTF-8"?>'
            '<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
            'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
            'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" '
            'xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" '
            'office:version="1.3" office:mimetype="application/vnd.oasis.opendocument.text">'
            '<office:body><office:text><text:p><draw:frame text:anchor-type="as-char" svg:width="3cm" svg:height="2cm">'
            f'<draw:image><office:binary-data>{lines}</office:binary-data></draw:image></draw:frame></text:p>'
            '</office:text></office:body></office:document>').encode()


def test_a_result_is_scanned_where_it_holds_what_was_embedded(strict_server):
    """The upload is clean to clamd, which does not look into base64; the picture is found in the result."""
    server = strict_server
    client = Client(server.url)
    client.init()
    picture = png()
    comment = b"tEXt" + b"Comment\0" + HIDDEN
    picture = picture[:-12] + struct.pack(">I", len(comment) - 4) + comment + struct.pack(">I", zlib.crc32(comment)) + picture[-12:]
    deadline = time.monotonic() + 60
    while client.wait(client.start("probe.txt", HIDDEN + str(time.monotonic()).encode(), "pdf"))["error_code"] != "infected":
        assert time.monotonic() < deadline  # the new signature is not loaded yet
    data = flat_with_picture(picture)
    assert client.result("a.fodt", data, "pdf")[0]["status"] == "completed"
    job_id = client.start("a.fodt", data, "odt")
    job = client.wait(job_id)
    assert job["status"] == "failed" and job["error_code"] == "infected" and job["output"] is None, job
    folder = server.data / "storage" / client.session_id / job_id
    assert [p for p in folder.rglob("*") if p.is_file()] == []
    stored = server.redis().hgetall(f"session:{client.session_id}:jobs:{job_id}")
    assert stored["scan"] == "infected" and "Decant.Hidden" in stored["signature"]
    assert client.token(job_id).status_code == 409
    # and one without it passes
    assert client.result("b.fodt", flat_with_picture(png()), "odt")[0]["status"] == "completed"


def encrypted_member(name=b"secret.bin"):
    """A ZIP archive whose one member says that it is encrypted."""
    data = b"0123456789ab" + b"x" * 30
    fields = struct.pack("<HHHIIIIHH", 20, 1, 0, 0x210000, 0, len(data), len(data), len(name), 0)
    local = b"PK\3\4" + fields + name + data
    directory = b"PK\1\2" + struct.pack("<H", 20) + fields + bytes(10) + struct.pack("<I", 0) + name
    return local + directory + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(directory), len(local), 0)


def test_encrypted_archives_are_refused_where_that_is_the_policy(client, strict_server):
    data = docx(extra=[("word/embeddings/object1.bin", encrypted_member())])
    assert client.result("a.docx", data, "txt")[0]["status"] == "completed"  # as usual

    server = strict_server
    strict = Client(server.url)
    strict.init()
    job_id = strict.start("a.docx", data, "txt")
    job = strict.wait(job_id)
    assert job["status"] == "failed" and job["error_code"] == "too_complex" and "encrypted" in job["error_message"], job
    assert server.redis().hget(f"session:{strict.session_id}:jobs:{job_id}", "scan") == "encrypted"
    assert strict.result("b.docx", docx(), "txt")[0]["status"] == "completed"


def own_clamd(folder, options):
    """A clamd of somebody else's: its process and its socket."""
    folder.mkdir()
    (folder / "test.ndb").write_text("Eicar:0:*:" + eicar().hex() + "\n")
    (folder / "clamd.conf").write_text(f"Foreground yes\nDatabaseDirectory {folder}\nTemporaryDirectory {folder}\n"
                                       f"LocalSocket {folder}/s\n{options}")
    return subprocess.Popen(["/usr/sbin/clamd", f"--config-file={folder}/clamd.conf"], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL), f"unix:{folder}/s"


@pytest.mark.parametrize("options, status, words", [
    ("AlertExceedsMax yes\nMaxFileSize 400M\nMaxScanSize 800M\n", "ok     ", "ClamAV"),
    ("AlertExceedsMax yes\nMaxFileSize 10M\nMaxScanSize 800M\n", "weak   ", "raise MaxFileSize"),
    ("MaxFileSize 400M\nMaxScanSize 800M\n", "MISSING", "set AlertExceedsMax yes"),
], ids=["good", "small", "blind"])
def test_doctor_tries_the_scanner(tmp_path, options, status, words):
    clamd, url = own_clamd(tmp_path / "clamd", options)
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "clamd" / "s").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        answer = subprocess.run([BIN / "decant", "doctor"], capture_output=True, text=True, timeout=300,
                                env={"PATH": "/usr/bin:/bin", **sanitizers(), "DECANT_CLAMD": url, "DECANT_CGROUP": "off",
                                     "DECANT_BINDIR": str(tmp_path)})  # engines are not what is asked for
    finally:
        clamd.kill()
        clamd.wait()
    lines = answer.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if " scanner " in line)
    assert lines[at].startswith(status) and words in lines[at] + lines[at + 1], answer.stdout


def test_one_that_passes_what_it_did_not_see_is_not_used(strict_server):
    """clamd is set up anew while we run, and wrongly; then rightly."""
    server = strict_server
    config = server.data / "clamav" / "clamd.conf"
    right = config.read_text()
    clamd = server.children("clamd")[0]
    config.write_text(right.replace("AlertExceedsMax yes", "AlertExceedsMax no"))
    os.kill(clamd, signal.SIGKILL)

    def wait_scanner(words):
        deadline = time.monotonic() + 90
        while words not in (text := requests.get(server.url + "/readyz", timeout=10).text):
            assert time.monotonic() < deadline, text
            time.sleep(0.2)

    wait_scanner("set AlertExceedsMax yes")
    assert requests.get(server.url + "/readyz", timeout=10).status_code == 503
    client = Client(server.url)
    client.init()
    job_id = client.start("a.png", png(), "jpg")
    deadline = time.monotonic() + 60
    while client.status(job_id).json()["status"] != "scanning":
        assert time.monotonic() < deadline
    config.write_text(right)
    os.kill(server.children("clamd")[0], signal.SIGKILL)
    assert client.wait(job_id)["status"] == "completed"


def test_scanner_that_hangs(own_server):
    server = own_server("image", DECANT_SCAN_TIMEOUT="2", DECANT_MAX_RETRIES="0")
    client = Client(server.url)
    client.init()
    clamd = server.children("clamd")[0]
    os.kill(clamd, signal.SIGSTOP)
    try:
        job_id = client.start("a.png", png(), "jpg")
        seen = set()
        deadline = time.monotonic() + 60
        while (job := client.status(job_id).json())["status"] not in ("failed", "completed") and time.monotonic() < deadline:
            seen.add(job["status"])
            time.sleep(0.05)
        assert job["status"] == "failed" and job["error_code"] == "scanner_unavailable", job
        assert "scanning" in seen and "processing" not in seen
    finally:
        os.kill(clamd, signal.SIGCONT)
    assert client.result("b.png", png(), "jpg")[0]["status"] == "completed"


def test_scanner_that_dies_comes_back(own_server):
    server = own_server("image", DECANT_SCAN_TIMEOUT="30")
    client = Client(server.url)
    client.init()
    os.kill(server.children("clamd")[0], signal.SIGKILL)
    assert client.result("a.png", png(), "jpg")[0]["status"] == "completed"
