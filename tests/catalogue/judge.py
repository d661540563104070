"""Is a file what its format says? Said by tools that have nothing to do with Decant, for each format that it writes."""

import json
import re
import subprocess
import zipfile
from xml.etree import ElementTree

import judge_archives
import judge_fonts
import judge_media
from judge_media import said
from judge_office import JUDGES

PICTURES = {"png", "jpg", "gif", "tiff", "bmp", "ico", "tga", "ppm", "pgm", "pbm", "webp"}
# … and of the rarer ones by FFmpeg's decoder where it has one: ImageMagick wrote most of them.
DECODED = {"pcx": "pcx", "sgi": "sgi", "dpx": "dpx", "dds": "dds", "xpm": "xpm", "xbm": "xbm", "ras": "sunrast", "xwd": "xwd", "pam": "pam", "pfm": "pfm",
           "psd": "psd", "qoi": "qoi", "j2k": "jpeg2000", "pnm": "ppm"}
IDENTIFIED = {"fits", "hdr", "jng", "cur", "dcx", "cin", "sixel", "miff", "viff", "aai", "avs", "wbmp", "jbig"}
VIPS = {"avif", "heic", "jxl", "jp2"}
OPEN_DOCUMENT = {"odt": "text", "ott": "text-template", "ods": "spreadsheet", "ots": "spreadsheet-template", "odp": "presentation", "otp": "presentation-template", "odg": "graphics", "otg": "graphics-template", "odf": "formula"}
MARKUP = {"md", "rst", "org", "textile", "wiki", "dokuwiki", "jira", "muse", "haddock", "tex", "man", "asciidoc", "texinfo", "context", "ms", "xwiki", "zimwiki"}
XML = {"docbook", "jats", "opml", "fb2", "tei", "icml"}
OLE = {"doc": "Microsoft Word", "xls": "Microsoft Excel", "ppt": "Microsoft PowerPoint"}


def decoded(path, format):
    codec, width, height = said("ffprobe", "-v", "error", "-f", "image2", "-show_entries", "stream=codec_name,width,height", "-of", "csv=p=0",
                                path).strip().rstrip(",").split(",")
    assert codec in (DECODED[format], "pgm") and int(width) > 0 and int(height) > 0, f"ffprobe sees {codec}, {width} x {height}"


def archive(path, *members):
    said("unzip", "-tq", path)
    names = zipfile.ZipFile(path).namelist()
    assert set(members) <= set(names), names


def judge(path, format):
    """AssertionError, with a reason, when `path` is no `format`."""
    assert path.stat().st_size > 0, "empty"
    if judge_archives.judges(path, format):
        judge_archives.judge(path, format)
    elif judge_fonts.judges(path, format):
        judge_fonts.judge(path, format)
    elif format in judge_media.FORMATS:
        judge_media.judge(path, format)
    elif format == "icns":
        assert "0 elements" not in said("icns2png", "-l", path)
    elif format == "ff":
        with path.open("rb") as file:
            png = subprocess.run(["ff2png"], stdin=file, capture_output=True, timeout=120)
        assert png.returncode == 0 and png.stdout.startswith(b"\x89PNG"), png.stderr
    elif format in DECODED:
        decoded(path, format)
    elif format in PICTURES | IDENTIFIED:
        width, height = said("identify", "-format", "%w %h\n", f"{format}:{path}[0]").split()
        assert int(width) > 0 and int(height) > 0
    elif format in VIPS:
        assert int(said("vipsheader", "-f", "width", path)) > 0
    elif format == "pdf":
        assert int(next(line.split()[1] for line in said("pdfinfo", path).splitlines() if line.startswith("Pages:"))) > 0
        said("qpdf", "--check", path)
    elif format in ("ps", "eps"):
        head = path.read_bytes()[:40]
        assert head.startswith(b"%!PS-Adobe-3.0") and (b"EPSF" in head) == (format == "eps"), head
        drawn = said("gs", "-q", "-dSAFER", "-dNOPAUSE", "-dBATCH", "-sDEVICE=inkcov", "-o", "-", path)  # how much of each ink is on each page
        assert sum(float(word) for line in drawn.splitlines() if line.endswith("OK") for word in line.split()[:4]) > 0, drawn
    elif format == "svg":
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
    elif format in ("docx", "xlsx", "pptx"):
        archive(path, "[Content_Types].xml", "_rels/.rels")
    elif format in OPEN_DOCUMENT:
        archive(path, "mimetype", "content.xml")
        assert zipfile.ZipFile(path).read("mimetype").decode() == f"application/vnd.oasis.opendocument.{OPEN_DOCUMENT[format]}"
    elif format in ("fodt", "fods", "fodp", "fodg"):
        assert ElementTree.parse(path).getroot().tag.endswith("document")
    elif format in JUDGES:
        JUDGES[format](path, format)
    elif format == "epub":
        archive(path, "mimetype", "META-INF/container.xml")
    elif format == "zip":
        archive(path)
    elif format in OLE:
        assert "Composite Document" in said("file", "-b", path)
    elif format == "rtf":
        assert "Rich Text" in said("file", "-b", path)
    elif format in XML:
        assert len("".join(ElementTree.parse(path).getroot().itertext())) > 4 or format == "opml"
    elif format in MARKUP:
        text = path.read_text(encoding="utf-8").lower()
        assert "hello" in text or "amount" in text, text[:200]  # of a table
    elif format == "bib":
        assert re.findall(r"^@(\w+)\{", path.read_text(encoding="utf-8"), re.M) == ["book", "article"]
    elif format == "csljson":
        items = json.loads(path.read_text(encoding="utf-8"))
        assert [item["type"] for item in items] == ["book", "article-journal"] and "Hello" in items[0]["title"] and items[1]["author"][0]["family"] == "Müller"
    elif format == "ipynb":
        assert json.loads(path.read_text(encoding="utf-8"))["cells"]
    elif format in ("txt", "csv"):
        assert path.read_text(encoding="utf-8").strip()
    elif format == "html":
        assert "<html" in path.read_text(encoding="utf-8").lower()
    else:
        raise AssertionError(f"nobody judges {format}")
