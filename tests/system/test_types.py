"""Every format of the catalogue under the extension of others: refused, but for those listed here."""

import concurrent.futures
import io
import os
import random
import secrets
import struct
import sys
import time
import zipfile
from pathlib import Path

import pytest
import requests

sys.path.append(str(Path(__file__).parents[1] / "catalogue"))

from client import Client
from fixtures import docx, pdf, png
from sources import Sources

OOXML = "application/vnd.openxmlformats-officedocument."
WORD, EXCEL, POINT = OOXML + "wordprocessingml.", OOXML + "spreadsheetml.", OOXML + "presentationml."
MACRO = "application/vnd.ms-{}.macroEnabled.main+xml"

# Of a package that is had already, with another type of its main part: (package, type there, type here).
DERIVED = {
    "docm": ("docx", WORD + "document.main+xml", MACRO.format("word.document")),
    "dotx": ("docx", WORD + "document.main+xml", WORD + "template.main+xml"),
    "xlsm": ("xlsx", EXCEL + "sheet.main+xml", MACRO.format("excel.sheet")),
    "xltx": ("xlsx", EXCEL + "sheet.main+xml", EXCEL + "template.main+xml"),
    "pptm": ("pptx", POINT + "presentation.main+xml", MACRO.format("powerpoint.presentation")),
    "ppsx": ("pptx", POINT + "presentation.main+xml", POINT + "slideshow.main+xml"),
    "potx": ("pptx", POINT + "presentation.main+xml", POINT + "template.main+xml"),
    "ots": ("ods", "opendocument.spreadsheet", "opendocument.spreadsheet-template"),
    "otp": ("odp", "opendocument.presentation", "opendocument.presentation-template"),
    "ott": ("odt", "opendocument.text", "opendocument.text-template"),
}

# Taken under the name of another. A text is one whatever it says, and each of these is text; programs write documents without
# macros, and presentations that are not shows, under the other name. Containers of films don't tell what is in them.
MARKUP = {"md", "rst", "org", "textile", "wiki", "dokuwiki", "creole", "jira", "t2t", "twiki", "tikiwiki", "vimwiki", "muse", "haddock", "tex", "man", "ipynb"}
ROOTED = {"docbook", "jats", "opml", "fb2"}
SUBTITLES = {"srt", "vtt", "ass", "ssa", "lrc", "sub", "mpl2", "smi", "sbv", "jss", "pjs", "aqt", "scc"}
OFFICE_XML = {"wordml", "xlml", "uos", "uop", "abw", "vdx", "mml"}
TEXTS = {"txt", "csv", "tsv", "602", "html", "rtf", "svg", "fodt", "fods", "fodp", "fodg", "xbm", "xpm", "warc", "pfa", "sfd", "bdf"} | MARKUP | ROOTED | OFFICE_XML | SUBTITLES | {"bib", "csljson"}
ALIKE = [{"mp4", "mov", "m4a", "m4b", "m4r", "m4v", "3gp", "3g2", "f4v"}, {"mkv", "mka", "webm", "weba"}, {"rm", "ra"}, {"ass", "ssa"}, {"jpg", "mpo", "mjpeg"}, {"jp2", "jpx"}, {"ppm", "pgm", "pbm", "pnm"}, {"wmv", "wma", "asf"}, {"ogg", "oga", "opus", "spx", "ogv"}, {"mpg", "vob"}, {"mp3", "mp2"},
         {"ac3", "eac3"}, {"ts", "m2ts"}, {"docbook", "jats"},
         {"tbz2", "bz2"}, {"txz", "xz"}, {"tzst", "zst"}, {"tlz4", "lz4"}, {"tlz", "lz"}]
ALSO = {("apng", "png"), ("m2v", "mpg")}  # not the other way round
# Documents and packages that are ZIP archives, or gzip, may be taken for no more than that.
ZIPS = set("docx docm dotx dotm xlsx xlsm xltx xltm xlsb pptx pptm ppsx potx ppsm potm vsdx odt ott oth ods ots odp otp odg otg odf sxw stw sxc stc sxi sxd sxm epub jar apk xpi vsix ora kra".split())
ARCHIVES = {(name, "zip") for name in ZIPS} | {(name, "gz") for name in ("tgz", "zabw", "gnumeric", "emz", "wmz")} | {("deb", "ar")}
# What is OpenType may hold TrueType's outlines, or none but bitmaps; some fonts are text.
FONTS = {("ttf", "otf"), ("ttf", "otb"), ("otf", "otb"), ("otb", "ttf"), ("otb", "otf")}
MUST = {("docx", "docm"), ("xlsx", "xlsm"), ("pptx", "pptm"), ("pptx", "ppsx")}
DRAWN = {("eps", "ps")}  # it is PostScript
FAMILY = {(text, name) for text in TEXTS for name in {"txt", "csv", "tsv"} | MARKUP} | {(text, "html") for text in MARKUP | SUBTITLES} | {
    (a, b) for group in ALIKE for a in group for b in group} | ALSO | MUST | ARCHIVES | FONTS | DRAWN


def flat(kind, body):
    names = " ".join(f'xmlns:{p}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for p, n in (
        ("office", "office"), ("draw", "drawing"), ("text", "text"), ("svg", "svg-compatible")))
    return (f'<?xml version="1.0" encoding="UTF-8"?><office:document {names} office:version="1.3" '
            f'office:mimetype="application/vnd.oasis.opendocument.{kind}"><office:body>{body}</office:body></office:document>').encode()


def drawn(kind, element):
    return flat(kind, f'<office:{element}><draw:page draw:name="p"><draw:frame svg:width="5cm" svg:height="2cm"><draw:text-box>'
                f"<text:p>Hello</text:p></draw:text-box></draw:frame></draw:page></office:{element}>")


def psd():
    return b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 4, 4, 8, 3) + struct.pack(">III", 0, 0, 0) + struct.pack(">H", 0) + bytes(48)


MADE = {"docx": docx(), "csv": b"a,b\n1,2\n", "fodp": drawn("presentation", "presentation"), "fodg": drawn("graphics", "drawing"), "png": png(),
        "pdf": pdf(), "psd": psd(), "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="5" height="5"/></svg>'}


def retyped(package, was, now):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as z, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as to:
        for info in z.infolist():
            data = z.read(info)
            if info.filename in ("[Content_Types].xml", "mimetype", "META-INF/manifest.xml"):
                data = data.replace(was.encode(), now.encode())
            to.writestr(info.filename, data, zipfile.ZIP_STORED if info.filename == "mimetype" else None)
    return out.getvalue()


@pytest.fixture(scope="session")
def catalogue(server):
    return {id: f for id, f in requests.get(server.url + "/formats", timeout=60).json()["formats"].items() if "targets" in f and f["targets"]}


# Samples of all under all names would be 90,000 uploads. Each time other ones are tried, and all with DECANT_TYPES=all.
SEED = os.environ.get("DECANT_TYPES", secrets.token_hex(4))
SAMPLES, NAMES = 40, 14


def some(of, count, *seed):
    return set(of) if SEED == "all" else set(random.Random(f"{SEED} {seed}").sample(sorted(of), min(count, len(of))))


@pytest.fixture(scope="session")
def chosen(catalogue):
    """The formats that there is a sample of: by lot, what these are made of, and what others have to be taken for."""
    chosen = some(catalogue, SAMPLES) | set(MADE) | {"xlsx"} | {source for source, _ in MUST}
    return chosen | {package for id, (package, _, _) in DERIVED.items() if id in chosen}


@pytest.fixture(scope="session")
def samples(server, catalogue, chosen, tmp_path_factory):
    """One file of each that is chosen, documents and pictures by our own engines, the others by stock tools."""
    samples, client = dict(MADE), Client(server.url)
    client.init()
    for source in ("docx", "csv", "xlsx", "fodp", "fodg", "png"):
        for target in catalogue[source]["targets"]:
            if target in chosen and target not in samples:
                samples[target] = client.result(f"a.{source}", samples[source], target)[1]
    client.close()
    for id in set(DERIVED) & chosen:
        package, was, now = DERIVED[id]
        samples[id] = retyped(samples[package], was, now)
    others = Sources(tmp_path_factory.mktemp("sources"))
    return samples | {id: others.path(id).read_bytes() for id in chosen if id not in samples}


# One speaks for all that are alike; the others have their own names alone.
SILENT = (MARKUP - {"md"}).union(*(sorted(group)[1:] for group in ALIKE))


def upload(client, name, data):
    """Waits where a server takes only so many in a minute."""
    deadline = time.monotonic() + 300
    while (answer := client.upload(name, data)).status_code == 429 and time.monotonic() < deadline:
        time.sleep(int(answer.headers["Retry-After"]))
    return answer


def test_there_is_a_sample_of_each(chosen, samples):
    print(f"DECANT_TYPES={SEED}")
    assert chosen - set(samples) == set()


def names_for(id, catalogue):
    must = {name for source, name in MUST if source == id}
    return [id, *some({name for name in catalogue if name != id and not {name, id} & SILENT}, NAMES, id) | must]


def test_nothing_passes_for_another(server, catalogue, samples):
    print(f"DECANT_TYPES={SEED}")

    def taken(id):
        client = Client(server.url)
        client.init()
        found = set()
        for name, f in ((name, catalogue[name]) for name in names_for(id, catalogue)):
            answer = upload(client, f"a.{f['extensions'][0]}", samples[id])
            if answer.status_code == 201:
                found.add((id, name))
            else:
                assert answer.status_code == 422 and answer.json()["code"] == "type_mismatch", answer.text
        client.close()
        return found

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = set().union(*pool.map(taken, samples))
    assert {(id, id) for id in samples} - found == set(), "refused under their own name"
    assert found - {(id, id) for id in samples} - FAMILY == set(), "taken under the name of another"
    assert MUST - found == set()
