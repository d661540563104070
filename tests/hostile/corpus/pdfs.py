"""PDF: actions that reach out, streams that lie elsewhere, and structures that eat."""

import zlib

from . import case

DONE = "completed"
BOUNDED = "completed corrupt_input too_complex timed_out engine_crashed"


def text(s):
    return "(" + s.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)") + ")"


def build(objects, root="/Type /Catalog /Pages 2 0 R", trailer=""):
    """`objects`: {number: body or (dictionary, stream)}."""
    objects = {1: f"<< {root} >>", **objects}
    out, offsets = b"%PDF-1.7\n", {}
    for number, body in sorted(objects.items()):
        offsets[number] = len(out)
        if isinstance(body, tuple):
            head, data = body
            data = data if isinstance(data, bytes) else data.encode()
            body = f"<< {head} /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body if isinstance(body, bytes) else body.encode())
    size = max(objects) + 1
    xref = b"".join(b"%010d 00000 n \n" % offsets[n] if n in offsets else b"0000000000 65535 f \n" for n in range(1, size))
    return (out + b"xref\n0 %d\n0000000000 65535 f \n" % size + xref
            + f"trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{len(out)}\n%%EOF\n".encode())


def page(objects=None, contents="BT /F1 24 Tf 72 720 Td (page) Tj ET", page="", resources="", root="", box="0 0 612 792", **more):
    return build({2: "<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
                  3: f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] /Contents 4 0 R {page} /Resources << /Font << /F1 5 0 R >> {resources} >> >>",
                  4: ("", contents), 5: "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>", **(objects or {})},
                 "/Type /Catalog /Pages 2 0 R " + root, **more)


def actions(c):
    urls = c.everywhere("pdf")
    return ([f"<< /S /URI /URI {text(u)} >>" for u in urls] + [f"<< /S /Launch /F {text(u)} >>" for u in urls]
            + [f"<< /S /GoToR /F {text(u)} /D [0 /Fit] >>" for u in urls] + [f"<< /S /SubmitForm /F << /FS /URL /F {text(u)} >> >>" for u in urls]
            + [f"<< /S /ImportData /F {text(u)} >>" for u in urls]
            + [f"<< /S /JavaScript /JS {text(f'this.submitForm({u!r}); app.launchURL({u!r}); this.getURL({u!r})')} >>" for u in urls])


@case("pdf-actions", "a.pdf", "png", DONE)
def _(c):
    found = actions(c)
    objects = {10 + i: f"<< /Type /Annot /Subtype /Link /Rect [0 0 99 99] /A {a} >>" for i, a in enumerate(found)}
    return page(objects, page=f"/Annots [{' '.join(f'{n} 0 R' for n in objects)}] /AA << /O {found[-1]} /C {found[0]} >>",
                root=f"/OpenAction {found[-3]} /AA << /WC {found[-1]} >> /Names << /JavaScript << /Names [(a) {found[-1]}] >> >>")


@case("pdf-actions-html", "a.pdf", "html", DONE)
def _(c):
    objects = {10 + i: f"<< /Type /Annot /Subtype /Link /Rect [0 700 300 740] /A {a} >>" for i, a in enumerate(actions(c))}
    return page(objects, page=f"/Annots [{' '.join(f'{n} 0 R' for n in objects)}]")


@case("pdf-external-streams", "a.pdf", "png", "completed corrupt_input")
def _(c):
    urls = c.everywhere()
    names = {20 + i: (f"/Type /XObject /Subtype /Image /Width 64 /Height 64 /BitsPerComponent 8 /ColorSpace /DeviceRGB /F {text(u)}", "")
             for i, u in enumerate(urls)}
    files = {60 + i: f"<< /Type /Filespec /F {text(u)} /UF {text(u)} /FS /URL >>" for i, u in enumerate(urls)}
    alternate = {100 + i: (f"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Ref << /F {60 + i} 0 R /Page 0 >> /F {60 + i} 0 R", "0 0 9 9 re f")
                 for i in range(len(urls))}
    used = [*names, *alternate]
    return page({**names, **files, **alternate}, "".join(f"q 64 0 0 64 0 0 cm /X{n} Do Q\n" for n in used),
                resources=f"/XObject << {' '.join(f'/X{n} {n} 0 R' for n in used)} >>")


@case("pdf-external-fonts", "a.pdf", "txt", "completed no_output")
def _(c):
    url = c.local("txt")[1]
    return page({5: "<< /Type /Font /Subtype /Type0 /BaseFont /X /Encoding 7 0 R /DescendantFonts [8 0 R] /ToUnicode 9 0 R >>",
                 7: (f"/Type /CMap /CMapName /X /UseCMap /{'..#2F' * 8 + url[1:].replace('/', '#2F')} /F {text(url)}", ""),
                 8: f"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /{url.replace('/', '#2F')} /FontDescriptor 6 0 R "
                    "/CIDSystemInfo << /Registry (..) /Ordering (../../etc/passwd) /Supplement 0 >> >>",
                 6: f"<< /Type /FontDescriptor /FontName /{url.replace('/', '#2F')} /Flags 4 /FontFile2 10 0 R >>",
                 9: (f"/F {text(url)}", ""), 10: (f"/F {text(url)}", "")})


@case("pdf-embedded-files", "a.pdf", "html", DONE)
def _(c):
    objects = {20: ("/Type /EmbeddedFile /Subtype /text#2Fplain", "inside"),
               21: "<< /Type /Filespec /F (../../../../tmp/escaped) /UF (/tmp/escaped) /EF << /F 20 0 R >> >>",
               22: "<< /Type /Annot /Subtype /FileAttachment /Rect [0 0 9 9] /FS 21 0 R >>",
               23: f"<< /Type /Filespec /F {text(c.local('txt')[1])} /EF << /F 24 0 R >> >>", 24: (f"/Type /EmbeddedFile /F {text(c.local('txt')[1])}", "")}
    return page(objects, page="/Annots [22 0 R]", root="/Names << /EmbeddedFiles << /Names [(a) 21 0 R (b) 23 0 R] >> >>")


@case("pdf-xfa", "a.pdf", "png", DONE)
def _(c):
    xfa = (f'<!DOCTYPE x [<!ENTITY leak SYSTEM "{c.local("txt")[0]}">]><xdp:xdp xmlns:xdp="http://ns.adobe.com/xdp/"><template>'
           f'&leak;<image href="{c.remote()[0]}"/><script>xfa.host.gotoURL("{c.remote()[0]}")</script></template></xdp:xdp>')
    return page({20: ("", xfa)}, root="/AcroForm << /XFA 20 0 R /Fields [] /NeedAppearances true >>")


@case("pdf-multimedia", "a.pdf", "png", DONE)
def _(c):
    urls = c.everywhere("mp4")
    objects = {20 + i: f"<< /Type /Annot /Subtype /Movie /Rect [0 0 99 99] /Movie << /F {text(u)} /Poster true >> /A true >>" for i, u in enumerate(urls)}
    return page(objects, page=f"/Annots [{' '.join(f'{n} 0 R' for n in objects)}]")


# --- those that eat


def flate(data, times):
    for _ in range(times):
        data = zlib.compress(data, 9)
    return f"/Filter [{' /FlateDecode' * times}]", data


@case("pdf-nested-flate", "a.pdf", "txt", BOUNDED + " no_output")
def _(c):
    head, data = flate(zlib.compress(bytes(400_000_000), 9), 3)
    return page({4: (head.replace("[", "[ /FlateDecode"), data)})


@case("pdf-content-bomb", "a.pdf", "png", BOUNDED)
def _(c):
    return page({4: flate(b"0 0 9 9 re f\n" * 8_000_000, 1)})


@case("pdf-100000-pages", "a.pdf", "png", "too_complex corrupt_input")
def _(c):
    kids = " ".join(["3 0 R"] * 100000)
    return page({2: f"<< /Type /Pages /Count 100000 /Kids [{kids}] >>"})


@case("pdf-claimed-pages", "a.pdf", "txt", "too_complex corrupt_input")
def _(c):
    return page({2: "<< /Type /Pages /Count 2147483647 /Kids [3 0 R] >>"})


@case("pdf-shared-kids", "a.pdf", "txt", BOUNDED + " no_output")
def _(c):
    levels = {20 + i: f"<< /Type /Pages /Count {10 ** (7 - i)} /Kids [{f'{21 + i} 0 R ' * 10}] >>" for i in range(7)}
    return page({2: "<< /Type /Pages /Count 1000 /Kids [20 0 R] >>", **levels, 27: "<< /Type /Page /Parent 26 0 R /MediaBox [0 0 9 9] >>"})


@case("pdf-page-tree-loop", "a.pdf", "png", BOUNDED)
def _(c):
    return page({2: "<< /Type /Pages /Count 5 /Kids [2 0 R 3 0 R] >>"})


@case("pdf-huge-box-png", "a.pdf", "png", "too_complex")
def _(c):
    return page(box="0 0 14400000 14400000")


@case("pdf-huge-box-svg", "a.pdf", "svg", BOUNDED)
def _(c):
    return page(box="0 0 14400000 14400000")


@case("pdf-infinite-box", "a.pdf", "png", "completed too_complex corrupt_input")
def _(c):
    return page(box="-1e38 -1e38 1e38 1e38")


@case("pdf-user-unit", "a.pdf", "png", "completed too_complex")
def _(c):
    return page(page="/UserUnit 100000")


@case("pdf-form-recursion", "a.pdf", "png", BOUNDED)
def _(c):
    return page({20: ("/Type /XObject /Subtype /Form /BBox [0 0 999 999] /Resources << /XObject << /A 21 0 R >> >>", "/A Do /A Do"),
                 21: ("/Type /XObject /Subtype /Form /BBox [0 0 999 999] /Resources << /XObject << /A 20 0 R >> >>", "/A Do /A Do")},
                "/A Do", resources="/XObject << /A 20 0 R >>")


@case("pdf-form-bomb", "a.pdf", "png", BOUNDED)
def _(c):
    forms = {20 + i: (f"/Type /XObject /Subtype /Form /BBox [0 0 999 999] /Resources << /XObject << /A {21 + i} 0 R >> >>", "/A Do\n" * 10)
             for i in range(12)}
    return page({**forms, 32: ("/Type /XObject /Subtype /Form /BBox [0 0 999 999]", "0 0 9 9 re f")}, "/A Do", resources="/XObject << /A 20 0 R >>")


@case("pdf-tiling-bomb", "a.pdf", "png", BOUNDED)
def _(c):
    tile = ("/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 1 1] /XStep 0.001 /YStep 0.001 "
            "/Resources << /Pattern << /P 21 0 R >> >>")
    return page({20: (tile, "/Pattern cs /P scn 0 0 1 1 re f"), 21: (tile.replace("/Pattern << /P 21 0 R >>", ""), "0 0 1 1 re f")},
                "/Pattern cs /P scn 0 0 612 792 re f", resources="/Pattern << /P 20 0 R >>")


@case("pdf-type3-bomb", "a.pdf", "txt", BOUNDED + " no_output")
def _(c):
    return page({5: "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 9 9] /FontMatrix [1 0 0 1 0 0] /FirstChar 97 /LastChar 97 /Widths [9] "
                    "/Encoding << /Differences [97 /a] >> /CharProcs << /a 20 0 R >> /Resources << /Font << /F1 5 0 R >> >> >>",
                 20: ("", "9 0 d0 BT /F1 1 Tf (aaaaaaaaaa) Tj ET")}, "BT /F1 9 Tf (aaaaaaaaaa) Tj ET")


@case("pdf-image-bomb", "a.pdf", "png", BOUNDED)
def _(c):
    head, data = flate(bytes(100_000_000), 2)
    return page({20: ("/Type /XObject /Subtype /Image /Width 200000 /Height 200000 /BitsPerComponent 8 /ColorSpace /DeviceRGB " + head, data)},
                "612 0 0 792 0 0 cm /I Do", resources="/XObject << /I 20 0 R >>")


@case("pdf-shading-bomb", "a.pdf", "png", BOUNDED)
def _(c):
    return page({20: "<< /ShadingType 1 /ColorSpace /DeviceRGB /Domain [0 1 0 1] /Matrix [612 0 0 792 0 0] /Function 21 0 R >>",
                 21: ("/FunctionType 4 /Domain [0 1 0 1] /Range [0 1 0 1 0 1]", "{ " + "dup mul sin " * 2000 + "dup dup }")},
                "/S sh " * 50, resources="/Shading << /S 20 0 R >>")


@case("pdf-xref-loop", "a.pdf", "png", BOUNDED)
def _(c):
    data = page()
    return page(trailer=f"/Prev {data.rindex(b'xref', 0, data.rindex(b'startxref'))}")


@case("pdf-deep-arrays", "a.pdf", "txt", BOUNDED + " no_output")
def _(c):
    return page({20: "[" * 200000 + "]" * 200000}, page="/X 20 0 R", contents="[" * 100000 + " TJ")


@case("pdf-outline-loop", "a.pdf", "html", BOUNDED)
def _(c):
    return page({20: "<< /First 21 0 R /Last 21 0 R /Count 9 >>", 21: "<< /Title (a) /Parent 20 0 R /Next 21 0 R /First 21 0 R >>"},
                root="/Outlines 20 0 R")
