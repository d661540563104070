"""Files of two kinds at once. They are refused, or what comes out of them carries nothing of the other kind: each holds the
canary's secret in that half, and the search for leaks looks for it in the result."""

import io
import struct
import zipfile
import zlib

from . import add, png_file, solid_png
from .damage import jpeg
from .packages import docx, odf, paragraph
from .pdfs import page
from .rasters import gif, image, tiff

REFUSED, DONE = "type_mismatch", "completed"


def php(c):
    return b"<?php system($_GET['" + c.secret.encode() + b"']); ?>"


def html(c):
    return f"<html><body><script>alert('{c.secret}')</script></body></html>".encode()


def script(c):
    return f"*/=1;alert('{c.secret}');/*".encode()


def jar(c):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr("META-INF/MANIFEST.MF", f"Main-Class: {c.secret}")
        z.writestr("A.class", b"\xca\xfe\xba\xbe")
    return out.getvalue()


def with_offsets_from(start, data):
    """The archive as it has to be with `start` bytes ahead of it."""
    data, at = bytearray(data), 0
    end = data.rindex(b"PK\5\6")
    while (at := data.find(b"PK\1\2", at)) >= 0:
        data[at + 42:at + 46] = struct.pack("<I", struct.unpack("<I", data[at + 42:at + 46])[0] + start)
        at += 4
    data[end + 16:end + 20] = struct.pack("<I", struct.unpack("<I", data[end + 16:end + 20])[0] + start)
    return bytes(data)


def behind(good, other):
    return good + with_offsets_from(len(good), other) if other[:2] == b"PK" else good + other


def webp():
    """1 x 1, without loss."""
    body = b"WEBPVP8L" + struct.pack("<I", 13) + bytes.fromhex("2f00000010071011118888fe07")
    return b"RIFF" + struct.pack("<I", len(body) + 1) + body + b"\0"


def bmp(size=58, pixel=b"\1\2\3\0"):
    return b"BM" + struct.pack("<IHHI", size, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 24, 0, 0, 0, 0, 0, 0) + pixel


def exif(tags):
    """A block of texts in the first directory: (tag, bytes)."""
    offset, entries, data = 8 + 2 + 12 * len(tags) + 4, b"", b""
    for tag, value in sorted(tags):
        value += b"\0"
        entries += struct.pack("<HHII", tag, 2, len(value), offset + len(data)) if len(value) > 4 else \
            struct.pack("<HHI4s", tag, 2, len(value), value)
        data += value + b"\0" * (len(value) % 2)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0) + data


def segment(marker, data):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


def in_jpeg(*segments):
    return jpeg()[:2] + b"".join(segments) + jpeg()[2:]


OTHERS = {"zip": jar, "html": html, "php": php, "pdf": lambda c: page() + c.secret.encode(),
          "rar": lambda c: b"Rar!\x1a\x07\x01\0" + c.secret.encode(), "7z": lambda c: b"7z\xbc\xaf\x27\x1c\0\4" + c.secret.encode(),
          "phar": lambda c: b"<?PHP __HALT_COMPILER(); ?>" + c.secret.encode(), "exe": lambda c: b"MZ\x90\0" + c.secret.encode(),
          "elf": lambda c: b"\x7fELF\2\1\1" + c.secret.encode(), "sh": lambda c: b"#!/bin/sh\necho " + c.secret.encode(),
          "padded-zip": lambda c: b"\0" * 5000 + jar(c), "padded-html": lambda c: b"x" * 100_000 + html(c)}
PICTURES = {"gif": (lambda: gif(1, 1, 1), "png"), "png": (lambda: solid_png((1, 2, 3)), "jpg"), "jpg": (jpeg, "png"), "webp": (webp, "png"),
            "bmp": (bmp, "png")}

for kind, (good, target) in PICTURES.items():
    add(f"{kind}-alone", f"a.{kind}", target, DONE, lambda c, good=good: good())
    for name, other in OTHERS.items():
        add(f"{kind}-and-{name}", f"a.{kind}", target, REFUSED,
            lambda c, good=good, other=other: behind(good(), other(c)))
for name in ("zip", "html", "php", "rar", "exe", "padded-zip"):
    add(f"pdf-and-{name}", "a.pdf", "txt", REFUSED, lambda c, other=OTHERS[name]: behind(page(), other(c)))
add("rtf-and-zip", "a.rtf", "odt", REFUSED, lambda c: behind(b"{\\rtf1 text}", jar(c)))
add("tiff-and-zip", "a.tiff", "png", REFUSED, lambda c: behind(tiff(image(8, 8, 122, 64), bytes(64)), jar(c)))
add("tiff-and-pdf", "a.tiff", "png", REFUSED, lambda c: tiff(image(8, 8, 122, 64), bytes(64)) + page())

# What cameras append: a film, further pictures.
add("jpg-and-film", "a.jpg", "png", DONE, lambda c: jpeg() + struct.pack(">I", 24) + b"ftypmp42\0\0\0\0isommp42" + c.secret.encode() * 99)
add("jpg-and-jpg", "a.jpg", "pdf", DONE, lambda c: jpeg() + in_jpeg(segment(0xfe, c.secret.encode())))

# Ahead: what is named a document begins with its own kind.
for kind, good in {"docx": lambda: docx(paragraph("x")), "odt": lambda: odf("odt", "<text:p>x</text:p>")}.items():
    for name, ahead in {"exe": b"MZ\x90\0" + bytes(60), "pdf": b"%PDF-1.4\n", "html": b"<html><!-- ", "script": b"#!/bin/sh\nexit\n",
                        "gif": b"GIF89a\1\0\1\0\0\0\0;", "png": solid_png((1, 2, 3)), "zip": b"PK\5\6" + bytes(18)}.items():
        add(f"{kind}-with-{name}-ahead", f"a.{kind}", "pdf", REFUSED,
            lambda c, good=good, ahead=ahead: ahead + with_offsets_from(len(ahead), good()))
        add(f"{kind}-with-{name}-pasted-ahead", f"a.{kind}", "pdf", REFUSED, lambda c, good=good, ahead=ahead: ahead + good())
    add(f"{kind}-and-html", f"a.{kind}", "pdf", REFUSED, lambda c, good=good: good() + html(c))
for name, ahead in {"html": b"<html><!--\n", "script": b"/*\n", "zip": jar, "nul": lambda c: b"\0" * 512, "exe": b"MZ\x90\0"}.items():
    add(f"pdf-with-{name}-ahead", "a.pdf", "png", REFUSED, lambda c, ahead=ahead: (ahead(c) if callable(ahead) else ahead) + page())
add("pdf-in-gif-comment", "a.gif", "png", REFUSED,
    lambda c: b"GIF89a\1\0\1\0\x80\0\0" + bytes(6) + b"!\xfe\x09%PDF-1.4\n\0" + gif(1, 1, 1)[19:])

# --- within: the format has room for it, and the result is made anew

def full_jpeg(c):
    return in_jpeg(
        segment(0xfe, php(c)), segment(0xe1, b"Exif\0\0" + exif([(0x010e, php(c)), (0x010f, php(c)), (0x0131, php(c)), (0x8298, html(c))])),
        segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + php(c) + b"</x:xmpmeta>"),
        segment(0xed, b"Photoshop 3.0\x008BIM\4\4\0\0" + struct.pack(">I", len(php(c)) + 5) + b"\x1c\2\x78" + struct.pack(">H", len(php(c))) + php(c)),
        segment(0xe2, b"ICC_PROFILE\0\1\1" + php(c)), segment(0xe5, php(c)), segment(0xe0, b"JFXX\0\x13" + php(c)))


def full_png(c):
    return png_file(
        8, 8, (b"tEXt", b"Comment\0" + php(c)), (b"zTXt", b"Title\0\0" + zlib.compress(php(c))),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + php(c) + b"</x:xmpmeta>"),
        (b"eXIf", exif([(0x010e, php(c)), (0x013b, php(c))])), (b"pHYs", struct.pack(">IIB", 2835, 2835, 1)), (b"ruBy", php(c)),
        (b"IDAT", zlib.compress((b"\0" + bytes(24)) * 8)))


def full_gif(c):
    return gif(1, 1, 1)[:19] + b"!\xfe" + bytes([len(php(c))]) + php(c) + b"\0" + gif(1, 1, 1)[19:]


for kind, full in {"jpg": full_jpeg, "png": full_png, "gif": full_gif}.items():
    for target in ("png", "pdf", "webp", "tiff", "jpg"):
        if target != kind:
            add(f"{kind}-with-php-to-{target}", f"a.{kind}", target, DONE, full)
add("gif-with-script", "a.gif", "png", DONE + " too_complex corrupt_input type_mismatch",
    lambda c: b"GIF89a/*\1\0\0\0\0" + b"!\xfe" + bytes([len(script(c))]) + script(c) + b"\0" + gif(1, 1, 1)[19:])
add("bmp-with-script", "a.bmp", "png", DONE + " corrupt_input", lambda c: bmp(struct.unpack("<I", b"/*\0\0")[0]) + script(c))
add("webp-with-php", "a.webp", "png", DONE, lambda c: (lambda body: b"RIFF" + struct.pack("<I", len(body)) + body)(
    webp()[8:] + b"PHP " + struct.pack("<I", len(php(c)) // 2 * 2 + 2) + php(c).ljust(len(php(c)) // 2 * 2 + 2, b" ")))
add("pdf-with-script-in-comment", "a.pdf", "html", DONE, lambda c: page().replace(b"\n", b"\n%" + html(c) + b"\n", 1))
add("svg-with-page", "a.svg", "png", DONE, lambda c: (
    "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9' onload=\"alert('" + c.secret + "')\"><script>alert('" + c.secret + "')</script>"
    "<foreignObject width='9' height='9'><body xmlns='http://www.w3.org/1999/xhtml'>" + c.secret + "</body></foreignObject></svg>").encode())
add("rtf-and-html", "a.rtf", "odt", DONE, lambda c: b"{\\rtf1 text}" + html(c))
add("docx-with-comment", "a.docx", "odt", DONE, lambda c: commented(docx(paragraph("x")), php(c)))
add("odt-with-comment", "a.odt", "docx", DONE, lambda c: commented(odf("odt", "<text:p>x</text:p>"), html(c)))


def commented(data, comment):
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a") as z:
        z.comment = comment
    return out.getvalue()


# A text may hold anything, and is no other kind by that.
for name, text in {"html": html, "php": php, "js": lambda c: script(c), "sh": OTHERS["sh"]}.items():
    add(f"txt-that-is-{name}", "a.txt", "png", DONE, lambda c, text=text: text(c).replace(c.secret.encode(), b"x"))
add("txt-that-is-pdf", "a.txt", "pdf", REFUSED, lambda c: page())
add("docx-with-macros", "a.docx", "pdf", REFUSED, lambda c: docx(
    paragraph("x"), parts=[("word/vbaProject.bin", b"\xd0\xcf\x11\xe0")], overrides=[("word/vbaProject.bin", "application/vnd.ms-office.vbaProject")]))
