"""What the sandbox shows of us to a document, and what it needs of the machine, seen from outside."""

import os
import subprocess

import pytest

from client import Client
from fixtures import docx, odt, pdf, png
from server import Server

ODT_FIELDS = "".join(f'<text:p><text:file-name text:display="{what}" text:fixed="false">stale</text:file-name></text:p>'
                     for what in ("full", "path", "name", "name-and-extension"))
DOCX_FIELDS = "".join(f'</w:t></w:r><w:fldSimple w:instr=" FILENAME {switch} "><w:r><w:t>stale</w:t></w:r></w:fldSimple><w:r><w:t>'
                      for switch in ("", "\\p"))


def text_of(client, name, data):
    _, result = client.result(name, data, "pdf")
    return subprocess.run(["pdftotext", "-", "-"], input=result, capture_output=True, check=True).stdout.decode()


@pytest.fixture(scope="module")
def reduced(tmp_path_factory):
    """A session with a server whose sandbox is reduced and whose data folder lies where engines may not walk."""
    folder = tmp_path_factory.mktemp("reduced")
    folder.chmod(0o700)
    server = Server(folder, DECANT_SANDBOX="reduced").start()
    client = Client(server.url)
    client.init()
    yield client
    server.stop()


@pytest.mark.parametrize("mode, folder", [("client", "/"), ("reduced", "/proc/self/cwd/.tmp/")], ids=["full", "reduced"])
def test_documents_print_no_path_of_ours(request, mode, folder):
    client = request.getfixturevalue(mode)
    assert text_of(client, "report.odt", odt(ODT_FIELDS)).split() == [f"{folder}document.odt", folder, "document", "document.odt"]
    assert text_of(client, "report.docx", docx([DOCX_FIELDS])).split() == ["document.docx" + folder + "document.docx"]


def test_engines_inherit_nothing(server):
    """But the log and the way to the worker: nothing to read from, and nothing of the data."""
    for engine in ("office", "image", "pdf"):
        [pid] = server.children(f"decant-engine-{engine}")[:1]
        held = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        assert held[0] == "/dev/null" and held[1] == held[2] == str(server.log_path) and held[3].startswith("socket:"), held
        assert not [name for name in held.values() if name.startswith(str(server.data))], held


def test_reduced_works_below_a_folder_that_engines_may_not_enter(reduced):
    """Each engine by one file, as the way to the input and to the output differs from the full sandbox's."""
    for name, data, target, head in (("a.docx", docx(), "pdf", b"%PDF-"), ("a.png", png(), "jpg", b"\xff\xd8"),
                                     ("a.pdf", pdf(["one", "two"]), "png", b"PK")):
        _, result = reduced.result(name, data, target)
        assert result.startswith(head), name
