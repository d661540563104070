"""What a person does with the page: files in, formats chosen, results out, found again, deleted."""

import hashlib
import random
import subprocess
import zipfile

import pytest
import requests
from selenium.webdriver.common.keys import Keys

from fixtures import docx, eicar, pdf, png, slow_docx
from page import Page
from server import eventually


@pytest.fixture
def files(tmp_path):
    """files(name=bytes, …): paths of such files."""
    def write(**contents):
        paths = []
        for name, data in contents.items():
            paths.append(tmp_path / name.replace("__", "."))
            paths[-1].write_bytes(data)
        return paths
    return write


def pages(path):
    return subprocess.run(["pdftotext", path, "-"], check=True, capture_output=True, text=True, timeout=60).stdout


def test_three_files_of_different_kinds(page, files):
    """The whole way: dropped, converted, looked at, downloaded, found after a reload, and in the history once they are put away."""
    page.choose(*files(letter__docx=docx(["Dear reader"]), photo__png=png(300, 200), paper__pdf=pdf(["one", "two"])))
    page.convert("letter.docx", "pdf")
    page.convert("photo.png", "webp")
    page.convert("paper.pdf", "txt")
    for name in ("letter.docx", "photo.png", "paper.pdf"):
        assert page.reaches(name, "completed", "failed") == "completed", page.text()

    page.press("Preview", "letter.docx")
    picture = page.one("dialog.preview img")
    page.wait(lambda: page.driver.execute_script("return arguments[0].naturalWidth", picture) > 300, "the preview isn't drawn")
    page.picture("preview")
    page.press("Close")
    page.press("Preview", "paper.pdf")
    page.says("two", "dialog.preview pre")
    page.keys(Keys.ESCAPE)
    page.wait(lambda: not page.all("dialog"))

    assert "Dear reader" in pages(page.download("letter.docx"))
    assert page.download("photo.png").read_bytes()[8:12] == b"WEBP"

    page.open()
    for name in ("letter.docx", "photo.png", "paper.pdf"):
        page.reaches(name, "completed")
    page.press("Move to the history", "letter.docx")
    assert "DOCX to PDF" in page.past("letter.docx").text
    assert "Dear reader" in pages(page.download("letter.docx", page.past("letter.docx")))


def test_dropped_and_pasted(page):
    page.drop({"a.txt": "Hello from the desktop", "b.md": "# Hello"})
    page.reaches("a.txt", "ready")
    page.reaches("b.md", "ready")
    page.driver.execute_script("""
        const transfer = new DataTransfer();
        transfer.items.add(new File(["Hello from the clipboard"], "c.txt"));
        document.body.dispatchEvent(new ClipboardEvent("paste", {clipboardData: transfer, bubbles: true, cancelable: true}));
    """)
    page.reaches("c.txt", "ready")


def test_one_target_for_all_and_all_as_one_zip(page, files):
    page.choose(*files(a__txt=b"first\n", b__docx=docx(["second"]), c__png=png(60, 40)))
    for name in ("a.txt", "b.docx", "c.png"):
        page.reaches(name, "ready")
    page.press_picker(page.one(".toolbar"))
    page.pick("pdf")
    page.press("Convert all")
    for name in ("a.txt", "b.docx", "c.png"):
        page.reaches(name, "completed")
    before = set(page.browser.downloads.iterdir())
    page.press("Download all")
    with zipfile.ZipFile(page.arrived(before)) as archive:
        assert archive.testzip() is None and sorted(archive.namelist()) == ["a.pdf", "b.pdf", "c.pdf"]
        assert all(archive.read(name).startswith(b"%PDF") for name in archive.namelist())


def test_files_become_one_pdf(page, files):
    page.choose(*files(a__pdf=pdf(["first"]), b__pdf=pdf(["second"])))
    page.reaches("a.pdf", "ready")
    page.reaches("b.pdf", "ready")
    page.press("Merge into one PDF")
    page.reaches("a.pdf", "completed")
    text = pages(page.download("a.pdf"))
    assert text.index("first") < text.index("second")


def test_options_are_those_of_the_catalogue(page, files):
    page.choose(*files(photo__png=png(400, 200)))
    page.reaches("photo.png", "ready")
    page.target("photo.png", "jpg")
    page.press("Options", "photo.png")
    width = next(field for field in page.all(".field") if "width" in field.text)
    page.one("input", width).send_keys("100" + Keys.TAB)
    page.press("Convert", "photo.png")
    page.reaches("photo.png", "completed")
    path = page.download("photo.png")
    assert subprocess.run(["identify", "-format", "%wx%h", path], check=True, capture_output=True, text=True).stdout == "100x50"


def test_cancelled_and_tried_again(page, files):
    page.choose(*files(slow__docx=slow_docx()))
    page.convert("slow.docx", "pdf")
    page.press("Cancel", "slow.docx")
    assert page.reaches("slow.docx", "cancelled", "completed") == "cancelled"
    page.says("Cancelled", ".row")
    page.press("Try again", "slow.docx")
    page.reaches("slow.docx", "queued", "scanning", "processing", "completed")
    page.press("Cancel", "slow.docx")
    page.reaches("slow.docx", "cancelled")


def test_a_password_is_asked_for(page, files, tmp_path):
    path = files(secret__pdf=pdf(["the words inside"]))[0]
    locked = tmp_path / "locked.pdf"
    subprocess.run(["qpdf", "--encrypt", "open sesame", "owner", "256", "--", path, locked], check=True)
    page.choose(locked)
    page.convert("locked.pdf", "txt")
    page.reaches("locked.pdf", "failed")
    page.says("This file needs a password.", ".row")
    field = page.one("input[name=document-password]")
    field.send_keys("wrong" + Keys.ENTER)
    page.says("That password isn't the right one.", ".row")
    page.one("input[name=document-password]").send_keys("open sesame" + Keys.ENTER)
    page.reaches("locked.pdf", "completed")
    assert "the words inside" in page.download("locked.pdf").read_text()
    kept, entries = page.kept()
    assert "sesame" not in kept
    assert {"job_id", "original_filename", "target_format", "download_token", "status", "timestamp"} <= set(entries["locked.pdf"])


def test_what_can_not_be_taken_is_refused_before_it_is_sent(page, files, server):
    def uploads():
        return requests.get(server.url + "/metrics", timeout=10).text.count('path="/upload"') and \
            sum(float(line.rsplit(" ", 1)[1]) for line in requests.get(server.url + "/metrics", timeout=10).text.splitlines()
                if line.startswith("decant_http_requests_total") and 'path="/upload"' in line)

    before = uploads()
    page.choose(*files(drawing__dwg=b"AC1032", empty__pdf=b""))
    page.reaches("drawing.dwg", "refused")
    page.reaches("empty.pdf", "refused")
    page.says("Files of this type can't be converted here.")
    page.says("This file is empty.")
    page.driver.execute_script("""
        const big = new File([new Uint8Array(1)], "big.png");
        Object.defineProperty(big, "size", {value: 101 * 1024 * 1024});
        const transfer = {types: ["Files"], items: [{kind: "file", webkitGetAsEntry: () => null, getAsFile: () => big}]};
        const event = new Event("drop", {bubbles: true, cancelable: true});
        Object.defineProperty(event, "dataTransfer", {value: transfer});
        document.body.dispatchEvent(event);
    """)
    page.reaches("big.png", "refused")
    page.says("100 MB")
    assert uploads() == before


def test_what_the_server_refuses_says_why(page, files):
    page.refusals_expected = True
    page.choose(*files(fake__png=pdf()))
    page.reaches("fake.png", "refused")
    page.says("The content isn't what the extension says: the file may be damaged, or have the wrong extension.")


def test_malware_is_named(page, files):
    page.choose(*files(eicar__txt=eicar()))
    page.convert("eicar.txt", "pdf")
    page.reaches("eicar.txt", "failed")
    page.says("The virus scanner found malware in this file. It was deleted.")
    assert not [b for b in page.all("button", page.row("eicar.txt")) if "Try again" in (b.get_attribute("aria-label") or "")]


def test_one_is_deleted_and_everything_at_once(page, files, server):
    def there():
        """But for what is being made: a picture of a result may be, for a while."""
        return {path for path in (server.data / "storage").rglob("*") if path.is_file() and not path.parent.name.startswith("work-")}

    others = there()
    page.choose(*files(a__png=png()))
    page.convert("a.png", "jpg")
    page.reaches("a.png", "completed")
    stored = there() - others
    assert stored
    page.choose(*files(one__png=png(9, 9)))
    page.convert("one.png", "jpg")
    page.reaches("one.png", "completed")
    page.press("Delete from the server", "one.png")  # the one, and no other
    page.wait(lambda: list(page.rows()) == ["a.png"])
    assert not page.all(".past") and stored <= there()
    assert {path.parents[1] for path in there() - others} == {path.parents[1] for path in stored}
    page.press("Delete everything now")
    page.picture("delete")
    page.press("Delete everything", within=page.one("dialog"))
    page.says("Everything was deleted from the server and from this browser.")
    assert page.rows() == {} and not page.all(".past")
    eventually(lambda: not any(path.exists() for path in stored))
    page.choose(*files(b__png=png()))  # a new session goes on
    page.reaches("b.png", "ready")


def test_another_format_of_the_same_file(page, files):
    page.choose(*files(a__png=png(50, 50)))
    page.convert("a.png", "jpg")
    page.reaches("a.png", "completed")
    page.press("Other format", within=page.row("a.png"))
    page.pick("gif")
    page.wait(lambda: len(page.all(".row[data-phase=completed]")) == 2)
    assert page.download("a.png", page.all(".row")[1]).read_bytes()[:3] == b"GIF"


def test_a_password_for_the_result_is_never_left_out(page, files):
    """It isn't kept: whoever converts again has to type it again, and gets no open document instead."""
    page.refusals_expected = True  # of a locked result there is no preview
    page.choose(*files(a__pdf=pdf(["for few"])))
    page.reaches("a.pdf", "ready")
    page.target("a.pdf", "pdf")
    page.press("Options", "a.pdf")
    field = next(field for field in page.all(".field") if "Password that the result" in field.text)
    page.one("input", field).send_keys("between us" + Keys.TAB)
    page.press("Convert", "a.pdf")
    page.reaches("a.pdf", "completed")
    assert subprocess.run(["pdfinfo", page.download("a.pdf")], capture_output=True, timeout=60).returncode != 0
    page.open()
    page.press("Move to the history", "a.pdf")
    page.press("Convert again", "a.pdf", page.past("a.pdf"))
    page.says("Type it again below.")
    assert "completed" not in page.rows().values() and "between us" not in page.kept()[0]


def test_history_converts_again(page, files):
    page.choose(*files(a__png=png(50, 50)))
    page.convert("a.png", "jpg")
    page.reaches("a.png", "completed")
    page.press("Move to the history", "a.png")
    page.press_picker(page.past("a.png"))
    page.pick("gif")
    page.wait(lambda: page.rows().get("a.png") == "completed")
    assert page.download("a.png", page.row("a.png")).read_bytes()[:3] == b"GIF"
    clear = "Clear the history and delete its files"
    page.press(clear)
    page.press("Keep it", within=page.one("dialog"))
    page.past("a.png")
    page.press(clear)
    page.press("Clear the history", within=page.one("dialog"))
    page.wait(lambda: not page.all(".past") and page.focused() == "section")
    assert page.rows() == {"a.png": "completed"}


def test_history_outlives_the_browser(own_browser, server, files):
    page = Page(own_browser(), server.url).open()
    page.choose(*files(a__png=png(50, 50)))
    page.convert("a.png", "jpg")
    page.reaches("a.png", "completed")
    page.press("Move to the history", "a.png")
    page.past("a.png")
    page.driver.quit()
    page = Page(own_browser(), server.url).open()
    assert page.download("a.png", page.past("a.png")).read_bytes()[:2] == b"\xff\xd8"


def test_two_tabs_stay_in_step(page, files):
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    try:
        page.open()
        page.choose(*files(a__png=png(50, 50)))
        page.convert("a.png", "jpg")
        page.reaches("a.png", "completed")
        second = page.driver.current_window_handle
        page.driver.switch_to.window(first)
        page.reaches("a.png", "completed")
        page.press("Preview", "a.png")
        page.driver.switch_to.window(second)
        page.press("Move to the history", "a.png")
        page.driver.switch_to.window(first)
        page.past("a.png")
        page.keys(Keys.ESCAPE)
        page.wait(lambda: not page.all("dialog[open]"))
        page.wait(lambda: page.focused() == "main", "the focus is lost with what opened the window")
        page.press("Delete from the server", "a.png", page.past("a.png"))
        page.wait(lambda: not page.all(".past"))
    finally:
        page.driver.switch_to.window([handle for handle in page.driver.window_handles if handle != first][0])
        page.wait(lambda: not page.all(".past"))
        page.driver.close()
        page.driver.switch_to.window(first)


def test_a_large_upload_whose_line_breaks(over_line, server, files):
    """100 MiB, cut ten times, with a reload in the midst: each time the rest is sent, by the stock tus client, and the file is whole in the end."""
    page, line = over_line(cut_at=[5 * 1024 * 1024] * 10)
    side = 5900
    data = b"P6\n%d %d\n255\n" % (side, side) + random.Random(side).randbytes(3 * side * side)
    assert 99 * 1024 * 1024 < len(data) < 100 * 1024 * 1024
    paths = files(large__ppm=data)
    page.choose(*paths)
    page.wait(lambda: line.broken >= 5, "the line doesn't break", timeout=300)
    page.open()
    assert page.rows() == {}
    page.choose(*paths)
    page.reaches("large.ppm", "ready", timeout=300)
    assert line.broken == 10 and line.carried < 1.6 * len(data) and line.seen["/files"] == 1 and "/upload" not in line.seen
    cookie = page.driver.get_cookie("session_id")["value"]
    job = requests.get(server.url + "/job_status", params={"job_id": page.kept()[1]["large.ppm"]["job_id"]}, headers={"Cookie": f"session_id={cookie}"}, timeout=30).json()
    assert job["sha256"] == hashlib.sha256(data).hexdigest()


def test_progress_without_events(over_line, files):
    """Where a proxy swallows event streams the page asks instead."""
    page, line = over_line(refused=["/events"])
    page.choose(*files(a__docx=docx()))
    page.convert("a.docx", "pdf")
    page.reaches("a.docx", "completed")
    assert line.seen.get("/job_status", 0) > 0


def test_nothing_is_asked_while_nothing_runs(over_line, files):
    page, line = over_line()
    page.choose(*files(a__png=png()))
    page.convert("a.png", "jpg")
    page.reaches("a.png", "completed")
    thumbnail = page.one(".row .thumbnail img")
    page.wait(lambda: page.driver.execute_script("return arguments[0].naturalWidth", thumbnail) > 0)  # the last that is asked for
    page.driver.execute_async_script("setTimeout(arguments[0], 3000)")
    before = dict(line.seen)
    page.driver.execute_async_script("setTimeout(arguments[0], 5000)")
    assert line.seen == before


def test_a_server_that_goes_away_and_comes_back(over_line, files):
    page, line = over_line()
    page.refusals_expected = True
    page.choose(*files(a__docx=slow_docx(8000)))
    page.convert("a.docx", "pdf")
    page.reaches("a.docx", "queued", "scanning", "processing")
    line.set_down(True)
    page.says("The server can't be reached.")
    line.set_down(False)
    page.reaches("a.docx", "completed", timeout=240)
    page.wait(lambda: "can't be reached" not in page.text())
