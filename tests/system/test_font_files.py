"""Fonts: what only packs them keeps every byte, other outlines keep letters and kerning; and what a font might want from the machine."""

import io
import struct
import sys
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

sys.path.append(str(Path(__file__).parents[1] / "catalogue"))

import sources_fonts
from client import Client, problem
from judge_fonts import judge


@pytest.fixture(scope="module")
def fonts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fonts")

    def get(format):
        path = folder / f"{format}.{format}"
        if not path.exists():
            sources_fonts.make(format, path)
        return path.read_bytes()

    return get


def tables(data):
    font = TTFont(io.BytesIO(data))
    return {tag: font.reader[tag] for tag in font.reader.keys()}


def test_woff_and_back_is_the_same_font(client, fonts):
    job, woff = client.result("a.ttf", fonts("ttf"), "woff")
    assert woff[:4] == b"wOFF" and len(woff) < len(fonts("ttf")) and TTFont(io.BytesIO(woff)).flavor == "woff"
    assert client.result("a.woff", woff, "ttf")[1] == fonts("ttf")
    assert job["engine"] == "font" and job["engine_version"].startswith("FontForge ")


def test_woff2_and_back_keeps_hints_and_kerning(client, fonts):
    woff2 = client.result("a.ttf", fonts("ttf"), "woff2")[1]
    assert woff2[:4] == b"wOF2" and len(woff2) < len(fonts("ttf")) * 0.7
    was, back = tables(fonts("ttf")), tables(client.result("a.woff2", woff2, "ttf")[1])
    assert {"fpgm", "prep", "GPOS"} <= set(was) and all(back[tag] == was[tag] for tag in set(was) - {"glyf", "loca", "head"})
    assert tables(client.result("a.woff2", woff2, "woff")[1]) == back


def test_the_first_of_a_collection(client, fonts):
    ttf = client.result("a.ttc", fonts("ttc"), "ttf")[1]
    words = struct.unpack(f">{len(ttf) // 4}I", ttf)
    assert sum(words) & 0xffffffff == 0xb1b0afba, "it does not add up"
    assert {tag: table for tag, table in tables(ttf).items() if tag != "head"} == {tag: table for tag, table in tables(fonts("ttf")).items() if tag != "head"}


@pytest.mark.parametrize("source, target", [("ttf", "otf"), ("otf", "ttf"), ("otf", "woff2"), ("pfb", "otf"), ("pfa", "woff"), ("ttf", "pfb"), ("sfd", "ttf"), ("eot", "woff2"), ("bdf", "otb")])
def test_other_kinds(client, fonts, tmp_path, source, target):
    path = tmp_path / f"{source}.{target}"
    path.write_bytes(client.result(f"a.{source}", fonts(source), target)[1])
    judge(path, target)


def test_an_open_embedded_font_as_it_is(client, fonts):
    assert client.result("a.eot", sources_fonts.eot(fonts("ttf")), "ttf")[1] == fonts("ttf")
    job = client.wait(client.start("a.eot", sources_fonts.eot(fonts("ttf"), flags=4), "ttf"))
    assert (job["status"], job["error_code"]) == ("failed", "no_output")


def test_a_font_without_outlines(client, fonts):
    """What has bitmaps alone can be packed, but has nothing to make other outlines of."""
    otb = client.result("a.bdf", fonts("bdf"), "otb")[1]
    font = TTFont(io.BytesIO(otb))
    for tag in ("glyf", "loca"):
        if tag in font:
            del font[tag]
    out = io.BytesIO()
    font.save(out, reorderTables=False)
    job = client.wait(client.start("a.ttf", out.getvalue(), "otf"))
    assert (job["status"], job["error_code"]) == ("failed", "no_output")


def test_a_pickled_font_is_refused(client, fonts):
    """FontForge would hand it to Python, which does whatever the pickle says."""
    sfd = fonts("sfd")
    at = sfd.index(b"\n", sfd.index(b"FontName:")) + 1
    for word in b"PickledData", b"Pickled\\\nData", b"PickledDataWithLists":
        pickled = sfd[:at] + word + b': "cposix' + b"\nsystem\n(S'touch /tmp/escaped'\ntR." + b'"\n' + sfd[at:]
        job = client.wait(client.start("a.sfd", pickled, "ttf"))
        assert (job["status"], job["error_code"]) == ("failed", "corrupt_input")


def test_what_is_damaged_says_so(client, fonts):
    ttf, woff = fonts("ttf"), fonts("woff")
    for name, data, target in (("a.ttf", ttf[:5000], "woff"), ("a.ttf", ttf[:5000], "otf"), ("a.woff", woff[:-3000], "ttf"), ("a.woff2", fonts("woff2")[:-2000], "ttf"), ("a.pfb", fonts("pfb")[:60], "otf")):
        job = client.wait(client.start(name, data, target))
        assert (job["status"], job["error_code"]) == ("failed", "corrupt_input"), (name, target, job)
    problem(client.upload("a.ttf", fonts("otf")), 422, "type_mismatch")
    problem(client.upload("a.woff", fonts("woff2")), 422, "type_mismatch")


def test_a_web_font_that_claims_too_much(client, fonts):
    woff = bytearray(fonts("woff"))
    woff[44 + 12:44 + 16] = struct.pack(">I", 0xfffffff0)
    job = client.wait(client.start("a.woff", bytes(woff), "ttf"))
    assert (job["status"], job["error_code"]) == ("failed", "too_complex")


def test_without_namespaces_too(own_server, fonts):
    server = own_server("font", DECANT_SANDBOX="reduced")
    client = Client(server.url)
    client.init()
    for target in "woff2", "woff":
        assert client.result("a.ttf", fonts("ttf"), target)[1]
    # FontForge can't be without a /tmp.
    job = client.wait(client.start("a.ttf", fonts("ttf"), "otf"))
    assert (job["status"], job["error_code"]) == ("failed", "internal")
