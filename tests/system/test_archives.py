"""Archives that are packed again: what is in them, what is left out, and what opens with a password."""

import gzip
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "catalogue"))

from client import Client, problem
from sources_archives import DATA, SEVEN, TEXT, TREE, make, rar4, tree, unpacked, zipped


def tarred(*members, mode="w"):
    """A member is (name, bytes), or a TarInfo."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as t:
        for member in members:
            info = tarfile.TarInfo(member[0]) if isinstance(member, tuple) else member
            if isinstance(member, tuple):
                info.size = len(member[1])
            t.addfile(info, io.BytesIO(member[1]) if isinstance(member, tuple) else None)
    return out.getvalue()


def special(name, kind, target="", mode=0o777):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, mode
    return info


def contents(data):
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        return {info.filename: z.read(info) for info in z.infolist()}


@pytest.mark.parametrize("target", ["tar", "tgz", "txz", "7z", "cpio"])
def test_a_zip_as_another(client, tmp_path, target):
    job, data = client.result("a.zip", zipped(TREE), target)
    (tmp_path / f"a.{target}").write_bytes(data)
    assert unpacked(tmp_path / f"a.{target}", target, tmp_path / "out") == TREE
    assert job["engine"] == "archive" and job["engine_version"].startswith("libarchive ")


def test_both_kinds_of_rar(client, tmp_path):
    make("rar", tmp_path / "5.rar")
    assert contents(client.result("a.rar", (tmp_path / "5.rar").read_bytes(), "zip")[1]) == TREE
    assert contents(client.result("a.rar", rar4({"hello.txt": TEXT, "b/data": DATA}), "zip")[1]) == {"hello.txt": TEXT, "b/data": DATA}


def test_a_double_ending(client):
    """The longest one counts, for what is taken and for what the result is called."""
    archive = tarred(("a.txt", TEXT), mode="w:gz")
    job, data = client.result("my report.tar.gz", archive, "zip")
    assert contents(data) == {"a.txt": TEXT} and job["output"]["filename"] == "my report.zip"
    assert contents(client.result("b.gz", archive, "zip")[1]) == {"data": tarred(("a.txt", TEXT))}
    problem(client.upload("b.tar.gz", gzip.compress(TEXT)), 422, "type_mismatch")
    problem(client.upload("b.tar", archive), 422, "type_mismatch")


def test_a_packed_file(client):
    out = io.BytesIO()
    with gzip.GzipFile("notes.txt", "wb", fileobj=out) as packed:
        packed.write(TEXT)
    assert contents(client.result("a.gz", out.getvalue(), "zip")[1]) == {"notes.txt": TEXT}
    xz = client.result("a.gz", out.getvalue(), "xz")[1]
    assert subprocess.run(["xz", "-dc"], input=xz, capture_output=True, check=True).stdout == TEXT
    assert gzip.decompress(client.result("a.xz", xz, "gz")[1]) == TEXT


def test_names_lead_nowhere(client):
    names = ["../../up", "/etc/passwd", "..\\back", "C:\\drive", "a/../b", "tab\there", "\u202etxt.exe"]
    found = contents(client.result("a.tar", tarred(*((name, b"x") for name in names)), "zip")[1])
    assert set(found) == {"up", "etc/passwd", "back", "C_/drive", "a/b", "tabhere", "txt.exe"}


def test_no_two_files_are_one(client):
    found = contents(client.result("a.tar", tarred(("a.txt", b"1"), ("a.txt", b"2"), ("./a.txt", b"3"), ("a.txt/b", b"4")), "zip")[1])
    assert found == {"a.txt": b"1", "a (2).txt": b"2", "a (3).txt": b"3", "a (4).txt/b": b"4"}


def test_links_and_devices_are_left_out(client):
    data = client.result("a.tar", tarred(
        ("a", TEXT), special("soft", tarfile.SYMTYPE, "/etc/passwd"), special("hard", tarfile.LNKTYPE, "a"), special("lost", tarfile.LNKTYPE, "/etc/passwd"),
        special("pipe", tarfile.FIFOTYPE), special("null", tarfile.CHRTYPE), special("folder", tarfile.DIRTYPE)), "tgz")[1]
    with tarfile.open(fileobj=io.BytesIO(data)) as t:
        found = {info.name: info for info in t}
        assert set(found) == {"a", "hard", "folder"} and found["hard"].isreg() and t.extractfile("hard").read() == TEXT
        assert (found["a"].mode, found["folder"].mode, found["a"].uid, found["a"].uname) == (0o644, 0o755, 0, "")
    job = client.wait(client.start("a.tar", tarred(special("soft", tarfile.SYMTYPE, "/etc/passwd")), "zip"))
    assert (job["status"], job["error_code"]) == ("failed", "no_output")


@pytest.mark.parametrize("name, words", [
    ("a.tar", ("tar", "-cf", "-", "a.txt", "b.txt", "c.txt")), ("a.cpio", ("cpio", "-o", "-H", "newc")), ("b.cpio", ("cpio", "-o", "-H", "odc")), ("a.iso", ("genisoimage", "-quiet", "-R", "-cache-inodes", "."))])
def test_each_name_of_a_file_has_its_content(client, tmp_path, name, words):
    """Hard links: the content is with the first of them, or with the last."""
    tree(tmp_path, {"a.txt": TEXT, "c.txt": b""})
    (tmp_path / "b.txt").hardlink_to(tmp_path / "a.txt")
    data = subprocess.run(words, cwd=tmp_path, input=b"a.txt\nb.txt\nc.txt\n", check=True, capture_output=True, timeout=60).stdout
    assert contents(client.result(name, data, "zip")[1]) == {"a.txt": TEXT, "b.txt": TEXT, "c.txt": b""}


def encrypted(tmp_path, *words):
    tree(tmp_path / "in", {"hello.txt": TEXT})
    subprocess.run([*words, "hello.txt"], cwd=tmp_path / "in", check=True, capture_output=True, timeout=60)
    return (tmp_path / "in" / words[-1]).read_bytes()


@pytest.mark.parametrize("words", [("zip", "-P", "sesame", "a.zip"), (SEVEN, "a", "-tzip", "-mem=AES256", "-psesame", "a.zip")], ids=["traditional", "aes"])
def test_a_password_opens_a_zip(client, tmp_path, words):
    data = encrypted(tmp_path, *words)
    for options in {}, {"password": "wrong"}:
        job = client.wait(client.start("a.zip", data, "tar", **options))
        assert (job["status"], job["error_code"]) == ("failed", "password_required")
    with tarfile.open(fileobj=io.BytesIO(client.result("a.zip", data, "tar", password="sesame")[1])) as t:
        assert t.extractfile("hello.txt").read() == TEXT


@pytest.mark.parametrize("hidden", ["", "-mhe=on"])
def test_other_encrypted_archives_say_so(client, tmp_path, hidden):
    data = encrypted(tmp_path, SEVEN, "a", "-psesame", *hidden.split(), "a.7z")
    job = client.wait(client.start("a.7z", data, "zip"))
    assert (job["status"], job["error_code"]) == ("failed", "password_required")


def test_how_hard_to_pack(client):
    sizes = [len(client.result("a.tar", tarred(("a", DATA * 3)), "zip", level=level)[1]) for level in (1, 9)]
    assert sizes[0] > sizes[1]
    problem(client.convert(client.upload("a.tar", tarred(("a", b"x"))).json()["job_id"], "txz", level=9), 400, "bad_request")


def test_bombs_end_early(client):
    for name, data in ("a.tgz", tarred(("zeros", bytes(200 << 20)), mode="w:gz")), ("a.gz", gzip.compress(bytes(200 << 20))), ("a.zip", zipped({"zeros": bytes(200 << 20)})):
        job = client.wait(client.start(name, data, "tar"))
        assert (job["status"], job["error_code"]) == ("failed", "too_complex"), name


def test_what_is_damaged_says_so(client):
    for name, data in ("a.tar", tarred(("a", DATA))[:5000]), ("a.txz", b"\xfd7zXZ\0" + bytes(100)), ("a.bz2", b"BZh91AY&SY" + bytes(50)):
        job = client.wait(client.start(name, data, "zip"))
        assert (job["status"], job["error_code"]) == ("failed", "corrupt_input"), name


def test_a_document_is_a_zip_too(client):
    from fixtures import docx
    assert "word/document.xml" in {member.name for member in tarfile.open(fileobj=io.BytesIO(client.result("a.zip", docx(), "tar")[1]))}
    problem(client.upload("a.jar", docx()), 422, "type_mismatch")
    problem(client.upload("a.zip", b"MZ" + zipped(TREE)), 422, "type_mismatch")


@pytest.mark.parametrize("target", ["zip", "7z"])
def test_without_namespaces_too(own_server, target):
    server = own_server("archive", DECANT_SANDBOX="reduced")
    client = Client(server.url)
    client.init()
    assert client.result("a.tar", tarred(("a", TEXT)), target)[1]
