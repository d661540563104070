"""Fonts that are cut off, claim too much, overlap, loop, or bring a program along."""

import struct
import sys
import zlib
from functools import lru_cache
from pathlib import Path

from . import add, case

sys.path.append(str(Path(__file__).parents[2] / "catalogue"))
import sources_fonts  # noqa: E402

DAMAGED = "completed corrupt_input too_complex engine_crashed no_output timed_out type_mismatch"


@lru_cache
def seed(format):
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{format}.{format}"
        sources_fonts.make(format, path)
        return path.read_bytes()


def sfnt(tables, version=b"\0\1\0\0"):
    """A font of these tables: {tag: bytes}, or (offset, length) that lie."""
    at, entries, data = 12 + 16 * len(tables), b"", b""
    for tag, table in sorted(tables.items()):
        place = table if isinstance(table, tuple) else (at + len(data), len(table))
        entries += tag + struct.pack(">III", 0, *place)
        if not isinstance(table, tuple):
            data += table + bytes(-len(table) % 4)
    return version + struct.pack(">HHHH", len(tables), 16, 0, 0) + entries + data


def woff(tables):
    """WOFF whose entries are (tag, packed, length that it claims)."""
    at, entries, data = 44 + 20 * len(tables), b"", b""
    for tag, packed, length in tables:
        entries += tag + struct.pack(">IIII", at + len(data), len(packed), length, 0)
        data += packed + bytes(-len(packed) % 4)
    return b"wOFF\0\1\0\0" + struct.pack(">IHHIHHIIIII", at + len(data), len(tables), 0, 12, 1, 0, 0, 0, 0, 0, 0) + entries + data


add("woff-bomb", "a.woff", "ttf", "too_complex", lambda c: woff([(b"glyf", zlib.compress(bytes(300 << 20)), 300 << 20)]))
add("woff-many-bombs", "a.woff", "woff2", "too_complex", lambda c: woff([(b"t%03d" % i, b"x", 0xf0000000) for i in range(200)]))
add("woff-length-lies", "a.woff", "ttf", "corrupt_input", lambda c: woff([(b"glyf", zlib.compress(bytes(1 << 20)), 1000)]))
add("woff-table-outside", "a.woff", "ttf", "corrupt_input too_complex", lambda c: seed("woff")[:44] + b"\xff" * 20 + seed("woff")[64:])
add("woff-many-tables", "a.woff", "ttf", "corrupt_input", lambda c: b"wOFF\0\1\0\0" + struct.pack(">IHH", 0xffffffff, 0xffff, 0) + bytes(100))
add("ttf-table-twice", "a.ttf", "woff", "corrupt_input", lambda c: b"\0\1\0\0" + struct.pack(">HHHH", 2, 16, 0, 0) + (b"glyf" + struct.pack(">III", 0, 0, 10)) * 2 + bytes(20))
add("ttf-tables-overlap", "a.ttf", "otf", DAMAGED, lambda c: sfnt({tag: (0, 60) for tag in (b"cmap", b"glyf", b"head", b"hhea", b"hmtx", b"loca", b"maxp", b"name", b"post")}) + bytes(60))
add("ttf-tables-claim", "a.ttf", "woff", "corrupt_input too_complex", lambda c: sfnt({b"glyf": (12, 0xfffffff0), b"head": (0xfffffff0, 0xfffffff0)}))
add("ttc-font-outside", "a.ttc", "ttf", "corrupt_input", lambda c: b"ttcf\0\1\0\0" + struct.pack(">II", 1, 0xfffffffe) + bytes(20))
add("ttc-of-itself", "a.ttc", "ttf", "corrupt_input", lambda c: b"ttcf\0\1\0\0" + struct.pack(">II", 0xffffffff, 0) + bytes(20))
add("eot-size-lies", "a.eot", "ttf", "corrupt_input", lambda c: struct.pack("<II", 200, 0xffffffff) + bytes(26) + b"LP" + bytes(164))
add("woff2-absurd-size", "a.woff2", "ttf", "corrupt_input too_complex engine_crashed", lambda c: b"wOF2\0\1\0\0" + struct.pack(">IHHIIHHIIIII", 200, 1, 0, 0xfffffff0, 100, 1, 0, 0, 0, 0, 0, 0) + b"\x0a\x8f\xff\xff\xff\x7f" + bytes(146))
add("woff2-cut-off", "a.woff2", "ttf", "corrupt_input engine_crashed", lambda c: seed("woff2")[:-3000])


@case("sfd-pickle", "a.sfd", "ttf", "corrupt_input")
def _(c):
    """What FontForge would hand to Python."""
    return seed("sfd").replace(b"\nVersion:", b"\nPickledData: \"cposix\nsystem\n(S'cat " + c.local("txt")[1].encode() + b" > /tmp/escaped'\ntR.\"\nVersion:", 1)


@case("sfd-references-in-a-circle", "a.sfd", "ttf", DAMAGED)
def _(c):
    data = seed("sfd")
    at = data.index(b"StartChar: A\n")
    fore = data.index(b"Fore\n", at) + 5
    return data[:fore] + b"Refer: 35 65 N 1 0 0 1 0 0 2\nRefer: 36 66 N 1 0 0 1 0 0 2\n" + data[fore:]


add("sfd-of-many-letters", "a.sfd", "ttf", DAMAGED, lambda c: seed("sfd").replace(b"BeginChars: ", b"BeginChars: 2147483647 2147483647\n#", 1))
add("pfa-reads-a-file", "a.pfa", "ttf", "corrupt_input engine_crashed completed", lambda c: b"%!PS-AdobeFont-1.0: X\n(" + c.local("txt")[1].encode() + b") run (" + c.local("txt")[1].encode() + b") (r) file 9999 string readstring pop ==\n")
add("pfa-loops", "a.pfa", "ttf", DAMAGED, lambda c: b"%!PS-AdobeFont-1.0: X\n{ } loop\n" + b"{" * 100_000)
add("pfb-segment-lies", "a.pfb", "ttf", DAMAGED, lambda c: b"\x80\x01\xff\xff\xff\x7f" + seed("pfb")[6:])
add("dfont-map-outside", "a.dfont", "ttf", "type_mismatch corrupt_input engine_crashed", lambda c: seed("dfont")[:4] + b"\0\xff\xff\xf0" + seed("dfont")[8:])
add("bdf-huge", "a.bdf", "otb", DAMAGED, lambda c: sources_fonts.bdf().replace("BBX 8 8 0 0", "BBX 60000 60000 0 0").encode())
add("bdf-huge-as-pcf", "a.bdf", "pcf", DAMAGED, lambda c: sources_fonts.bdf().replace("BBX 8 8 0 0", "BBX 60000 60000 0 0").encode())
add("bdf-claims-letters", "a.bdf", "pcf", DAMAGED, lambda c: sources_fonts.bdf().replace("CHARS 95", "CHARS 2147483647").encode())
add("gzip-as-ttf", "a.ttf", "otf", "type_mismatch", lambda c: b"\x1f\x8b\x08" + bytes(100))


def damaged(format, seed_number, context):
    data, chance = bytearray(seed(format)), context.random(f"font {format} {seed_number}")
    for _ in range(1 + 8 * seed_number):
        data[chance.randrange(4, len(data))] = chance.randrange(256)
    return bytes(data)


for format in ("ttf", "otf", "woff", "woff2", "ttc", "pfb", "sfd", "dfont"):
    for i in range(3):
        add(f"{format}-font-changed-{i}", f"a.{format}", "otf" if format in ("ttf", "sfd") else "ttf", DAMAGED, lambda c, format=format, i=i: damaged(format, i, c))
