"""The examples of the documents do what they show: docs/examples.md runs from top to bottom in each of its languages, and so do the quick start and each recipe of the cookbook.

What a block prints stands behind arrows: `… # → completed`. A block without arrows may print what it likes. One that begins with the name of a file is that file."""

import json
import os
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from parts import parts_folder
from server import BIN, PATIENCE, Server, free_port, sanitizers
from test_metadata import exif, segment
from test_webhooks import LOOPBACK, NAME, make_certificate

DOCS = Path(__file__).resolve().parents[2] / "docs"
EXAMPLES = (DOCS / "examples.md").read_text()
COOKBOOK = (DOCS / "cookbook.md").read_text()
QUICK_START = (DOCS / "quick-start.md").read_text()
PASSWORD = "correct horse battery"

# How a language runs a script, the script's ending, a line that prints a mark, and what stands before an arrow.
LANGUAGES = {
    "sh": (["bash", "-euo", "pipefail"], "sh", "printf '\\n{}\\n'", "#"),
    "python": (["/usr/bin/python3", "-u"], "py", "print('\\n{}')", "#"),
    "js": (["node"], "mjs", "console.log('\\n{}');", "//"),
}

# Calls without an example, each for a reason.
WITHOUT_EXAMPLES = {
    "GET /": "the page: a browser opens it",
    "GET /docs": "the same",
    "POST /files/{id}": "PATCH and DELETE for who can't send these methods",
    "GET /auth/oidc/login": "a browser is sent there",
    "GET /auth/oidc/callback": "and from there by the provider",
    "GET /metrics": "Prometheus reads it, set up as docs/metrics.md says",
}


def blocks(text, *languages):
    """[(language, block)] in their order."""
    return re.findall(rf"^```({'|'.join(languages)})\n(.*?)^```", text, re.M | re.S)


def sections(text, level):
    """{heading: text} of those with so many #."""
    parts = re.split(rf"^{'#' * level} (.+)\n", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def promised(language, block):
    return [line.rstrip() for line in re.findall(rf"(?:^| ){LANGUAGES[language][3]} → (.*)$", block, re.M)]


def run(folder, name, language, script, environment):
    """What it prints. Its output goes to a file, so that nobody waits for what it leaves behind."""
    program, ending, _, _ = LANGUAGES[language]
    path, said = folder / f"{name}.{ending}", folder / f"{name}.out"
    path.write_text(script)
    with open(said, "wb") as out:
        process = subprocess.Popen([*program, path], cwd=folder, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment, start_new_session=True)
    try:
        status = process.wait(PATIENCE)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    text = said.read_text(errors="replace")
    assert status == 0, f"{path} ended with {status}:\n{script}\n{text[-3000:]}"
    return text


def check(language, block, printed):
    promises = promised(language, block)
    assert not promises or [line.rstrip() for line in printed.splitlines()] == promises, f"{block}\nprinted:\n{printed}"


def is_file(block):
    """The name that a block begins with, if it does."""
    found = re.match(r"(?:#|//) (\w+\.(?:py|mjs))\b", block)
    return found and found[1]


@pytest.fixture(scope="module")
def hook():
    """A folder with the certificate of a receiver of webhooks, and its port."""
    with parts_folder() as folder:
        make_certificate(folder)
        yield folder, free_port()


@pytest.fixture(scope="module")
def documented(tmp_path_factory, hook):
    """A server as the documents have it."""
    folder, port = hook
    server = Server(tmp_path_factory.mktemp("documented"), DECANT_WEBHOOKS="on", DECANT_CA_FILE=str(folder / "ca.pem"), DECANT_COURIER_NETWORKS=LOOPBACK,
                    DECANT_COURIER_PORTS=f"443 {port}", DECANT_COURIER_USER="decant").start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def environment(documented, hook):
    """environment(name): of the scripts of an account with that name, which is made, with a key."""
    def decant(*words, stdin=None):
        done = subprocess.run([BIN / "decant", *words], input=stdin, capture_output=True, text=True, timeout=PATIENCE,
                              env={"PATH": "/usr/bin:/bin", "DECANT_DATA": str(documented.data), **sanitizers()})
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def make(name):
        decant("user", "add", name, "--plan", "premium", "--password-stdin", stdin=PASSWORD + "\n")
        key = decant("key", "create", "--user", name, "--scope", "convert,read")
        decant("webhook", "allow", name, NAME)
        return {"PATH": f"/usr/bin:/bin:{os.environ['PATH']}:{BIN}", **sanitizers(), "HOME": "/nonexistent", "LANG": "C.UTF-8", "DECANT_URL": documented.url, "DECANT_DATA": str(documented.data),
                "DECANT_NAME": name, "DECANT_PASSWORD": PASSWORD, "DECANT_KEY": key,
                "DECANT_HOOK": f"https://{NAME}:{hook[1]}/decant", "HOOK_PORT": str(hook[1]), "WEBHOOK_SECRET": decant("webhook", "secret", name)}

    return make


@pytest.mark.parametrize("language", LANGUAGES)
def test_examples(environment, tmp_path, language):
    examples = [block for _, block in blocks(EXAMPLES, language)]
    mark = LANGUAGES[language][2]
    script = "".join(f"{block}{mark.format(f'--- {i} ---')}\n" for i, block in enumerate(examples))
    printed = re.split(r"\n--- \d+ ---\n", run(tmp_path, "examples", language, script, environment(language)))
    assert len(printed) == len(examples) + 1 and not printed[-1]
    for block, lines in zip(examples, printed):
        check(language, block, lines)


def test_every_call_has_examples(documented):
    paths = json.loads(requests.get(documented.url + "/openapi.json").text)["paths"]
    calls = {f"{method.upper()} {path}" for path, item in paths.items() for method in item if method in ("get", "post", "put", "patch", "delete")}
    shown = {call: {language for language, _ in blocks(text, *LANGUAGES)} for heading, text in sections(EXAMPLES, 3).items() for call in re.findall(r"`(.+?)`", heading)}
    assert set(shown) == calls - set(WITHOUT_EXAMPLES) and set(WITHOUT_EXAMPLES) <= calls
    for call, languages in shown.items():
        assert languages == set(LANGUAGES), call


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory, environment, hook):
    """The cookbook's files in a folder, and what its recipes run with."""
    folder, cook = tmp_path_factory.mktemp("kitchen"), environment("cook")
    common, files = (block for _, block in blocks(COOKBOOK[:COOKBOOK.index("\n## ")], "sh"))
    run(folder, "files", "sh", common + files, cook)
    plain = (folder / "photos/hill.jpg").read_bytes()
    (folder / "photos/hill.jpg").write_bytes(plain[:2] + segment(0xE1, exif()) + plain[2:])
    for name in ("certificate.pem", "key.pem"):
        (folder / name).write_bytes((hook[0] / name).read_bytes())
    return folder, common, cook


def cook_one(kitchen, number, recipe):
    folder, common, environment = kitchen
    for i, (language, block) in enumerate(blocks(recipe, *LANGUAGES)):
        if is_file(block):
            (folder / is_file(block)).write_text(block)
        else:
            check(language, block, run(folder, f"recipe-{number}-{i}", language, common + block, environment))


def test_cookbook(kitchen):
    recipes = {heading: text for heading, text in sections(COOKBOOK, 2).items() if re.match(r"\d+\. ", heading)}
    assert [int(heading.split(".")[0]) for heading in recipes] == list(range(1, 11))
    with ThreadPoolExecutor(4) as pool:
        tried = [pool.submit(cook_one, kitchen, number, recipe) for number, recipe in enumerate(recipes.values(), 1)]
    wrong = [str(done.exception()) for done in tried if done.exception()]
    assert not wrong, "\n\n".join(wrong)
    folder = kitchen[0]
    assert (folder / "open.pdf").read_bytes().startswith(b"%PDF-") and b"/Encrypt" in (folder / "locked.pdf").read_bytes()
    for said in (b"Acme Optics", b"2024:05:06"):
        assert said in (folder / "photos/hill.jpg").read_bytes() and said not in (folder / "web/hill.jpg").read_bytes()
    assert (folder / "mail/papers/key.p7s").read_bytes().strip() == b"signed"
    for result in ("invoices/1001.pdf", "invoices/1002.pdf", "outbox/Minutes of May.pdf", "mail/papers/1.png.pdf"):
        assert (folder / result).read_bytes().startswith(b"%PDF-"), result


def test_quick_start(environment, documented, tmp_path):
    """Its shell from the first line on, and then the two programs with the key that it has made."""
    shell = "".join(block for _, block in blocks(QUICK_START, "sh"))
    variables = {**environment("newcomer"), "DECANT_KEY": ""}
    common = shell.replace("http://127.0.0.1:8080", documented.url)
    for language in ("python", "js"):
        (program,) = (block for _, block in blocks(QUICK_START, language))
        name = f"hello.{LANGUAGES[language][1]}"
        (tmp_path / name).write_text(program.replace("http://127.0.0.1:8080", documented.url))
        common += f"{LANGUAGES[language][0][0]} {name}\n"
    run(tmp_path, "quick-start", "sh", common, variables)
    for name, start in (("hello.pdf", b"%PDF-"), ("hello.docx", b"PK"), ("hello.png", b"\x89PNG")):
        assert (tmp_path / name).read_bytes().startswith(start)
