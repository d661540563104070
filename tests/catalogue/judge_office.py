"""Judges of what LibreOffice writes beyond its own formats: each reads the file by its description, to where the fixtures' text or number is."""

import struct
import subprocess
import zipfile
from xml.etree import ElementTree

WORD, NUMBER = "Hello", "2.5"  # one is in all texts and drawings, the other in all tables
# LibreOffice calls a show a presentation in its list of types; that it is one its name says, as to PowerPoint.
MAIN = {
    "dotx": "wordprocessingml.template.main+xml", "xltx": "spreadsheetml.template.main+xml", "potx": "presentationml.template.main+xml", "ppsx": "presentationml.presentation.main+xml"}
ROOTS = {"wordml": "wordDocument", "mml": "math"}


def arrived(path, source):
    """Is what the fixture says in the PDF? LibreOffice makes a page of anything, be it an empty one."""
    text = subprocess.run(["pdftotext", str(path), "-"], check=True, capture_output=True, text=True, timeout=60).stdout
    assert WORD in text or NUMBER in text, f"nothing of the {source} has arrived: {text.strip()[:60]!r}"


def package(path, format):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        types = archive.read("[Content_Types].xml").decode()
    assert MAIN[format] in types, types[-300:]


def xml(path, format):
    root = ElementTree.parse(path).getroot()
    assert root.tag.split("}")[-1] == ROOTS[format], root.tag
    assert WORD in "".join(root.itertext())


def dif(path, _):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["TABLE", "0,1"] and lines[-2:] == ["-1,0", "EOD"], lines
    assert any(line == f"0,{NUMBER}" for line in lines)


def sylk(path, _):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("ID;P") and lines[-1] == "E", lines
    assert any(line.startswith("C;") and line.endswith(f"K{NUMBER}") for line in lines)


def dbase(path, _):
    data = path.read_bytes()
    records, header, length = struct.unpack_from("<IHH", data, 4)
    fields = [data[at + 16] for at in range(32, header - 32, 32)]
    assert data[header - 1] == 0x0d and sum(fields) + 1 == length, (fields, length)
    rows = [data[header + i * length:header + (i + 1) * length] for i in range(records)]
    assert all(len(row) == length for row in rows)
    # A table of one row has no more than names of fields.
    assert any(NUMBER.encode() in row for row in rows) or not rows


def tabs(path, _):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert any("\t" in line and NUMBER in line.split("\t") for line in lines), lines


def emf(path, _):
    """[MS-EMF]: records of a type and a size, from the header to the end."""
    data, at, kinds = path.read_bytes(), 0, []
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        assert size >= 8 and size % 4 == 0, size
        kinds.append(kind)
        at += size
    assert kinds[0] == 1 and kinds[-1] == 14 and at == len(data)
    assert len(kinds) > 3, "nothing is drawn"


def wmf(path, _):
    """[MS-WMF]: a header of its own for programs that place it, the header, records of a size in words and a function."""
    data = path.read_bytes()
    at, functions = (22 if data.startswith(b"\xd7\xcd\xc6\x9a") else 0) + 18, []
    while not functions or functions[-1] != 0:
        size, function = struct.unpack_from("<IH", data, at)
        assert size >= 3, size
        functions.append(function)
        at += 2 * size
    assert at == len(data) and len(functions) > 3, "nothing is drawn"


JUDGES = {**dict.fromkeys(MAIN, package), **dict.fromkeys(ROOTS, xml), "dif": dif, "slk": sylk, "dbf": dbase, "tsv": tabs, "emf": emf, "wmf": wmf}
