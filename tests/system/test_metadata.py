"""What a picture's result tells besides its pixels."""

import itertools
import struct
import zlib

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


def exif(make=b"Acme Optics", artist=b"<?php SECRETTEXT ?>"):
    def build(sub, gps):
        main = directory(8, [(MAKE, 2, make), (ARTIST, 2, artist), (DESCRIPTION, 2, b"SECRETTEXT"), (ORIENTATION, 3, 6),
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
    if target in ("png", "webp", "avif"):
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


# --- each format that can carry something, as each that can

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><SECRETXMP/></x:xmpmeta>'
IPTC = b"\x1c\x02\x78" + struct.pack(">H", 10) + b"SECRETIPTC"  # a caption
PHOTOSHOP = b"8BIM\4\4\0\0" + struct.pack(">I", len(IPTC)) + IPTC + b"\0" * (len(IPTC) % 2)
KEPT = {MAKE: b"Acme Optics", ARTIST: b"Jane Doe", TAKEN: b"2024:05:06 07:08:09"}
HIDDEN = (*SECRETS, b"SECRETIPTC", b"Q\0u\0i\0e\0t", b"GPS")


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def telling_png(plain):
    raw = b"\niptc\n%8d\n%s\n" % (len(PHOTOSHOP), PHOTOSHOP.hex().encode())
    return (plain[:33] + png_chunk(b"eXIf", exif(artist=KEPT[ARTIST])[6:]) + png_chunk(b"tEXt", b"Comment\0SECRETCOMMENT")
            + png_chunk(b"tEXt", b"Author\0SECRETTEXT") + png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
            + png_chunk(b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(raw)) + png_chunk(b"prIv", b"SECRETAPP") + plain[33:])


def telling_jpg(plain):
    return (plain[:2] + segment(0xE1, exif(artist=KEPT[ARTIST])) + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)
            + segment(0xED, b"Photoshop 3.0\0" + PHOTOSHOP) + segment(0xFE, b"SECRETCOMMENT") + segment(0xE9, b"SECRETAPP") + plain[2:])


def riff(kind, data):
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def telling_webp(plain):
    width, height, has_exif, has_xmp, at = 16, 12, 8, 4, plain.index(b"VP8 ")
    pixels = plain[at:at + 8 + struct.unpack("<I", plain[at + 4:at + 8])[0]]
    body = (riff(b"VP8X", struct.pack("<I", has_exif | has_xmp) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]) + pixels
            + riff(b"EXIF", exif(artist=KEPT[ARTIST])[6:]) + riff(b"XMP ", XMP) + riff(b"prIv", b"SECRETAPP"))
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def telling_tiff(_):
    pixels = bytes((200, 30, 60)) * 16 * 12

    def build(strip, sub, gps):
        main = directory(8, [(256, 3, 16), (257, 3, 12), (258, 3, 8), (259, 3, 1), (262, 3, 2), (273, 4, strip), (277, 3, 3), (278, 3, 12),
                             (279, 4, len(pixels)), (MAKE, 2, KEPT[MAKE]), (ARTIST, 2, KEPT[ARTIST]), (DESCRIPTION, 2, b"SECRETTEXT"), (305, 2, b"SECRETTEXT"),
                             (700, 7, XMP), (33723, 7, IPTC), (34377, 7, PHOTOSHOP), (EXIF_IFD, 4, sub), (GPS_IFD, 4, gps), (65000, 7, b"SECRETAPP")])
        detail = directory(sub, [(TAKEN, 2, KEPT[TAKEN]), (NOTE, 7, b"SECRETNOTE" * 3)])
        return main, detail, directory(gps, [(1, 2, b"N"), (LATITUDE, 5, [(48, 1), (8, 1), (7, 1)]), (0x1b, 7, b"ASCII\0\0\0SECRETPLACE")])

    main, detail, place = build(0, 0, 0)
    sub = 8 + len(main)
    gps = sub + len(detail)
    strip = gps + len(place)
    # Samples of 8 bits; one number for all three is what baseline readers take.
    return b"II*\0" + struct.pack("<I", 8) + b"".join(build(strip, sub, gps)) + pixels


TELLING = {"png": telling_png, "jpg": telling_jpg, "webp": telling_webp, "tiff": telling_tiff}


def png_exif(data):
    at = 8
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"eXIf":
            return data[at + 8:at + 8 + size]
        at += size + 12
    return b""


def jpg_exif(data):
    at = 2
    while data[at + 1] != 0xda:
        size = struct.unpack(">H", data[at + 2:at + 4])[0]
        if data[at + 1] == 0xe1 and data[at + 4:at + 10] == b"Exif\0\0":
            return data[at + 10:at + 2 + size]
        at += 2 + size
    return b""


def webp_exif(data):
    at = 12
    while at < len(data):
        kind, size = struct.unpack("<4sI", data[at:at + 8])
        if kind == b"EXIF":
            return data[at + 8:at + 8 + size].removeprefix(b"Exif\0\0")
        at += 8 + size + size % 2
    return b""


EXIF_OF = {"png": png_exif, "jpg": jpg_exif, "webp": webp_exif, "tiff": lambda data: data}


def tags(block):
    """{tag: its text or its number} of a directory and of the one of the camera; of what is neither, nothing."""
    order = {b"II*\0": "<", b"MM\0*": ">"}[block[:4]]
    found, todo = {}, [struct.unpack(order + "I", block[4:8])[0]]
    while todo:
        at = todo.pop()
        for n in range(struct.unpack(order + "H", block[at:at + 2])[0]):
            entry = at + 2 + 12 * n
            tag, kind, count, value = struct.unpack(order + "HHII", block[entry:entry + 12])
            found[tag] = value if kind == 4 and count == 1 else None
            if kind == 2:
                found[tag] = block[value:value + count - 1] if count > 4 else block[entry + 8:entry + 8 + count - 1]
            if tag == EXIF_IFD:
                todo.append(value)
    return found


def plain_of(client, source):
    """A picture of that format with nothing but pixels."""
    return png() if source in ("png", "tiff") else client.result("a.png", png(), source, metadata=0)[1]


@pytest.mark.parametrize("source, target", itertools.permutations(["png", "jpg", "webp", "tiff"], 2))
def test_each_pair_keeps_what_it_can_and_nothing_else(client, source, target):
    data = TELLING[source](plain_of(client, source))
    assert all(secret in data for secret in (b"SECRETXMP", b"SECRETAPP", b"SECRETPLACE", b"SECRETNOTE"))
    result = client.result(f"a.{source}", data, target)[1]
    assert [secret for secret in HIDDEN if secret in result] == []
    block = EXIF_OF[target](result)
    found = tags(block) if block else {}
    assert GPS_IFD not in found and NOTE not in found and COMMENT not in found and DESCRIPTION not in found
    if "tiff" in (source, target):  # libvips reads and writes none of it there
        assert {tag for tag in KEPT if tag in found} == set()
    else:
        assert {tag: found.get(tag) for tag in KEPT} == KEPT
        assert (found[0xA002], found[0xA003]) == (12, 16), "the size is that of the picture, upright"
    nothing = client.result(f"a.{source}", data, target, metadata=0)[1]
    assert [secret for secret in (*HIDDEN, *KEPT.values()) if secret in nothing] == []
