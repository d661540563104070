"""What options ask of texts and tables: how the characters are written, and what paper they lie on."""

import subprocess

import pytest

from client import options_of
from fixtures import docx
from server import BIN


@pytest.mark.parametrize("encoding, text", [("windows-1250", "Łódź;ąćę"), ("shift_jis", "ポ;東京"), ("iso-8859-15", "Œuf;5 €"), ("gb18030", "中文;é"), ("utf-16", "ä;😀"), ("koi8-u", "Київ;є")])
def test_encodings_of_tables(client, encoding, text):
    """In and out: as a sheet, as plain text, and as another encoding."""
    codec = {"windows-1250": "cp1250", "shift_jis": "cp932", "koi8-u": "koi8_u"}.get(encoding, encoding)
    source = f"Name;X\n{text}\n".encode(codec)
    sheet = client.result("a.csv", source, "xlsx", source_encoding=encoding, source_separator="semicolon")[1]
    assert client.result("a.xlsx", sheet, "tsv")[1].decode() == f"Name\tX\n{text}\n".replace(";", "\t")
    back = client.result("a.xlsx", sheet, "tsv", encoding=encoding)[1]
    assert back.decode(codec) == f"Name\tX\n{text}\n".replace(";", "\t")
    assert client.result("a.tsv", back, "csv", source_encoding=encoding, encoding="utf-8-bom")[1].decode("utf-8-sig").splitlines()[1] == '"{}","{}"'.format(*text.split(";"))


def test_what_an_encoding_lacks_becomes_a_question_mark(client):
    assert client.result("a.csv", "Łódź,5 €\n".encode(), "tsv", encoding="iso-8859-1")[1] == b"?\xf3d?\t5 ?\n"
    assert client.result("a.csv", "a,ä\n".encode(), "tsv", encoding="utf-8-bom")[1] == "\ufeffa\tä\n".encode()
    assert client.result("a.txt", "Größe 5 €\n".encode("cp1252"), "odt")[1]  # by itself
    text = client.result("a.txt", "Größe ąć\n".encode("iso-8859-2"), "docx", source_encoding="iso-8859-2")[1]
    assert client.result("a.docx", text, "txt", encoding="windows-1252")[1].split() == [b"Gr\xf6\xdfe", b"??"]


def test_an_encoding_that_is_not_so_is_told(client):
    for encoding, data in ("utf-8", b"a,\xe4\n"), ("shift_jis", b"a,\x93\n"), ("gb18030", b"a,\xff\xff\n"):
        job = client.wait(client.start("a.csv", data, "xlsx", source_encoding=encoding))
        assert job["status"] == "failed" and job["error_code"] == "bad_options" and "encoding" in job["error_message"]
    job = client.upload("a.csv", b"a,b\n").json()["job_id"]
    for options in ({"source_encoding": "klingon"}, {"source_encoding": "UTF-8//IGNORE"}, {"source_encoding": "utf-8-bom"}, {"source_encoding": ""}, {"source_encoding": 1252},
                    {"source_encoding": None}, {"source_encoding": ["utf-8"]}, {"encoding": "utf-8"}, {"orientation": "sideways"}, {"paper": "a0"}, {"paper": 4}):
        assert client.convert(job, "xlsx", **options).status_code == 400, options
    job = client.upload("a.csv", b"a,b\n").json()["job_id"]
    for options in ({"encoding": "auto"}, {"encoding": "utf-7"}, {"encoding": "../x"}, {"orientation": "landscape"}):  # no pages
        assert client.convert(job, "tsv", **options).status_code == 400, options


def test_the_command_line_refuses_such_options(tmp_path):
    def convert(option):
        return subprocess.run([BIN / "decant", "convert", "in.csv", "out.pdf", "--option", option], cwd=tmp_path, capture_output=True, text=True, timeout=120)

    (tmp_path / "in.csv").write_bytes(b"a,\xe4\n")
    for option in "source_encoding=klingon", "orientation=sideways", "paper=a0", "encoding=utf-8", "background=red":
        done = convert(option)
        assert done.returncode == 2 and "option" in done.stderr, option
    done = convert("source_encoding=utf-8")
    assert done.returncode == 24 and "(bad_options)" in done.stderr and not (tmp_path / "out.pdf").exists()


def size(data, tmp_path):
    """Width and height of a PDF's pages in points, of all of them."""
    (tmp_path / "sized.pdf").write_bytes(data)
    said = subprocess.run(["pdfinfo", "-l", "-1", tmp_path / "sized.pdf"], check=True, capture_output=True, text=True).stdout
    sizes = {tuple(round(float(number)) for number in line.split(":")[1].split()[:3:2]) for line in said.splitlines() if "size:" in line and line.startswith("Page")}
    assert len(sizes) == 1, said
    return sizes.pop()


A4, LETTER = (595, 842), (612, 792)


@pytest.mark.parametrize("name, data", [("a.csv", b"a,b\n1,2\n"), ("a.txt", b"words\n" * 300), ("a.html", b"<!DOCTYPE html><html><body><p>Words</p></body></html>"), ("a.docx", None)])
def test_pages_lie_as_is_asked_for(client, name, data, tmp_path):
    data = data or docx()
    usual = size(client.result(name, data, "pdf")[1], tmp_path)
    assert usual[0] < usual[1] and usual in (A4, LETTER)
    assert size(client.result(name, data, "pdf", orientation="landscape")[1], tmp_path) == usual[::-1]
    assert size(client.result(name, data, "pdf", orientation="portrait", paper="letter")[1], tmp_path) == LETTER
    assert size(client.result(name, data, "pdf", orientation="landscape", paper="a3")[1], tmp_path) == (1191, 842)


def lying():
    """A sheet on A4 that lies, as OpenDocument in one file."""
    spaces = " ".join(f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "style", "table", "text"))
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<office:document {spaces} xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0" office:version="1.2" office:mimetype="application/vnd.oasis.opendocument.spreadsheet">
<office:automatic-styles><style:page-layout style:name="p"><style:page-layout-properties fo:page-width="297mm" fo:page-height="210mm" style:print-orientation="landscape"/></style:page-layout></office:automatic-styles>
<office:master-styles><style:master-page style:name="Default" style:page-layout-name="p"/></office:master-styles>
<office:body><office:spreadsheet><table:table table:name="a"><table:table-row><table:table-cell office:value-type="string"><text:p>x</text:p></table:table-cell></table:table-row></table:table></office:spreadsheet></office:body>
</office:document>""".encode()


def test_paper_lies_as_it_lay(client, tmp_path):
    assert size(client.result("a.fods", lying(), "pdf")[1], tmp_path) == A4[::-1]
    assert size(client.result("a.fods", lying(), "pdf", paper="a5")[1], tmp_path) == (595, 420)
    assert size(client.result("a.fods", lying(), "pdf", orientation="portrait")[1], tmp_path) == A4
    assert size(client.result("a.md", b"# Words\n\nMore of them.\n", "pdf", orientation="landscape", paper="a5")[1], tmp_path) == (595, 420)  # by way of Word
    picture = client.result("a.csv", b"a,b\n", "png", orientation="landscape", paper="a5", dpi=72)[1]  # by way of a PDF
    assert (int.from_bytes(picture[16:20], "big"), int.from_bytes(picture[20:24], "big")) == (596, 420)


def test_slides_and_drawings_keep_their_pages(client):
    catalogue = client.request("GET", "/formats").json()
    for source, target in ("docx", "pdf"), ("csv", "png"), ("html", "pdf"), ("xlsx", "webp"), ("txt", "ps"), ("md", "pdf"), ("epub", "pdf"):
        assert {"orientation", "paper"} <= options_of(catalogue, source, target).keys(), (source, target)
    for source, target in ("pptx", "pdf"), ("odg", "png"), ("docx", "odt"), ("csv", "xlsx"), ("png", "pdf"):
        assert not {"orientation", "paper"} & options_of(catalogue, source, target).keys(), (source, target)
