"""Texts of all kinds, by Pandoc in the sandbox, and on to PDF by way of Word; and what such texts might want from the machine."""

import base64
import io
import json
import os
import tempfile
import zipfile
from pathlib import Path

import pytest

from client import Client, problem
from fixtures import docx, png
from server import eventually

MARKDOWN = b"---\ntitle: The title\n---\n\n# Heading\n\nHello from a *test*, gr\xc3\xbc\xc3\x9fe.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"


@pytest.mark.parametrize("target, needles", [
    ("html", ["<h1", "Hello from a <em>test</em>, grüße", "<table"]), ("rst", ["Heading\n=======", "*test*"]), ("tex", [r"\section{Heading}", r"\emph{test}"]),
    ("org", ["* Heading", "/test/"]), ("wiki", ["= Heading =", "''test''"]), ("docbook", ["<section", "<emphasis>test</emphasis>"]), ("txt", ["Hello from a", "grüße"])])
def test_from_markdown(client, target, needles):
    job, data = client.result("a.md", MARKDOWN, target)
    assert all(needle in data.decode() for needle in needles), data.decode()
    assert job["engine"] == "markup" and job["engine_version"].startswith("Pandoc ")


@pytest.mark.parametrize("name, data", [
    ("a.rst", b"Heading\n=======\n\nHello *there*.\n"), ("a.org", b"* Heading\n\nHello /there/.\n"), ("a.textile", b"h1. Heading\n\nHello _there_.\n"),
    ("a.tex", b"\\section{Heading}\n\nHello \\emph{there}.\n"), ("a.docx", docx(["Hello there."])),
    ("a.ipynb", json.dumps({"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["# Heading\n", "\n", "Hello *there*."]}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()),
    ("a.opml", b'<?xml version="1.0"?><opml version="2.0"><head/><body><outline text="Heading" _note="Hello *there*."/></body></opml>')])
def test_to_markdown(client, name, data):
    text = client.result(name, data, "md")[1].decode()
    assert "Hello" in text and "there" in text


def test_books_and_documents(client):
    epub = zipfile.ZipFile(io.BytesIO(client.result("a.md", MARKDOWN, "epub")[1]))
    assert epub.namelist()[0] == "mimetype" and any(b"Hello from a" in epub.read(name) for name in epub.namelist())
    assert b"Hello from a" in zipfile.ZipFile(io.BytesIO(client.result("a.md", MARKDOWN, "docx")[1])).read("word/document.xml")


def test_slides(client):
    slides = zipfile.ZipFile(io.BytesIO(client.result("a.md", b"# One\n\nHello\n\n# Two\n\nthere\n", "pptx")[1]))
    assert [b"Hello" in slides.read(f"ppt/slides/slide{n}.xml") for n in (1, 2)] == [True, False]


BIBLIOGRAPHY = b"@article{a,\n author = {M\xc3\xbcller, Max}, title = {Hello}, journal = {Journal of Tests}, year = {2020}\n}\n"


def test_bibliographies(client):
    """As data, or as the list that a reader wants; in Markdown and Org, too, which would keep it as data."""
    items = json.loads(client.result("a.bib", BIBLIOGRAPHY, "csljson")[1])
    assert [(item["title"], item["author"][0]["family"]) for item in items] == [("Hello", "Müller")]
    assert "year = {2020}" in client.result("a.csljson", json.dumps(items).encode(), "bib")[1].decode()
    for target in "html", "md", "org", "txt":
        assert "Müller, Max. 2020. " in client.result("a.bib", BIBLIOGRAPHY, target)[1].decode()
    assert b"2020" in zipfile.ZipFile(io.BytesIO(client.result("a.bib", BIBLIOGRAPHY, "docx")[1])).read("word/document.xml")
    problem(client.upload("a.bib", b"some text about @article\n"), 422, "type_mismatch")


def test_tables_of_workbooks(client):
    job, data = client.result("a.csv", b"Name;Amount\nApples;1\n", "wiki")
    assert job["engine"] == "office+markup" and all(f"| {word}\n" in data.decode() for word in ("Name", "Amount", "Apples", "1"))


@pytest.mark.parametrize("url", ["pictures/a.png", "/nowhere/a.png", "file:///nowhere/a.png", "http://127.0.0.1:9/a.png"])
@pytest.mark.parametrize("target", ["docx", "pptx", "odt", "epub", "rtf"])
def test_a_picture_that_can_not_be_had(client, url, target):
    """The text is there without it."""
    data = client.result("a.md", f"Hello\n\n![What it shows]({url})\n".encode(), target)[1]
    parts = [data]
    if target != "rtf":
        archive = zipfile.ZipFile(io.BytesIO(data))
        parts = [archive.read(name) for name in archive.namelist()]
    assert any(b"Hello" in part for part in parts)


def test_a_picture_within_is_kept(client):
    url = "data:image/png;base64," + base64.b64encode(png(8, 8)).decode()
    for target in "docx", "pptx":
        names = zipfile.ZipFile(io.BytesIO(client.result("a.md", f"![x]({url})\n".encode(), target)[1])).namelist()
        assert any("/media/" in name and name.endswith(".png") for name in names)


def test_no_title_is_made_up(client):
    assert client.result("a.rst", b"Hello\n", "md")[1] == b"Hello\n"


def test_to_pdf_by_way_of_word(client):
    job, data = client.result("a.md", MARKDOWN, "pdf")
    assert data.startswith(b"%PDF-") and job["engine"] == "markup+office" and job["output"]["pages"] == 1
    assert "Hello from a test, grüße." in client.result("a.pdf", data, "txt")[1].decode()


@pytest.fixture(scope="module")
def secret():
    """A file that every user of the machine may read."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / "secret"
        path.write_text("CANARY-4711\n")
        yield path


@pytest.mark.parametrize("name, text", [
    ("a.rst", ".. include:: {0}\n\nHello\n"), ("b.rst", ".. csv-table::\n   :file: {0}\n\nHello\n"), ("a.tex", "\\input{{{0}}}\n\\include{{{0}}}\n\\lstinputlisting{{{0}}}\n\nHello\n"),
    ("a.org", "#+INCLUDE: \"{0}\"\n\nHello\n"), ("a.md", "![x]({0})\n\nHello\n"), ("b.md", "<img src=\"file://{0}\">\n\nHello\n"), ("a.html", "<!doctype html><p>Hello<img src=\"{0}\">")])
@pytest.mark.parametrize("target", ["textile", "epub"])
def test_includes_bring_nothing_in(client, secret, name, text, target):
    """What can't be had is left out, or fails the conversion, as Pandoc has it."""
    job = client.wait(client.start(name, text.format(secret).encode(), target))
    if job["status"] == "failed":
        assert job["error_code"] == "corrupt_input"
        return
    data = client.download(client.token(job["job_id"]).json()["url"]).content
    archive = zipfile.ZipFile(io.BytesIO(data)) if target == "epub" else None
    parts = [archive.read(entry) for entry in archive.namelist()] if archive else [data]
    assert any(b"Hello" in part for part in parts) and not any(b"CANARY" in part for part in parts)


def test_what_is_no_text_is_refused(client):
    assert client.upload("a.md", b"\x89PNG\r\n\x1a\n" + bytes(range(256))).status_code == 422
    assert client.upload("a.docbook", b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><article>&x;</article>").status_code == 422


def test_what_is_damaged_says_so(client):
    job = client.wait(client.start("a.ipynb", b'{"cells": [', "md"))
    assert (job["status"], job["error_code"]) == ("failed", "corrupt_input")


def test_without_namespaces_too(own_server):
    server = own_server("markup", DECANT_SANDBOX="reduced")
    client = Client(server.url)
    client.init()
    assert b"<h1" in client.result("a.md", MARKDOWN, "html")[1]
    eventually(lambda: not server.children("pandoc"))
