"""Pictures of the rarer kinds and drawings: what a format can hold is still there, and what it can't becomes what one would want."""

import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "catalogue"))

from client import problem
from sources_image import PAINTINGS

RED = (255, 0, 0)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def picture(width, height, pixel, depth=8, kind=2):
    """A PNG of pixel(x, y), a tuple of samples each."""
    sample = ">" + ("B" if depth == 8 else "H")
    rows = b"".join(b"\0" + b"".join(struct.pack(sample, value) for x in range(width) for value in pixel(x, y)) for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def half_clear():
    """Opaque red on the left, nothing on the right."""
    return picture(32, 16, lambda x, y: (255, 0, 0, 255 if x < 16 else 0), kind=6)


def seen(data, format, tmp_path, *words):
    """What ImageMagick sees in a result."""
    path = tmp_path / "result"
    path.write_bytes(data)
    return subprocess.run(["convert", f"{format}:{path}[0]", *words], check=True, capture_output=True, timeout=60).stdout.decode()


def colour_at(data, format, tmp_path, x, y):
    """(red, green, blue, alpha), 0 to 255."""
    said = seen(data, format, tmp_path, "-depth", "8", "-format", f"%[fx:round(255*p{{{x},{y}}}.r)] %[fx:round(255*p{{{x},{y}}}.g)] %[fx:round(255*p{{{x},{y}}}.b)] "
                f"%[fx:round(255*p{{{x},{y}}}.a)]", "info:")
    return tuple(map(int, said.split()))


@pytest.mark.parametrize("target", ["pam", "miff", "psd", "dpx"])
def test_depth_is_kept_where_it_can_be(client, target, tmp_path):
    deep = picture(256, 16, lambda x, y: (250 * x + y, 1000 + y, 0), depth=16)
    data = client.result("a.png", deep, target)[1]
    assert seen(data, target, tmp_path, "-format", "%z", "info:") == "16"
    assert int(seen(data, target, tmp_path, "-format", "%k", "info:")) > 4000  # more than 8 bits of the red could tell apart


@pytest.mark.parametrize("target", ["sgi", "dds", "xpm", "psd", "miff", "pam", "avs", "aai", "j2k", "jng"])
def test_transparency_is_kept_where_it_can_be(client, target, tmp_path):
    data = client.result("a.png", half_clear(), target)[1]
    assert colour_at(data, target, tmp_path, 24, 8)[3] == 0
    assert colour_at(data, target, tmp_path, 4, 8) == pytest.approx((255, 0, 0, 255), abs=3)


@pytest.mark.parametrize("target", ["pcx", "dcx", "ras", "xwd", "viff", "dpx", "hdr"])
def test_transparency_is_laid_on_white_elsewhere(client, target, tmp_path):
    data = client.result("a.png", half_clear(), target)[1]
    assert colour_at(data, "sun" if target == "ras" else target, tmp_path, 24, 8)[:3] == pytest.approx((255, 255, 255), abs=3)
    assert colour_at(data, "sun" if target == "ras" else target, tmp_path, 4, 8)[:3] == pytest.approx((255, 0, 0), abs=14)


@pytest.mark.parametrize("target", ["jpg", "png", "webp", "gif", "tiff", "bmp", "psd", "pcx", "dpx", "tga", "miff"])
def test_transparency_is_laid_on_the_colour_asked_for(client, target, tmp_path):
    data = client.result("a.png", half_clear(), target, background="#3c64c8")[1]
    assert colour_at(data, target, tmp_path, 24, 8) == pytest.approx((60, 100, 200, 255), abs=6)
    assert colour_at(data, target, tmp_path, 4, 8)[:3] == pytest.approx((255, 0, 0), abs=14)


def test_paper_has_the_colour_asked_for(client, tmp_path):
    """Of a PDF of a drawing, of the drawing itself, and of a picture."""
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg" width="96" height="48"><rect width="48" height="48" fill="red"/></svg>'
    paper = client.result("a.svg", drawing, "pdf")[1]
    for data in (client.result("a.pdf", paper, "png", dpi=96, background="#3c64c8")[1],
                 client.result("a.pdf", client.result("a.svg", drawing, "pdf", background="#3c64c8")[1], "png", dpi=96)[1],
                 client.result("a.svg", drawing, "png", background="#3c64c8")[1]):
        assert colour_at(data, "png", tmp_path, 72, 24) == (60, 100, 200, 255)
        assert colour_at(data, "png", tmp_path, 24, 24) == (*RED, 255)
    assert colour_at(client.result("a.pdf", paper, "png", dpi=96)[1], "png", tmp_path, 72, 24)[:3] == (255, 255, 255)
    assert colour_at(client.result("a.svg", drawing, "png")[1], "png", tmp_path, 72, 24)[3] == 0
    shown = client.result("a.pdf", client.result("a.png", half_clear(), "pdf", background="#3c64c8")[1], "png", dpi=96)[1]
    assert colour_at(shown, "png", tmp_path, 24, 8)[:3] == (60, 100, 200)


@pytest.mark.parametrize("target", ["png", "jpg", "pcx", "ico"])
def test_pictures_are_turned(client, target, tmp_path):
    """Red was on the left: by a quarter it comes to the top, and to the bottom by three."""
    picture_of_two = picture(32, 16, lambda x, y: RED if x < 16 else (0, 0, 255))
    for degrees, (width, height), top in ((90, (16, 32), RED), ("270", (16, 32), (0, 0, 255)), (180, (32, 16), (0, 0, 255))):
        data = client.result("a.png", picture_of_two, target, rotate=degrees)[1]
        assert seen(data, target, tmp_path, "-format", "%w %h", "info:") == f"{width} {height}"
        assert colour_at(data, target, tmp_path, 4, 4)[:3] == pytest.approx(top, abs=20)


def test_of_a_picture_as_pdf_the_page_is_turned(client, tmp_path):
    paper = client.result("a.png", picture(32, 16, lambda x, y: RED if x < 16 else (0, 0, 255)), "pdf", rotate=90)
    assert paper[0]["engine"] == "image+pages"
    page = client.result("a.pdf", paper[1], "png", dpi=96)[1]
    width, height = struct.unpack(">II", page[16:24])
    assert width < height and colour_at(page, "png", tmp_path, width // 2, 4)[:3] == RED


@pytest.mark.parametrize("options", [{"background": value} for value in ("red", "#fff", "#12345g", "ffffff", 0, None, ["white"], "#ffffff\n", "transparent")]
                         + [{"rotate": value} for value in (45, "-90", 360, True, "90 ")])
def test_options_of_pictures_are_checked(client, options):
    answer = client.convert(client.upload("a.png", half_clear()).json()["job_id"], "jpg", **options)
    problem(answer, 400, "bad_request")
    assert f'"{next(iter(options))}" must be' in answer.json()["detail"]


@pytest.mark.parametrize("target", ["xbm", "wbmp", "jbig"])
def test_greys_become_dots(client, target, tmp_path):
    """As many white ones as the grey is light, and not a black or a white plane."""
    data = client.result("a.png", picture(64, 64, lambda x, y: (155, 155, 155) if x < 48 else (0, 0, 0) if y < 32 else (255, 255, 255)), target)[1]
    assert 0.5 < float(seen(data, target, tmp_path, "-crop", "48x64+0+0", "-colorspace", "gray", "-format", "%[fx:mean]", "info:")) < 0.7


def test_a_cursor_is_one_and_its_largest_size_is_read(client, tmp_path):
    cursor = client.result("a.png", picture(64, 64, lambda x, y: RED), "cur")[1]
    assert cursor[:4] == b"\0\0\2\0" and struct.unpack_from("<H", cursor, 4)[0] >= 3  # 64, 48, 32, 16
    (tmp_path / "a.cur").write_bytes(cursor)
    assert "cursor" in subprocess.run(["file", "-b", tmp_path / "a.cur"], check=True, capture_output=True, text=True).stdout
    assert client.result("a.cur", cursor, "png")[1][16:24] == struct.pack(">II", 64, 64)


def colours(x, y):
    """Runs, small and large steps, colours that come again, and changes of transparency alone."""
    kinds = [(200, 30, 60, 255), (x % 4 + 10, 20, 30, 255), (x * 3 % 256, x * 5 % 256, x * 7 % 256, 255), (x * 67 % 256, y * 91 % 256, x * y % 256, 255), (9, 9, 9, x % 256)]
    return kinds[y // 4 % len(kinds)]


def raw(path):
    """RGBA as FFmpeg decodes it."""
    return subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgba", "-"], check=True, capture_output=True, timeout=60).stdout


def test_qoi_is_what_ffmpeg_takes_for_it(client, tmp_path):
    (tmp_path / "a.png").write_bytes(picture(150, 60, colours, kind=6))
    (tmp_path / "a.qoi").write_bytes(client.result("a.png", (tmp_path / "a.png").read_bytes(), "qoi")[1])
    assert raw(tmp_path / "a.qoi") == raw(tmp_path / "a.png")
    subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "a.png", tmp_path / "b.qoi"], check=True, timeout=60)
    (tmp_path / "b.png").write_bytes(client.result("b.qoi", (tmp_path / "b.qoi").read_bytes(), "png")[1])
    assert raw(tmp_path / "b.png") == raw(tmp_path / "a.png")


@pytest.mark.parametrize("depth", [8, 16])
def test_farbfeld_is_what_its_tools_take_for_it(client, depth, tmp_path):
    most = 255 if depth == 8 else 65535
    original = picture(40, 30, lambda x, y: (x * 1601 % (most + 1), y * 977 % (most + 1), most), depth)
    ours = client.result("a.png", original, "ff")[1]
    assert ours == subprocess.run(["png2ff"], input=original, check=True, capture_output=True, timeout=60).stdout
    assert colour_at(client.result("a.ff", ours, "png")[1], "png", tmp_path, 0, 0)[:3] == (0, 0, 255)


@pytest.mark.parametrize("format", ["ora", "kra"])
def test_a_painting_looks_as_its_program_says(client, format, tmp_path):
    """As it is merged, not as its first layer."""
    kind, member, text = PAINTINGS[format]
    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        archive.writestr("mimetype", kind)
        archive.writestr(member, text)
        archive.writestr("data/layer0.png", picture(9, 9, lambda x, y: (0, 0, 255)))
        archive.writestr("mergedimage.png", picture(9, 9, lambda x, y: RED))
    data = (tmp_path / "a").read_bytes()
    assert colour_at(client.result(f"a.{format}", data, "png")[1], "png", tmp_path, 4, 4)[:3] == RED
    problem(client.upload("a.odt", data), 422, "type_mismatch")


def squares(data):
    """{name: bytes} of an icon of Apple's."""
    at, found = 8, {}
    assert data[:4] == b"icns" and struct.unpack_from(">I", data, 4)[0] == len(data)
    while at < len(data):
        name, size = struct.unpack_from(">4sI", data, at)
        found[name.decode()] = data[at + 8:at + size]
        at += size
    return found


def test_an_apple_icon_has_squares_of_all_sizes(client, tmp_path):
    icon = client.result("a.png", picture(300, 200, lambda x, y: RED), "icns")[1]
    found = squares(icon)
    assert {name: struct.unpack_from(">II", data, 16) for name, data in found.items()} == {
        "ic08": (256, 256), "ic07": (128, 128), "icp6": (64, 64), "icp5": (32, 32), "icp4": (16, 16)}
    assert colour_at(found["ic08"], "png", tmp_path, 128, 128) == (*RED, 255)
    assert colour_at(found["ic08"], "png", tmp_path, 128, 10)[3] == 0  # what isn't picture is nothing
    assert client.result("a.icns", icon, "png")[1][16:24] == struct.pack(">II", 256, 256)


@pytest.mark.parametrize("sizes", [(16, 32, 48, 128), (48, 256), (16,)])
def test_the_largest_of_an_apple_icon_is_read(client, sizes, tmp_path):
    """png2icns packs the smaller ones plane by plane, with a mask, and the larger ones as JPEG 2000."""
    for size in sizes:
        subprocess.run(["convert", "-size", f"{size}x{size}", "xc:none", "-fill", "red", "-draw", f"rectangle 0,0 {size // 2 - 1},{size}", f"png32:{tmp_path / f'{size}.png'}"],
                       check=True, timeout=60)
    subprocess.run(["png2icns", tmp_path / "a.icns", *(tmp_path / f"{size}.png" for size in sizes)], check=True, capture_output=True, timeout=60)
    shown = client.result("a.icns", (tmp_path / "a.icns").read_bytes(), "png")[1]
    side = sizes[-1]
    assert shown[16:24] == struct.pack(">II", side, side)
    assert colour_at(shown, "png", tmp_path, 2, 2) == pytest.approx((255, 0, 0, 255), abs=4)
    assert colour_at(shown, "png", tmp_path, side - 3, 2)[3] == 0


def test_the_first_of_several_pages(client, tmp_path):
    for name, colour in (("1", "red"), ("2", "blue")):
        subprocess.run(["convert", "-size", "20x10", f"xc:{colour}", tmp_path / f"{name}.png"], check=True, timeout=60)
    subprocess.run(["convert", tmp_path / "1.png", tmp_path / "2.png", f"dcx:{tmp_path / 'a.dcx'}"], check=True, timeout=60)
    assert colour_at(client.result("a.dcx", (tmp_path / "a.dcx").read_bytes(), "png")[1], "png", tmp_path, 5, 5) [:3] == RED


def pfm(*values):
    return b"PF\n%d 1\n-1.0\n" % (len(values) // 3) + struct.pack(f"<{len(values)}f", *values)


@pytest.mark.parametrize("source, says, dpi", [("psd", 300, 300), ("pcx", 150, 150), ("miff", 200, 200), ("avs", None, 72)])
def test_dots_per_inch_are_kept(client, source, says, dpi, tmp_path):
    """A scan has its size on paper by them. What says nothing (AVS can't) has the usual 72, and isn't four times as large."""
    path = tmp_path / f"a.{source}"
    subprocess.run(["convert", "-size", "60x30", "gradient:", *(["-units", "PixelsPerInch", "-density", str(says)] if says else []), f"{source}:{path}"], check=True, timeout=60)
    png = client.result(path.name, path.read_bytes(), "png")[1]
    assert round(float(seen(png, "png", tmp_path, "-units", "PixelsPerInch", "-format", "%x", "info:").split()[0])) == dpi
    pdf = client.result(path.name, path.read_bytes(), "pdf")[1]
    (tmp_path / "a.pdf").write_bytes(pdf)
    size = subprocess.run(["pdfinfo", tmp_path / "a.pdf"], check=True, capture_output=True, text=True, timeout=60).stdout.split("Page size:")[1].split()
    assert abs(float(size[0]) - 60 * 72 / dpi) < 0.5, size


def test_light_beyond_white_is_kept(client):
    """0.5, 1 and 8 as grey, there and back by way of Radiance's four bytes."""
    radiance = client.result("a.pfm", pfm(0.5, 0.5, 0.5, 1, 1, 1, 8, 8, 8), "hdr")[1]
    assert radiance.startswith(b"#?RADIANCE")
    back = client.result("a.hdr", radiance, "pfm")[1]
    assert struct.unpack("<9f", back[-36:]) == pytest.approx((0.5,) * 3 + (1,) * 3 + (8,) * 3, rel=0.02)


def test_light_is_shown_as_a_screen_shows_it(client, tmp_path):
    shown = client.result("a.pfm", pfm(0.2140, 0.2140, 0.2140, 8, 8, 8), "png")[1]
    assert colour_at(shown, "png", tmp_path, 0, 0)[0] == pytest.approx(127, abs=2)  # sRGB's half
    assert colour_at(shown, "png", tmp_path, 1, 0)[0] == 255


def test_measurements_go_from_black_to_white(client, tmp_path):
    """-1000 to 3000 as floating point: the lowest line of FITS is the first."""
    cards = [b"SIMPLE  =                    T", b"BITPIX  =                  -32", b"NAXIS   =                    2", b"NAXIS1  =                    2",
             b"NAXIS2  =                    2", b"END"]
    data = b"".join(card.ljust(80) for card in cards).ljust(2880) + struct.pack(">4f", -1000, 1000, 3000, 0).ljust(2880, b"\0")
    shown = client.result("a.fits", data, "png")[1]
    assert [colour_at(shown, "png", tmp_path, x, y)[0] for y in (1, 0) for x in (0, 1)] == pytest.approx([0, 128, 255, 64], abs=2)


DRAWING = ('<svg xmlns="http://www.w3.org/2000/svg" width="100mm" height="50mm" viewBox="0 0 200 100"><text x="10" y="40" font-family="Liberation Sans" font-size="24">'
           'Straße und Wörter</text><circle cx="150" cy="70" r="20" fill="none" stroke="green"/></svg>')


def test_a_drawing_stays_one_in_a_pdf(client, tmp_path):
    path = tmp_path / "a.pdf"
    path.write_bytes(client.result("a.svg", DRAWING.encode(), "pdf")[1])

    def said(*words):
        return subprocess.run([*words], check=True, capture_output=True, text=True, timeout=60).stdout
    assert "Straße und Wörter" in said("pdftotext", path, "-")
    assert "283.465 x 141.732 pts" in said("pdfinfo", path)
    font = said("pdffonts", path).splitlines()[2].split()
    assert font[0].endswith("+LiberationSans") and font[-5] == "yes"  # embedded
    assert len(said("pdfimages", "-list", path).splitlines()) == 2  # the table's head alone
    assert subprocess.run(["qpdf", "--check", path], capture_output=True, timeout=60).returncode == 0


@pytest.mark.parametrize("reference", ["file:///etc/passwd", "http://127.0.0.1:9/x.png"])
def test_a_drawing_that_refers_elsewhere_is_refused(client, reference):
    drawing = DRAWING.replace("<circle", f'<image width="9" height="9" href="{reference}"/><circle')
    problem(client.upload("a.svg", drawing.encode()), 422, "type_mismatch")
