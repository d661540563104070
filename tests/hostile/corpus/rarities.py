"""The rarer kinds of pictures: headers that promise more than any memory holds and bring next to nothing, loops and lists without an end, tables of colours as
large as they like, and drawings that grow while they are drawn into a PDF."""

import bz2
import io
import struct
import zipfile
import zlib

from . import add, case, chunk, png_file
from .rasters import BOUNDED, TOO_MUCH

HUGE = 2**32 - 1
FEW = bytes(100)


def promise(extension, make, ends=TOO_MUCH, name="huge", target="png"):
    add(f"{extension}-{name}", f"a.{extension}", target, ends, lambda c: make() + FEW)


def fields(size, **values):
    """A header of zeros but for these: at_OFFSET = bytes."""
    head = bytearray(size)
    for at, value in values.items():
        offset = int(at[3:])
        head[offset:offset + len(value)] = value
    return bytes(head)


def be(*numbers):
    return struct.pack(f">{len(numbers)}I", *numbers)


def le(*numbers):
    return struct.pack(f"<{len(numbers)}I", *numbers)


promise("cin", lambda: fields(2048, at_0=be(0x802A5FD7, 2048), at_192=b"\0\3", at_200=be(HUGE, HUGE)))
promise("dpx", lambda: fields(2048, at_0=b"SDPX" + be(2048), at_770=b"\0\1" + be(HUGE, HUGE), at_800=b"\x32\2\2\x10"))
promise("dpx", lambda: fields(2048, at_0=b"SDPX" + be(2048), at_770=b"\xff\xff" + be(9, 9), at_800=b"\x32\2\2\x10"), BOUNDED, "many-elements")
promise("dds", lambda: b"DDS " + fields(124, at_0=le(124, 0x1007, HUGE, HUGE), at_72=le(32, 4) + b"DXT1", at_104=le(0x1000)))
promise("dds", lambda: b"DDS " + fields(124, at_0=le(124, 0x21007, 8, 8), at_24=le(HUGE), at_72=le(32, 4) + b"DXT1", at_104=le(0x401008)), BOUNDED, "endless-mipmaps")
promise("j2k", lambda: b"\xff\x4f\xff\x51" + struct.pack(">HHIIIIIIIIHBBB", 41, 0, HUGE, HUGE, 0, 0, HUGE, HUGE, 0, 0, 1, 7, 1, 1) + b"\xff\x90")
promise("j2k", lambda: b"\xff\x4f\xff\x51" + struct.pack(">HHIIIIIIIIHBBB", 41, 0, 60000, 60000, 0, 0, 1, 1, 0, 0, 1, 7, 1, 1) + b"\xff\x90", name="tiles")
promise("jbig", lambda: bytes((0, 0, 1, 0)) + be(HUGE, HUGE, 1) + bytes((8, 0, 3, 0x1C)))
promise("jbig", lambda: bytes((31, 31, 32, 0)) + be(60000, 60000, 60000) + bytes((127, 127, 15, 0x7F)), BOUNDED, "planes")
promise("palm", lambda: struct.pack(">HHHHBBHBBH", 65535, 65535, 65535, 0x8000, 8, 2, 0, 0, 0, 0))
promise("pcx", lambda: fields(128, at_0=bytes((10, 5, 1, 8)) + struct.pack("<HHHH", 0, 0, 65535, 65535), at_65=b"\4\xff\xff"))
promise("dcx", lambda: le(0x3ADE68B1, *[4100 + i for i in range(1023)], 0), BOUNDED, "1023-pages")
promise("dcx", lambda: le(0x3ADE68B1, HUGE, HUGE), BOUNDED, "far-pages")
promise("ras", lambda: be(0x59A66A95, HUGE, HUGE, 32, HUGE, 2, 1, HUGE))
promise("ras", lambda: be(0x59A66A95, 16, 16, 8, HUGE, 2, 1, HUGE), BOUNDED, "colours")
promise("rle", lambda: b"\x52\xcc" + struct.pack("<HHHH", 0, 0, 65535, 65535) + bytes((2, 3, 8, 3, 16, 0)))
promise("sgi", lambda: struct.pack(">HBBHHHH", 474, 1, 2, 3, 65535, 65535, 65535) + bytes(500))
promise("tim", lambda: le(16, 2, 12 + 65535 * 65535 * 2 % 2**32, 0) + struct.pack("<HH", 65535, 65535), "type_mismatch")
promise("viff", lambda: fields(1024, at_0=b"\xab\1\1\3\2", at_520=be(HUGE, HUGE), at_556=be(1, 1, 3), at_572=be(1)))
promise("viff", lambda: fields(1024, at_0=b"\xab\1\1\3\2", at_520=be(16, 16), at_556=be(1, HUGE, 1), at_572=be(1, 0, 0, 1, 1, HUGE, HUGE)), BOUNDED, "maps")
promise("xwd", lambda: be(100, 7, 2, 24, HUGE, HUGE, 0, 0, 8, 0, 8, 24, HUGE, 4, 0xFF0000, 0xFF00, 0xFF, 8, 256, HUGE, HUGE, HUGE, 0, 0, 0))
promise("xwd", lambda: be(HUGE, 7, 2, 24, 4, 4, 0, 0, 8, 0, 8, 24, 12, 4, 0xFF0000, 0xFF00, 0xFF, 8, 256, 0, 4, 4, 0, 0, 0), BOUNDED + " type_mismatch", "header")
promise("pam", lambda: b"P7\nWIDTH 4294967295\nHEIGHT 4294967295\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n")
promise("pam", lambda: b"P7\nWIDTH 8\nHEIGHT 8\nDEPTH 4294967295\nMAXVAL 4294967295\n" + b"TUPLTYPE x\n" * 100000 + b"ENDHDR\n", BOUNDED, "depth")
promise("pfm", lambda: b"PF\n90000000 90000000\n-1.0\n", "type_mismatch")
promise("pfm", lambda: b"PF\n900000 900000\n-1.0\n", name="large")
promise("pnm", lambda: b"P6 1000000 1000000 65535\n")
promise("hdr", lambda: b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 4000000000 +X 4000000000\n")
promise("hdr", lambda: b"#?RADIANCE\n" + b"X=y\n" * 2_000_000 + b"\n-Y 4 +X 4\n", BOUNDED, "header")
promise("pgx", lambda: b"PG ML + 8 4294967295 4294967295\n")
promise("vicar", lambda: b"LBLSIZE=4096            FORMAT='BYTE'  NL=4294967295 NS=4294967295 NB=4294967295".ljust(4096))
promise("vicar", lambda: b"LBLSIZE=4294967295" + b" NS=8 NL=8 X='" + b"y" * 3_000_000 + b"'", BOUNDED, "label")
promise("xbm", lambda: b"#define a_width 4294967295\n#define a_height 4294967295\nstatic char a_bits[] = {\n0x00,\n", "type_mismatch")
promise("cals", lambda: b"".join(record.ljust(128) for record in (
    b"srcdocid: NONE", b"dstdocid: NONE", b"txtfilid: NONE", b"figid: NONE", b"srcgph: NONE", b"doccls: NONE", b"rtype: 1", b"rorient: 000,270", b"rpelcnt: 999999,999999",
    b"rdensty: 9999", b"notes: NONE")).ljust(2048), TOO_MUCH + " completed")
promise("pcd", lambda: fields(4096, at_2048=b"PCD_IPI\xff", at_3586=b"\xff\xff"), BOUNDED, "cut-off")
promise("psb", lambda: b"8BPS" + struct.pack(">H6xHIIHH", 2, 3, 300000, 300000, 8, 3) + be(0, 0) + struct.pack(">Q", 2**63 - 1))
promise("art", lambda: struct.pack("<HHHH", 0, 65535, 0, 65535), "type_mismatch")
promise("aai", lambda: le(HUGE, HUGE), "type_mismatch")
promise("wbmp", lambda: b"\0\0\x8f\xff\xff\xff\x7f\x8f\xff\xff\xff\x7f", "type_mismatch")
promise("mtv", lambda: b"99999999 99999999\n", "type_mismatch")


@case("exr-huge", "a.exr", "png", TOO_MUCH)
def _(c):
    def attribute(name, kind, value):
        return name + b"\0" + kind + b"\0" + le(len(value)) + value
    window = struct.pack("<iiii", -2**30, -2**30, 2**30, 2**30)
    channels = b"".join(name + b"\0" + le(1) + bytes(4) + le(1, 1) for name in (b"B", b"G", b"R")) + b"\0"
    return (b"\x76\x2f\x31\x01" + le(2) + attribute(b"channels", b"chlist", channels) + attribute(b"compression", b"compression", b"\3") + attribute(b"dataWindow", b"box2i", window)
            + attribute(b"displayWindow", b"box2i", window) + attribute(b"lineOrder", b"lineOrder", b"\0") + attribute(b"pixelAspectRatio", b"float", struct.pack("<f", 1))
            + attribute(b"screenWindowCenter", b"v2f", bytes(8)) + attribute(b"screenWindowWidth", b"float", struct.pack("<f", 1)) + b"\0" + FEW)


def fits(*cards):
    return b"".join(card.ljust(80) for card in (b"SIMPLE  =                    T", *cards, b"END")).ljust(2880) + FEW


add("fits-huge", "a.fits", "png", TOO_MUCH, lambda c: fits(b"BITPIX  =                    8", b"NAXIS   =                    2", b"NAXIS1  =           2147483647",
                                                         b"NAXIS2  =           2147483647"))
add("fits-many-axes", "a.fits", "png", TOO_MUCH, lambda c: fits(b"BITPIX  =                  -64", b"NAXIS   =                  999", *[b"NAXIS%-3d=                   99" % i for i in range(1, 999)]))


@case("fits-that-names-files", "a.fits", "png", TOO_MUCH)
def _(c):
    """What cfitsio takes from a name it must not take from a file."""
    return fits(b"BITPIX  =                    8", b"NAXIS   =                    0", b"EXTEND  =                    T", *[b"COMMENT " + url.encode()[:70] for url in c.everywhere("fits")],
                b"GRPLC1  = '" + c.remote("fits")[0].encode() + b"'")


def miff(**fields_):
    return b"id=ImageMagick  version=1.0\n" + b"".join(f"{name}={value}\n".encode() for name, value in fields_.items()) + b"\f\n:\x1a"


add("miff-huge", "a.miff", "png", TOO_MUCH, lambda c: miff(**{"class": "DirectClass"}, columns=HUGE, rows=HUGE, depth=16) + FEW)
add("miff-colours", "a.miff", "png", BOUNDED, lambda c: miff(**{"class": "PseudoClass"}, colors=HUGE, columns=8, rows=8, depth=16) + FEW)
add("miff-without-end", "a.miff", "png", BOUNDED, lambda c: b"id=ImageMagick\n" + b"x={" + b"y" * 5_000_000)
add("miff-profiles", "a.miff", "png", BOUNDED, lambda c: miff(columns=8, rows=8, **{f"profile:p{i}": HUGE for i in range(10000)}) + FEW)
add("miff-many", "a.miff", "png", BOUNDED, lambda c: (miff(**{"class": "DirectClass"}, columns=1, rows=1, depth=8) + bytes(3)) * 50000)
add("miff-zip-bomb", "a.miff", "png", BOUNDED, lambda c: miff(**{"class": "DirectClass"}, compression="Zip", columns=8000, rows=4000, depth=8) + zlib.compress(bytes(300_000_000), 9))
add("miff-bzip-bomb", "a.miff", "png", BOUNDED, lambda c: miff(**{"class": "DirectClass"}, compression="BZip", columns=8000, rows=4000, depth=8) + bz2.compress(bytes(300_000_000), 9))
add("miff-that-names-a-file", "a.miff", "png", BOUNDED, lambda c: miff(columns=8, rows=8, montage="8x8+0+0", directory="x", **{"exif:x": "@/etc/passwd", "label": "@/etc/passwd"}) + f"{c.folder}/canary.png\n".encode() * 8)


def xpm(width, height, colours, characters, lines):
    return (f'/* XPM */\nstatic char *a[] = {{\n"{width} {height} {colours} {characters}",\n').encode() + b"".join(b'"' + line + b'",\n' for line in lines) + b"};\n"


add("xpm-huge", "a.xpm", "png", TOO_MUCH, lambda c: xpm(HUGE, HUGE, 1, 1, [b"a c #fff", b"aaaa"]))
add("xpm-colours", "a.xpm", "png", TOO_MUCH, lambda c: xpm(4, 4, HUGE, 4, [b"aaaa c #fff"] * 20))
add("xpm-characters", "a.xpm", "png", TOO_MUCH, lambda c: xpm(4, 4, 2, HUGE, [b"aaaa c #fff"] * 20))
add("xpm-500000-colours", "a.xpm", "png", BOUNDED, lambda c: xpm(4, 4, 500000, 5, [b"%05x c #%06x" % (i, i) for i in range(500000)] + [b"00000000010000200003"] * 4))
add("xpm-named-colours", "a.xpm", "png", BOUNDED, lambda c: xpm(4, 4, 2, 1, [b"a c url(" + c.remote()[0].encode() + b")", b"b c @/etc/passwd"] + [b"abab"] * 4))


add("jng-huge", "a.jng", "png", TOO_MUCH, lambda c: b"\x8bJNG\r\n\x1a\n" + chunk(b"JHDR", be(HUGE, HUGE) + bytes((10, 8, 8, 0, 0, 0, 0, 0))) + chunk(b"JDAT", FEW) + chunk(b"IEND", b""))
add("cur-many", "a.cur", "png", BOUNDED + " type_mismatch", lambda c: struct.pack("<HHH", 0, 2, 60000) + b"".join(
    struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, 40, 6 + 16 * 60000) for _ in range(60000)) + struct.pack("<IiiHHIIiiII", 40, 20000, 40000, 1, 32, 0, 0, 0, 0, 0, 0))
add("mpo-huge", "a.mpo", "png", TOO_MUCH, lambda c: b"\xff\xd8\xff\xe2\x00\x08MPF\0\0\0\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + FEW + b"\xff\xd9")


promise("qoi", lambda: b"qoif" + be(HUGE, HUGE) + b"\4\0")
promise("qoi", lambda: b"qoif" + be(10000, 10000) + b"\4\0" + b"\xfd" * 1000, "corrupt_input", "cut-off")
promise("qoi", lambda: b"qoif" + be(3, 1) + b"\4\0\xff\1\2\3\4\xc0\x80", "completed corrupt_input", "short")
promise("ff", lambda: b"farbfeld" + be(HUGE, HUGE), TOO_MUCH + " type_mismatch")
promise("ff", lambda: b"farbfeld" + be(5000, 5000), "corrupt_input", "cut-off")


def icns(*pieces):
    body = b"".join(name + struct.pack(">I", len(data) + 8) + data for name, data in pieces)
    return b"icns" + struct.pack(">I", len(body) + 8) + body


add("icns-huge", "a.icns", "png", TOO_MUCH, lambda c: icns((b"ic10", png_file(60000, 60000, (b"IDAT", zlib.compress(bytes(60000), 9))))))
add("icns-many", "a.icns", "png", BOUNDED, lambda c: icns(*[(b"ic09", b"")] * 1_000_000))
add("icns-runs", "a.icns", "png", "corrupt_input", lambda c: icns((b"it32", bytes(4) + b"\xff\x01" * 100_000), (b"t8mk", bytes(9))))
add("icns-cut-runs", "a.icns", "png", "corrupt_input", lambda c: icns((b"is32", b"\x7f"), (b"s8mk", bytes(256))))


def painting(*members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "image/openraster", zipfile.ZIP_STORED)
        archive.writestr("stack.xml", '<image version="0.0.3" w="9" h="9"><stack><layer src="../../../../etc/passwd"/></stack></image>')
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


add("ora-huge", "a.ora", "png", TOO_MUCH, lambda c: painting(("mergedimage.png", png_file(60000, 60000, (b"IDAT", zlib.compress(bytes(60000), 9))))))
add("ora-empty", "a.ora", "png", "corrupt_input", lambda c: painting())
add("ora-no-picture", "a.ora", "png", "corrupt_input", lambda c: painting(("mergedimage.png", "<svg xmlns='http://www.w3.org/2000/svg'><image href='/etc/passwd'/></svg>")))
add("ora-link", "a.ora", "png", "type_mismatch", lambda c: painting((link("mergedimage.png"), f"{c.folder}/canary.png")))


def link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


# --- drawings as pages

def drawing(body, head="", size="64"):
    return f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{size}" height="{size}">{head}{body}</svg>'.encode()


@case("svg-pdf-use-bomb", "a.svg", "pdf", BOUNDED)
def _(c):
    levels = "".join(f'<g id="l{i}">' + f'<use href="#l{i - 1}"/>' * 10 + "</g>" for i in range(1, 12))
    return drawing('<use href="#l11"/>', f'<defs><g id="l0"><rect width="9" height="9"/></g>{levels}</defs>')


@case("svg-pdf-patterns", "a.svg", "pdf", BOUNDED)
def _(c):
    levels = "".join(f'<pattern id="p{i}" width="1" height="1" patternUnits="userSpaceOnUse"><rect width="9" height="9" fill="url(#p{i - 1})"/></pattern>' for i in range(1, 30))
    return drawing('<rect width="1e6" height="1e6" fill="url(#p29)"/>', f'<defs><pattern id="p0" width=".01" height=".01" patternUnits="userSpaceOnUse"><rect width="1" height="1"/></pattern>{levels}</defs>')


@case("svg-pdf-filters", "a.svg", "pdf", BOUNDED)
def _(c):
    blurs = "".join('<feGaussianBlur stdDeviation="5000"/><feMorphology operator="dilate" radius="5000"/><feTurbulence numOctaves="1000"/>' for _ in range(200))
    return drawing('<rect width="100%" height="100%" filter="url(#f)"/>', f'<filter id="f" x="-1000%" y="-1000%" width="9000%" height="9000%">{blurs}</filter>', "14000")


@case("svg-pdf-dashes", "a.svg", "pdf", BOUNDED)
def _(c):
    return drawing('<path d="M0 0H1e9" stroke="red" stroke-dasharray="1e-4 1e-4"/>')


@case("svg-pdf-huge", "a.svg", "pdf", BOUNDED)
def _(c):
    return drawing('<rect width="9" height="9"/>', size="1e30")
