"""Packages of OOXML and ODF with whatever inside."""

import io
import zipfile
from xml.sax.saxutils import escape, quoteattr

R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
OOXML = "application/vnd.openxmlformats-officedocument."
MAIN = {
    "docx": ("word/document.xml", OOXML + "wordprocessingml.document.main+xml"),
    "docm": ("word/document.xml", "application/vnd.ms-word.document.macroEnabled.main+xml"),
    "xlsx": ("xl/workbook.xml", OOXML + "spreadsheetml.sheet.main+xml"),
    "pptx": ("ppt/presentation.xml", OOXML + "presentationml.presentation.main+xml"),
}
ODF = {"odt": "text", "ods": "spreadsheet", "odp": "presentation", "odg": "graphics"}
NAMES = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for prefix, name in (
        ("office", "office"), ("text", "text"), ("table", "table"), ("draw", "drawing"), ("style", "style"),
        ("script", "script"), ("presentation", "presentation"), ("svg", "svg-compatible"), ("fo", "xsl-fo-compatible"),
        ("form", "form"), ("manifest", "manifest"), ("anim", "animation"), ("smil", "smil-compatible"))
) + (' xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:ooo="http://openoffice.org/2004/office"'
     ' xmlns:dom="http://www.w3.org/2001/xml-events" xmlns:xi="http://www.w3.org/2001/XInclude"'
     ' xmlns:of="urn:oasis:names:tc:opendocument:xmlns:of:1.2"')
W = ('xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:r="' + R + '" '
     'xmlns:o="urn:schemas-microsoft-com:office:office" xmlns:v="urn:schemas-microsoft-com:vml" '
     'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
     'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
     'xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture" '
     'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"')
XML = '<?xml version="1.0" encoding="UTF-8"?>'


def zipped(entries, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, data in entries:
            z.writestr(name, data)
    return out.getvalue()


def rels(items):
    """Of (id, type, target, external)."""
    return (XML + '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">' + "".join(
        f'<Relationship Id="{i}" Type={quoteattr(t if "://" in t else R + "/" + t)} Target={quoteattr(to)}'
        + (' TargetMode="External"' if external else "") + "/>" for i, t, to, external in items) + "</Relationships>")


def ooxml(kind, main, links=(), parts=(), overrides=(), types_head=""):
    name, content_type = MAIN[kind]
    folder, file = name.split("/")
    types = "".join(f'<Override PartName="/{part}" ContentType="{t}"/>' for part, t in [(name, content_type), *overrides])
    return zipped([
        ("[Content_Types].xml",
         XML + types_head + '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
         '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
         '<Default Extension="xml" ContentType="application/xml"/><Default Extension="png" ContentType="image/png"/>'
         '<Default Extension="html" ContentType="text/html"/><Default Extension="svg" ContentType="image/svg+xml"/>'
         '<Default Extension="bin" ContentType="application/octet-stream"/>' + types + "</Types>"),
        ("_rels/.rels", rels([("rId1", "officeDocument", name, False)])),
        (name, main),
        (f"{folder}/_rels/{file}.rels", rels(links)),
        *parts,
    ])


def docx(body, links=(), parts=(), overrides=(), head="", kind="docx"):
    return ooxml(kind, f"{XML}{head}<w:document {W}><w:body>{body}</w:body></w:document>", links, parts, overrides)


def paragraph(text):
    return f"<w:p><w:r><w:t>{escape(text)}</w:t></w:r></w:p>"


def picture(rel, link=True):
    """An inline DrawingML picture by relationship."""
    return (f'<w:p><w:r><w:drawing><wp:inline><wp:extent cx="900000" cy="900000"/><wp:docPr id="1" name="p"/><a:graphic>'
            '<a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:pic><pic:nvPicPr>'
            '<pic:cNvPr id="0" name="p"/><pic:cNvPicPr/></pic:nvPicPr><pic:blipFill><a:blip '
            f'r:{"link" if link else "embed"}="{rel}"/><a:stretch><a:fillRect/></a:stretch></pic:blipFill><pic:spPr>'
            '<a:xfrm><a:off x="0" y="0"/><a:ext cx="900000" cy="900000"/></a:xfrm><a:prstGeom prst="rect"><a:avLst/>'
            "</a:prstGeom></pic:spPr></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>")


def field(instruction):
    return ('<w:p><w:r><w:fldChar w:fldCharType="begin" w:dirty="true"/></w:r><w:r><w:instrText xml:space="preserve"> '
            f'{escape(instruction)} </w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>?</w:t>'
            '</w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>')


def xlsx(rows, links=(), parts=(), overrides=(), workbook="", dimension="A1:B2", after=""):
    sheet_type = OOXML + "spreadsheetml.worksheet+xml"
    s = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="' + R + '"'
    return ooxml(
        "xlsx", f'{XML}<workbook {s}><sheets><sheet name="S" sheetId="1" r:id="sheet"/></sheets>{workbook}</workbook>',
        [("sheet", "worksheet", "worksheets/sheet1.xml", False), *links],
        [("xl/worksheets/sheet1.xml",
          f'{XML}<worksheet {s}><dimension ref="{dimension}"/><sheetData>{rows}</sheetData>{after}</worksheet>'), *parts],
        [("xl/worksheets/sheet1.xml", sheet_type), *overrides])


def formulas(texts):
    return "".join(f'<row r="{i}"><c r="A{i}" t="str"><f ca="1">{escape(t)}</f><v>?</v></c></row>' for i, t in enumerate(texts, 1))


def odf_body(kind, body):
    return f"<office:body><office:{ODF_BODY[kind]}>{body}</office:{ODF_BODY[kind]}></office:body>"


ODF_BODY = {"odt": "text", "ods": "spreadsheet", "odp": "presentation", "odg": "drawing"}


def odf(kind, body, before="", parts=(), head="", manifest_head=""):
    """`before` stands before the body: scripts, styles."""
    mime = "application/vnd.oasis.opendocument." + ODF[kind]
    listed = "".join(f'<manifest:file-entry manifest:full-path="{name}" manifest:media-type="text/xml"/>'
                     for name in ["content.xml", *(p[0] for p in parts)])
    return zipped([
        ("mimetype", mime),
        ("content.xml", f'{XML}{head}<office:document-content {NAMES} office:version="1.2">{before}{odf_body(kind, body)}'
                        "</office:document-content>"),
        *parts,
        ("META-INF/manifest.xml", f'{XML}{manifest_head}<manifest:manifest {NAMES}><manifest:file-entry '
                                  f'manifest:full-path="/" manifest:media-type="{mime}"/>{listed}</manifest:manifest>'),
    ])


def flat(kind, body, before="", head=""):
    mime = "application/vnd.oasis.opendocument." + ODF[kind]
    return (f'{XML}{head}<office:document {NAMES} office:version="1.2" office:mimetype="{mime}">{before}'
            f"{odf_body(kind, body)}</office:document>").encode()


def image(url, **size):
    return (f'<draw:frame svg:width="2cm" svg:height="2cm"><draw:image xlink:href={quoteattr(url)} xlink:type="simple" '
            'xlink:show="embed" xlink:actuate="onLoad"/></draw:frame>')


def entities(root, how):
    """A DOCTYPE: "bomb" laughs a billion times, else `how` is where an external entity reads from."""
    if how == "bomb":
        inner = '<!ENTITY e0 "laugh">' + "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 10))
        return f"<!DOCTYPE {root} [{inner}<!ENTITY leak '&e9;'>]>"
    return f'<!DOCTYPE {root} [<!ENTITY leak SYSTEM "{how}">]>'
