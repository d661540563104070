"""Operations on PDFs: their pages chosen and turned, the file split, packed and locked; on PDFs and on what becomes one."""

import io
import subprocess
import zipfile

import pytest

from client import Client, options_of
from fixtures import docx, pdf
from server import BIN

WORDS = ["one", "two", "three", "four", "five"]
SECRET = "Größe --x"


def saved(tmp_path, data, name="result.pdf"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def said(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def texts(path, *words):
    """What is on its pages."""
    return [page.strip() for page in said("pdftotext", *words, path, "-").split("\f")[:-1]]


def failed(client, data, target="pdf", **options):
    job = client.wait(client.start("a.pdf", data, target, **options))
    assert job["status"] == "failed", job
    return job["error_code"]


def test_pages_are_chosen(client, tmp_path):
    job, data = client.result("a.pdf", pdf(WORDS), "pdf", pages="2-3,z,1,r2")
    assert texts(saved(tmp_path, data)) == ["two", "three", "five", "one", "four"]
    assert job["engine"] == "pages" and job["engine_version"].startswith("qpdf ") and job["output"]["filename"] == "a.pdf"
    said("qpdf", "--check", tmp_path / "result.pdf")


def test_one_page_becomes_a_picture(client, tmp_path):
    job, data = client.result("a.pdf", pdf(WORDS), "png", pages=2, dpi=72)
    assert data.startswith(b"\x89PNG") and job["engine"] == "pages+pdf" and job["output"]["pages"] == 1
    alone = client.result("a.pdf", pdf(["two"]), "png", dpi=72)[1]
    other = client.result("a.pdf", pdf(["one"]), "png", dpi=72)[1]
    assert data == alone != other
    assert client.result("a.pdf", pdf(WORDS), "txt", pages="3,1")[1].split() == [b"three", b"one"]


def test_pages_of_a_document_on_its_way(client, tmp_path):
    assert "pages" in options_of(client.request("GET", "/formats").json(), "docx", "pdf")
    job, data = client.result("a.docx", docx(["line %d" % i for i in range(120)]), "pdf", pages="z")
    assert job["engine"] == "office+pages"
    assert len(texts(saved(tmp_path, data))) == 1 and "line 119" in texts(tmp_path / "result.pdf")[0]


@pytest.mark.parametrize("pages", ["6", "1-6", "r6"])
def test_a_page_behind_the_end_is_an_error(client, pages):
    assert failed(client, pdf(WORDS), pages=pages) == "bad_options"
    assert failed(client, pdf(WORDS), "png", pages=pages) == "bad_options"


def test_pages_are_turned(client, tmp_path):
    data = client.result("a.pdf", pdf(["turned"]), "pdf", rotate=90)[1]
    assert "Page rot:        90" in said("pdfinfo", saved(tmp_path, data))
    upright, turned = (client.result("a.pdf", pdf(["turned"]), "png", dpi=36, **options)[1] for options in ({}, {"rotate": 90}))
    size = lambda png: (int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big"))
    assert size(turned) == size(upright)[::-1]


def test_splitting(client, tmp_path):
    job, data = client.result("a.pdf", pdf(WORDS), "pdf", split=2)
    assert job["output"]["filename"] == "a.zip"
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.namelist() == ["pages-1-2.pdf", "pages-3-4.pdf", "pages-5-5.pdf"] and archive.testzip() is None
    assert [texts(saved(tmp_path, archive.read(name))) for name in archive.namelist()] == [WORDS[:2], WORDS[2:4], WORDS[4:]]
    assert client.result("a.pdf", pdf(["one"]), "pdf", split_size=1)[1].startswith(b"%PDF-")  # nothing to split


def test_locking_and_opening(client, tmp_path):
    data = client.result("a.pdf", pdf(WORDS), "pdf", new_password=SECRET, allow="print", pages="4-5")[1]
    path = saved(tmp_path, data)
    shown = said("qpdf", "--show-encryption", f"--password={SECRET}", path)
    assert "file encryption method: AESv3" in shown and "R = 6" in shown
    assert "print high resolution: allowed" in shown and "extract for any purpose: not allowed" in shown
    assert texts(path, "-upw", SECRET) == WORDS[3:]
    assert subprocess.run(["pdftotext", path, "-"], capture_output=True, timeout=60).returncode != 0
    assert failed(client, data) == failed(client, data, password="other", pages=1) == failed(client, data, "png", pages=1) == "password_required"
    data = client.result("a.pdf", data, "pdf", password=SECRET, pages=2)[1]
    assert texts(saved(tmp_path, data)) == ["five"] and "not encrypted" in said("qpdf", "--show-encryption", tmp_path / "result.pdf")


def test_packing(client, tmp_path):
    path = saved(tmp_path, client.result("a.pdf", pdf(WORDS), "pdf", linearize=True, compress="lossless")[1])
    assert "no linearization errors" in said("qpdf", "--check-linearization", path) and texts(path) == WORDS


def test_nothing_asked_repairs(client, tmp_path):
    data = pdf(WORDS)
    at = data.rindex(b"startxref")
    assert texts(saved(tmp_path, client.result("a.pdf", data[:at] + b"startxref\n9\n%%EOF\n", "pdf")[1])) == WORDS
    said("qpdf", "--check", tmp_path / "result.pdf")
    assert failed(client, data.replace(b"/Root 1 0 R", b"/Boot 1 0 R")) == "corrupt_input"
    lost = data.replace(b"7 0 obj", b"9 9 obj")  # of a page that is lost nothing is made in its place
    assert lost != data and failed(client, lost) == failed(client, lost, split=1) == "corrupt_input"


@pytest.mark.parametrize("options", [{"pages": "0"}, {"pages": "1-"}, {"rotate": 45}, {"split": 0}, {"compress": "no"}, {"linearize": "yes"},
                                     {"new_password": ""}, {"allow": "print+all"}], ids=str)
def test_options_are_checked(client, options):
    job = client.upload("a.pdf", pdf(WORDS)).json()["job_id"]
    assert client.convert(job, "pdf", **options).status_code == 400
    assert client.convert(job, "txt", split=2).status_code == 400  # is about a PDF as the result


def test_the_command_line(tmp_path):
    saved(tmp_path, pdf(WORDS), "in.pdf")
    (tmp_path / "secret").write_text(SECRET + "\n")
    convert = lambda *words: subprocess.run([BIN / "decant", "convert", *words], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    done = convert("in.pdf", "out.pdf", "--option", "pages=2-3", "--option", "rotate=180", "--new-password-file", "secret")
    assert done.returncode == 0, done.stderr
    assert texts(tmp_path / "out.pdf", "-upw", SECRET) == WORDS[1:3]
    done = convert("in.pdf", "no.pdf", "--option", "pages=9")
    assert done.returncode == 24 and "(bad_options)" in done.stderr and not (tmp_path / "no.pdf").exists()


def test_an_input_is_not_replaced_unasked(tmp_path):
    path = saved(tmp_path, pdf(WORDS), "in.pdf")
    before = path.read_bytes()
    convert = lambda *words: subprocess.run([BIN / "decant", "convert", "in.pdf", "--to", "pdf", "--option", "pages=1", *words], cwd=tmp_path,
                                            capture_output=True, text=True, timeout=300)
    for words in ([], ["-o", "."]):
        done = convert(*words)
        assert done.returncode == 2 and "take the place of its input" in done.stderr and path.read_bytes() == before
    assert convert("-o", "out").returncode == 0 and path.read_bytes() == before and texts(tmp_path / "out/in.pdf") == ["one"]
    assert convert("--force").returncode == 0 and texts(path) == ["one"]
