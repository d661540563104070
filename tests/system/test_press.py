"""PostScript in and out, PDF/A, and smaller pictures: by Ghostscript in the sandbox."""

import subprocess

import pytest

import archives
from client import Client, options_of
from fixtures import docx, noise, pdf, png, zipped
from test_pages import SECRET, failed, said, saved, texts

PAGE = "/Helvetica findfont 24 scalefont setfont 72 500 moveto (%s) show showpage\n"
POSTSCRIPT = ("%!PS-Adobe-3.0\n<</PageSize [300 600]>> setpagedevice\n" + PAGE % "first" + PAGE % "second").encode()
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 10 20 110 70\n1 0 0 setrgbcolor 10 20 100 50 rectfill\n"


def for_windows(eps):
    """With an (empty) preview behind it."""
    head = b"\xc5\xd0\xd3\xc6" + (30).to_bytes(4, "little") + len(eps).to_bytes(4, "little") + bytes(8) + (30 + len(eps)).to_bytes(4, "little") + (4).to_bytes(4, "little") + b"\xff\xff"
    return head + eps + b"II*\0"


def document(contents="BT /F1 24 Tf 72 720 Td (page) Tj ET", page="", root="", trailer="", objects=()):
    """A PDF of what PDF/A forbids: a font that is not in it, a transparent square, a script, an attachment, a launch, a form without its appearance."""
    bodies = {1: f"<< /Type /Catalog /Pages 2 0 R /Names << /JavaScript << /Names [(a) 9 0 R] >> /EmbeddedFiles << /Names [(a.txt) 10 0 R] >> >> /OpenAction 9 0 R "
                 f"/AcroForm << /Fields [8 0 R] /NeedAppearances true /DR << /Font << /F1 5 0 R >> >> >> {root} >>",
              2: "<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
              3: f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Annots [7 0 R 8 0 R] /Group << /S /Transparency /CS /DeviceRGB >> "
                 f"/Resources << /Font << /F1 5 0 R >> /ExtGState << /G << /ca 0.4 /CA 0.4 >> >> >> {page} >>",
              4: ("", contents + " /G gs 1 0 0 rg 100 100 200 200 re f 0 1 1 0 k 200 200 200 200 re f"),
              5: "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
              6: r"<< /Title (\376\377\000G\000r\000\374\000\337\000e) /Author (A & <B>) /CreationDate (D:20240102030405+01'00') >>",
              7: "<< /Type /Annot /Subtype /Link /Rect [0 0 99 99] /A << /S /Launch /F (calc.exe) >> >>",
              8: "<< /Type /Annot /Subtype /Widget /FT /Tx /T (f) /V (filled) /Rect [50 50 200 80] /DA (/F1 12 Tf 0 g) >>",
              9: "<< /S /JavaScript /JS (app.alert\\(1\\)) >>",
              10: "<< /Type /Filespec /F (a.txt) /EF << /F 11 0 R >> >>", 11: ("/Type /EmbeddedFile", "attached")}
    out, offsets = b"%PDF-1.7\n", []
    for number, body in bodies.items():
        offsets.append(len(out))
        if isinstance(body, tuple):
            body = f"<< {body[0]} /Length {len(body[1])} >>\nstream\n{body[1]}\nendstream"
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    return (out + b"xref\n0 12\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % o for o in offsets)
            + f"trailer\n<< /Size 12 /Root 1 0 R /Info 6 0 R {trailer} >>\nstartxref\n{len(out)}\n%%EOF\n".encode())


def picture(side):
    """A PDF of a picture of a square inch, noise of side² pixels."""
    data = noise(side)[-3 * side * side:]
    stream = f"<< /Type /XObject /Subtype /Image /Width {side} /Height {side} /BitsPerComponent 8 /ColorSpace /DeviceRGB /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"
    bodies = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
              b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 72 72] /Contents 4 0 R /Resources << /XObject << /I 5 0 R >> >> >>",
              b"<< /Length 24 >>\nstream\nq 72 0 0 72 0 0 cm /I Do\nendstream", stream]
    return b"%PDF-1.4\n" + b"".join(b"%d 0 obj\n%s\nendobj\n" % (n, body) for n, body in enumerate(bodies, 1)) + b"trailer\n<< /Root 1 0 R /Size 6 >>\nstartxref\n0\n%%EOF\n"


def test_postscript_becomes_pdf(client, tmp_path):
    job, data = client.result("a.ps", POSTSCRIPT, "pdf")
    assert texts(saved(tmp_path, data)) == ["first", "second"] and job["output"]["pages"] == 2
    assert "300 x 600 pts" in said("pdfinfo", tmp_path / "result.pdf")
    assert job["engine"] == "press" and job["engine_version"].startswith("Ghostscript ") and job["cpu_ms"] > 0


def test_postscript_becomes_pictures(client):
    assert client.result("a.ps", POSTSCRIPT, "png", pages=2, dpi=36)[0]["engine"] == "press+pages+pdf"
    data = client.result("a.eps", EPS, "png", dpi=72)[1]
    assert (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) == (100, 50)  # its box, not a sheet around it


def test_eps_of_windows(client, tmp_path):
    assert "100 x 50 pts" in said("pdfinfo", saved(tmp_path, client.result("a.eps", for_windows(EPS), "pdf")[1]))


@pytest.mark.parametrize("target, kind", [("ps", b"%!PS-Adobe-3.0\n"), ("eps", b"%!PS-Adobe-3.0 EPSF-3.0")])
def test_pdf_becomes_postscript(client, tmp_path, target, kind):
    data = client.result("a.pdf", pdf(["one", "two"]), target)[1]
    assert data.startswith(kind)
    back = client.result(f"a.{target}", data, "pdf")[1]
    assert texts(saved(tmp_path, back)) == (["one", "two"] if target == "ps" else ["one"])
    assert client.result("a.docx", docx(), target)[0]["engine"] == "office+press"


@pytest.mark.parametrize("level", ["1b", "2b", "3b"])
def test_archives(client, tmp_path, level):
    path = saved(tmp_path, client.result("a.pdf", document(), "pdf", pdfa=level)[1])
    archives.check(path, int(level[0]))
    assert "Grüße" in said("pdfinfo", path)
    if level == "1b":  # no transparency there: a picture of the page
        assert " 2550  3300  rgb " in said("pdfimages", "-list", path)
    else:
        assert "page" in texts(path)[0] and "filled" in texts(path)[0]
    with pytest.raises(AssertionError):
        archives.check(saved(tmp_path, document(), "source.pdf"), int(level[0]))


@pytest.mark.skipif(not archives.has_validator(), reason="PDFBox's validator is missing (package libpdfbox2-java and what it needs)")
@pytest.mark.parametrize("options", [{}, {"compress": "lossless"}, {"linearize": True, "rotate": 90}, {"image_dpi": 72}], ids=str)
def test_archives_by_another_validator(client, tmp_path, options):
    for name, ending, data in (("hard", "pdf", document()), ("plain", "pdf", pdf(["one", "two"])), ("letter", "docx", docx())):
        archives.validate_1b(saved(tmp_path, client.result(f"a.{ending}", data, "pdf", pdfa="1b", **options)[1], f"{name}.pdf"))


@pytest.mark.parametrize("level", ["1b", "2b"])
def test_links_stay(client, tmp_path, level):
    link = b"/Annots [<< /Type /Annot /Subtype /Link /Rect [0 0 99 99] /A << /S /URI /URI (http://example.org/) >> >> << /Type /Annot /Subtype /Link /Rect [0 0 9 9] /F 2 "
    source = pdf(["one"]).replace(b"/MediaBox", link + b"/A << /S /URI /URI (http://hidden.example/) >> >>] /MediaBox")
    path = saved(tmp_path, client.result("a.pdf", source, "pdf", pdfa=level)[1])
    archives.check(path, int(level[0]))
    said_of_links = str(archives.Reading(path).objects)
    assert "http://example.org/" in said_of_links and "hidden.example" not in said_of_links


def test_pictures_lose_dots(client, tmp_path):
    full = client.result("a.pdf", picture(300), "pdf")[1]
    less = client.result("a.pdf", picture(300), "pdf", image_dpi=100)[1]
    assert "100   100" in said("pdfimages", "-list", saved(tmp_path, less)) and len(less) < len(full) / 5
    as_it_was = said("pdfimages", "-list", saved(tmp_path, client.result("a.pdf", picture(50), "pdf", image_dpi=100)[1]))
    assert " 50    50 " in as_it_was


def test_all_in_one_job(client, tmp_path):
    """From a Word document the last page, for the archive, and behind a password. (What is locked is no archive any more: docs/api.md.)"""
    options = options_of(client.request("GET", "/formats").json(), "docx", "pdf")
    assert {"pages", "rotate", "pdfa", "image_dpi", "new_password", "split"} <= set(options)
    long = docx([f"line {n}" for n in range(120)])
    job, data = client.result("a.docx", long, "pdf", pages="z", pdfa="2b", new_password=SECRET)
    path = saved(tmp_path, data)
    assert job["engine"] == "office+pages"  # LibreOffice does it by itself
    found = texts(path, "-upw", SECRET)
    assert len(found) == 1 and "line 119" in found[0]
    assert "AESv3" in said("qpdf", "--show-encryption", f"--password={SECRET}", path)
    path = saved(tmp_path, client.result("a.docx", long, "pdf", pages="z", pdfa="2b")[1])
    archives.check(path, 2)
    picture = client.result("a.png", png(), "pdf", pdfa="1b")[1]
    archives.check(saved(tmp_path, picture), 1)


def test_protected_sources(client, tmp_path):
    locked = client.result("a.pdf", pdf(["one"]), "pdf", new_password=SECRET)[1]
    assert failed(client, locked, pdfa="2b") == failed(client, locked, "ps", password="other") == "password_required"
    archives.check(saved(tmp_path, client.result("a.pdf", locked, "pdf", pdfa="2b", password=SECRET)[1]), 2)
    assert client.result("a.pdf", locked, "ps", password=SECRET)[1].startswith(b"%!PS")


def test_damaged_documents(client):
    lost = pdf(["one", "two"]).replace(b"7 0 obj", b"9 9 obj")
    assert failed(client, lost, pdfa="2b") == failed(client, lost, "ps") == "corrupt_input"


@pytest.mark.parametrize("program, code", [
    (b"(/etc/passwd) (r) file pop showpage", "corrupt_input"),
    (b"(%pipe%id) (w) file pop showpage", "corrupt_input"),
    (b"(/output/result.pdf) deletefile showpage", "corrupt_input"),
    (b"1 0 div showpage", "corrupt_input"),
    (b"/x 1 def", "no_output"),
    (b"showpage", None),
], ids=str)
def test_programs(client, program, code):
    job = client.wait(client.start("a.ps", b"%!PS-Adobe-3.0\n" + program + b"\n", "pdf"))
    assert job["error_code"] == code, job


def test_programs_that_never_end(own_server):
    server = own_server("press", DECANT_JOB_TIMEOUT="3", DECANT_JOB_TIMEOUT_MIN="3")
    client = Client(server.url)
    client.init()
    assert failed_as(client, b"%!PS-Adobe-3.0\n{} loop\n") == "timed_out"
    assert failed_as(client, b"%!PS-Adobe-3.0\n/f {f} def f\n") in ("corrupt_input", "too_complex", "timed_out")
    assert failed_as(client, b"%!PS-Adobe-3.0\n/a [] def {/a [a 100000 array] def} loop\n") in ("too_complex", "timed_out")


def failed_as(client, data):
    job = client.wait(client.start("a.ps", data, "pdf"))
    assert job["status"] == "failed", job
    return job["error_code"]


def test_what_is_no_postscript_is_refused(client):
    for name, data in (("a.ps", b"hello"), ("a.eps", POSTSCRIPT), ("a.eps", pdf()), ("a.ps", POSTSCRIPT + zipped([("a", "b")])), ("a.pdf", POSTSCRIPT)):
        assert client.upload(name, data).status_code == 422, name
