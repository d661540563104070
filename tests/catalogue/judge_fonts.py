"""Has a font the letters that its fixture had, of the same shapes, and what else its kind can keep? Asked of fontTools and fontconfig."""

import io
import re
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

from fontTools import t1Lib
from fontTools.pens.areaPen import AreaPen
from fontTools.ttLib import TTFont

from sources_fonts import FORMATS, rows, subset

LETTERS = [*map(chr, range(65, 91)), *map(chr, range(97, 123))]
PACKED = {"ttf", "ttc", "woff", "woff2", "eot"}  # the fixtures of TrueType; what only packs them keeps every byte
NOT_KEPT = {"glyf", "loca", "head", "DSIG"}  # by WOFF 2, which says so of itself


def shapes(glyphs, per_em):
    """The areas of the letters, as parts of the em square, and how wide they are."""
    found = {}
    for letter in LETTERS:
        pen = AreaPen(glyphs)
        glyphs[letter].draw(pen)
        found[letter] = abs(pen.value) / per_em ** 2, glyphs[letter].width / per_em
    return found


@lru_cache
def seed():
    with tempfile.TemporaryDirectory() as folder:
        subset(Path(folder) / "seed.ttf")
        return TTFont(io.BytesIO((Path(folder) / "seed.ttf").read_bytes()))


def compare(glyphs, per_em):
    wanted, found = shapes(seed().getGlyphSet(), seed()["head"].unitsPerEm), shapes(glyphs, per_em)
    for letter, (area, width) in wanted.items():
        assert abs(found[letter][0] - area) < 0.01 * area + 0.0005, f"{letter} covers {found[letter][0]:.4f} of its square, not {area:.4f}"
        assert abs(found[letter][1] - width) < 0.002, f"{letter} is {found[letter][1]:.4f} wide, not {width:.4f}"


def judge_sfnt(path, format):
    font = TTFont(path)
    kind = {"ttf": "\0\1\0\0", "otf": "OTTO"}.get(format)
    assert kind is None or font.sfntVersion == kind, repr(font.sfntVersion)
    assert font.flavor == (format if format.startswith("woff") else None), font.flavor
    assert set(range(0x20, 0x7f)) <= set(font.getBestCmap()), "letters are missing"
    compare(font.getGlyphSet(), font["head"].unitsPerEm)
    if format in ("ttf", "otf"):
        said = subprocess.run(["fc-scan", "-f", "%{family}", path], check=True, capture_output=True, text=True, timeout=60).stdout
        assert "DejaVu Sans" in said or "DejaVuSans" in said, said
    if path.stem in PACKED | {"otf"}:
        assert "GPOS" in font and font["GPOS"].table.LookupList.LookupCount > 0, "no kerning"
    if path.stem in PACKED and format != "otf":
        lost = NOT_KEPT if "woff2" in (path.stem, format) else {"head"} if path.stem in ("ttc", "woff") else set()  # fontTools dates what it saves
        for tag in set(seed().reader.keys()) - lost:
            assert font.reader[tag] == seed().reader[tag], f"the table {tag} is another"


def judge_type1(path):
    font = t1Lib.T1Font(str(path))
    font.parse()
    compare(font.getGlyphSet(), round(1 / font.font["FontMatrix"][0]))


def judge_t42(path):
    """The font that is in it, as hexadecimal strings."""
    text = path.read_text(encoding="latin-1")
    data = b"".join(bytes.fromhex(re.sub(r"\s", "", part))[:-1 if len(re.sub(r"\s", "", part)) // 2 % 2 else None] for part in re.findall(r"<([0-9A-Fa-f\s]+)>", text[text.index("/sfnts"):]))
    places = dict((name, int(at)) for name, at in re.findall(r"/(\S+) (\d+) def", text[text.index("/CharStrings"):]))
    font, wanted = TTFont(io.BytesIO(data)), shapes(seed().getGlyphSet(), seed()["head"].unitsPerEm)
    font.setGlyphOrder([f"glyph{i}" for i in range(font["maxp"].numGlyphs)])
    glyphs = font.getGlyphSet()
    for letter in LETTERS:
        pen = AreaPen(glyphs)
        glyphs[f"glyph{places[letter]}"].draw(pen)
        area = abs(pen.value) / font["head"].unitsPerEm ** 2
        assert abs(area - wanted[letter][0]) < 0.01 * wanted[letter][0] + 0.0005, letter


def judge_sfd(path):
    text = path.read_text(encoding="latin-1")
    assert text.startswith("SplineFontDB:") and re.search(r"^FamilyName: DejaVu", text, re.M), text[:200]
    assert set(LETTERS) <= set(re.findall(r"^StartChar: (\S+)$", text, re.M)) and text.count("\nSplineSet\n") > 90


def judge_otb(path):
    font = TTFont(path)
    names, glyphs = font.getBestCmap(), font["EBDT"].strikeData
    assert len(glyphs) == 1
    for letter in LETTERS:
        assert glyphs[0][names[ord(letter)]].imageData == rows(ord(letter)), letter


def judge_pcf(path):
    said = subprocess.run(["fc-scan", "-f", "%{fontformat} %{pixelsize} %{charset}", path], check=True, capture_output=True, text=True, timeout=60).stdout
    assert said == "PCF 8 20-7e", said
    assert all(row.to_bytes(1, "big") in path.read_bytes() for row in rows(ord("A")))


def judges(path, format):
    return format in FORMATS | {"t42", "otb", "pcf"} and path.stem in FORMATS


def judge(path, format):
    if format in ("pfa", "pfb"):
        judge_type1(path)
    elif format in ("t42", "sfd", "otb", "pcf"):
        {"t42": judge_t42, "sfd": judge_sfd, "otb": judge_otb, "pcf": judge_pcf}[format](path)
    else:
        judge_sfnt(path, format)
