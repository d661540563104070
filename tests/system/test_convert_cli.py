"""The commands that need no server, run as root and as nobody in particular: how they end, what they leave behind."""

import contextlib
import io
import json
import os
import pty
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import pytest

from fixtures import docx, noise, pdf, png, slow_docx, slow_pdf, zipped
from server import BIN, eventually

NOBODY = "nobody"
ODF = "urn:oasis:names:tc:opendocument:xmlns:"


class Shell:
    """A user's working folder and TMPDIR, and commands run there."""

    def __init__(self, root, user):
        self.user, self.tmp, self.work = user, root / "tmp", root / "work"
        root.chmod(0o755)
        self.program = BIN / "decant"
        if user:  # who may not be able to walk to where this was built
            self.program = shutil.copytree(BIN, root / "bin") / "decant"
            (root / "bin").chmod(0o755)
        for folder in self.tmp, self.work:
            folder.mkdir()
            folder.chmod(0o711)  # as root the engines run as somebody else, who has to pass
            if user:
                os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)

    def write(self, name, data):
        (self.work / name).write_bytes(data)
        (self.work / name).chmod(0o644)

    def start(self, *words, **more):
        identity = {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": []} if self.user else {}
        return subprocess.Popen([self.program, *map(str, words)], cwd=self.work, env={"PATH": "/usr/bin:/bin", "TMPDIR": str(self.tmp)},
                                **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **identity, **more})

    def run(self, *words):
        process = self.start(*words)
        process.out, process.err = process.communicate(timeout=300)
        return process


def family(pid):
    """The process and all that descend from it."""
    found = [pid]
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it, or one of its threads, may end meanwhile
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found += family(int(child))
    return found


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.fixture
def open_shell():
    """open_shell(user): a Shell whose TMPDIR must be empty again at the end, unless its `killed` is set."""
    with tempfile.TemporaryDirectory(prefix="decant-test-") as folder:
        shell = None

        def make(user=None):
            nonlocal shell
            shell = Shell(Path(folder), user)
            shell.killed = False
            return shell

        yield make
        assert shell.killed or os.listdir(shell.tmp) == []
        assert [name for name in os.listdir(shell.work) if name.startswith(".")] == []


@pytest.fixture(params=["as we are", "unprivileged"])
def shell(request, open_shell):
    """As root twice: as root, and as nobody."""
    return open_shell(NOBODY if request.param == "unprivileged" and os.geteuid() == 0 else None)


def locked_pdf():
    """Asks for a password: these are the hashes of none that anybody knows."""
    lock = b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <" + b"5a" * 32 + b"> /U <" + b"a5" * 32 + b"> >> /ID [<00> <00>] "
    return pdf().replace(b"/Root 1 0 R", lock + b"/Root 1 0 R")


def locked_odt():
    kind = "application/vnd.oasis.opendocument.text"
    manifest = (
        f'<?xml version="1.0"?><m:manifest xmlns:m="{ODF}manifest:1.0" m:version="1.2">'
        f'<m:file-entry m:full-path="/" m:media-type="{kind}" m:version="1.2"/>'
        '<m:file-entry m:full-path="content.xml" m:media-type="text/xml" m:size="400">'
        f'<m:encryption-data m:checksum-type="{ODF}manifest:1.0#sha256-1k" m:checksum="{"A" * 43}=">'
        '<m:algorithm m:algorithm-name="http://www.w3.org/2001/04/xmlenc#aes256-cbc" m:initialisation-vector="AAAAAAAAAAAAAAAAAAAAAA=="/>'
        '<m:key-derivation m:key-derivation-name="PBKDF2" m:key-size="32" m:iteration-count="1000" m:salt="AAAAAAAAAAAAAAAAAAAAAA=="/>'
        '<m:start-key-generation m:start-key-generation-name="http://www.w3.org/2000/09/xmldsig#sha256" m:key-size="32"/>'
        '</m:encryption-data></m:file-entry></m:manifest>')
    return zipped([("mimetype", kind), ("content.xml", bytes(range(256)) + bytes(144)), ("META-INF/manifest.xml", manifest)])


def broken_docx():
    """A whole archive around half a document."""
    return docx(["</w:p>"])


# --- convert

def test_docx_to_pdf(shell):
    shell.write("in.docx", docx(["Read me."]))
    done = shell.run("convert", "in.docx", "out.pdf")
    assert (done.returncode, done.err) == (0, "")
    text = subprocess.run(["pdftotext", shell.work / "out.pdf", "-"], capture_output=True, text=True, check=True).stdout
    assert text.split() == ["Read", "me."]
    result = (shell.work / "out.pdf").stat()
    assert (result.st_uid, stat.S_IMODE(result.st_mode)) == (shell.work.stat().st_uid, 0o644)


def test_every_engine_in_one_run(shell):
    shell.write("a.docx", docx())
    shell.write("b.pdf", pdf())
    shell.write("c.bmp", b"BM" + (58).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little") + (40).to_bytes(4, "little")
                + (1).to_bytes(4, "little") * 2 + (1).to_bytes(2, "little") + (24).to_bytes(2, "little") + bytes(24) + b"\0\0\xff\0")
    done = shell.run("convert", "a.docx", "b.pdf", "c.bmp", "--to", "PNG", "-o", "out", "--json", "-j2")
    results = [json.loads(line) for line in done.out.splitlines()]
    assert done.returncode == 0 and {r["output"] for r in results} == {"out/a.png", "out/b.png", "out/c.png"}
    for result in results:
        assert result["status"] == "completed" and result["error_code"] is None
        assert (shell.work / result["output"]).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name, data, words, status, code", [
    ("in.docx", broken_docx(), ["out.pdf"], 13, "corrupt_input"),
    ("in.pdf", pdf([]), ["out.png"], 13, "corrupt_input"),
    ("in.png", png()[:-20], ["out.jpg"], 13, "corrupt_input"),
    ("in.pdf", locked_pdf(), ["out.txt"], 12, "password_required"),
    ("in.odt", locked_odt(), ["out.pdf"], 12, "password_required"),
    ("in.docx", docx()[:-30], ["out.pdf"], 3, "type_mismatch"),
    ("in.docx", png(), ["out.pdf"], 3, "type_mismatch"),
    ("in.png", png(), ["/proc/out.pdf"], 4, "output_unwritable"),
    ("in.docx", slow_docx(), ["out.pdf", "--job-timeout", "1"], 15, "timed_out"),
    ("in.png", png(700, 700), ["out.ppm", "--job-output", "1M"], 14, "too_complex"),
    ("in.ppm", noise(700), ["out.jp2", "--job-output", "1M"], 14, "too_complex"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_failures(open_shell, name, data, words, status, code):
    shell = open_shell()
    shell.write(name, data)
    done = shell.run("convert", name, *words)
    assert done.returncode == status, done.err
    assert done.err.startswith(f"decant convert: {name}: ") and done.err.endswith(f" ({code})\n") and done.out == ""
    assert os.listdir(shell.work) == [name]


@pytest.mark.parametrize("words", [["in.png", "out.docx"], ["in.png", "out.nonsense"], ["in.png", "--to", "docx"], ["in.epub", "out.mp3"], ["in.png", "-"], ["in.png", "--to", "nonsense"]],
                         ids=" ".join)
def test_targets_out_of_reach(open_shell, words):
    shell = open_shell()
    shell.write(words[0], png())
    done = shell.run("convert", *words)
    assert done.returncode == 2 and done.err.startswith("decant convert: ") and done.err.count("\n") == 1
    assert os.listdir(shell.work) == words[:1]


def piped(shell, *words, data=b"", **more):
    process = shell.start("convert", *words, text=False, stdin=subprocess.PIPE, **more)
    process.out, process.err = process.communicate(data, timeout=300)
    return process


def test_standard_input_and_output(open_shell):
    shell = open_shell()
    done = piped(shell, "-", "--from", "png", "--to", "jpg", data=png())
    assert done.returncode == 0 and done.out[:3] == b"\xff\xd8\xff" and done.out[-2:] == b"\xff\xd9" and done.err.startswith(b"- -> - ("), done.err
    shell.write("in.pdf", pdf(["one", "two"]))
    done = piped(shell, "in.pdf", "--to", "png", "-o", "-", "-q")
    assert (done.returncode, done.out) == (4, b"") and b"--force" in done.err and done.err.endswith(b" (output_unwritable)\n")
    done = piped(shell, "in.pdf", "--to", "png", "-o", "-", "-q", "--force")
    assert done.returncode == 0 and len(zipfile.ZipFile(io.BytesIO(done.out)).namelist()) == 2 and done.err == b""
    done = piped(shell, "-", "--from", "pdf", "--to", "txt", data=png())
    assert (done.returncode, done.out) == (3, b"") and done.err.startswith(b"decant convert: -: ") and done.err.endswith(b" (type_mismatch)\n")
    assert piped(shell, "-", "--from", "pdf", "--to", "txt").err == b"decant convert: -: The file is empty. (empty_file)\n"
    with open("/dev/full", "wb") as full:
        done = piped(shell, "in.pdf", "--to", "txt", "-o", "-", stdout=full)
    assert done.returncode == 4 and done.err == b"decant convert: in.pdf: -: No space left on device (output_unwritable)\n"
    assert os.listdir(shell.work) == ["in.pdf"]
    terminal, tty = pty.openpty()
    with os.fdopen(terminal, "rb", 0), os.fdopen(tty, "wb", 0) as shown:
        done = piped(shell, "in.pdf", "--to", "txt", "-o", "-", stdout=shown)
        assert done.returncode == 2 and b"not for a terminal" in done.err
    done = piped(shell, "-", "out.jpg", "--from", "png", "--json", data=png())
    result = json.loads(done.out)
    assert (result["input"], result["output"], sorted(os.listdir(shell.work))) == ("-", "out.jpg", ["in.pdf", "out.jpg"])


def test_a_signal_ends_the_waiting_for_standard_input(open_shell):
    shell = open_shell()
    process = shell.start("convert", "-", "--from", "png", "--to", "jpg", stdin=subprocess.PIPE)
    process.stdin.write("x" * 100_000)  # more than a pipe holds: it reads
    process.stdin.flush()
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) == -signal.SIGTERM and process.stdout.read() == ""


def test_a_folder_that_we_may_not_write(open_shell):
    shell = open_shell(NOBODY if os.geteuid() == 0 else None)
    shell.write("in.png", png())
    (shell.work / "closed").mkdir(mode=0o555)
    done = shell.run("convert", "in.png", "closed/out.jpg")
    assert done.returncode == 4 and done.err.endswith("Permission denied (output_unwritable)\n")
    done = shell.run("convert", "in.png", "--to", "jpg", "-o", "closed/more")
    assert done.returncode == 4 and os.listdir(shell.work / "closed") == []


def test_an_input_that_we_may_not_read(open_shell):
    shell = open_shell(NOBODY if os.geteuid() == 0 else None)
    shell.write("in.png", png())
    (shell.work / "in.png").chmod(0)
    assert shell.run("convert", "in.png", "out.jpg").returncode == 3


SLOW = {"pdf": (slow_pdf(1500), "png", "slow.zip"), "docx": (slow_docx(20000), "pdf", "slow.pdf")}


def start_slow(shell, kind):
    """Returns when the engine has the document: the process and its family, which is it, the zygote and the child with the job."""
    data, target, _ = SLOW[kind]
    shell.write(f"slow.{kind}", data)
    process = shell.start("convert", f"slow.{kind}", "--to", target, "--force")
    eventually(lambda: list(shell.tmp.glob("decant-*/job-0/work-*")) and len(family(process.pid)) >= 3)
    return process, family(process.pid)


@pytest.mark.parametrize("kind, delay", [("pdf", 0), ("docx", 0.3), ("pdf", 1)])
@pytest.mark.parametrize("before", [None, b"before"], ids=["new", "replaced"])
def test_killed(open_shell, before, kind, delay):
    shell = open_shell()
    shell.killed = True  # its copies in TMPDIR are nobody's to remove
    result = SLOW[kind][2]
    if before:
        shell.write(result, before)
    process, pids = start_slow(shell, kind)
    time.sleep(delay)
    assert process.poll() is None
    process.kill()
    process.communicate()
    eventually(lambda: not any(map(runs, pids)))
    assert set(os.listdir(shell.work)) == ({f"slow.{kind}", result} if before else {f"slow.{kind}"})
    assert not before or (shell.work / result).read_bytes() == before


@pytest.mark.parametrize("sig, kind", [(signal.SIGINT, "docx"), (signal.SIGTERM, "pdf"), (signal.SIGHUP, "pdf")])
def test_interrupted(shell, sig, kind):
    process, pids = start_slow(shell, kind)
    process.send_signal(sig)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 128 + sig and out == ""
    eventually(lambda: not any(map(runs, pids)))
    assert os.listdir(shell.work) == [f"slow.{kind}"]


def test_interrupted_while_the_engine_starts(shell):
    shell.write("in.docx", docx())
    process = shell.start("convert", "in.docx", "out.pdf")
    eventually(lambda: os.listdir(shell.tmp))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=180)
    assert process.returncode == 130 and os.listdir(shell.work) == ["in.docx"]


def test_replaced_at_once(open_shell):
    """Whoever reads the destination meanwhile sees what was there or what is new, never less."""
    shell = open_shell()
    shell.write("in.png", png(1500, 1500))
    shell.write("in.ppm", b"before")
    pixels = bytes((200, 30, 60)) * 1500 * 1500
    seen, over = set(), threading.Event()

    def watch():
        while not over.is_set():
            content = (shell.work / "in.ppm").read_bytes()
            seen.add("before" if content == b"before" else "whole" if content.endswith(b"\n255\n" + pixels) else f"{len(content)} bytes")

    with open(shell.work / "in.ppm", "rb") as held:
        watcher = threading.Thread(target=watch)
        watcher.start()
        done = shell.run("convert", "in.png", "--to", "ppm")
        again = shell.run("convert", "in.png", "--to", "ppm")
        over.set()
        watcher.join()
        assert held.read() == b"before"
    assert (done.returncode, again.returncode) == (0, 0), done.err + again.err
    assert seen == {"before", "whole"}


# --- the others

def test_formats(shell):
    done = shell.run("formats")
    assert done.returncode == 0 and done.err == ""
    lines = [line.split() for line in done.out.splitlines() if line.startswith("  ")]
    targets = {words[0]: words[words.index("→") + 1:] for words in lines}
    assert "pdf" in targets["docx"] and "txt" in targets["pdf"] and "jpg" in targets["png"]

    done = shell.run("formats", "--json")
    formats = json.loads(done.out)["formats"]
    assert done.returncode == 0 and {name: f["targets"] for name, f in formats.items() if f["targets"]} == targets
    assert shell.run("formats", "--nonsense").returncode == 2


def test_doctor(shell):
    done = shell.run("doctor")
    assert done.returncode == 0, done.out + done.err
    assert "Ready to convert." in done.out and "MISSING" not in done.out
    installed = any(Path("/var/lib/clamav").glob("main.c[vl]d"))
    said, = [line for line in done.out.splitlines() if line[9:].startswith("virus signatures")]
    assert said.split()[0] == ("ok" if installed else "weak")
    for engine in "office", "image", "pdf":
        assert any(line.startswith("ok ") and f"engine {engine} " in line for line in done.out.splitlines())


def test_doctor_names_what_is_missing(open_shell):
    shell = open_shell()
    done = shell.run("doctor", "--bindir", shell.work)
    assert done.returncode == 1 and "MISSING" in done.out and "Ready to convert." not in done.out


def test_the_engine_is_told_where_libreoffice_is(shell):
    for folder, why in ("/usr/nonexistent/program", "LibreOffice is not installed where it is looked for"), ("/opt/lo/program", "below /usr"):
        done = shell.run("doctor", "--libreoffice", folder)
        office, = [line for line in done.out.splitlines() if "engine office" in line]
        assert done.returncode == 1 and office.startswith("MISSING") and why in done.out


def test_usage(open_shell):
    shell = open_shell()
    for word in "--help", "-h", "help":
        done = shell.run(word)
        assert done.returncode == 0 and done.err == ""
        for command in "serve", "convert", "formats", "doctor", "version":
            assert f"\n  {command} " in done.out
            assert shell.run(command, "--help").returncode == 0, command
    for words in ["nonsense"], ["--nonsense"]:
        done = shell.run(*words)
        assert done.returncode == 2 and done.out == "" and done.err.startswith("decant: there is no command ") and "usage: " in done.err
    for words in [], ["convert"], ["convert", "in.png", "--nonsense"], ["formats", "nonsense"]:
        done = shell.run(*words)
        assert done.returncode == 2 and done.out == "" and done.err, words
