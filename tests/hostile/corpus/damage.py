"""Good files cut and bent, and files that lie about their kind."""

import io
import struct
import zipfile

from . import add, case, solid_png
from .packages import docx, flat, image, odf, paragraph, xlsx, zipped
from .pdfs import page
from .rasters import gif

HONEST = "completed corrupt_input type_mismatch too_complex timed_out engine_crashed no_output password_required"
REFUSED = "type_mismatch"


def jpeg():
    """8 × 8 grey, by hand: one block of which only the DC is told."""
    table = b"\xff\xdb\x00\x43\x00" + bytes([16] * 64)
    huffman = b"\xff\xc4\x00\x15\x00\x01" + bytes(15) + b"\x00" + b"\xff\xc4\x00\x15\x10\x01" + bytes(15) + b"\x00"
    huffman = huffman.replace(b"\x00\x15", b"\x00\x14")
    return (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + table
            + b"\xff\xc0\x00\x0b\x08\x00\x08\x00\x08\x01\x01\x11\x00" + huffman + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x3f\xff\xd9")


GOOD = {
    "docx": (lambda: docx("".join(map(paragraph, "abcdefgh"))), "pdf"),
    "odt": (lambda: odf("odt", "<text:p>x</text:p>" * 20), "docx"),
    "xlsx": (lambda: xlsx('<row r="1"><c r="A1"><v>1</v></c></row>'), "csv"),
    "fodt": (lambda: flat("odt", "<text:p>x</text:p>" * 20), "pdf"),
    "rtf": (lambda: b"{\\rtf1\\ansi{\\fonttbl{\\f0 Arial;}}\\f0\\fs24 text\\par{\\b bold}\\par}", "odt"),
    "pdf": (page, "png"),
    "png": (lambda: solid_png((1, 2, 3)), "jpg"),
    "gif": (lambda: gif(1, 1, 3), "png"),
    "jpg": (jpeg, "png"),
    "svg": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="5" height="5"/></svg>', "png"),
}


def bend(data, random):
    """A few bits, wherever."""
    data = bytearray(data)
    for _ in range(random.randint(1, 12)):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(data)


for kind, (good, target) in GOOD.items():
    add(f"{kind}-cut", f"a.{kind}", target, HONEST,
        lambda c, kind=kind, good=good: good()[:c.random(kind).randrange(1, len(good()))])
    for n in range(2):
        add(f"{kind}-bent-{n}", f"a.{kind}", target, HONEST, lambda c, kind=kind, good=good, n=n: bend(good(), c.random(f"{kind} {n}")))

for kind in ("docx", "odt", "xlsx"):  # the same within an archive that is whole
    for n in range(3):
        def bent_inside(c, kind=kind, n=n):
            chance = c.random(f"{kind} inside {n}")
            with zipfile.ZipFile(io.BytesIO(GOOD[kind][0]())) as z:
                entries = [(name, z.read(name)) for name in z.namelist()]
            at = chance.choice([i for i, (name, _) in enumerate(entries) if name not in ("mimetype", "[Content_Types].xml")])
            entries[at] = (entries[at][0], bend(entries[at][1], chance))
            return zipped(entries)
        add(f"{kind}-bent-inside-{n}", f"a.{kind}", GOOD[kind][1], HONEST, bent_inside)

# --- other kinds under these names


def lies(c):
    png, txt, http = c.local()[1], c.local("txt")[1], c.remote()[0]
    return {
        "ps": f"%!PS\n({txt}) (r) file 1000 string readstring pop show showpage\n".encode(),
        "eps": f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n({txt}) run showpage\n".encode(),
        "mvg": f"push graphic-context\nviewbox 0 0 64 64\nimage over 0,0 64,64 'url({http})'\nimage over 0,0 0,0 '{png}'\npop graphic-context\n".encode(),
        "msl": f'<?xml version="1.0"?><image><read filename="{png}"/><write filename="/tmp/escaped"/></image>'.encode(),
        "hls": f"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1.0,\n{c.local('txt')[0]}\n{http}\n#EXT-X-ENDLIST\n".encode(),
        "html": f"<html><img src='{http}'></html>".encode(),
        "svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{c.local()[0]}"/></svg>'.encode(),
        "sct": b"push graphic-context\nfill 'url(https://127.0.0.1/\"|id; \")'\npop graphic-context\n",
        "elf": b"\x7fELF\x02\x01\x01" + bytes(100),
    }


for extension in ("png", "jpg", "gif", "tiff", "pdf", "docx", "svg"):
    target = "pdf" if extension not in ("pdf", "svg") else "png"
    for lie in ("ps", "eps", "mvg", "msl", "hls"):
        add(f"{lie}-as-{extension}", f"a.{extension}", target, REFUSED, lambda c, lie=lie: lies(c)[lie])
for lie in ("html", "svg", "sct", "elf"):
    add(f"{lie}-as-png", "a.png", "jpg", REFUSED, lambda c, lie=lie: lies(c)[lie])
for lie in ("tga", "ico"):  # formats without a mark of their own
    add(f"mvg-as-{lie}", f"a.{lie}", "png", REFUSED, lambda c: lies(c)["mvg"])
for lie in ("mvg", "msl", "hls", "ps"):  # to a text they are text
    add(f"{lie}-as-txt", "a.txt", "pdf", "completed type_mismatch", lambda c, lie=lie: lies(c)[lie])
add("ps-as-ps", "a.ps", "pdf", "corrupt_input", lambda c: lies(c)["ps"])
add("html-as-doc", "a.doc", "pdf", REFUSED, lambda c: lies(c)["html"])
add("svg-as-odt", "a.odt", "pdf", REFUSED, lambda c: lies(c)["svg"])
add("html-as-xls", "a.xls", "csv", REFUSED, lambda c: lies(c)["html"])
add("rtf-as-doc", "a.doc", "pdf", REFUSED, lambda c: b"{\\rtf1 x}")
