"""ZIP as a weapon, in the clothes of documents: what the directory says is enough to refuse each."""

import io
import struct
import zipfile
import zlib

from . import add, case
from .packages import docx, odf, paragraph

REFUSED = "type_mismatch"


def plus(data, *entries):
    """The archive with more members; an entry is (name or ZipInfo, data)."""
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for name, content in entries:
            z.writestr(name, content)
    return out.getvalue()


def plain(kind="docx"):
    return docx(paragraph("x")) if kind == "docx" else odf("odt", "<text:p>x</text:p>")


for kind in ("docx", "odt"):
    media = "word/media" if kind == "docx" else "Pictures"
    add(f"{kind}-ratio-bomb", f"a.{kind}", "pdf", REFUSED, lambda c, kind=kind, media=media:
        plus(plain(kind), *((f"{media}/{i}.xml", bytes(100_000_000)) for i in range(3))))
    add(f"{kind}-too-many-entries", f"a.{kind}", "pdf", REFUSED, lambda c, kind=kind, media=media:
        plus(plain(kind), *((f"{media}/{i}.xml", b"") for i in range(10001))))
    for name, path in {"dotdot": "../../../../tmp/escaped", "absolute": "/tmp/escaped", "backslash": "..\\..\\escaped",
                       "drive": "C:/escaped"}.items():
        add(f"{kind}-{name}-name", f"a.{kind}", "pdf", REFUSED, lambda c, kind=kind, path=path: plus(plain(kind), (path, b"x")))


@case("docx-main-part-bomb", "a.docx", "pdf", REFUSED)
def _(c):
    """A gigabyte of white space between two words."""
    data = plain()
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        entries = [(n, z.read(n)) for n in z.namelist()]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for name, content in entries:
            if name != "word/document.xml":
                z.writestr(name, content)
                continue
            with z.open(name, "w", force_zip64=True) as part:
                part.write(content.replace(b"</w:body>", b""))
                for _ in range(64):
                    part.write(b" " * (16 << 20))
                part.write(b"</w:body></w:document>")
    return out.getvalue()


@case("docx-lying-sizes", "a.docx", "pdf", "completed corrupt_input too_complex")
def _(c):
    """The directory says 100 bytes, the member inflates to 300 MB: to be seen only by inflating it."""
    data = bytearray(plus(plain(), ("word/theme/theme1.xml", bytes(300_000_000))))
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 24:entry + 28] = struct.pack("<I", 100)
    return bytes(data)


@case("docx-overlapping-entries", "a.docx", "pdf", REFUSED)
def _(c):
    """A hundred entries of the directory share one member: the quine-like bomb's trick."""
    data = plus(plain(), ("word/media/0.xml", bytes(10_000_000)))
    end = data.rindex(b"PK\x05\x06")
    entries, size, offset = struct.unpack("<HII", data[end + 10:end + 20])
    last = data.rindex(b"PK\x01\x02", 0, end)
    copies = b"".join(data[last:end].replace(b"media/0", b"media/" + bytes([65 + i % 26])) .replace(b".xml", b".%03d" % i) for i in range(100))
    tail = struct.pack("<HHII", entries + 100, entries + 100, size + len(copies), offset)
    return data[:end] + copies + data[end:end + 8] + tail + data[end + 20:]


@case("docx-duplicate-names", "a.docx", "pdf", REFUSED)
def _(c):
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return plus(plain(), ("word/document.xml", b"<other/>"))


@case("docx-duplicate-names-by-case", "a.docx", "pdf", REFUSED)
def _(c):
    """Part names are compared without case: the scanner reads one, the program the other."""
    return plus(plain(), ("WORD/Document.XML", b"<other/>"))


@case("odt-symlink", "a.odt", "pdf", REFUSED)
def _(c):
    info = zipfile.ZipInfo("Pictures/link.png")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return plus(plain("odt"), (info, c.local()[1]))


@case("docx-nested-zips", "a.docx", "pdf", "completed")
def _(c):
    inner = bytes(100_000)
    for i in range(8):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
            for n in range(4):
                z.writestr(f"{i}{n}.zip", inner)
        inner = out.getvalue()
    return plus(plain(), ("word/embeddings/a.zip", inner))


@case("docx-two-directories", "a.docx", "pdf", REFUSED)
def _(c):
    """Local headers tell another name than the directory: readers that stream see another document."""
    data = bytearray(plain())
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as z:
        at = z.getinfo("word/document.xml").header_offset
    data[at + 30:at + 47] = b"word/DOCUMENT.bin"
    return bytes(data)


@case("docx-two-archives", "a.docx", "pdf", REFUSED)
def _(c):
    """One archive behind the other."""
    return docx(paragraph("first")) + plain()


@case("odt-no-mimetype-first", "a.odt", "pdf", REFUSED)
def _(c):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(plain("odt"))) as z, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as to:
        for name in reversed(z.namelist()):
            to.writestr(name, z.read(name))
    return out.getvalue()


@case("docx-unknown-method", "a.docx", "pdf", "corrupt_input type_mismatch completed")
def _(c):
    data = bytearray(plain())
    for mark, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        i = data.rindex(mark)
        data[i + at:i + at + 2] = struct.pack("<H", 99)
    return bytes(data)


@case("docx-claims-entries", "a.docx", "pdf", REFUSED)
def _(c):
    data = bytearray(plain())
    end = data.rindex(b"PK\x05\x06")
    data[end + 8:end + 12] = struct.pack("<HH", 65534, 65534)
    return bytes(data)


@case("epub-as-docx", "a.docx", "pdf", REFUSED)
def _(c):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr("mimetype", "application/epub+zip")
    return out.getvalue()


@case("docx-deflate-garbage", "a.docx", "pdf", "corrupt_input type_mismatch")
def _(c):
    data = bytearray(plain())
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as z:
        at = z.getinfo("word/document.xml").header_offset + 30 + len("word/document.xml")
    data[at:at + 20] = zlib.compress(c.random("garbage").randbytes(20))[:20]
    return bytes(data)
