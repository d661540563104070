"""Scans: what is drawn to be read, and what qpdf then lays a text over."""

import random
import zlib

from . import CASES, add, case, png_file
from .pdfs import BOUNDED, build, flate, page

READ = {"ocr": "eng", "ocr_all": True}
ENDS = BOUNDED + " no_output"
# What the PDF engine gets as well; `ocr_all` has the pages drawn that have text.
SEEN = ("external-streams", "external-fonts", "embedded-files", "xfa", "100000-pages", "claimed-pages", "page-tree-loop", "huge-box-png", "infinite-box",
        "user-unit", "form-recursion", "image-bomb", "xref-loop", "nested-flate")

for seen in [seen for seen in CASES if seen.name in {f"pdf-{name}" for name in SEEN}]:
    add(seen.name.replace("pdf-", "scan-"), "a.pdf", "pdf", ENDS, seen.make, **READ)


@case("scan-of-10000-pages", "a.pdf", "pdf", "too_complex", ocr="eng")
def _(c):
    pages = {10 + n: "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] >>" for n in range(10000)}
    return build({2: f"<< /Type /Pages /Count 10000 /Kids [{' '.join(f'{n} 0 R' for n in pages)}] >>", **pages})


@case("scan-of-2000-pages", "a.pdf", "pdf", BOUNDED, ocr="eng")
def _(c):
    line = "BT /F1 6 Tf 1 Tr 20 {} Td (the quick brown fox jumps over the lazy dog and so on and on until there is no room left) Tj ET\n"
    form = {5: "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>", 4: ("", "".join(line.format(y) for y in range(20, 780, 7)))}
    pages = {10 + n: "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>" for n in range(2000)}
    return build({2: f"<< /Type /Pages /Count 2000 /Kids [{' '.join(f'{n} 0 R' for n in pages)}] >>", **form, **pages})


@case("scan-of-200-inches", "a.pdf", "pdf", BOUNDED, ocr="eng")
def _(c):
    return page({20: ("/Type /XObject /Subtype /Image /Width 8000 /Height 8000 /BitsPerComponent 1 /ColorSpace /DeviceGray " + flate(bytes(8000 * 1000), 1)[0],
                      flate(random.Random(c.seed).randbytes(8000 * 1000), 1)[1])},
                "q 14400 0 0 14400 0 0 cm /I Do Q", resources="/XObject << /I 20 0 R >>", box="0 0 14400 14400")


def picture(side, grain, seed):
    """Specks of `grain` pixels, black and white by chance: as many letters as they may be taken for."""
    chance = random.Random(seed)
    rows = []
    for _ in range(side // grain):
        row = b"\0" + b"".join(chance.choice((b"\0", b"\xff", b"\xff")) * grain for _ in range(side // grain))
        rows += [row] * grain
    side = side // grain * grain
    return png_file(side, side, (b"IDAT", zlib.compress(b"".join(rows), 1)), colour_type=0)


for grain in 1, 3, 9:
    add(f"scan-specks-{grain}", "a.png", "txt", ENDS, lambda c, grain=grain: picture(3000, grain, c.seed))


@case("scan-glyph-flood", "a.pdf", "pdf", BOUNDED, ocr="eng", ocr_all=True)
def _(c):
    """All of a large page in the smallest print, as shapes: a hundred thousand letters that look like letters."""
    chance = random.Random(c.seed)
    word = lambda: "".join(chance.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(chance.randint(2, 9)))
    lines = "".join(f"BT /F1 5 Tf 1 Tr 10 {y} Td ({' '.join(word() for _ in range(70))}) Tj ET\n" for y in range(10, 2370, 6))
    return page(contents=lines, box="0 0 1684 2384")


@case("scan-languages", "a.png", "txt", ENDS, ocr="+".join(["eng", "deu"] * 2000))
def _(c):
    return picture(400, 9, c.seed)
