"""The page in a real browser (headless Chromium) against a real server. Servers, fixtures and files are those of tests/system."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

import pytest

from line import Line
from page import Browser, Page
from server import BUILD, Server

ENGINES = "office,image,pdf,pages,archive,markup"


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), ENGINES, DECANT_WEB=str(BUILD / "web")).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def page(browser, server):
    """The page as somebody sees it who comes for the first time. What the browser complains of at the end fails the test."""
    page = Page(browser, server.url)
    page.forget()
    page.open()
    yield page
    page.close()


@pytest.fixture
def over_line(browser, server):
    """over_line(cut_at=…, refused=…): the page, and the line that it comes over."""
    opened = []

    def start(**faults):
        line = Line(server.port, **faults)
        page = Page(browser, line.url)
        opened.append((page, line))
        page.forget()
        page.open()
        page.refusals_expected = bool(faults)
        return page, line

    yield start
    for page, line in opened:
        page.close()
        line.close()


@pytest.fixture
def own_browser(tmp_path):
    """own_browser(language=…): one with a profile of its own, and settings."""
    started = []

    def start(name="own", **settings):
        started.append(Browser(tmp_path / name, **settings).__enter__())
        return started[-1]

    yield start
    for browser in started:
        browser.__exit__()
