"""What LibreOffice reads beyond its own formats and Microsoft's: by soffice where it writes the format, else by hand, from the format's description. All say `TEXT`."""

import gzip
import struct
import zipfile

TEXT = "Hello from a test."
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


# --- StarOffice and OpenOffice.org 1: as OpenDocument, in older namespaces ---

SUN = {"sxw": "writer", "stw": "writer.template", "sxc": "calc", "stc": "calc.template", "sxi": "impress", "sxd": "draw", "sxm": "math"}
BOX = f'<draw:page draw:name="one"><draw:text-box svg:x="2cm" svg:y="2cm" svg:width="10cm" svg:height="3cm"><text:p>{TEXT}</text:p></draw:text-box></draw:page>'
BODIES = {"writer": f"<text:p>{TEXT}</text:p>", "impress": BOX, "draw": BOX, "calc": (
    f'<table:table table:name="one"><table:table-row><table:table-cell><text:p>{TEXT}</text:p></table:table-cell><table:table-cell table:value-type="float" '
    'table:value="2.5"><text:p>2.5</text:p></table:table-cell></table:table-row></table:table>')}
CLASSES = {"writer": "text", "calc": "spreadsheet", "impress": "presentation", "draw": "drawing"}
MATH = ('<math:math xmlns:math="http://www.w3.org/1998/Math/MathML"><math:semantics><math:mrow><math:mtext>' + TEXT + "</math:mtext><math:mo>=</math:mo><math:mn>42</math:mn></math:mrow>"
        f'<math:annotation math:encoding="StarMath 5.0">"{TEXT}" = 42</math:annotation></math:semantics></math:math>')


def package(path, type, manifest, content):
    """A document of parts whose first member says its type."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("mimetype", type, zipfile.ZIP_STORED)
        made.writestr("content.xml", XML + content)
        made.writestr("META-INF/manifest.xml", f'{XML}<manifest:manifest xmlns:manifest="{manifest}"><manifest:file-entry manifest:media-type="{type}" manifest:full-path="/"/>'
                      '<manifest:file-entry manifest:media-type="text/xml" manifest:full-path="content.xml"/></manifest:manifest>')


def sun(format, body=None):
    kind = SUN[format].split(".")[0]
    if kind == "math":
        return MATH
    names = " ".join(f'xmlns:{prefix}="http://openoffice.org/2000/{name}"' for prefix, name in (("office", "office"), ("text", "text"), ("table", "table"), ("draw", "drawing")))
    return (f'<office:document-content {names} xmlns:svg="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" office:class="{CLASSES[kind]}" office:version="1.0">'
            f"<office:body>{body or BODIES[kind]}</office:body></office:document-content>")


def make_sun(format, path, body=None):
    package(path, f"application/vnd.sun.xml.{SUN[format]}", "http://openoffice.org/2001/manifest", sun(format, body))


def make_odf(path):
    package(path, "application/vnd.oasis.opendocument.formula", "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0", MATH)


def make_oth(path):
    oasis = "urn:oasis:names:tc:opendocument:xmlns:"
    package(path, "application/vnd.oasis.opendocument.text-web", f"{oasis}manifest:1.0", f'<office:document-content xmlns:office="{oasis}office:1.0" xmlns:text="{oasis}text:1.0" '
            f'office:version="1.3"><office:body><office:text><text:p>{TEXT}</text:p></office:text></office:body></office:document-content>')


# --- XML ---

ABIWORD = f'{XML}<abiword xmlns="http://www.abisource.com/awml.dtd" version="3.0" fileformat="1.1"><section><p>{TEXT}</p></section></abiword>\n'
GNUMERIC = (f'{XML}<gnm:Workbook xmlns:gnm="http://www.gnumeric.org/v10.dtd"><gnm:Sheets><gnm:Sheet><gnm:Name>one</gnm:Name><gnm:Cells><gnm:Cell Row="0" Col="0" ValueType="60">{TEXT}</gnm:Cell>'
            '<gnm:Cell Row="0" Col="1" ValueType="40">2.5</gnm:Cell></gnm:Cells></gnm:Sheet></gnm:Sheets></gnm:Workbook>\n')
MATHML = XML + f'<math xmlns="http://www.w3.org/1998/Math/MathML"><mrow><mtext>{TEXT}</mtext><mo>=</mo><mfrac><mn>84</mn><mn>2</mn></mfrac></mrow></math>\n'
VISIO = "http://schemas.microsoft.com/visio/2003/core"
VDX = (f'{XML}<VisioDocument xmlns="{VISIO}"><Pages><Page ID="0" NameU="one"><PageSheet><PageProps><PageWidth>8</PageWidth><PageHeight>6</PageHeight></PageProps></PageSheet>'
       '<Shapes><Shape ID="1" Type="Shape"><XForm><PinX>4</PinX><PinY>3</PinY><Width>4</Width><Height>1</Height><LocPinX>2</LocPinX><LocPinY>0.5</LocPinY></XForm>'
       '<Geom IX="0"><MoveTo IX="1"><X>0</X><Y>0</Y></MoveTo><LineTo IX="2"><X>4</X><Y>0</Y></LineTo><LineTo IX="3"><X>4</X><Y>1</Y></LineTo><LineTo IX="4"><X>0</X><Y>0</Y></LineTo></Geom>'
       f"<Text>{TEXT}</Text></Shape></Shapes></Page></Pages></VisioDocument>\n")


def opc(path, types, parts):
    """A package of parts ({name: bytes}); types: {name: content type}."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        overrides = "".join(f'<Override PartName="/{name}" ContentType="{type}"/>' for name, type in types.items())
        made.writestr("[Content_Types].xml", f'{XML}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" '
                      f'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>{overrides}</Types>')
        for name, data in parts.items():
            made.writestr(name, data)


def relations(type, target):
    return (f'{XML}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="{type}" Target="{target}"/></Relationships>')


def make_vsdx(path):
    related, core = "http://schemas.microsoft.com/visio/2010/relationships", 'xmlns="http://schemas.microsoft.com/office/visio/2012/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
    cells = "".join(f'<Cell N="{name}" V="{value}"/>' for name, value in (("PinX", 4), ("PinY", 3), ("Width", 4), ("Height", 1), ("LocPinX", 2), ("LocPinY", 0.5)))
    line = "".join(f'<Row T="{kind}" IX="{i + 1}"><Cell N="X" V="{x}"/><Cell N="Y" V="{y}"/></Row>' for i, (kind, x, y) in enumerate((("MoveTo", 0, 0), ("LineTo", 4, 0), ("LineTo", 4, 1), ("LineTo", 0, 0))))
    size = '<PageSheet><Cell N="PageWidth" V="8"/><Cell N="PageHeight" V="6"/></PageSheet>'
    types = {f"visio/{name}.xml": f"application/vnd.ms-visio.{type}+xml" for name, type in (("document", "drawing.main"), ("pages/pages", "pages"), ("pages/page1", "page"))}
    opc(path, types, {
        "_rels/.rels": relations(f"{related}/document", "visio/document.xml"),
        "visio/document.xml": f"{XML}<VisioDocument {core}/>", "visio/_rels/document.xml.rels": relations(f"{related}/pages", "pages/pages.xml"),
        "visio/pages/pages.xml": f'{XML}<Pages {core}><Page ID="0" NameU="one">{size}<Rel r:id="rId1"/></Page></Pages>',
        "visio/pages/_rels/pages.xml.rels": relations(f"{related}/page", "page1.xml"),
        "visio/pages/page1.xml": f'{XML}<PageContents {core}><Shapes><Shape ID="1" Type="Shape">{cells}<Section N="Geometry" IX="0">{line}</Section><Text>{TEXT}</Text></Shape></Shapes></PageContents>'})


# --- xlsb: [MS-XLSB], the records of BIFF12 ---

def biff12(kind, data=b""):
    numbers = bytes([kind]) if kind < 128 else bytes([kind & 127 | 128, kind >> 7])
    return numbers + bytes([len(data)]) + data


def wide(text):
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def make_xlsb(path):
    BEGIN_BOOK, BEGIN_BUNDLE, SHEET, END_BUNDLE, END_BOOK = 131, 143, 156, 144, 132
    BEGIN_SHEET, BEGIN_DATA, ROW, CELL_TEXT, CELL_REAL, END_DATA, END_SHEET = 129, 145, 0, 6, 5, 146, 130
    book = biff12(BEGIN_BOOK) + biff12(BEGIN_BUNDLE) + biff12(SHEET, struct.pack("<II", 0, 1) + wide("rId1") + wide("one")) + biff12(END_BUNDLE) + biff12(END_BOOK)
    row = struct.pack("<IIHBBB", 0, 0, 300, 0, 0, 0) + struct.pack("<III", 1, 0, 1)
    sheet = (biff12(BEGIN_SHEET) + biff12(BEGIN_DATA) + biff12(ROW, row) + biff12(CELL_TEXT, struct.pack("<II", 0, 0) + wide(TEXT)) +
             biff12(CELL_REAL, struct.pack("<IId", 1, 0, 2.5)) + biff12(END_DATA) + biff12(END_SHEET))
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    opc(path, {"xl/workbook.bin": "application/vnd.ms-excel.sheet.binary.macroEnabled.main", "xl/worksheets/sheet1.bin": "application/vnd.ms-excel.worksheet"}, {
        "_rels/.rels": relations(f"{office}/officeDocument", "xl/workbook.bin"), "xl/workbook.bin": book,
        "xl/_rels/workbook.bin.rels": relations(f"{office}/worksheet", "worksheets/sheet1.bin"), "xl/worksheets/sheet1.bin": sheet})


# --- Lotus 1-2-3: records of a kind, a length and that many bytes ---

def record(kind, data=b""):
    return struct.pack("<HH", kind, len(data)) + data


def lotus(version):
    """WKS and WK1."""
    return (record(0, struct.pack("<H", version)) + record(15, struct.pack("<BHH", 255, 0, 0) + b"'" + TEXT.encode() + b"\0") +
            record(14, struct.pack("<BHHd", 255, 1, 0, 2.5)) + record(1))


# --- texts of other word processors ---

def wordperfect():
    """WordPerfect 5.1: the header, where the text begins, and the text."""
    return b"\xffWPC" + struct.pack("<IBBBBHH", 16, 1, 10, 0, 1, 0, 0) + TEXT.encode() + b"\n"


def write():
    """Windows Write 3: pages of 128 bytes. Behind the text what characters and paragraphs look like, and the fonts."""
    text = TEXT.encode() + b"\r\n"
    end, pages = 128 + len(text), -(-(128 + len(text)) // 128)
    looks = (struct.pack("<IIH", 128, end, 0xffff)).ljust(127, b"\0") + b"\1"
    fonts = (struct.pack("<H", 1) + struct.pack("<HB", 7, 0x10) + b"Arial\0" + struct.pack("<H", 0)).ljust(128, b"\0")
    first = pages + 2
    head = struct.pack("<HHH8xIHHHHHH66sH", 0xbe31, 0, 0xab00, end, pages + 1, first, first, first, first, first, b"", first + 1).ljust(128, b"\0")
    return (head + text).ljust(pages * 128, b"\0") + looks + looks + fonts


def palmdoc():
    """A Palm database of two records: what the text is like, and the text, not compressed."""
    text = TEXT.encode()
    about = struct.pack(">HHIHHI", 1, 0, len(text), 1, 4096, 0)
    head = struct.pack(">32sHHIIIIII4s4sIIH", b"Hello", 0, 0, 0, 0, 0, 0, 0, 0, b"TEXt", b"REAd", 0, 0, 2)
    at = len(head) + 16 + 2
    return head + struct.pack(">IIII", at, 0, at + len(about), 1) + b"\0\0" + about + text


T602 = f"@CT 1\r\n@LM 1\r\n@RM 60\r\n@PL 60\r\n{TEXT}\r\n\x1a"


# --- drawings ---

def dxf():
    """A text and a line."""
    pairs = [(0, "SECTION"), (2, "HEADER"), (9, "$ACADVER"), (1, "AC1009"), (9, "$EXTMIN"), (10, 0), (20, 0), (9, "$EXTMAX"), (10, 200), (20, 100), (0, "ENDSEC"),
             (0, "SECTION"), (2, "ENTITIES"), (0, "TEXT"), (8, "0"), (10, 10), (20, 40), (40, 12), (1, TEXT),
             (0, "LINE"), (8, "0"), (10, 0), (20, 0), (11, 200), (21, 100), (0, "ENDSEC"), (0, "EOF")]
    return "".join(f"{code:>3}\r\n{value}\r\n" for code, value in pairs)


def pict():
    """A picture of QuickDraw, version 1, behind 512 bytes of nothing: a frame and a text."""
    frame = struct.pack(">4h", 0, 0, 100, 200)
    orders = b"\x11\x01" + b"\x01\x00\x0a" + frame + b"\x30" + struct.pack(">4h", 5, 5, 95, 195) + b"\x28" + struct.pack(">2hB", 50, 20, len(TEXT)) + TEXT.encode() + b"\xff"
    return bytes(512) + struct.pack(">H", 2 + len(frame) + len(orders)) + frame + orders


# What soffice makes of a seed: {format: (seed, name of its filter)}.
FILTERED = {
    "uos": ("csv", "UOF spreadsheet"), "uop": ("odp", "UOF presentation"), "wordml": ("docx", "MS Word 2003 XML"), "xlml": ("csv", "MS Excel 2003 XML"),
    "dif": ("csv", "DIF"), "slk": ("csv", "SYLK"), "dbf": ("csv", "dBase"), "otg": ("odg", "draw8_template"), "wmf": ("odg", "draw_wmf_Export"), "emf": ("odg", "draw_emf_Export")}
TEXTS = {"abw": ABIWORD, "mml": MATHML, "vdx": VDX, "tsv": f"Name\tAmount\n{TEXT}\t2.5\n", "602": T602, "dxf": dxf()}
BYTES = {"wk1": lotus(0x406), "wks": lotus(0x404), "wpd": wordperfect(), "wri": write(), "pdb": palmdoc(),
         "pct": pict(), "zabw": gzip.compress(ABIWORD.encode(), mtime=0), "gnumeric": gzip.compress(GNUMERIC.encode(), mtime=0)}
PACKED = {"emz": "emf", "wmz": "wmf"}
PACKAGES = {"odf": make_odf, "oth": make_oth, "xlsb": make_xlsb, "vsdx": make_vsdx}
FORMATS = {*FILTERED, *TEXTS, *BYTES, *PACKED, *PACKAGES, *SUN}


def make(sources, format, path):
    """Makes the file; `sources` (sources.py) has the seeds, and runs soffice."""
    if format in FILTERED:
        seed, name = FILTERED[format]
        sources.soffice(sources.path(seed), path, name)
    elif format in TEXTS:
        path.write_text(TEXTS[format], newline="")
    elif format in BYTES:
        path.write_bytes(BYTES[format])
    elif format in PACKED:
        path.write_bytes(gzip.compress(sources.path(PACKED[format]).read_bytes(), mtime=0))
    elif format in SUN:
        make_sun(format, path)
    else:
        PACKAGES[format](path)
