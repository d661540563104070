"""PDFs that are to become PDFs: what is read again to be written, by qpdf, and by Ghostscript for the archive."""

import functools
import zlib

from . import add, case
from .pdfs import BOUNDED, actions, build, flate, page

DONE = "completed corrupt_input"
ENDS = BOUNDED + " no_output"


def attached(c):
    names = {20 + i: f"<< /Type /Filespec /F ({url}) /UF ({url}) /FS /URL /EF << /F 60 0 R >> >>" for i, url in enumerate(u.replace("\\", "/") for u in c.everywhere("txt"))}
    streams = {100 + i: (f"/Type /EmbeddedFile /F ({url}) /FFilter /FlateDecode", "") for i, url in enumerate(u.replace("\\", "/") for u in c.local("txt"))}
    found = actions(c)
    links = {200 + i: f"<< /Type /Annot /Subtype /Link /Rect [0 0 99 99] /A {a} >>" for i, a in enumerate(found)}
    listed = " ".join(f"(n{n}) {n} 0 R" for n in names)
    return page({**names, **streams, **links, 60: (f"/Type /EmbeddedFile /F ({c.local('txt')[1]})", "")},
                page=f"/Annots [{' '.join(f'{n} 0 R' for n in links)}] /X [{' '.join(f'{n} 0 R' for n in streams)}] /AA << /O {found[-1]} >>",
                root=f"/Names << /EmbeddedFiles << /Names [{listed}] >> >> /OpenAction {found[0]}")


@functools.cache
def zeros(size, times):
    return flate(bytes(size), times)


def object_streams(count, each):
    """`count` streams of `each` objects, none of which is of use; deflated they are next to nothing."""
    head = " ".join(f"{1000 + i} 0" for i in range(each)).encode()
    body = head + b" " + b"0 " * each
    packed = zlib.compress(body, 9)
    return {100 + n: (f"/Type /ObjStm /N {each} /First {len(head) + 1} /Filter /FlateDecode", packed) for n in range(count)}


WRITTEN = {
    "names-elsewhere": (DONE, attached),
    "object-streams": (ENDS, lambda c: page(object_streams(20, 100000), page="/X [" + " ".join(f"{100 + n} 0 R" for n in range(20)) + "]")),
    "object-stream-loop": (ENDS, lambda c: page({100: ("/Type /ObjStm /N 1 /First 9 /Extends 100 0 R", "100 0    <<>>")}, page="/X 100 0 R")),
    "xref-loop": (ENDS, lambda c: page(trailer=f"/Prev {page().rindex(b'xref', 0, page().rindex(b'startxref'))}")),
    "xref-stream-absurd": (ENDS, lambda c: page()[:page().rindex(b"xref\n0")] + b"9 0 obj << /Type /XRef /W [8 8 8] /Index [0 2147483647] /Size 2147483647 /Root 1 0 R /Length 9 >>\nstream\n123456789\nendstream endobj\n"
                           b"startxref\n%d\n%%%%EOF\n" % page().rindex(b"xref\n0")),
    "predictor-columns": (ENDS, lambda c: page({4: ("/Filter /FlateDecode /DecodeParms << /Predictor 12 /Columns 2147483647 /Colors 32 /BitsPerComponent 16 >>", zlib.compress(b"1" * 100))})),
    "nested-flate": (ENDS, lambda c: page({4: zeros(400_000_000, 4)})),
    "million-kids": (ENDS, lambda c: page({2: f"<< /Type /Pages /Count 1000000 /Kids [{'3 0 R ' * 1000000}] >>"})),
    "shared-kids": (ENDS, lambda c: page({2: "<< /Type /Pages /Count 1000 /Kids [20 0 R] >>", **{
        20 + i: f"<< /Type /Pages /Count {10 ** (7 - i)} /Kids [{f'{21 + i} 0 R ' * 10}] >>" for i in range(7)}, 27: "<< /Type /Page /Parent 26 0 R /MediaBox [0 0 9 9] >>"})),
    "kids-loop": (ENDS, lambda c: page({2: "<< /Type /Pages /Count 5 /Kids [2 0 R 3 0 R] >>"})),
    "parents-loop": (ENDS, lambda c: build({2: "<< /Type /Pages /Count 1 /Kids [3 0 R] /Parent 2 0 R >>", 3: "<< /Type /Page /Parent 2 0 R >>"})),
    "claimed-pages": (ENDS, lambda c: page({2: "<< /Type /Pages /Count 2147483647 /Kids [3 0 R] >>"})),
    "deep-arrays": (ENDS, lambda c: page({20: "[" * 200000 + "]" * 200000}, page="/X 20 0 R")),
    "deep-dictionaries": (ENDS, lambda c: page({20: "<< /A " * 400 + "0" + " >>" * 400}, page="/X 20 0 R")),
    "outline-loop": (ENDS, lambda c: page({20: "<< /First 21 0 R /Last 21 0 R /Count 9 >>", 21: "<< /Title (a) /Parent 20 0 R /Next 21 0 R /First 21 0 R >>"}, root="/Outlines 20 0 R")),
    "fields-loop": (ENDS, lambda c: page({20: "<< /FT /Tx /T (a) /Kids [20 0 R 21 0 R] /Parent 21 0 R >>", 21: "<< /T (b) /Kids [20 0 R] /Parent 20 0 R /Subtype /Widget /Rect [0 0 9 9] >>"},
                                             page="/Annots [21 0 R]", root="/AcroForm << /Fields [20 0 R] /NeedAppearances true >>")),
    "labels-loop": (ENDS, lambda c: page({20: "<< /Kids [20 0 R] /Limits [0 9] >>"}, root="/PageLabels 20 0 R /Names << /Dests 20 0 R /EmbeddedFiles 20 0 R >>")),
    "resources-loop": (ENDS, lambda c: page({20: ("/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /A 20 0 R >> >>", "/A Do")}, "/A Do", resources="/XObject << /A 20 0 R >>")),
    "huge-picture": (ENDS, lambda c: page({20: ("/Type /XObject /Subtype /Image /Width 200000 /Height 200000 /BitsPerComponent 8 /ColorSpace /DeviceRGB " + zeros(100_000_000, 2)[0], zeros(100_000_000, 2)[1])}, "612 0 0 792 0 0 cm /I Do", resources="/XObject << /I 20 0 R >>")),
    "encryption-absurd": (ENDS + " password_required", lambda c: page({20: "<< /Filter /Standard /V 5 /R 6 /Length 2147483647 /P -1 /O (a) /U (b) /OE (c) /UE (d) /Perms (e) >>"}, trailer="/Encrypt 20 0 R /ID [(a) (b)]")),
}
WAYS = {"written": ("pdf", {"pages": "1,z", "rotate": 90, "compress": "lossy", "linearize": True}), "split": ("pdf", {"split": 1}), "archived": ("pdf", {"pdfa": "1b"}),
        "printed": ("ps", {})}

for name, (ends, make) in WRITTEN.items():
    for way, (target, options) in WAYS.items():
        add(f"pdf-{way}-{name}", "a.pdf", target, ends, make, options)


@case("pdf-pages-of-many", "a.pdf", "pdf", "completed too_complex timed_out", {"pages": ",".join(["1-z"] * 80)})
def _(c):
    return page({2: f"<< /Type /Pages /Count 2000 /Kids [{'3 0 R ' * 2000}] >>"})


@case("pdf-describes-itself", "a.pdf", "pdf", "completed", {"pdfa": "2b"})
def _(c):
    info = f"(</rdf:li><x/>]]><!ENTITY a SYSTEM \"{c.local('txt')[0]}\">&a;\\000\\001\\377{'a' * 100000})"
    return page({30: f"<< /Title {info} /Author {info} /CreationDate (D:99999999999999) /ModDate {info} >>"}, trailer="/Info 30 0 R")
