"""The catalogue says the same wherever it is asked, and docs/formats.md is what the code says."""

import json
import platform
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def formats(server, *words):
    return subprocess.run([server.binary, "formats", *words], check=True, capture_output=True, text=True).stdout


def test_the_command_line_and_the_api_tell_the_same(server, client):
    assert json.loads(formats(server, "--json")) == client.request("GET", "/formats").json()


def test_options_are_named_by_pairs_that_are_offered(client):
    catalogue = client.request("GET", "/formats").json()
    used = set()
    for source, told in catalogue["formats"].items():
        assert set(told["options"]) <= set(told["targets"]), source
        used |= {option for options in told["options"].values() for option in options}
    # Of those with one name the first that a route has is told.
    assert used <= set(catalogue["options"]) and {catalogue["options"][id]["name"] for id in used} == {o["name"] for o in catalogue["options"].values()}
    for id, option in catalogue["options"].items():
        assert option["type"] in ("integer", "boolean", "choice", "set", "pages", "format", "colour", "string") and option["label"], id
        assert ("choices" in option) == (option["type"] in ("choice", "set")), id


@pytest.mark.skipif(platform.freedesktop_os_release().get("VERSION_CODENAME") != "bookworm", reason="the page is about Debian 12's libraries")
def test_the_page_is_what_the_code_says(server):
    assert formats(server, "--markdown") == (ROOT / "docs/formats.md").read_text()
