"""Somebody with an account: signs in by keyboard, finds the same history in every browser, and leaves nothing behind."""

import os
import subprocess

import pytest
from selenium.webdriver.common.keys import Keys

from fixtures import png
from page import Page
from server import BIN, sanitizers

NAME, PASSWORD = "ada@example.org", "a long enough pass word"


@pytest.fixture
def account(server):
    subprocess.run([BIN / "decant", "user", "add", NAME, "--plan", "premium", "--password-stdin"], input=PASSWORD + "\n", text=True, check=True, timeout=180,
                   env={"PATH": os.environ["PATH"], "DECANT_DATA": str(server.data), **sanitizers()}, stdout=subprocess.DEVNULL)


def sign_in(page, password=PASSWORD):
    page.tab_to("Sign in")
    page.keys(Keys.ENTER)
    page.one("dialog[open] input[name=username]")
    page.keys(NAME, Keys.TAB, password, Keys.ENTER)


def looks_right(page, name):
    for dark in (False, True):
        for width in (360, 1440):
            page.appearance(width, dark)
            page.driver.execute_async_script("setTimeout(arguments[0], 300)")  # colours go over into each other
            assert page.violations() == []
            assert page.driver.execute_script("return document.documentElement.scrollWidth") <= width
            page.picture(f"{name}-{width}-{'dark' if dark else 'light'}")
    page.natural()


def test_an_account_in_two_browsers(page, account, own_browser, server, tmp_path):
    page.refusals_expected = True  # the browser reports each 401
    for name in ("nobody's.png", "mine.png"):
        (tmp_path / name).write_bytes(png(50, 50))
    others = set(server.files())
    page.choose(tmp_path / "nobody's.png")
    page.reaches("nobody's.png", "ready")
    held = set(server.files()) - others

    sign_in(page, "not the password")
    page.says("The name and the password don't belong together.", "dialog")
    page.says("belong to no account", "dialog")
    assert page.driver.switch_to.active_element.get_attribute("name") == "password"
    looks_right(page, "signin")
    page.keys(PASSWORD, Keys.ENTER)  # in place of what is selected
    page.says(NAME, "header")
    page.says("Premium", "header")
    page.says("kept for 30 days", "header")
    page.wait(lambda: page.active() == "Sign out", "the focus is not back")
    assert page.rows() == {} and not held & set(server.files())  # nobody could reach it any more

    page.choose(tmp_path / "mine.png")
    page.convert("mine.png", "jpg")
    page.reaches("mine.png", "completed")
    page.wait(lambda: page.driver.execute_script("const picture = document.querySelector('.thumbnail img'); return picture && picture.naturalWidth > 0"))
    looks_right(page, "signed-in")
    page.driver.delete_cookie("session_id")  # as after a day; the login lasts
    page.driver.refresh()
    page.reaches("mine.png", "completed")
    page.says(NAME, "header")
    assert len(page.download("mine.png").read_bytes()) > 100

    other = Page(own_browser("other"), server.url).open()
    other.refusals_expected = True
    sign_in(other)
    past = other.past("mine.png")
    assert other.download("mine.png", past).read_bytes()[:2] == b"\xff\xd8"
    looks_right(other, "history")
    other.tab_to("Sign out")
    other.keys(Keys.ENTER)
    other.says("You are signed out.")
    assert "mine.png" not in other.text() and NAME not in other.text()
    other.wait(lambda: "mine.png" not in other.kept()[0], "the browser's database still has the name")
    other.driver.refresh()
    other.button("Sign in")
    assert not other.all(".past")
    other.close()

    # What the other one did is nothing to this one, and what this one deletes is gone for all.
    page.press("Delete all files")
    page.says("also those of other browsers", "dialog")
    page.press("Delete all files", within=page.one("dialog"))
    page.says("The files were deleted from the server")
    assert page.rows() == {} and not page.all(".past")
    assert not [path for path in server.files() if path.endswith(".jpg")]


def test_the_dialog_in_german(own_browser, server):
    page = Page(own_browser("german", language="de"), server.url).open()
    page.press("Anmelden")
    page.says("Passwort", "dialog")
    assert page.violations() == []
    page.picture("signin-german")
    page.close()
