"""Pictures of the rarer formats: by ImageMagick, libvips. Those that no stock tool writes are put together here, each with the same two halves:
red on the left, blue on the right."""

import io
import struct
import subprocess
import zipfile
from itertools import groupby

# ImageMagick's names where they aren't ours.
MAGICK = {format: format for format in (
    "aai", "art", "avs", "cals", "cin", "dcx", "dds", "dpx", "exr", "j2k", "jbig", "jng", "miff", "mtv", "palm", "pam", "pcd", "pcx", "pgx", "pnm", "ras", "rgf",
    "sgi", "vicar", "viff", "wbmp", "xbm", "xpm", "xwd")}
VIPS = ("fits", "hdr")


class Picture:
    """Bytes of red, green and blue, line by line."""

    def __init__(self, width, height, rgb):
        self.width, self.height, self.rgb = width, height, rgb

    def at(self, x, y):
        start = 3 * (y * self.width + x)
        return self.rgb[start:start + 3]

    def line(self, y, order="rgb"):
        """In the order of the letters (x: nothing)."""
        return b"".join(bytes(((*self.at(x, y), 255, 0)["rgbax".index(letter)]) for letter in order) for x in range(self.width))

    def pixels(self, order="rgb"):
        return b"".join(self.line(y, order) for y in range(self.height))

    def runs(self, values):
        """[(how often, which)] of what follows itself, 128 times at most."""
        return [(len(part), value) for value, same in groupby(values) for whole in [list(same)] for part in (whole[i:i + 128] for i in range(0, len(whole), 128))]


HALVES = Picture(96, 64, (b"\xff\0\0" * 48 + b"\0\0\xff" * 48) * 64)


def written(png, width=240, height=80):
    """The word of that PNG, on a ground of that size."""
    return Picture(width, height, subprocess.run(["convert", png, "-gravity", "center", "-background", "white", "-extent", f"{width}x{height}", "-depth", "8", "rgb:-"],
                                                 check=True, capture_output=True, timeout=300).stdout)


def cur(icon):
    """A cursor is an icon that says it is one, and where it points."""
    data = bytearray(icon)
    data[2] = 2
    for entry in range(struct.unpack_from("<H", data, 4)[0]):
        struct.pack_into("<HH", data, 6 + 16 * entry + 4, 3, 5)
    return bytes(data)


def mpo(jpg):
    """Two views of the same in one file (CIPA DC-007), the second behind the end of the first."""
    first = jpg[:2] + b"\xff\xe2\x00\x08MPF\0\0\0" + jpg[2:]
    return first + jpg


def pfm(picture):
    """Amounts of light from 0 to 1, the lowest line first."""
    lines = (picture.line(y) for y in reversed(range(picture.height)))
    return b"PF\n%d %d\n-1.0\n" % (picture.width, picture.height) + b"".join(struct.pack("<f", value / 255) for line in lines for value in line)


def pix(picture):
    """Alias: big-endian sizes, then runs of a count and blue, green, red."""
    lines = (picture.runs(picture.at(x, y) for x in range(picture.width)) for y in range(picture.height))
    runs = b"".join(bytes((count, *reversed(colour))) for line in lines for count, colour in line)
    return struct.pack(">HHHHH", picture.width, picture.height, 0, 0, 24) + runs


def psb(picture):
    """As a PSD, but for the version and a length of eight bytes; not packed, plane by plane."""
    planes = b"".join(picture.pixels(letter) for letter in "rgb")
    return b"8BPS" + struct.pack(">H6xHIIHH", 2, 3, picture.height, picture.width, 8, 3) + struct.pack(">IIQ", 0, 0, 0) + bytes(2) + planes


def rle(picture):
    """The Utah Raster Toolkit's: runs for each line, the lowest first, and channel."""
    head = b"\x52\xcc" + struct.pack("<HHHH", 0, 0, picture.width, picture.height) + bytes((2, 3, 8, 0, 0, 0))
    lines = b""
    for y in reversed(range(picture.height)):
        for channel in range(3):
            lines += bytes((2, channel))
            for count, value in picture.runs(picture.line(y, "rgb"[channel])):
                lines += bytes((6, count - 1)) + struct.pack("<H", value)
        lines += b"\x01\x01"
    return head + lines + b"\x07\x00"


def scr(picture):
    """256 × 192: a bit for each dot, in the order of a Spectrum's screen, and a colour for what is set in each 8 × 8 of them."""
    if picture is HALVES:
        return b"\xff" * 6144 + bytes(2 if column < 16 else 1 for _ in range(24) for column in range(32))
    dots = bytearray(6144)
    for y in range(192):
        for x in range(256):
            if picture.at(x, y)[0] < 128:
                dots[(y & 0xC0) << 5 | (y & 7) << 8 | (y & 0x38) << 2 | x >> 3] |= 0x80 >> (x & 7)
    return bytes(dots) + bytes((0x78,)) * 768  # black on white


def tim(picture):
    """24 bits a pixel, counted in words of 16."""
    return struct.pack("<IIIHHHH", 16, 3, 12 + len(picture.rgb), 0, 0, picture.width * 3 // 2, picture.height) + picture.rgb


MADE = {"pfm": pfm, "pix": pix, "psb": psb, "rle": rle, "scr": scr, "tim": tim}


def make_written(sources, format, path):
    """To be read by OCR: nothing but the word is on it. False: the usual fixture is like that."""
    png = sources.path("png")
    if format in MADE:
        path.write_bytes(MADE[format](written(png, *((256, 192) if format == "scr" else ()))))
    elif format in MAGICK or format == "gif":
        subprocess.run(["convert", png, f"{MAGICK.get(format, format)}:{path}"], check=True, capture_output=True, timeout=300)
    else:
        return False
    return True


def painting(mimetype, member, text, png):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", mimetype, zipfile.ZIP_STORED)
        archive.writestr(member, text)
        archive.writestr("data/layer0.png", png)
        archive.writestr("mergedimage.png", png)
    return out.getvalue()


PAINTINGS = {
    "ora": ("image/openraster", "stack.xml", '<?xml version="1.0" encoding="UTF-8"?>\n<image version="0.0.3" w="96" h="64"><stack><layer name="one" src="data/layer0.png"/></stack></image>'),
    "kra": ("application/x-krita", "maindoc.xml", '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE DOC PUBLIC \'-//KDE//DTD krita 2.0//EN\' \'http://www.calligra.org/DTD/krita-2.0.dtd\'>\n'
            '<DOC xmlns="http://www.calligra.org/DTD/krita" editor="Krita" syntaxVersion="2.0"><IMAGE width="96" height="64" mime="application/x-kra" name="one"/></DOC>')}
FORMATS = {*PAINTINGS, *MAGICK, *VIPS, *MADE, "cur", "ff", "icns", "qoi", "jpx", "mpo"}


def make(sources, format, path):
    def run(*words):
        subprocess.run([str(word) for word in words], check=True, capture_output=True, timeout=300)

    if format in MAGICK:
        run("convert", sources.path("png"), "-fill", "black", "-draw", "rectangle 0,0 47,63", f"{MAGICK[format]}:{path}")
    elif format in VIPS:
        run("vips", "copy", sources.path("png"), path)
    elif format in MADE:
        path.write_bytes(MADE[format](HALVES))
    elif format in PAINTINGS:
        path.write_bytes(painting(*PAINTINGS[format], sources.path("png").read_bytes()))
    elif format == "qoi":
        run("ffmpeg", "-v", "error", "-y", "-i", sources.path("png"), path)
    elif format == "ff":
        with sources.path("png").open("rb") as png:
            path.write_bytes(subprocess.run(["png2ff"], stdin=png, check=True, capture_output=True, timeout=300).stdout)
    elif format == "icns":
        square = path.with_suffix(".square.png")
        run("convert", sources.path("png"), "-resize", "48x48!", "-depth", "8", f"png32:{square}")
        run("png2icns", path, square)
    elif format == "jpx":
        path.write_bytes(sources.path("jp2").read_bytes().replace(b"ftypjp2 ", b"ftypjpx ", 1))
    else:
        path.write_bytes({"cur": cur, "mpo": mpo}[format](sources.path({"cur": "ico", "mpo": "jpg"}[format]).read_bytes()))
