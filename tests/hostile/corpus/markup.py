"""Texts of all kinds for Pandoc: includes, pictures, raw pieces of other formats, macros and nesting without end."""

import json
from xml.sax.saxutils import escape, quoteattr

from . import add, case
from .packages import docx, odf, image, paragraph, picture, zipped

# Of texts: what can't be had is left out, or makes it a text that can't be converted.
DONE = "completed corrupt_input"
BOUNDED = "completed corrupt_input too_complex timed_out"

INCLUDES = {
    "tex": lambda u: f"\\input{{{u}}}\n\\include{{{u}}}\n\\subfile{{{u}}}\n\\lstinputlisting{{{u}}}\n\\verbatiminput{{{u}}}\n\\usepackage{{{u}}}\n\\bibliography{{{u}}}\n"
                     f"\\includegraphics{{{u}}}\n\\immediate\\write18{{cat {u}}}\n\\openin1={u}\n",
    "rst": lambda u: f".. include:: {u}\n\n.. include:: {u}\n   :code: text\n\n.. csv-table::\n   :file: {u}\n\n.. csv-table::\n   :url: {u}\n\n.. raw:: html\n   :file: {u}\n\n"
                     f".. raw:: html\n   :url: {u}\n\n.. figure:: {u}\n\n.. image:: {u}\n\n.. literalinclude:: {u}\n\n",
    "org": lambda u: f"#+INCLUDE: \"{u}\"\n#+INCLUDE: \"{u}\" src c\n#+SETUPFILE: {u}\n#+BIBLIOGRAPHY: {u}\n[[file:{u}]]\n[[{u}]]\n#+BEGIN_SRC sh :results output\ncat {u}\n#+END_SRC\n",
    "md": lambda u: f"![x]({u})\n\n<img src=\"{u}\">\n\n<iframe src=\"{u}\"></iframe>\n\n<object data=\"{u}\"></object>\n\n[x]: {u}\n\n![x]\n\n",
    "html": lambda u: f"<p><img src=\"{u}\"><iframe src=\"{u}\"></iframe><object data=\"{u}\"></object><embed src=\"{u}\"><video src=\"{u}\"></video><link rel=stylesheet href=\"{u}\">"
                      f"<script src=\"{u}\"></script><base href=\"{u}\"><meta http-equiv=refresh content=\"0;url={u}\">",
    "textile": lambda u: f"!{u}!\n\n", "wiki": lambda u: f"[[File:{u}]]\n{{{{{u}}}}}\n", "dokuwiki": lambda u: f"{{{{{u}}}}}\n", "jira": lambda u: f"!{u}!\n", "t2t": lambda u: f"%!include: {u}\n[{u}]\n",
    "creole": lambda u: f"{{{{{u}|x}}}}\n", "vimwiki": lambda u: f"{{{{{u}}}}}\n", "muse": lambda u: f"[[{u}]]\n<include file=\"{u}\">\n", "man": lambda u: f".so {u}\n.mso {u}\n",
    "haddock": lambda u: f"<<{u}>>\n\n"}
KINDS = {"tex": "txt", "rst": "txt", "org": "txt", "t2t": "txt", "man": "txt", "html": "html"}
for name, include in INCLUDES.items():
    for target in ("docx", "epub", "textile" if name != "textile" else "rst"):
        head = {"html": "<!doctype html><html>", "t2t": "Hello\n\n\n", "man": ".TH A 1\n"}.get(name, "")
        add(f"{name}-includes-to-{target}", f"a.{name}", target, DONE,
            lambda c, name=name, include=include, head=head: (head + "Hello\n\n" + "".join(map(include, c.everywhere(KINDS.get(name, "png"))))).encode())
for target in ("odt", "rtf", "pptx", "pdf", "html"):
    add(f"md-includes-to-{target}", "a.md", target, DONE, lambda c: ("Hello\n\n" + "".join(map(INCLUDES["md"], c.everywhere()))).encode())

XMLS = {
    "docbook": lambda u: f'<article xmlns:xi="http://www.w3.org/2001/XInclude"><para>Hello</para><xi:include href={quoteattr(u)} parse="text"/><mediaobject><imageobject>'
                         f"<imagedata fileref={quoteattr(u)}/></imageobject></mediaobject></article>",
    "jats": lambda u: f'<article xmlns:xlink="http://www.w3.org/1999/xlink"><body><p>Hello</p><fig><graphic xlink:href={quoteattr(u)}/></fig></body></article>',
    "opml": lambda u: f'<opml version="2.0"><head/><body><outline text="Hello" _note={quoteattr(f"![x]({u})")} type="include" url={quoteattr(u)}/></body></opml>',
    "fb2": lambda u: f'<FictionBook xmlns:l="http://www.w3.org/1999/xlink"><body><section><p>Hello</p><image l:href={quoteattr(u)}/></section></body></FictionBook>'}
for name, make in XMLS.items():
    for i, target in enumerate(("docx", "epub")):
        for where in ("local", "remote"):
            add(f"{name}-{where}-to-{target}", f"a.{name}", target, DONE, lambda c, make=make, where=where: make(getattr(c, where)("txt")[0]).encode())
    add(f"{name}-entity", f"a.{name}", "md", "type_mismatch", lambda c, make=make: (f'<!DOCTYPE x [<!ENTITY e SYSTEM "{c.local("txt")[0]}">]>' + make("&e;")).encode())
    add(f"{name}-nested", f"a.{name}", "md", BOUNDED, lambda c, name=name: {
        "docbook": b"<article>" + b"<section>" * 30000 + b"</section>" * 30000 + b"</article>", "jats": b"<article><body>" + b"<sec>" * 30000 + b"</sec>" * 30000 + b"</body></article>",
        "opml": b"<opml><body>" + b"<outline text='x'>" * 30000 + b"</outline>" * 30000 + b"</body></opml>",
        "fb2": b"<FictionBook><body>" + b"<section>" * 30000 + b"</section>" * 30000 + b"</body></FictionBook>"}[name])


# --- what Markdown's metadata may ask for

@case("md-metadata", "a.md", "epub", DONE)
def _(c):
    path, url = c.local("png")[1], c.remote("css")[0]
    return (f"---\ntitle: Hello\ncover-image: {path}\nepub-cover-image: {path}\ncss: {url}\nstylesheet: {c.local('css')[1]}\nbibliography: {c.local('txt')[1]}\ncsl: {c.remote('csl')[0]}\n"
            f"include-before: {path}\nheader-includes: |\n  <script src='{url}'></script>\nreference-doc: {path}\ntemplate: {path}\nfilters: [{path}]\n---\n\nHello\n").encode()


add("md-metadata-to-docx", "a.md", "docx", DONE, lambda c: f"---\nreference-doc: {c.local('txt')[1]}\nabstract: '![x]({c.local()[0]})'\n---\n\nHello\n".encode())
add("md-yaml-bomb", "a.md", "docx", BOUNDED, lambda c: ("---\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)) + "---\n\nHello\n").encode())


# --- raw pieces of the target

FIELD = '<w:p><w:r><w:fldChar w:fldCharType="begin" w:dirty="true"/></w:r><w:r><w:instrText> {} </w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>'


@case("md-raw-word-to-pdf", "a.md", "pdf", DONE)
def _(c):
    fields = "".join(FIELD.format(escape(f'{word} "{u}"')) for u in c.everywhere() for word in ("INCLUDEPICTURE", "INCLUDETEXT", "LINK"))
    return f"Hello\n\n```{{=openxml}}\n{fields}\n```\n".encode()


@case("md-raw-html", "a.md", "html", "completed")
def _(c):
    return f"Hello\n\n```{{=html}}\n<iframe src='{c.remote()[0]}'></iframe><script>fetch('{c.remote()[0]}')</script>\n```\n".encode()


add("md-raw-opendocument", "a.md", "odt", DONE, lambda c: ("Hello\n\n```{=opendocument}\n" + "".join(f"<text:p>{image(u)}</text:p>" for u in c.links()) + "\n```\n").encode())

# Pandoc had this (CVE-2023-35936): the type in a data: URL becomes a name, and that may lead elsewhere.
TRAVERSAL = "data://image/png;base64,cHJpbnQgImhlbGxvIgo=;.lua+%252f%252e%252e%252f%252e%252e%252f%252e%252e%252ftmp%252fescaped"
for target in ("docx", "epub", "odt", "pptx", "html"):
    add(f"md-data-leads-out-to-{target}", "a.md", target, DONE, lambda c: f"Hello\n\n![x]({TRAVERSAL})\n\n![y](data:image/..%2f..%2f..%2ftmp%2fescaped;base64,AAAA)\n".encode())

# --- documents with references

for target in ("md", "epub", "pptx", "rst"):
    add(f"docx-links-to-{target}", "a.docx", target, DONE, lambda c: docx(
        paragraph("Hello") + "".join(picture(f"p{i}", link) for i in range(len(c.everywhere())) for link in (True, False)),
        [(f"p{i}", "image", u, True) for i, u in enumerate(c.everywhere())]))
    add(f"docx-parts-elsewhere-to-{target}", "a.docx", target, DONE, lambda c: docx(
        paragraph("Hello") + "".join(picture(f"p{i}", False) for i in range(3)),
        [("p0", "image", "../../../../../../etc/passwd", False), ("p1", "image", c.local()[1], False), ("p2", "image", "../" * 9 + c.local()[1][1:], False)]))
for target in ("md", "docx"):
    add(f"odt-links-to-{target}", "a.odt", target, DONE, lambda c: odf("odt", "<text:p>Hello</text:p>" + "".join(map(image, c.links()))))


@case("epub-elsewhere", "a.epub", "docx", DONE + " type_mismatch")
def _(c):
    items = "".join(f'<item id="i{i}" href={quoteattr(u)} media-type="application/xhtml+xml"/>' for i, u in enumerate(c.everywhere("html")))
    spine = "".join(f'<itemref idref="i{i}"/>' for i in range(len(c.everywhere())))
    page = "<html xmlns='http://www.w3.org/1999/xhtml'><body><p>Hello</p>" + "".join(f"<img src={quoteattr(u)}/>" for u in c.everywhere()) + "</body></html>"
    return zipped([
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles><rootfile full-path="a.opf" '
                                   'media-type="application/oebps-package+xml"/></rootfiles></container>'),
        ("a.opf", f'<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata/><manifest><item id="p" href="p.xhtml" media-type="application/xhtml+xml"/>{items}</manifest>'
                  f'<spine><itemref idref="p"/>{spine}</spine></package>'), ("p.xhtml", page)], 0)


@case("ipynb-references", "a.ipynb", "docx", DONE)
def _(c):
    text = [f"![x]({u})\n" for u in c.everywhere()] + ["![y](attachment:../../etc/passwd)\n"]
    output = {"output_type": "display_data", "metadata": {}, "data": {"text/html": [f"<img src='{u}'><iframe src='{u}'></iframe>" for u in c.everywhere()]}}
    return json.dumps({"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["Hello\n", *text], "attachments": {"../../etc/passwd": {"image/png": "AAAA"}}},
                                 {"cell_type": "code", "metadata": {}, "execution_count": 1, "source": [], "outputs": [output]}],
                       "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


# --- bombs

@case("tex-macros", "a.tex", "md", BOUNDED)
def _(c):
    names = "abcdefghijklmnopqrstuvwxyz"
    return ("\\newcommand{\\xa}{lol }\n" + "".join(f"\\newcommand{{\\x{names[i]}}}{{{f'{chr(92)}x{names[i - 1]} ' * 10}}}\n" for i in range(1, 12)) + "Hello \\xl\n").encode()


add("tex-endless-macro", "a.tex", "md", BOUNDED, lambda c: b"\\newcommand{\\x}{\\x\\x}\nHello \\x\n\\def\\y{\\y}\\y\n\\newenvironment{e}{\\begin{e}}{\\end{e}}\\begin{e}x\\end{e}\n")
add("bib-strings", "a.bib", "md", BOUNDED, lambda c: ('@string{a0 = "lol lol lol"}\n' + "".join(f"@string{{a{i} = {' # '.join([f'a{i - 1}'] * 10)}}}\n" for i in range(1, 12))
    + "@book{x, title = a11, author = {Hello}, year = 2000}\n").encode())
add("bib-cross-references", "a.bib", "html", BOUNDED, lambda c: b"@book{a, crossref = {b}, title = {Hello}}\n@book{b, crossref = {a}}\n@book{c, crossref = {c}, xdata = {c}}\n")
add("bib-includes", "a.bib", "docx", DONE, lambda c: ("@book{a, title = {Hello}, author = {X}, " + f"file = {{{c.local('txt')[1]}}}, url = {{{c.remote()[0]}}}, "
    f"abstract = {{\\input{{{c.local('txt')[1]}}}}}, note = {{\\includegraphics{{{c.local()[0]}}}}} }}\n").encode())
add("csljson-nested", "a.csljson", "md", BOUNDED, lambda c: b'[{"id": "a", "type": "book", "title": ' + b"[" * 500_000 + b"]" * 500_000 + b"}]")
add("csljson-styles", "a.csljson", "html", DONE, lambda c: json.dumps([{"id": "a", "type": "book", "title": f"Hello <img src='{c.local()[0]}'>", "URL": c.local("txt")[0], "csl": c.remote()[0]}]).encode())
for name, piece in {"brackets": "[", "quotes": "> ", "stars": "*a ", "underscores": "_a *b ", "links": "[a](", "images": "![", "ticks": "`" * 3 + "\n", "lists": "- ", "tags": "<div>", "notes": "^[",
                    "spans": "[a]{b ", "maths": "$a ", "entities": "&#", "comments": "<!-- ", "strikes": "~~a ^b ", "cites": "[@a; "}.items():
    add(f"md-bomb-of-{name}", "a.md", "html", BOUNDED, lambda c, piece=piece: (piece * (60_000 // len(piece))).encode())
add("html-nested", "a.html", "md", BOUNDED, lambda c: b"<!doctype html>" + b"<div><b><ul><li>" * 20000)
add("html-nested-tables", "a.html", "docx", BOUNDED, lambda c: b"<!doctype html>" + b"<table><tr><td>" * 3000 + b"x")
add("html-wide-table", "a.html", "rst", BOUNDED, lambda c: b"<!doctype html><table><tr><td colspan=2147483647 rowspan=2147483647>x<td>" + b"y" * 9999)
add("org-nested", "a.org", "html", BOUNDED, lambda c: "".join(f"{' ' * i}- x\n" for i in range(2000)).encode())
add("rst-substitutions", "a.rst", "html", BOUNDED, lambda c: (".. |a0| replace:: lol lol lol\n" + "".join(f".. |a{i}| replace:: {' '.join([f'|a{i - 1}|'] * 10)}\n" for i in range(1, 12)) + "\n|a11|\n").encode())
add("rst-loop", "a.rst", "html", BOUNDED, lambda c: b".. |a| replace:: |b|\n.. |b| replace:: |a|\n\n|a|\n")
add("wiki-nested", "a.wiki", "html", BOUNDED, lambda c: b"{|\n|\n" * 5000 + b"''[[" * 20000)
add("ipynb-nested", "a.ipynb", "md", BOUNDED, lambda c: b'{"cells": ' + b"[" * 1_000_000)
