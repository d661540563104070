"""Conversions over two engines: what the first makes goes to the second."""

import io
import subprocess
import zipfile

import pytest

from client import Client, options_of
from fixtures import docx, odt, pdf, png
from server import below, eventually, work_folders

PAGE_BREAK = '</w:t><w:br w:type="page"/><w:t>'


def is_png(data):
    return data.startswith(b"\x89PNG\r\n") and data.rstrip(b"\0").endswith(b"IEND\xaeB`\x82")


def test_one_page_is_one_picture(client):
    job, data = client.result("a.docx", docx(), "png")
    assert is_png(data) and job["output"]["filename"] == "a.png"
    assert job["engine"] == "office+pdf" and job["output"]["pages"] == 1 and job["attempts"] == 1
    assert job["engine_version"].startswith("LibreOffice ") and ", Poppler " in job["engine_version"]
    assert job["cpu_ms"] > 0 and job["progress"] == 100


def test_all_pages_are_there(client):
    job, data = client.result("a.docx", docx([f"one{PAGE_BREAK}two{PAGE_BREAK}three"]), "png")
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert len(archive.namelist()) == job["output"]["pages"] == 3
    assert all(is_png(archive.read(name)) for name in archive.namelist())


@pytest.mark.parametrize("name, data, target", [
    ("a.odt", odt(), "jpg"), ("a.txt", b"hello\n", "svg"), ("a.csv", b"a,b\n1,2\n", "png"), ("a.html", b"<!doctype html><p>hello", "png")])
def test_every_kind_of_document(client, name, data, target):
    job, result = client.result(name, data, target)
    assert job["engine"] == "office+pdf"
    assert result.startswith({"jpg": b"\xff\xd8\xff", "png": b"\x89PNG", "svg": b"<?xml"}[target])


def test_options_go_to_the_step_that_has_them(client):
    small = client.result("a.docx", docx(), "png", dpi=36)[1]
    large = client.result("a.docx", docx(), "png", dpi=144)[1]
    width = [int.from_bytes(data[16:20], "big") for data in (small, large)]
    assert width[1] == pytest.approx(4 * width[0], abs=4)


def test_what_makes_no_sense_is_not_offered(client):
    catalogue = client.request("GET", "/formats").json()
    formats = catalogue["formats"]
    assert {"png", "jpg", "svg"} <= set(formats["docx"]["targets"]) & set(formats["xlsx"]["targets"]) & set(formats["pptx"]["targets"])
    assert not {"html", "svg"} & set(formats["png"]["targets"])  # over a PDF of the picture
    assert options_of(catalogue, "docx", "png")["dpi"]["default"] == 150 and "dpi" not in options_of(catalogue, "docx", "pdf")
    assert "password" not in options_of(catalogue, "txt", "png")
    assert client.convert(client.upload("a.png", png()).json()["job_id"], "html").status_code == 422


def test_a_server_with_one_of_the_engines_offers_none_of_it(own_server):
    client = Client(own_server("office").url)
    client.init()
    formats = client.request("GET", "/formats").json()["formats"]
    assert "pdf" in formats["docx"]["targets"] and "png" not in formats["docx"]["targets"]


def test_nothing_is_left_between(client, server):
    storage = server.data / "storage"
    job = client.start("a.docx", docx(), "png")
    client.wait(job)
    eventually(lambda: not work_folders(storage), lambda: f"left: {work_folders(storage)}")
    assert sorted(path.suffix for path in below(storage / client.session_id / job) if path.is_file()) == [".docx", ".png"]


def test_without_namespaces(own_server):
    client = Client(own_server("office pdf", DECANT_SANDBOX="reduced").url)
    client.init()
    job, data = client.result("a.docx", docx(), "png")
    assert is_png(data) and job["engine"] == "office+pdf" and "namespaces" not in job["sandbox"]


def test_a_pdf_goes_alone(client):
    job, data = client.result("a.pdf", pdf(), "png")
    assert is_png(data) and job["engine"] == "pdf"


def test_pages_become_one_tiff(client, tmp_path):
    job, result = client.result("a.pdf", pdf(["One.", "Two.", "Three."]), "tiff", dpi=72)
    path = tmp_path / "pages.tiff"
    path.write_bytes(result)
    told = subprocess.run(["identify", "-format", "%w %h %x %[colorspace]\n", path], check=True, capture_output=True, text=True).stdout.splitlines()
    assert job["output"]["pages"] == 3 and len(told) == 3 and len(set(told)) == 1 and told[0].split()[2:] == ["72", "Gray"], told
    read = subprocess.run(["pdftotext", "-", "-"], input=client.result("again.tiff", result, "pdf", ocr="eng")[1], check=True, capture_output=True).stdout.decode()
    assert len(read.split("\f")) == 4


def test_a_presentation_becomes_webp(client, tmp_path):
    deck = client.result("a.md", b"# One\n\n- first\n\n# Two\n\n- second\n", "pptx")[1]
    _, result = client.result("a.pptx", deck, "webp")
    with zipfile.ZipFile(io.BytesIO(result)) as archive:
        assert archive.namelist() == ["page-001.webp", "page-002.webp"]
        archive.extractall(tmp_path)
    assert subprocess.run(["identify", "-format", "%m", tmp_path / "page-001.webp"], check=True, capture_output=True, text=True).stdout == "WEBP"
