"""What LibreOffice reads beyond its own formats and Microsoft's: numbers that are absurd, lengths that are lies, links and bombs; and each cut and bent."""

import gzip
import io
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from xml.sax.saxutils import quoteattr

sys.path.append(str(Path(__file__).parents[2] / "catalogue"))

import sources_office as made  # noqa: E402

from . import add, case  # noqa: E402
from .damage import HONEST, bend  # noqa: E402
from .packages import entities, zipped  # noqa: E402

DONE, REFUSED, BOUNDED = "completed", "type_mismatch", "completed too_complex timed_out engine_crashed corrupt_input no_output"


# --- OpenOffice.org 1


def sun(format, body, head=""):
    type = f"application/vnd.sun.xml.{made.SUN[format]}"
    return zipped([("mimetype", type), ("content.xml", made.XML + head + made.sun(format, body)),
                   ("META-INF/manifest.xml", f'{made.XML}<manifest:manifest xmlns:manifest="http://openoffice.org/2001/manifest"><manifest:file-entry '
                                             f'manifest:media-type="{type}" manifest:full-path="/"/></manifest:manifest>')])


@case("sxw-linked-pictures", "a.sxw", "pdf", DONE)
def _(c):
    return sun("sxw", "".join(f'<text:p><draw:image draw:name="i{i}" svg:width="2cm" svg:height="2cm" xlink:href={quoteattr(url)} xlink:type="simple" xlink:show="embed" '
                              'xlink:actuate="onLoad"/></text:p>' for i, url in enumerate(c.links())))


@case("sxw-linked-sections", "a.sxw", "txt", DONE)
def _(c):
    return sun("sxw", "".join(f'<text:section text:name="s{i}"><text:section-source xlink:href={quoteattr(url)}/><text:p>x</text:p></text:section>'
                              for i, url in enumerate(c.links("txt"))) + "<text:p>end</text:p>")


@case("sxc-linked-tables", "a.sxc", "csv", DONE)
def _(c):
    return sun("sxc", "".join(f'<table:table table:name="t{i}"><table:table-source xlink:href={quoteattr(url)} table:table-name="a"/><table:table-row><table:table-cell '
                              f'table:formula="=WEBSERVICE(&quot;{url}&quot;)"><text:p>x</text:p></table:table-cell></table:table-row></table:table>'
                              for i, url in enumerate(c.links("csv"))))


for how in ("bomb", "local"):
    add(f"sxw-entity-{how}", "a.sxw", "txt", REFUSED,
        lambda c, how=how: sun("sxw", "<text:p>&leak;</text:p>", entities("office:document-content", how if how == "bomb" else c.local("txt")[0])))
    for kind, root, text in (("abw", "abiword", made.ABIWORD.replace(made.TEXT, "&leak;")), ("mml", "math", made.MATHML.replace(made.TEXT, "&leak;"))):
        add(f"{kind}-entity-{how}", f"a.{kind}", "pdf", REFUSED,
            lambda c, how=how, root=root, text=text: (made.XML + entities(root, how if how == "bomb" else c.local("txt")[0]) + text.removeprefix(made.XML)).encode())
    add(f"zabw-entity-{how}", "a.zabw", "pdf", REFUSED, lambda c, how=how: gzip.compress(
        (made.XML + entities("abiword", how if how == "bomb" else c.local("txt")[0]) + made.ABIWORD.removeprefix(made.XML)).encode()))


@case("sxc-million-columns", "a.sxc", "pdf", BOUNDED)
def _(c):
    return sun("sxc", '<table:table table:name="t"><table:table-row table:number-rows-repeated="2000000000"><table:table-cell table:number-columns-repeated="2000000000" '
                      'table:value-type="float" table:value="1"><text:p>1</text:p></table:table-cell></table:table-row></table:table>')


# --- bombs of gzip

def inflates_to(head, size):
    """Some megabytes that were `size` before."""
    stream, out = zlib.compressobj(9, zlib.DEFLATED, 31), []
    out.append(stream.compress(head))
    for _ in range(size >> 20):
        out.append(stream.compress(b"a" * (1 << 20)))
    return b"".join(out) + stream.flush()


add("zabw-bomb", "a.zabw", "pdf", BOUNDED, lambda c: inflates_to(made.ABIWORD.encode().split(made.TEXT.encode())[0], 2 << 30))
add("gnumeric-bomb", "a.gnumeric", "csv", BOUNDED, lambda c: inflates_to(made.GNUMERIC.encode().split(made.TEXT.encode())[0], 2 << 30))


# --- tables

@case("gnumeric-far-cells", "a.gnumeric", "pdf", BOUNDED)
def _(c):
    return gzip.compress(made.GNUMERIC.replace('Row="0"', 'Row="2147483647"').replace('Col="1"', 'Col="-5"').encode())


@case("slk-far-cells", "a.slk", "xlsx", BOUNDED)
def _(c):
    return b"ID;PX\r\nC;X999999999;Y999999999;K1\r\nC;X-1;Y-1;K2\r\nC;X16384;Y1048576;K3\r\nE\r\n"


@case("dif-many-vectors", "a.dif", "xlsx", BOUNDED)
def _(c):
    return b'TABLE\r\n0,1\r\n"x"\r\nVECTORS\r\n0,2147483647\r\n""\r\nTUPLES\r\n0,2147483647\r\n""\r\nDATA\r\n0,0\r\n""\r\n-1,0\r\nBOT\r\n0,1e999\r\nV\r\n-1,0\r\nEOD\r\n'


@case("dbf-more-records-than-bytes", "a.dbf", "csv", REFUSED)
def _(c):
    return struct.pack("<4BIHH20x", 3, 124, 1, 1, 0xffffffff, 65, 4) + b"NAME".ljust(11, b"\0") + b"C\0\0\0\0\3".ljust(21, b"\0") + b"\r abc"


@case("wk1-length-behind-the-end", "a.wk1", "pdf", BOUNDED)
def _(c):
    return made.lotus(0x406)[:-4] + struct.pack("<HH", 15, 0xffff) + b"\xff\0\0\0\0'no end"


@case("wk1-far-cells", "a.wk1", "xlsx", BOUNDED)
def _(c):
    cells = b"".join(made.record(14, struct.pack("<BHHd", 255, 0xffff, row, 1.0)) for row in (0, 0x7fff, 0xffff))
    return made.record(0, struct.pack("<H", 0x406)) + made.record(6, struct.pack("<4H", 0, 0, 0xffff, 0xffff)) + cells + made.record(1)


@case("xlsb-long-string", "a.xlsb", "pdf", BOUNDED)
def _(c):
    workbook = io.BytesIO()
    made.make_xlsb(workbook)
    with zipfile.ZipFile(workbook) as z:
        return zipped([(name, z.read(name).replace(made.wide(made.TEXT), struct.pack("<I", 0xfffffff0) + b"x" * 36)) for name in z.namelist()])


# --- drawings

def emf_header(bounds=0x7fffffff, size=0xffffffff, records=0xffffffff):
    return struct.pack("<II4i4iIIIIHHIII4i", 1, 108, -bounds, -bounds, bounds, bounds, -bounds, -bounds, bounds, bounds, 0x464d4520, 0x10000, size, records, 0xffff, 0, 0, 0, 0, 1, 1, 1, 1).ljust(108, b"\0")


EMF_END = struct.pack("<IIIII", 14, 20, 0, 16, 20)
add("emf-huge-frame", "a.emf", "pdf", BOUNDED, lambda c: emf_header() + EMF_END)
add("emf-record-of-no-size", "a.emf", "svg", BOUNDED, lambda c: emf_header(1000) + struct.pack("<II", 3, 0) * 1000 + EMF_END)
add("emf-polygon-of-billions", "a.emf", "pdf", BOUNDED, lambda c: emf_header(1000) + struct.pack("<II4iI", 3, 28, 0, 0, 9, 9, 0x3fffffff) + EMF_END)
add("emz-bomb", "a.emz", "pdf", BOUNDED, lambda c: inflates_to(emf_header(1000), 1 << 30))
add("wmf-record-of-no-size", "a.wmf", "pdf", BOUNDED, lambda c: struct.pack("<HHHIHIH", 1, 9, 0x300, 0x7fffffff, 0xffff, 0x7fffffff, 0) + struct.pack("<IH", 0, 0x41b) * 1000)
add("wmf-huge-bitmap", "a.wmf", "pdf", BOUNDED, lambda c: struct.pack("<HHHIHIH", 1, 9, 0x300, 100, 1, 60, 0) + struct.pack(
    "<IHIhhhhhhhhH", 60, 0xf43, 0xcc0020, 0, 10, 10, 0, 0, 10, 10, 0, 0) + struct.pack("<IiiHHIIiiII", 40, 0x7fffffff, 0x7fffffff, 1, 32, 0, 0, 0, 0, 0, 0) + bytes(60))
add("pct-huge-pixels", "a.pct", "pdf", BOUNDED, lambda c: bytes(512) + struct.pack(">H4h", 0, 0, 0, 32767, 32767) + b"\0\x11\x02\xff\x0c\0" + bytes(24) + struct.pack(
    ">HH4hHHIIIHHHHIII", 0x98, 0xffff, 0, 0, 32767, 32767, 0, 0, 0, 0x480000, 0x480000, 0, 8, 1, 8, 0, 0, 0) + bytes(100))


def dxf(*entities, blocks=()):
    pairs = [(0, "SECTION"), (2, "BLOCKS"), *blocks, (0, "ENDSEC"), (0, "SECTION"), (2, "ENTITIES"), *(pair for entity in entities for pair in entity), (0, "ENDSEC"), (0, "EOF")]
    return "".join(f"{code}\n{value}\n" for code, value in pairs).encode()


BLOCK = [(0, "BLOCK"), (2, "B"), (10, 0), (20, 0), (0, "LINE"), (10, 0), (20, 0), (11, 1), (21, 1), (0, "ENDBLK")]
add("dxf-block-in-itself", "a.dxf", "pdf", BOUNDED, lambda c: dxf([(0, "INSERT"), (2, "B")], blocks=BLOCK[:-1] + [(0, "INSERT"), (2, "B"), (10, 1), (0, "ENDBLK")]))
add("dxf-billion-copies", "a.dxf", "pdf", BOUNDED, lambda c: dxf([(0, "INSERT"), (2, "B"), (70, 32767), (71, 32767), (44, 1), (45, 1)], blocks=BLOCK))
add("dxf-absurd-numbers", "a.dxf", "svg", BOUNDED, lambda c: dxf([(0, "LINE"), (10, "1e308"), (20, "-1e308"), (11, "nan"), (21, "inf")], [(0, "POLYLINE"), (70, "2147483648")],
                                                                 [(0, "LWPOLYLINE"), (90, "4294967295"), (10, 1), (20, 2)], [(0, "TEXT"), (40, "1e300"), (1, "x" * 100000)]))
add("vdx-shapes-in-shapes", "a.vdx", "pdf", BOUNDED, lambda c: made.VDX.replace("<Shapes>", '<Shapes><Shape ID="9" Type="Group"><Shapes>' * 5000).encode())
add("mml-deep", "a.mml", "pdf", BOUNDED, lambda c: made.MATHML.replace("<mrow>", "<mrow>" * 50000).replace("</mrow>", "</mrow>" * 50000).encode())
add("mml-breaks-out", "a.mml", "docx", "completed corrupt_input", lambda c: made.MATHML.replace(
    "<mtext>", f"</mrow></math></draw:object></draw:frame><draw:image xlink:href={quoteattr(c.local()[0])}/><math><mrow><mtext>").encode())


# --- other texts

add("pdb-records-behind-the-end", "a.pdb", "txt", BOUNDED, lambda c: made.palmdoc()[:76] + struct.pack(">H", 0xffff) + struct.pack(">II", 0xfffffff0, 0) * 20)
add("wri-pages-behind-the-end", "a.wri", "txt", BOUNDED, lambda c: struct.pack("<HHH8xI6H", 0xbe31, 0, 0xab00, 0x7fffffff, *[0xffff] * 6).ljust(400, b"a"))
add("wpd-packets-without-end", "a.wpd", "txt", BOUNDED, lambda c: made.wordperfect() + b"\xd0\x05\xff\xff" * 10000)


# --- each of them cut, and bent

GOOD = {**{format: (data, "pdf") for format, data in made.BYTES.items()}, **{format: (text.encode(), "pdf") for format, text in made.TEXTS.items() if format != "tsv"}}
for kind, (good, target) in GOOD.items():
    add(f"{kind}-cut", f"a.{kind}", target, HONEST, lambda c, kind=kind, good=good: good[:c.random(kind).randrange(1, len(good))])
    add(f"{kind}-bent", f"a.{kind}", target, HONEST, lambda c, kind=kind, good=good: bend(good, c.random(kind)))
