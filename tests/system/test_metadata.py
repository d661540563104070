"""What a picture's result tells besides its pixels."""

import struct

import pytest

from fixtures import png

MAKE, ARTIST, EXIF_IFD, GPS_IFD, ORIENTATION, DESCRIPTION = 0x010F, 0x013B, 0x8769, 0x8825, 0x0112, 0x010E
TAKEN, NOTE, COMMENT, LATITUDE = 0x9003, 0x927C, 0x9286, 0x0002
SECRETS = (b"SECRETNOTE", b"SECRETCOMMENT", b"SECRETPLACE", b"SECRETXMP", b"SECRETBEHIND", b"SECRETTHUMB", b"SECRETTEXT", b"SECRETAPP")


def directory(start, entries):
    """Entries are (tag, type, value): bytes of a text (2) or of anything (7), a short (3), a long (4), or a list of pairs (5)."""
    at, head, data = start + 2 + 12 * len(entries) + 4, b"", b""
    for tag, kind, value in sorted(entries):
        if kind == 3:
            count, raw = 1, struct.pack("<HH", value, 0)
        elif kind == 4:
            count, raw = 1, struct.pack("<I", value)
        elif kind == 5:
            count, raw = len(value), b"".join(struct.pack("<II", *pair) for pair in value)
        else:
            raw = value + (b"\0" if kind == 2 else b"")
            count, raw = len(raw), raw.ljust(4, b"\0")
        if len(raw) > 4:
            head += struct.pack("<HHII", tag, kind, count, at + len(data))
            data += raw + b"\0" * (len(raw) % 2)
        else:
            head += struct.pack("<HHI", tag, kind, count) + raw
    return struct.pack("<H", len(entries)) + head + struct.pack("<I", 0) + data


def exif(make=b"Acme Optics"):
    def build(sub, gps):
        main = directory(8, [(MAKE, 2, make), (ARTIST, 2, b"<?php SECRETTEXT ?>"), (DESCRIPTION, 2, b"SECRETTEXT"), (ORIENTATION, 3, 6),
                             (EXIF_IFD, 4, sub), (GPS_IFD, 4, gps)])
        detail = directory(sub, [(TAKEN, 2, b"2024:05:06 07:08:09"), (NOTE, 7, b"SECRETNOTE" * 3), (COMMENT, 7, b"ASCII\0\0\0SECRETCOMMENT")])
        place = directory(gps, [(1, 2, b"N"), (LATITUDE, 5, [(48, 1), (8, 1), (7, 1)]), (0x1b, 7, b"ASCII\0\0\0SECRETPLACE")])
        return main, detail, place

    main, detail, _ = build(0, 0)
    sub = 8 + len(main)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + b"".join(build(sub, sub + len(detail)))


def segment(marker, data):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


@pytest.fixture
def photo(client):
    """Lies on its side, and says more than it should."""
    jpeg = client.result("a.png", png(16, 12), "jpg", metadata=0)[1]
    return (jpeg[:2] + segment(0xE1, exif()) + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x>SECRETXMP</x>")
            + segment(0xE0, b"JFXX\0\x13SECRETTHUMB") + segment(0xE9, b"SECRETAPP") + segment(0xFE, b"SECRETTEXT") + jpeg[2:] + b"SECRETBEHIND")


@pytest.mark.parametrize("target", ["png", "webp", "tiff", "jp2", "avif"])
def test_date_and_camera_stay_and_the_rest_goes(client, photo, target):
    if target not in client.upload("a.jpg", photo).json()["targets"]:
        pytest.skip("this build does not write it")
    result = client.result("a.jpg", photo, target)[1]
    assert [s for s in SECRETS if s in result] == []
    assert b"<?php" not in result
    if target in ("webp", "avif"):
        assert b"Acme Optics" in result and b"2024:05:06 07:08:09" in result
    if target == "png":
        assert struct.unpack(">II", result[16:24]) == (12, 16), "not upright"
    nothing = client.result("a.jpg", photo, target, metadata=0)[1]
    assert b"Acme Optics" not in nothing and b"2024" not in nothing


def test_a_jpeg_in_a_pdf_has_no_metadata(client, photo):
    result = client.result("a.jpg", photo, "pdf")[1]
    assert b"\xff\xd8\xff" in result, "the picture was packed anew"
    assert [s for s in (*SECRETS, b"Acme Optics", b"Exif") if s in result] == []


def test_words_that_are_none_are_dropped(client, photo):
    for make in (b"<script>alert(1)</script>", b"%!PS", b"a;b", b"x" * 600):
        start = photo.index(b"\xff\xe1")
        end = start + 2 + struct.unpack(">H", photo[start + 2:start + 4])[0]
        result = client.result("a.jpg", photo[:start] + segment(0xE1, exif(make)) + photo[end:], "webp")[1]
        assert make not in result and b"2024:05:06 07:08:09" in result
