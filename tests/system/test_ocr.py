"""Pictures and scans are read: what comes out, where it lies, and that all else stays as it was."""

import re
import subprocess
import zlib
from pathlib import Path

import pytest

from client import Client, options_of, problem
from fixtures import pdf

DPI = 200
LETTER = 612, 792  # points
LINES = ["The quick brown fox", "jumps over the lazy dog", "Invoice number 4711"]


def said(*words, **more):
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, timeout=120, **more).stdout


def draw(path, texts, size=LETTER, dpi=DPI, points=24, **more):
    """A picture of paper on which are `texts`, {(x, y): text}, in points from the upper left corner to the left end of the baseline."""
    pixels = [round(side * dpi / 72) for side in size]
    words = ["convert", "-size", "{}x{}".format(*pixels), "xc:white", "-fill", "black", "-font", "Liberation-Sans", "-pointsize", points * dpi / 72]
    for (x, y), text in texts.items():
        words += ["-annotate", f"+{round(x * dpi / 72)}+{round(y * dpi / 72)}", text]
    for name, value in more.items():
        words += [f"-{name}", value]
    said(*words, "-colorspace", "Gray", "-density", dpi, "-units", "PixelsPerInch", path)
    return path


def lines(texts=LINES, x=72, y=100, step=40):
    return {(x, y + i * step): text for i, text in enumerate(texts)}


def scan(pages, size=LETTER, extra=""):
    """A PDF of pictures (grey, JPEG), each a page; a page that is a text has it as text instead."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", None, b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []

    def put(head, data):
        objects.append(b"<< %s /Length %d >>\nstream\n%s\nendstream" % (head.encode(), len(data), data))
        return len(objects)

    for page in pages:
        pictures, content = "", b""
        for n, (path, box) in enumerate([(part, (0, 0, *size)) if isinstance(part, Path) else part for part in (page if isinstance(page, list) else [page]) if not isinstance(part, str)]):
            width, height = said("identify", "-format", "%w %h", path).decode().split()
            number = put(f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /DCTDecode",
                         path.read_bytes())
            pictures += f"/I{n} {number} 0 R "
            content += b"q %f 0 0 %f %f %f cm /I%d Do Q\n" % (box[2], box[3], box[0], box[1], n)
        for text in [part for part in (page if isinstance(page, list) else [page]) if isinstance(part, str)]:
            content += b"BT /F1 24 Tf 72 720 Td (%s) Tj ET\n" % text.encode()
        number = put("/Filter /FlateDecode", zlib.compress(content))
        objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {size[0]} {size[1]}] /Contents {number} 0 R {extra} "
                       f"/Resources << /Font << /F1 3 0 R >> /XObject << {pictures} >> >> >>".encode())
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(kids)}] >>".encode()
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1, table, len(objects) + 1, len(out))


class Pdf:
    """What Poppler's tools see of one."""

    def __init__(self, folder, data):
        self.path = folder / "seen.pdf"
        self.path.write_bytes(data)
        said("qpdf", "--check", self.path)

    def texts(self):
        return [" ".join(page.split()) for page in said("pdftotext", self.path, "-").decode().split("\f")[:-1]]

    def pictures(self):
        """Their sizes, kinds and packed bytes: all of the list but the numbers of objects."""
        return [line.split()[:10] + line.split()[12:] for line in said("pdfimages", "-list", self.path).decode().splitlines()]

    def drawn(self):
        return said("pdftoppm", "-r", 50, self.path)

    def boxes(self):
        """{word: (x1, y1, x2, y2)} in points from the upper left corner."""
        found = re.findall(r'<word xMin="(.*?)" yMin="(.*?)" xMax="(.*?)" yMax="(.*?)">(.*?)</word>', said("pdftotext", "-bbox", self.path, "-").decode())
        return {word: tuple(map(float, box)) for *box, word in found}


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    """A page with LINES, as a picture."""
    return draw(tmp_path_factory.mktemp("paper") / "page.jpg", lines())


# --- pictures


@pytest.mark.parametrize("format", ["png", "jpg", "tiff", "webp", "gif", "bmp", "pbm"])
def test_a_picture_is_read(client, tmp_path, format):
    picture = draw(tmp_path / f"a.{format}", lines())
    job, text = client.result(picture.name, picture.read_bytes(), "txt")
    assert text.decode().split("\n")[:5] == [LINES[0], "", LINES[1], "", LINES[2]] or text.decode().split() == " ".join(LINES).split()
    assert job["engine"] == "image+ocr" and "Tesseract 5" in job["engine_version"] and job["output"]["pages"] == 1


def test_all_pages_of_a_tiff_are_read(client, tmp_path):
    for n, line in enumerate(LINES):
        draw(tmp_path / f"{n}.png", lines([line]))
    said("convert", *sorted(tmp_path.glob("?.png")), tmp_path / "a.tiff")
    job, text = client.result("a.tiff", (tmp_path / "a.tiff").read_bytes(), "txt")
    assert [page.strip() for page in text.decode().split("\f")] == LINES and job["output"]["pages"] == 3


def test_a_picture_becomes_a_pdf_that_can_be_searched(client, tmp_path, paper):
    plain = Pdf(tmp_path, client.result("a.jpg", paper.read_bytes(), "pdf")[1])
    assert plain.texts() == [""]
    drawn, pictures = plain.drawn(), plain.pictures()
    job, data = client.result("a.jpg", paper.read_bytes(), "pdf", ocr="eng")
    read = Pdf(tmp_path, data)
    assert read.texts() == [" ".join(LINES)] and job["engine"] == "image+ocr"
    assert read.drawn() == drawn and read.pictures() == pictures


def test_languages(client, tmp_path):
    text = "Größere Äpfel für Österreichs Straßen"
    data = draw(tmp_path / "a.png", lines([text])).read_bytes()
    assert client.result("a.png", data, "txt", ocr="deu")[1].decode().strip() == text
    assert "für Österreichs Straßen" in client.result("a.png", data, "txt", ocr="eng+deu")[1].decode()


def test_columns_are_read_one_after_the_other(client, tmp_path):
    left = ["Apples are red and", "pears are green, but", "cherries are dark", "and plums are blue."] * 4
    right = ["Oranges grow far", "away from here, and", "lemons do as well,", "and figs grow too."] * 4
    picture = draw(tmp_path / "a.png", {**lines(left, step=20), **lines(right, x=330, step=20)}, points=14)
    text = client.result("a.png", picture.read_bytes(), "txt")[1].decode().split()
    assert text == " ".join(left + right).split()


def test_a_page_that_lies_on_its_side(client, tmp_path):
    """Tesseract finds out by what is on it, of which it needs some more."""
    text = ["A page is put on the glass as it comes,", "and nobody looks which way is up."] * 8
    picture = draw(tmp_path / "a.png", lines(text, y=80, step=30), points=20, rotate=90)
    assert client.result("a.png", picture.read_bytes(), "txt")[1].decode().lower().split() == " ".join(text).lower().split()


def test_a_picture_without_text_has_none(client, tmp_path):
    """As of a PDF that has none; its PDF is as good as ever."""
    picture = draw(tmp_path / "a.png", {}).read_bytes()
    job = client.wait(client.start("a.png", picture, "txt"))
    assert (job["status"], job["error_code"]) == ("failed", "no_output")
    assert Pdf(tmp_path, client.result("a.png", picture, "pdf", ocr="eng")[1]).texts() == [""]


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3), (40, 40)], ids=str)
def test_pictures_too_small_for_a_letter(client, tmp_path, size):
    said("convert", "-size", "{}x{}".format(*size), "xc:gray", tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    assert client.wait(client.start("a.png", data, "txt"))["error_code"] == "no_output"
    assert Pdf(tmp_path, client.result("a.png", data, "pdf", ocr="eng")[1]).texts() == [""]


# --- scans


def test_scans_become_searchable_and_stay_what_they_are(client, tmp_path):
    data = scan([draw(tmp_path / f"{n}.jpg", lines([line, "on page " + "ABC"[n]])) for n, line in enumerate(LINES)])
    before = Pdf(tmp_path, data)
    drawn, pictures = before.drawn(), before.pictures()
    assert before.texts() == ["", "", ""]
    job, read = client.result("a.pdf", data, "pdf", ocr="eng")
    after = Pdf(tmp_path, read)
    assert after.texts() == [f"{line} on page {'ABC'[n]}" for n, line in enumerate(LINES)]
    assert after.drawn() == drawn and after.pictures() == pictures
    assert job["engine"] == "ocr" and job["output"]["pages"] == 3
    assert len(read) < len(data) + 20000


def test_words_lie_where_they_are_seen(client, tmp_path):
    where = {(72, 100): "alpha", (400, 100): "bravo", (72, 700): "charlie", (400, 700): "delta"}
    data = scan([draw(tmp_path / "a.jpg", where)])
    boxes = Pdf(tmp_path, client.result("a.pdf", data, "pdf", ocr="eng")[1]).boxes()
    for (x, y), word in where.items():
        x1, y1, x2, y2 = boxes[word]
        assert abs(x1 - x) < 4 and 40 < x2 - x1 < 110 and y1 < y - 8 < y2 < y + 12 and y2 - y1 < 40, (word, boxes[word])


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_pages_that_are_shown_turned(client, tmp_path, turn):
    """The picture lies in the file as /Rotate wants it: what is seen is upright, and so is what was read."""
    size = LETTER if turn == 180 else LETTER[::-1]
    where = {(72, 100): "alpha", (400, 100): "bravo", (72, 600): "charlie"}
    data = scan([draw(tmp_path / "a.jpg", where, LETTER, rotate=360 - turn)], size, f"/Rotate {turn}")
    boxes = Pdf(tmp_path, client.result("a.pdf", data, "pdf", ocr="eng")[1]).boxes()
    for (x, y), word in where.items():
        x1, y1, x2, y2 = boxes[word]
        assert abs(x1 - x) < 4 and y1 < y - 8 < y2 < y + 12, (word, boxes[word])


def test_a_scan_that_lies_on_its_side(client, tmp_path):
    """It stays as it lies, and so do its words: each stands where it is seen, from bottom to top."""
    text = ["A page is put on the glass as it comes,", "and nobody looks which way is up."] * 8 + ["The last word is harbour."]
    picture = draw(tmp_path / "a.jpg", lines(text, y=80, step=30), points=20, rotate=270)
    seen = Pdf(tmp_path, client.result("a.pdf", scan([picture], LETTER[::-1]), "pdf", ocr="eng")[1])
    words = seen.texts()[0].lower().split()
    assert sorted(words) == sorted(" ".join(text).lower().split())
    x1, y1, x2, y2 = seen.boxes()["harbour."]  # as far from the left as it was from above; it began some way up
    assert abs(x2 - (80 + 16 * 30)) < 12 and 300 < y1 < y2 < 420 and y2 - y1 > x2 - x1, (x1, y1, x2, y2)


def test_a_page_that_is_cropped(client, tmp_path):
    """What is outside of what is shown is not read, and the rest stays in its place."""
    where = {(72, 100): "outside", (72, 400): "inside", (300, 600): "second"}
    data = scan([draw(tmp_path / "a.jpg", where)], extra="/CropBox [50 50 562 500]")
    seen = Pdf(tmp_path, client.result("a.pdf", data, "pdf", ocr="eng")[1])
    assert seen.texts() == ["inside second"]
    x1, y1, x2, y2 = seen.boxes()["second"]
    assert abs(x1 - 300) < 4 and y1 < 592 < y2 < 612, seen.boxes()


def test_pages_with_text_are_left_alone(client, tmp_path, paper):
    data = scan(["The first page has text", paper, "and so has the third"])
    job, read = client.result("a.pdf", data, "pdf", ocr="eng")
    assert Pdf(tmp_path, read).texts() == ["The first page has text", " ".join(LINES), "and so has the third"]
    assert Pdf(tmp_path, client.result("a.pdf", data, "pdf")[1]).texts() == ["The first page has text", "", "and so has the third"]
    everything = pdf(["The first page", "The second page"])
    assert Pdf(tmp_path, client.result("a.pdf", everything, "pdf", ocr="eng")[1]).texts() == ["The first page", "The second page"]


def test_pictures_on_pages_with_text(client, tmp_path):
    """By ocr_all, and then the text that is there is not read a second time."""
    stamp = draw(tmp_path / "stamp.jpg", {(10, 60): "received today"}, (300, 100))
    data = scan([["A letter that was typed", (stamp, (72, 300, 300, 100))]])
    assert Pdf(tmp_path, client.result("a.pdf", data, "pdf", ocr="eng")[1]).texts() == ["A letter that was typed"]
    assert Pdf(tmp_path, client.result("a.pdf", data, "pdf", ocr="eng", ocr_all=True)[1]).texts() == ["A letter that was typed received today"]
    assert Pdf(tmp_path, client.result("a.pdf", data, "pdf", ocr_all=True)[1]).texts() == ["A letter that was typed received today"]


def test_text_of_a_scan(client, paper):
    """It is read first, and goes on to what was asked for."""
    data = scan([paper])
    assert client.wait(client.start("a.pdf", data, "txt"))["error_code"] == "no_output"
    job, text = client.result("a.pdf", data, "txt", ocr="eng")
    assert text.decode().split() == " ".join(LINES).split() and job["engine"] == "ocr+pdf"
    job, html = client.result("a.pdf", data, "html", ocr="eng")
    assert all(line in " ".join(html.decode().split()) for line in LINES[0].split()) and job["engine"] == "ocr+pdf"


@pytest.mark.parametrize("password", ["secret", "Grüße 12", "a  b@"])
def test_a_protected_scan(client, tmp_path, paper, password):
    (tmp_path / "plain.pdf").write_bytes(scan([paper]))
    said("qpdf", "--encrypt", password, "owner", "256", "--", tmp_path / "plain.pdf", tmp_path / "secret.pdf")
    data = (tmp_path / "secret.pdf").read_bytes()
    assert client.wait(client.start("a.pdf", data, "pdf", ocr="eng"))["error_code"] == "password_required"
    assert client.wait(client.start("a.pdf", data, "pdf", ocr="eng", password="wrong"))["error_code"] == "password_required"
    assert Pdf(tmp_path, client.result("a.pdf", data, "pdf", ocr="eng", password=password)[1]).texts() == [" ".join(LINES)]
    assert client.result("a.pdf", data, "txt", ocr="eng", password=password)[1].decode().split() == " ".join(LINES).split()


def test_a_password_for_an_open_scan_does_no_harm(client, tmp_path, paper):
    assert Pdf(tmp_path, client.result("a.pdf", scan([paper]), "pdf", ocr="eng", password="any")[1]).texts() == [" ".join(LINES)]


# --- what is said


def test_options(client, paper):
    catalogue = client.request("GET", "/formats").json()
    option = options_of(catalogue, "pdf", "pdf")["ocr"]
    assert option["type"] == "set" and option["default"] is None and {"eng", "deu", "chi_sim"} <= set(option["choices"])
    assert options_of(catalogue, "png", "txt")["ocr"] == options_of(catalogue, "docx", "pdf")["ocr"] == option
    assert "ocr" not in options_of(catalogue, "pdf", "png") and "ocr" not in options_of(catalogue, "png", "jpg")
    job_id = client.upload("a.pdf", scan([paper])).json()["job_id"]
    for bad in "English", "eng+", "eng deu", "../eng", "osd", "", 7, ["eng"], True:
        problem(client.convert(job_id, "pdf", ocr=bad), 400, "bad_request")
    problem(client.convert(job_id, "png", ocr="eng"), 400, "bad_request")


def test_a_language_that_is_not_installed(client, paper):
    installed = {path.stem for path in Path("/usr/share/tesseract-ocr").glob("*/tessdata/*.traineddata")}
    choices = options_of(client.request("GET", "/formats").json(), "pdf", "pdf")["ocr"]["choices"]
    missing = [language for language in choices if language not in installed]
    assert "eng" in installed and missing, "this test needs a language that isn't here"
    for name, data, target in ("a.pdf", scan([paper]), "pdf"), ("a.jpg", paper.read_bytes(), "txt"):
        job = client.wait(client.start(name, data, target, ocr=f"eng+{missing[0]}"))
        assert (job["status"], job["error_code"]) == ("failed", "language_missing") and "operator" in job["error_message"]


def test_what_is_damaged_says_so(client, paper):
    data = scan([paper])
    job = client.wait(client.start("a.pdf", b"%PDF-1.4\n" + data[200:900], "pdf", ocr="eng"))
    assert (job["status"], job["error_code"]) == ("failed", "corrupt_input")


def test_progress_is_told(client, tmp_path):
    words = lines([" ".join(LINES)] * 25, x=40, y=60, step=28)
    data = scan([draw(tmp_path / f"{n}.jpg", words, points=12) for n in range(3)])
    job_id = client.start("a.pdf", data, "pdf", ocr="eng")
    seen = []
    while not seen or seen[-1]["status"] not in ("completed", "failed"):
        seen.append(client.status(job_id, wait=5).json())
    assert seen[-1]["status"] == "completed", seen[-1]
    assert len({job["progress"] for job in seen if 0 < job["progress"] < 100}) >= 3


def test_without_namespaces(own_server, tmp_path, paper):
    server = own_server("image pdf ocr", DECANT_SANDBOX="reduced")
    client = Client(server.url)
    client.init()
    assert client.result("a.jpg", paper.read_bytes(), "txt")[1].decode().split() == " ".join(LINES).split()
    assert Pdf(tmp_path, client.result("a.pdf", scan([paper]), "pdf", ocr="eng")[1]).texts() == [" ".join(LINES)]
