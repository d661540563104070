"""Pictures of the rarer formats: by ImageMagick, libvips. Those that no stock tool writes are put together here, each with the same two halves:
red on the left, blue on the right."""

import io
import struct
import subprocess
import zipfile

# ImageMagick's names where they aren't ours.
MAGICK = {format: format for format in (
    "aai", "art", "avs", "cals", "cin", "dcx", "dds", "dpx", "exr", "j2k", "jbig", "jng", "miff", "mtv", "palm", "pam", "pcd", "pcx", "pgx", "pnm", "ras", "rgf",
    "sgi", "vicar", "viff", "wbmp", "xbm", "xpm", "xwd")}
VIPS = ("fits", "hdr")
WIDTH, HEIGHT = 96, 64
RED, BLUE = (255, 0, 0), (0, 0, 255)


def colour(x):
    return RED if x < WIDTH // 2 else BLUE


def pixels(order="rgb"):
    """Bytes of all lines, in the order of the letters (x: nothing)."""
    return bytes((*colour(x), 255, 0)["rgbax".index(letter)] for _ in range(HEIGHT) for x in range(WIDTH) for letter in order)


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


def pfm():
    """Amounts of light from 0 to 1, the lowest line first."""
    return b"PF\n%d %d\n-1.0\n" % (WIDTH, HEIGHT) + b"".join(struct.pack("<f", value / 255) for value in pixels())


def pix():
    """Alias: big-endian sizes, then runs of a count and blue, green, red."""
    runs = b"".join(bytes((WIDTH // 2, *reversed(colour(x)))) for _ in range(HEIGHT) for x in (0, WIDTH // 2))
    return struct.pack(">HHHHH", WIDTH, HEIGHT, 0, 0, 24) + runs


def psb():
    """As a PSD, but for the version and a length of eight bytes; not packed, plane by plane."""
    planes = b"".join(pixels(letter) for letter in "rgb")
    return b"8BPS" + struct.pack(">H6xHIIHH", 2, 3, HEIGHT, WIDTH, 8, 3) + struct.pack(">IIQ", 0, 0, 0) + bytes(2) + planes


def rle():
    """The Utah Raster Toolkit's: for each line and channel the two halves as runs."""
    head = b"\x52\xcc" + struct.pack("<HHHH", 0, 0, WIDTH, HEIGHT) + bytes((2, 3, 8, 0, 0, 0))
    lines = b""
    for _ in range(HEIGHT):
        for channel in range(3):
            lines += bytes((2, channel))
            for x in (0, WIDTH // 2):
                lines += bytes((6, WIDTH // 2 - 1)) + struct.pack("<H", colour(x)[channel])
        lines += b"\x01\x01"
    return head + lines + b"\x07\x00"


def scr():
    """256 × 192: all dots set, in red ink on the left, in blue on the right."""
    return b"\xff" * 6144 + bytes(2 if column < 16 else 1 for _ in range(24) for column in range(32))


def tim():
    """24 bits a pixel, counted in words of 16."""
    return struct.pack("<IIIHHHH", 16, 3, 12 + len(pixels()), 0, 0, WIDTH * 3 // 2, HEIGHT) + pixels()


MADE = {"pfm": pfm, "pix": pix, "psb": psb, "rle": rle, "scr": scr, "tim": tim}
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
        path.write_bytes(MADE[format]())
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
