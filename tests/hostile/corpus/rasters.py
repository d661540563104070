"""Pictures with huge promises, pictures with endless frames, pictures with text bombs."""

import struct
import zlib

from . import add, case, png_file, solid_png

BOUNDED = "completed corrupt_input too_complex timed_out engine_crashed"
TOO_MUCH = "too_complex corrupt_input"


@case("png-huge", "a.png", "jpg", TOO_MUCH)
def _(c):
    return png_file(60000, 60000, (b"IDAT", zlib.compress(bytes(60000 * 3 + 1), 9)))


@case("png-largest", "a.png", "webp", TOO_MUCH)
def _(c):
    return png_file(2**31 - 1, 2**31 - 1, (b"IDAT", zlib.compress(bytes(1000))))


@case("png-tall", "a.png", "gif", TOO_MUCH + " completed")
def _(c):
    return png_file(1, 90_000_000, (b"IDAT", zlib.compress(bytes(100_000_000), 9)))


@case("png-ztxt-bomb", "a.png", "jpg", BOUNDED)
def _(c):
    text = zlib.compress(bytes(200_000_000), 9)
    return png_file(8, 8, *[(b"zTXt", b"Comment\0\0" + text)] * 20, (b"iCCP", b"x\0\0" + text),
                    (b"IDAT", zlib.compress((b"\0" + bytes(24)) * 8)))


@case("png-many-chunks", "a.png", "jpg", BOUNDED)
def _(c):
    return png_file(8, 8, *[(b"tEXt", b"k%d\0v" % i) for i in range(200000)], (b"IDAT", zlib.compress((b"\0" + bytes(24)) * 8)))


@case("png-idat-bomb", "a.png", "jpg", BOUNDED)
def _(c):
    """More rows than the header promised."""
    return png_file(8, 8, (b"IDAT", zlib.compress(bytes(500_000_000), 9)))


def gif(width, height, frames, delay=0):
    frame = (b"\x21\xf9\x04\x00" + struct.pack("<H", delay) + b"\x00\x00" + b"\x2c" + struct.pack("<HHHH", 0, 0, width, height) + b"\x00"
             + b"\x02\x02\x44\x01\x00")
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\x00\x00" + bytes(6) + frame * frames + b"\x3b"


add("gif-100000-frames", "a.gif", "webp", TOO_MUCH, lambda c: gif(1, 1, 100000))
add("gif-100000-frames-first", "a.gif", "png", "completed", lambda c: gif(1, 1, 100000))
add("gif-huge", "a.gif", "png", TOO_MUCH, lambda c: gif(65535, 65535, 1))
add("gif-huge-frames", "a.gif", "webp", TOO_MUCH, lambda c: gif(10000, 10000, 500))


@case("gif-endless-lzw", "a.gif", "png", BOUNDED)
def _(c):
    return (b"GIF89a" + struct.pack("<HH", 9000, 9000) + b"\x80\x00\x00" + bytes(6) + b"\x2c" + struct.pack("<HHHH", 0, 0, 9000, 9000) + b"\x00\x02"
            + (b"\xff" + b"\x24" * 255) * 20000 + b"\x00\x3b")


@case("webp-huge", "a.webp", "png", TOO_MUCH)
def _(c):
    """VP8L, 16384 × 16384 in a few bytes."""
    bits = 0x2F | (16383 << 8) | (16383 << 22)
    data = struct.pack("<Q", bits)[:5] + bytes(200)
    chunk = b"VP8L" + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def tiff(entries, data=b"", next_ifd=0):
    """Little-endian, one directory; entries are (tag, type, count, value)."""
    ifd = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in sorted(entries)) + struct.pack("<I", next_ifd)
    return b"II*\0" + struct.pack("<I", 8) + ifd + data


def image(width, height, strip=0, size=1):
    return [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, strip), (277, 3, 1, 1),
            (278, 4, 1, height), (279, 4, 1, size)]


add("tiff-huge", "a.tiff", "png", TOO_MUCH, lambda c: tiff(image(100000, 100000, 8, 100)))
add("tiff-largest", "a.tiff", "png", TOO_MUCH, lambda c: tiff(image(0xffffffff, 0xffffffff, 8, 0xffffffff)))
add("tiff-directory-loop", "a.tiff", "pdf", BOUNDED, lambda c: tiff(image(8, 8, 8, 64), bytes(64), next_ifd=8))


@case("tiff-10000-pages", "a.tiff", "pdf", BOUNDED)
def _(c):
    out = b"II*\0" + struct.pack("<I", 8)
    for i in range(10000):
        entries = image(8, 8, 8, 64)
        size = 2 + 12 * len(entries) + 4
        out += struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries)
        out += struct.pack("<I", len(out) + 4 if i < 9999 else 0)
        assert size
    return out + bytes(64)


@case("bmp-huge", "a.bmp", "png", TOO_MUCH)
def _(c):
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 2**30, 2**30, 1, 24, 0, 0, 0, 0, 0, 0)


@case("ico-many", "a.ico", "png", BOUNDED + " type_mismatch")
def _(c):
    picture = solid_png((1, 2, 3), side=16)
    count = 60000
    entries = b"".join(struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(picture), 6 + 16 * count) for _ in range(count))
    return struct.pack("<HHH", 0, 1, count) + entries + picture


@case("ico-png-bomb", "a.ico", "png", TOO_MUCH)
def _(c):
    picture = png_file(60000, 60000, (b"IDAT", zlib.compress(bytes(60000), 9)))
    return struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(picture), 22) + picture


@case("psd-huge", "a.psd", "png", TOO_MUCH)
def _(c):
    return b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 30000, 30000, 8, 3) + struct.pack(">III", 0, 0, 0) + struct.pack(">H", 1) + bytes(100)


@case("tga-huge", "a.tga", "png", TOO_MUCH)
def _(c):
    return struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, 65535, 65535, 24, 0) + b"\xff\x01\x02\x03" * 100


@case("ppm-huge", "a.ppm", "png", TOO_MUCH)
def _(c):
    return b"P6 1000000 1000000 255\n" + bytes(100)


@case("ppm-endless-comment", "a.ppm", "png", "type_mismatch")
def _(c):
    return b"P3 # " + b"x" * 5_000_000 + b"\n2 2 255 " + b"1 " * 12


@case("jpg-huge", "a.jpg", "png", TOO_MUCH)
def _(c):
    return (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00"
            b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + bytes(100) + b"\xff\xd9")


@case("jp2-huge", "a.jp2", "png", TOO_MUCH)
def _(c):
    box = lambda kind, data: struct.pack(">I", len(data) + 8) + kind + data  # noqa: E731
    side = 60000
    siz = struct.pack(">HHIIIIIIIIH", 0, side, side, 0, 0, side, side, 0, 0, 0, 1)
    siz = struct.pack(">HHIIIIIIIIHBBB", 41, 0, side, side, 0, 0, side, side, 0, 0, 1, 7, 1, 1)
    header = box(b"ihdr", struct.pack(">IIHBBBB", side, side, 1, 7, 7, 0, 0)) + box(b"colr", struct.pack(">BBBI", 1, 0, 0, 17))
    return (box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ") + box(b"jp2h", header)
            + box(b"jp2c", b"\xff\x4f\xff\x51" + siz + b"\xff\x90" + bytes(20)))
