"""Fonts that a document asks for and that aren't there are told, with what stood in for them, wherever a result is told."""

import json
import re
import subprocess
import uuid
from pathlib import Path

import pytest

from fixtures import docx, png, zipped
from server import BIN
from sse import Events

ABSENT, UNUSED, BROUGHT = "Nonexistent Sans", "Unused Sans", "Decant Test"
INSTALLED = "DejaVu Sans"
CALIBRI = {"font": "Calibri", "used": "Carlito", "metric_compatible": True}
USED = ["Calibri", ABSENT, INSTALLED]

XML = '<?xml version="1.0" encoding="UTF-8"?>'
NS = "urn:oasis:names:tc:opendocument:xmlns:"
ROOT = ('xmlns:office="{0}office:1.0" xmlns:style="{0}style:1.0" xmlns:text="{0}text:1.0" xmlns:table="{0}table:1.0" xmlns:draw="{0}drawing:1.0" '
        'xmlns:fo="{0}xsl-fo-compatible:1.0" xmlns:svg="{0}svg-compatible:1.0" xmlns:presentation="{0}presentation:1.0" '
        'xmlns:xlink="http://www.w3.org/1999/xlink" office:version="1.3"').format(NS)


def own_font():
    """DejaVu Sans by a name that nobody else has; all its names are of the same length."""
    data = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf").read_bytes()
    for encoding in "ascii", "utf-16-be":
        data = data.replace(INSTALLED.encode(encoding), BROUGHT.encode(encoding))
    return data


def scrambled(font, key):
    """As Word embeds it (ECMA-376 part 4, font embedding): the first 32 bytes XOR the reversed digits of the key."""
    mask = uuid.UUID(key).bytes[::-1]
    return bytes(b ^ mask[i % 16] for i, b in enumerate(font[:32])) + font[32:]


def word(fonts, brought=False):
    """A line in each font, and a table of fonts with one more."""
    key = "{1DC8CF1B-0D06-4E3B-9D39-0F3C3AE1E2A5}"
    w = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    r = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    rels = "http://schemas.openxmlformats.org/package/2006/relationships"
    runs = "".join(f'<w:p><w:r><w:rPr><w:rFonts w:ascii="{f}" w:hAnsi="{f}" w:cs="{f}"/></w:rPr><w:t>In {f}</w:t></w:r></w:p>' for f in fonts)
    embed = f'<w:embedRegular r:id="rId1" w:fontKey="{key}"/>'
    table = "".join(f'<w:font w:name="{f}">{embed if f == BROUGHT and brought else ""}</w:font>' for f in [*fonts, UNUSED])
    return zipped([
        ("[Content_Types].xml",
         f'{XML}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
         '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
         '<Default Extension="odttf" ContentType="application/vnd.openxmlformats-officedocument.obfuscatedFont"/>'
         '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/>'
         '<Override PartName="/word/fontTable.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.fontTable+xml"/>'
         '</Types>'),
        ("_rels/.rels", f'{XML}<Relationships xmlns="{rels}"><Relationship Id="rId1" Type="{r}/officeDocument" Target="word/document.xml"/></Relationships>'),
        ("word/_rels/document.xml.rels",
         f'{XML}<Relationships xmlns="{rels}"><Relationship Id="rId1" Type="{r}/fontTable" Target="fontTable.xml"/></Relationships>'),
        ("word/_rels/fontTable.xml.rels",
         f'{XML}<Relationships xmlns="{rels}"><Relationship Id="rId1" Type="{r}/font" Target="fonts/font1.odttf"/></Relationships>'),
        ("word/fontTable.xml", f'{XML}<w:fonts xmlns:w="{w}" xmlns:r="{r}">{table}</w:fonts>'),
        ("word/fonts/font1.odttf", scrambled(own_font(), key)),
        ("word/document.xml", f'{XML}<w:document xmlns:w="{w}"><w:body>{runs}</w:body></w:document>'),
    ])


def faces(fonts, brought=False):
    source = ('<svg:font-face-src><svg:font-face-uri xlink:href="Fonts/font1.ttf" xlink:type="simple">'
              '<svg:font-face-format svg:string="truetype"/></svg:font-face-uri></svg:font-face-src>')
    return "<office:font-face-decls>" + "".join(
        f'<style:font-face style:name="F{i}" svg:font-family="&apos;{f}&apos;">{source if f == BROUGHT and brought else ""}</style:font-face>'
        for i, f in enumerate([*fonts, UNUSED])) + "</office:font-face-decls>"


def styles(fonts, family):
    return "<office:automatic-styles>" + "".join(
        f'<style:style style:name="P{i}" style:family="{family}"><style:text-properties style:font-name="F{i}"/></style:style>'
        for i in range(len(fonts))) + "</office:automatic-styles>"


def text(fonts):
    lines = "".join(f'<text:p text:style-name="P{i}">In {f}</text:p>' for i, f in enumerate(fonts))
    return styles(fonts, "paragraph") + f"<office:body><office:text>{lines}</office:text></office:body>"


def sheet(fonts):
    rows = "".join(f'<table:table-row><table:table-cell table:style-name="P{i}" office:value-type="string"><text:p>In {f}</text:p>'
                   '</table:table-cell></table:table-row>' for i, f in enumerate(fonts))
    return styles(fonts, "table-cell") + ('<office:body><office:spreadsheet><table:table table:name="A">'
                                          f'{rows}</table:table></office:spreadsheet></office:body>')


def slides(fonts):
    boxes = "".join(f'<draw:frame svg:x="1cm" svg:y="{2 * i + 1}cm" svg:width="15cm" svg:height="1.5cm"><draw:text-box>'
                    f'<text:p text:style-name="P{i}">In {f}</text:p></draw:text-box></draw:frame>' for i, f in enumerate(fonts))
    return styles(fonts, "paragraph") + ('<office:body><office:presentation><draw:page draw:name="A" draw:master-page-name="M">'
                                         f'{boxes}</draw:page></office:presentation></office:body>')


def flat(kind, content, fonts):
    return (f'{XML}<office:document {ROOT} office:mimetype="application/vnd.oasis.opendocument.{kind}">'
            f'{faces(fonts)}{content(fonts)}</office:document>').encode()


def odt(fonts, brought=False):
    kind = "application/vnd.oasis.opendocument.text"
    return zipped([
        ("mimetype", kind),
        ("META-INF/manifest.xml",
         f'{XML}<manifest:manifest xmlns:manifest="{NS}manifest:1.0" manifest:version="1.3">'
         f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
         '<manifest:file-entry manifest:full-path="Fonts/font1.ttf" manifest:media-type="application/x-font-ttf"/>'
         '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'),
        ("Fonts/font1.ttf", own_font()),
        ("content.xml", f'{XML}<office:document-content {ROOT}>{faces(fonts, brought)}{text(fonts)}</office:document-content>'),
    ])


def rtf(fonts):
    table = "".join(f"{{\\f{i} {f};}}" for i, f in enumerate([*fonts, UNUSED]))
    return ("{\\rtf1\\ansi{\\fonttbl" + table + "}" + "".join(f"\\f{i} In {f}\\par " for i, f in enumerate(fonts)) + "}").encode()


def html(fonts):
    lines = "".join(f"<p style=\"font-family: '{f}', sans-serif\">In {f}</p>" for f in fonts)
    return (f"<!DOCTYPE html><html><head><style>.u {{ font-family: '{UNUSED}' }}</style></head><body>{lines}</body></html>").encode()


def assert_tells(told, others=()):
    """Calibri by its twin, the absent font by any other, and nothing else; perhaps fonts that the file's maker has put in."""
    assert CALIBRI in told, told
    absent = [pair for pair in told if pair["font"] == ABSENT]
    assert absent and all(pair["used"] and pair["used"] != ABSENT and pair["metric_compatible"] is False for pair in absent), told
    assert {"Calibri", ABSENT} <= {pair["font"] for pair in told} <= {"Calibri", ABSENT, *others}, told


SOURCES = {
    "docx": word(USED),
    "odt": odt(USED),
    "rtf": rtf(USED),
    "html": html(USED),
    "fodt": flat("text", text, USED),
    "fods": flat("spreadsheet", sheet, USED),
    "fodp": flat("presentation", slides, USED),
}


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_pdf_tells(client, source):
    job, result = client.result(f"a.{source}", SOURCES[source], "pdf")
    assert_tells(job["fonts_substituted"])
    drawn = set(re.findall(rb"/FontName/[A-Z]{6}\+(\w+)", result))
    assert drawn >= {name.replace(" ", "").encode() for name in [INSTALLED, *(pair["used"] for pair in job["fonts_substituted"])]}


@pytest.mark.parametrize("source, kind", [("fods", "xlsx"), ("fods", "xls"), ("fodp", "pptx"), ("fodp", "ppt"), ("fodt", "doc")])
def test_office_formats_tell(client, source, kind):
    """Nothing is laid out in the making of the file itself, whose fonts are named in it as they were."""
    made, data = client.result(f"a.{source}", SOURCES[source], kind)
    assert made["fonts_substituted"] is None
    job, _ = client.result(f"a.{kind}", data, "pdf")
    assert_tells(job["fonts_substituted"], others=["Arial", "Times New Roman"])


def test_pictures_tell_what_the_first_step_replaced(client):
    job, _ = client.result("a.docx", SOURCES["docx"], "png")
    assert job["engine"] == "office+pdf"
    assert_tells(job["fonts_substituted"])


def test_nothing_replaced_is_an_empty_list(client):
    job, _ = client.result("a.docx", word([INSTALLED, "dejavusans"]), "pdf")
    assert job["fonts_substituted"] == []


@pytest.mark.parametrize("name, make", [("a.docx", word), ("a.odt", odt)])
def test_fonts_in_the_document_are_not_missing(client, name, make):
    job, result = client.result(name, make([BROUGHT], brought=True), "pdf")
    assert job["fonts_substituted"] == []
    job, result = client.result(name, make([BROUGHT], brought=False), "pdf")
    assert [pair["font"] for pair in job["fonts_substituted"]] == [BROUGHT]


def test_others_have_no_list(client):
    assert client.result("a.png", png(), "jpg")[0]["fonts_substituted"] is None
    job_id = client.upload("a.docx", docx()).json()["job_id"]
    assert client.status(job_id).json()["fonts_substituted"] is None


def test_names_are_no_more_than_names(client):
    """At most 32, none longer than 64 bytes, no control characters: whatever the document says."""
    fonts = [f"Absent {i}" for i in range(50)]
    job, _ = client.result("a.docx", word(fonts), "pdf")
    assert len(job["fonts_substituted"]) == 32
    job, _ = client.result("a.docx", word(["Ü" * 60, "Tab&#9;Sans", "Quote &quot;Sans&quot;"]), "pdf")
    told = [pair["font"] for pair in job["fonts_substituted"]]
    assert "Ü" * 32 in told and 'Quote "Sans"' in told, told
    assert all(len(name.encode()) <= 64 and name.isprintable() for name in told), told


def test_events_tell(client):
    stream = Events(client)
    try:
        job_id = client.start("a.docx", SOURCES["docx"], "pdf")
        seen = stream.until(lambda event: event.job["job_id"] == job_id and event.job["status"] == "completed")
        assert_tells(seen[-1].job["fonts_substituted"])
    finally:
        stream.close()


def test_log_has_their_number_only(server, client):
    job, _ = client.result("a.docx", SOURCES["docx"], "pdf")
    server.wait_log(f'"message":"task over","job_id":"{job["job_id"]}"')
    [line] = [line for line in server.log().splitlines() if '"message":"conversion over"' in line and job["job_id"] in line]
    assert json.loads(line)["fonts_substituted"] == len(job["fonts_substituted"])
    assert ABSENT not in server.log()


def test_command_line_tells(tmp_path):
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o711)
    (tmp_path / "a.docx").write_bytes(SOURCES["docx"])

    def convert(*words):
        return subprocess.run([BIN / "decant", "convert", *words], cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path / "tmp")},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)

    done = convert("a.docx", "a.pdf")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and lines[0].startswith("a.docx -> a.pdf"), done.stderr
    assert "    Calibri → Carlito" in lines
    assert any(line.startswith(f"    {ABSENT} → ") and line.endswith(" (other widths)") for line in lines), lines
    assert_tells(json.loads(convert("a.docx", "b.pdf", "--json").stdout)["fonts_substituted"])
    assert json.loads(convert("a.docx", "a.odt", "--json").stdout)["fonts_substituted"] is None


def doctor(tmp_path, *files, **more):
    """decant doctor where these are all the fonts there are."""
    (tmp_path / "fonts").mkdir()
    for file in files:
        (tmp_path / "fonts" / file.name).symlink_to(file)
    (tmp_path / "fonts.conf").write_text('<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd"><fontconfig>'
                                         f"<dir>{tmp_path}/fonts</dir><cachedir>{tmp_path}/cache</cachedir></fontconfig>")
    return subprocess.run([BIN / "decant", "doctor", "--engines", "image"], cwd=tmp_path, capture_output=True, text=True, timeout=180,
                          env={"PATH": "/usr/bin:/bin", "DECANT_CLAMD": "off", **(more or {"FONTCONFIG_FILE": str(tmp_path / "fonts.conf")})}).stdout


def test_doctor_says_which_fonts_are_there(tmp_path):
    lines = [" ".join(line.split()) for line in doctor(tmp_path, HOME="/nonexistent").splitlines()]
    for asked, used in ("Calibri", "Carlito"), ("Cambria", "Caladea"), ("Arial", "Liberation Sans"), ("Courier New", "Liberation Mono"):
        assert f"ok font {asked} is shown in {used}" in lines, lines
    assert "ok font Symbol and Wingdings are shown in OpenSymbol" in lines, lines
    scripts, = [line for line in lines if line.startswith("ok fonts for scripts ")]
    assert all(script in scripts for script in ("Chinese", "Japanese", "Korean", "Arabic", "Hebrew", "Devanagari", "Thai")), scripts


def test_doctor_says_what_brings_those_that_are_not(tmp_path):
    dejavu = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    lines = [" ".join(line.split()) for line in doctor(tmp_path, dejavu).splitlines()]
    for said, package in [("weak font Calibri is shown in DejaVu Sans", "fonts-crosextra-carlito"),
                          ("weak font Arial is shown in DejaVu Sans", "fonts-liberation2"),
                          ("weak font Symbol and Wingdings have no stand-in", "fonts-opensymbol"),
                          ("weak fonts no font for Chinese", "fonts-noto-cjk"), ("weak fonts no font for Thai", "fonts-noto-core")]:
        assert f"apt-get install {package}, " in lines[lines.index(said) + 1]
    assert "ok fonts for scripts Arabic, Hebrew" in lines, lines
