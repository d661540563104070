"""Who can use the page: by keyboard, by ear, on a small screen, in the dark, in German; and how much it weighs."""

import json
import re
import subprocess

import pytest
import requests
from selenium.webdriver.common.keys import Keys

from fixtures import docx, pdf, png, slow_docx
from page import WEB, Page
from server import BIN

FIRST_LOAD_BYTES = 60_000


@pytest.fixture
def shown(page, tmp_path):
    """The page with a row of each kind: done, ready, refused, failed; and one in the history."""
    contents = {"letter.docx": docx(), "صورة نهائية.png": png(300, 200), "a name that is long enough to fit into no row of any screen that there is, or nearly none.pdf": pdf(),
                "drawing.dwg": b"AC1032", "past.png": png(40, 40), "b.pdf": pdf(["locked"])}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    subprocess.run(["qpdf", "--encrypt", "open sesame", "owner", "256", "--", tmp_path / "b.pdf", tmp_path / "locked.pdf"], check=True)
    page.choose(tmp_path / "past.png")
    page.convert("past.png", "gif")
    page.reaches("past.png", "completed")
    page.press("Move to the history", "past.png")
    page.choose(*(tmp_path / name for name in contents if name not in ("past.png", "b.pdf")), tmp_path / "locked.pdf")
    page.convert("letter.docx", "pdf")
    page.reaches("letter.docx", "completed")
    page.reaches("صورة نهائية.png", "ready")
    page.target("صورة نهائية.png", "jpg")
    page.convert("locked.pdf", "txt")
    page.reaches("locked.pdf", "failed")
    page.one(".row .thumbnail img")
    yield page
    page.natural()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(shown, dark):
    theme = "dark" if dark else "light"
    shown.press("Options", "صورة نهائية.png")
    shown.press("Options", "locked.pdf")
    assert shown.one(".fields input[type=password]") and not shown.all("input[type=password]:not(form *)")
    for width in (360, 768, 1440):
        shown.appearance(width, dark)
        assert shown.violations() == []
        shown.picture(f"{width}-{theme}")
        wide = shown.driver.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width, f"it is {wide} wide"
    for words, name in (("Download", "letter.docx"), ("Other format", None), ("Move to the history", "letter.docx"), ("Delete everything now", None)):
        shown.hover(words, name)
        shown.driver.execute_async_script("setTimeout(arguments[0], 300)")  # colours go over into each other
        assert shown.violations() == [], words
    shown.press_picker(shown.row("صورة نهائية.png"))
    assert shown.violations() == []
    shown.picture(f"picker-{theme}")
    shown.keys(Keys.ESCAPE)
    shown.press("Preview", "letter.docx")
    assert shown.violations() == []
    shown.keys(Keys.ESCAPE)
    shown.press("Delete everything now")
    assert shown.violations() == []
    shown.hover("Delete everything", within=shown.one("dialog"))
    shown.driver.execute_async_script("setTimeout(arguments[0], 300)")
    assert shown.violations() == []
    shown.press("Delete everything", within=shown.one("dialog"))
    shown.says("Everything was deleted")
    assert shown.violations() == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_at_first(page, dark):
    for width in (320, 1440):
        page.appearance(width, dark)
        assert page.violations() == []
        assert page.driver.execute_script("return document.documentElement.scrollWidth") <= width
        page.picture(f"first-{width}-{'dark' if dark else 'light'}")
    page.natural()


def test_by_keyboard_alone(page, tmp_path):
    (tmp_path / "a.png").write_bytes(png(50, 50))
    page.choose(tmp_path / "a.png")  # the browser's own dialog can't be driven
    page.reaches("a.png", "ready")
    page.tab_to("Skip to the files")
    page.keys(Keys.ENTER)
    picker = page.one(".row .picker").get_attribute("aria-label")
    page.tab_to(picker)
    page.keys(Keys.ENTER)
    page.one("dialog.pick[open]")
    for key in "gif":
        page.keys(key)
    page.keys(Keys.ENTER)
    page.wait(lambda: not page.all("dialog.pick[open]"))
    assert page.active().startswith("GIF")  # the focus is back where it was
    page.tab_to("Convert: a.png")
    page.keys(Keys.ENTER)
    page.reaches("a.png", "completed")
    assert page.focused().startswith("row")  # what had it is gone, and the row has it now
    page.tab_to("Preview")
    page.keys(Keys.ENTER)
    page.one("dialog.preview[open]")
    page.keys(Keys.ESCAPE)
    page.wait(lambda: not page.all("dialog"))
    before = set(page.browser.downloads.iterdir())
    page.tab_to("Download: a.png")
    page.keys(Keys.ENTER)
    assert page.arrived(before).read_bytes()[:3] == b"GIF"
    page.tab_to("Move to the history: a.png")
    page.keys(Keys.ENTER)
    page.past("a.png")
    assert page.focused() == "main"


def test_in_german(own_browser, server, tmp_path):
    page = Page(own_browser(language="de"), server.url).open()
    assert page.driver.execute_script("return document.documentElement.lang") == "de"
    page.says("Dateien hier ablegen")
    page.says("gelöscht")
    (tmp_path / "a.png").write_bytes(png(50, 50))
    page.choose(tmp_path / "a.png")
    page.reaches("a.png", "ready")
    page.says("PNG-Bild", ".row")
    page.press_picker(page.row("a.png"))
    page.says("Bilder", "dialog.pick")
    page.picture("picker-german")
    for words in ("jpeg image", "jpeg-bild"):
        field = page.one("dialog.pick input[role=combobox]")
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(words)
        page.wait(lambda: [option.text.split() for option in page.all("dialog.pick [role=option]")][:1] == [["JPG", "JPEG-Bild"]], words)
    page.keys(Keys.ENTER)
    page.wait(lambda: not page.all("dialog.pick[open]"))
    page.press("Optionen", "a.png")
    page.says("Qualität in Prozent")
    assert page.violations() == []
    page.picture("german")
    page.press("Umwandeln", "a.png")
    page.reaches("a.png", "completed")
    page.says("Fertig")
    page.close()


def german(file, table):
    """What src/text/de has words for."""
    lines = (WEB / f"src/text/de/{file}.ts").read_text().split(f"export const {table}:")[1].split("};")[0]
    return set(re.findall(r'^  "?([\w.-]+)"?: "', lines, re.MULTILINE))


def test_all_that_the_catalogue_says_is_said_in_german():
    """What it gains has to be put into words once more, and what it loses is taken away there."""
    catalogue = json.loads(subprocess.run([BIN / "decant", "formats", "--json"], check=True, capture_output=True).stdout)
    options = list(catalogue["options"].values())
    choices = {f"{o['name']}.{choice}" for o in options if o["name"] != "ocr" for choice in o.get("choices", [])}  # the browser knows languages
    same = {choice for choice in choices if re.search(r"\d|^(source_)?encoding\.(?!auto)", choice)}
    assert len(catalogue["formats"]) > 300 and german("formats", "formats") == set(catalogue["formats"])
    assert len(options) > 40 and german("options", "options") == {o["name"] for o in options}
    assert len(choices - same) > 15 and german("options", "choices") == choices - same
    categories = {f["category"] for f in catalogue["formats"].values()}
    assert categories == set(re.findall(r'^  "category\.(\w+)":', (WEB / "src/text/de/words.ts").read_text(), re.MULTILINE)) - {"likely"}


def test_the_title_tells_how_far_it_is(page, tmp_path):
    assert page.driver.title == "Decant"
    (tmp_path / "slow.docx").write_bytes(slow_docx())
    page.choose(tmp_path / "slow.docx")
    page.reaches("slow.docx", "ready")
    height = page.row("slow.docx").size["height"]
    page.convert("slow.docx", "pdf")
    page.wait(lambda: "% · Decant" in page.driver.title, "the title doesn't say how far it is")
    assert page.all(".row progress") and page.row("slow.docx").size["height"] == height, "its bar moves the rows below"
    page.press("Cancel", "slow.docx")
    page.reaches("slow.docx", "cancelled")
    page.wait(lambda: page.driver.title == "Decant")


def test_nothing_comes_from_elsewhere_and_little_from_here(page, server):
    entries = page.driver.execute_script("return performance.getEntriesByType('resource').map(e => [e.name, e.initiatorType, e.encodedBodySize])")
    assert entries and all(name.startswith(server.url) for name, _, _ in entries)
    scripts = [size for name, kind, size in entries if name.endswith(".js")]
    assert scripts and 0 < sum(scripts) < FIRST_LOAD_BYTES
    policy = requests.get(server.url, timeout=10).headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy
    timing = page.driver.execute_script("return performance.getEntriesByType('navigation')[0].domInteractive")
    print(json.dumps({"requests": len(entries) + 1, "bytes": sum(size for _, _, size in entries), "interactive_ms": round(timing)}))
