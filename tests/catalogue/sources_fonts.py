"""A font of every kind: the letters of ASCII out of DejaVu, by fontTools, by FontForge where that is the kind's own tool."""

import struct
import subprocess
import sys
from pathlib import Path

SEED = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
FORMATS = {"ttf", "otf", "ttc", "woff", "woff2", "eot", "pfa", "pfb", "sfd", "dfont", "bdf"}


def subset(path):
    subprocess.run([sys.executable, "-m", "fontTools.subset", SEED, "--unicodes=U+20-7E", "--layout-features=*", "--drop-tables+=FFTM", f"--output-file={path}"], check=True, capture_output=True, timeout=120)


def rows(letter):
    """The eight rows of a letter of the bitmap font."""
    return bytes(letter * (i + 3) & 255 | 1 for i in range(8))


def bdf():
    lines = ["STARTFONT 2.1", "FONT -misc-test-medium-r-normal--8-80-75-75-c-80-iso10646-1", "SIZE 8 75 75", "FONTBOUNDINGBOX 8 8 0 0", "STARTPROPERTIES 5", "FONT_ASCENT 8",
             "FONT_DESCENT 0", 'CHARSET_REGISTRY "ISO10646"', 'CHARSET_ENCODING "1"', "PIXEL_SIZE 8", "ENDPROPERTIES", "CHARS 95"]
    for c in range(32, 127):
        lines += [f"STARTCHAR U+{c:04X}", f"ENCODING {c}", "SWIDTH 1000 0", "DWIDTH 8 0", "BBX 8 8 0 0", "BITMAP", *(f"{row:02X}" for row in rows(c)), "ENDCHAR"]
    return "\n".join([*lines, "ENDFONT", ""])


def eot(font, flags=0):
    """EOT 2.1 around a font: numbers out of its tables, no names."""
    data = bytes(byte ^ 0x50 for byte in font) if flags & 0x10000000 else font
    head = struct.pack("<III10sBBIHH", len(font), 0x00020001, flags, bytes(10), 1, 0, 400, 0, 0x504c) + bytes(6 * 4 + 4 + 16) + bytes(2 + 4 * 4 + 2)
    return struct.pack("<I", 4 + len(head) + len(data)) + head + data


def make(format, path):
    seed = path.parent / "seed.ttf"
    if not seed.exists():
        subset(seed)
    if format == "ttf":
        path.write_bytes(seed.read_bytes())
    elif format == "woff2":
        (path.parent / "made.ttf").write_bytes(seed.read_bytes())
        subprocess.run(["woff2_compress", "made.ttf"], cwd=path.parent, check=True, capture_output=True, timeout=120)
        (path.parent / "made.woff2").rename(path)
    elif format == "eot":
        path.write_bytes(eot(seed.read_bytes(), 0x10000000))
    elif format == "bdf":
        path.write_text(bdf())
    elif format in ("woff", "ttc"):
        from fontTools.ttLib import TTCollection, TTFont
        font = TTFont(seed)
        if format == "woff":
            font.flavor = "woff"
            font.save(path)
        else:
            collection = TTCollection()
            collection.fonts = [font, TTFont(seed)]
            collection.save(path)
    else:
        save = "Save" if format == "sfd" else "Generate"
        subprocess.run(["fontforge", "-lang=ff", "-c", f"Open($1); {save}($2)", seed, path], check=True, capture_output=True, timeout=120)
        path.with_suffix(".afm").unlink(missing_ok=True)
