"""An engine is added as docs/adding-an-engine.md says: one file, and its name. The sources are copied, built with that engine alone, and used."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOY = ROOT / "tests/toy/toy.c"


def run(*words, **options):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=900, **options)


@pytest.fixture(scope="module")
def decant(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    folder.chmod(0o755)
    for part in ("src", "scripts", "meson.build", "meson_options.txt"):
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
        copy(ROOT / part, folder / part)
    (folder / "src/engine/toy").mkdir()
    shutil.copy2(TOY, folder / "src/engine/toy/toy.c")
    made = run("meson", "setup", folder / "build", folder, "-Dengines=toy", "-Dtests=false", "-Dweb=false", "-Doptimization=0", "-Ddebug=false")
    assert made.returncode == 0, made.stdout
    made = run("ninja", "-C", folder / "build", "src/cli/decant", "src/engine/decant-engine-toy")
    assert made.returncode == 0, made.stdout[-3000:]
    bin = folder / "build/bin"
    bin.mkdir(exist_ok=True)
    for program in ("src/cli/decant", "src/engine/decant-engine-toy"):
        shutil.copy2(folder / "build" / program, bin)
    return bin / "decant"


def test_it_is_offered(decant):
    catalogue = json.loads(run(decant, "formats", "--json").stdout)
    assert catalogue["formats"]["txt"]["targets"] == ["html"]
    assert {name for name, told in catalogue["formats"].items() if told["targets"]} == {"txt"}
    options = [catalogue["options"][id] for id in catalogue["formats"]["txt"]["options"]["html"]]
    assert [(o["name"], o["type"], o["default"]) for o in options] == [("title", "string", "Text"), ("numbers", "boolean", False)]


def test_it_converts(decant, tmp_path):
    (tmp_path / "a.txt").write_text("1 < 2\nGrüße & so\n")
    done = run(decant, "convert", tmp_path / "a.txt", tmp_path / "a.html", "--option", "title=A <b>", "--option", "numbers=true")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.html").read_text() == '<!DOCTYPE html><meta charset="utf-8"><title>A &lt;b></title><pre>\n1 1 &lt; 2\n2 Grüße &amp; so\n</pre>\n'
    done = run(decant, "convert", tmp_path / "a.txt", tmp_path / "b.html", "--option", f"title={'x' * 81}")
    assert done.returncode == 2 and 'The option "title" must be a text of 1 to 80 characters.' in done.stderr


def test_the_documentation_shows_this_very_file():
    assert TOY.read_text() in (ROOT / "docs/adding-an-engine.md").read_text()
