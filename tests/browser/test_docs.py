"""The page of the API: it shows all of it under the policy of the page, and what is tried there works, as a browser's session and as a program."""

import json

import pytest
import requests
from selenium.webdriver.common.keys import Keys

from fixtures import png
from page import Page


@pytest.fixture
def docs(browser, server):
    """Whatever the policy forbids, the browser complains of it in the end."""
    page = Page(browser, server.url)
    page.forget()
    page.driver.get(server.url + "/docs")
    page.one(".opblock")
    yield page
    page.natural()
    page.close()


def operation(docs, name):
    """By its operationId; open."""
    block = docs.one(f".opblock[id$='-{name}']")
    if not docs.all(".opblock-body", block):
        docs.press("", within=block)
    return block


def execute(docs, block):
    """The status of the answer, and its text."""
    docs.press("Execute", within=block)
    live = docs.one(".live-responses-table .response", block)
    docs.wait(lambda: docs.all(".response-col_status", live)[0].text.strip())
    return int(docs.one(".response-col_status", live).text.split()[0]), docs.one(".response-col_description", live).text


def ground(docs):
    return docs.driver.execute_script("return getComputedStyle(document.documentElement).backgroundColor")


def test_all_of_the_api_is_there(docs, server, tmp_path):
    paths = requests.get(server.url + "/openapi.json", timeout=60).json()["paths"]
    shown = {tuple(block.text.split("\n")[:2]) for block in docs.all(".opblock-summary")}
    assert shown == {(method.upper(), path) for path, item in paths.items() for method in item}
    block = operation(docs, "post_convert")
    assert "unsupported_target" in block.text and "rate_limited" in block.text
    for dark in (False, True):
        docs.appearance(1280, dark)
        docs.wait(lambda: ("28, 32, 34" in ground(docs)) == dark, "the theme isn't the one that was asked for")  # told to the page by an event
        docs.picture(f"docs-{'dark' if dark else 'light'}")


def test_calls_are_tried_as_a_session(docs, tmp_path):
    status, said = execute(docs, operation(docs, "get_session_init"))
    assert status == 200 and '"csrf_token"' in said
    path = tmp_path / "a.png"
    path.write_bytes(png())
    block = operation(docs, "post_upload")
    docs.one("input[type=file]", block).send_keys(str(path))
    status, said = execute(docs, block)
    assert status == 201 and '"original_filename": "a.png"' in said
    status, said = execute(docs, operation(docs, "post_session_close"))
    assert status == 200 and '"closed": true' in said


def test_who_brings_a_token_is_no_session(docs):
    docs.press("Authorize")
    dialog = docs.one(".dialog-ux .modal-ux")
    (bearer,) = [part for part in docs.all(".auth-container", dialog) if "bearer" in part.text]
    docs.one("input", bearer).send_keys("a-token")
    docs.press("Apply credentials", within=bearer)
    docs.one("input, button", dialog).send_keys(Keys.ESCAPE)
    docs.wait(lambda: not docs.all(".dialog-ux"))
    docs.refusals_expected = True
    block = operation(docs, "post_cancel")
    status, said = execute(docs, block)
    assert status == 401 and json.loads(said[said.index("{"):said.rindex("}") + 1])["code"]
    curl = docs.one(".curl-command", block).text
    assert "Authorization: Bearer a-token" in curl and "X-CSRF-Token" not in curl
    assert docs.driver.get_cookies() == []
