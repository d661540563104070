"""What is converted: real documents from the samples, and large ones made here."""

import random
import struct
import subprocess
import zlib
from pathlib import Path

# One of each kind, small, and readable by every contestant.
SMALL_OFFICE = ["Styles.docx", "LibreOfficeWriter_odt_1.3.odt", "58106.xlsx", "bug65551.pptx"]
LARGE_OFFICE = ["issue_51265_3.docx", "58325_lt.xlsx", "KEY02.pptx"]
SMALL_BYTES = 64 * 1024
OFFICE_SUFFIXES = {".docx", ".odt", ".xlsx", ".pptx", ".doc", ".xls", ".ppt", ".ods", ".odp", ".rtf"}


def office_files(samples, names, small=True):
    """The named files, else of a folder with others one of each modern kind, by size."""
    found = {p.name: p for p in sorted(Path(samples).rglob("*")) if p.suffix.lower() in OFFICE_SUFFIXES}
    if all(name in found for name in names):
        return [found[name] for name in names]
    fitting = [p for p in found.values() if (p.stat().st_size <= SMALL_BYTES) == small]
    kinds = {}
    for path in sorted(fitting, key=lambda p: p.stat().st_size):
        kinds.setdefault(path.suffix, path)
    return list(kinds.values())[:4]


def find(samples, name, suffix):
    """That file, else the smallest of its kind."""
    found = sorted(Path(samples).rglob("*" + suffix), key=lambda p: (p.name != name, p.stat().st_size))
    if not found:
        raise SystemExit(f"there is no {suffix} file below {samples}")
    return found[0]


def make_pdf(path, pages, seed=7):
    """Text, lines and coloured areas, as a report has them; the same bytes each time."""
    rng = random.Random(seed)
    words = ["conversion", "of", "documents", "the", "queue", "holds", "report", "number", "margin", "page", "every", "table"]
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>",
               b"<< /Type /Pages /Count %d /Kids [%s] >>" % (pages, b" ".join(b"%d 0 R" % (4 + 2 * i) for i in range(pages))),
               b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    for page in range(pages):
        lines = [f"0.1 0.3 0.6 rg 50 780 {rng.randint(200, 495)} 8 re f 0 g BT /F1 10 Tf 13 TL 50 760 Td"]
        lines += ["(" + " ".join(rng.choices(words, k=13)) + ") '" for _ in range(45)]
        lines.append("ET")
        for _ in range(40):
            x, y = rng.randint(50, 500), rng.randint(40, 140)
            lines.append(f"{rng.random():.2f} {rng.random():.2f} {rng.random():.2f} rg {x} {y} 40 18 re f "
                         f"{x} {y} m {rng.randint(50, 540)} {rng.randint(40, 160)} l S")
        stream = zlib.compress("\n".join(lines).encode())
        objects.append(b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
                       b"/Contents %d 0 R >>" % (5 + 2 * page))
        objects.append(b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(stream), stream))
    out, offsets = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    xref = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, xref)
    path.write_bytes(out)
    return path


def make_tiny_png(path):
    """One pixel: a job that is nothing but its frame."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)) +
                     chunk(b"IDAT", zlib.compress(b"\0\xff\x80\0")) + chunk(b"IEND", b""))
    return path


def make_photos(folder, width=8000, height=6000):
    """A large PNG and JPEG of something cloudy in three colours, which compresses as photographs do."""
    def vips(*argv):
        subprocess.run(["vips", *map(str, argv)], check=True, cwd=folder, stdout=subprocess.DEVNULL)
    for band in range(3):
        vips("perlin", f"band{band}.v", width, height, "--cell-size", 256 << band, "--uchar", "--seed", band + 1)
    vips("bandjoin", "band0.v band1.v band2.v", "rgb.v")
    vips("copy", "rgb.v", "large.png[compression=6]")
    vips("copy", "rgb.v", "large.jpg[Q=90]")
    for path in folder.glob("*.v"):
        path.unlink()
    return folder / "large.png", folder / "large.jpg"


def make_blob(path, size):
    """A bitmap of that many bytes with noise in it, for uploads."""
    width = 4096
    height = (size - 54) // (width * 3)
    data = random.Random(1).randbytes(1 << 20)
    with open(path, "wb") as out:
        body = width * 3 * height
        out.write(struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54 + body, 0, 0, 54, 40, width, height, 1, 24, 0, body, 0, 0, 0, 0))
        while body > 0:
            out.write(data[:body])
            body -= len(data)
    return path
