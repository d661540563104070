"""What options ask of texts and tables: how the characters are written."""

import subprocess

import pytest

from server import BIN


@pytest.mark.parametrize("encoding, text", [("windows-1250", "Łódź;ąćę"), ("shift_jis", "ポ;東京"), ("iso-8859-15", "Œuf;5 €"), ("gb18030", "中文;é"), ("utf-16", "ä;😀"), ("koi8-u", "Київ;є")])
def test_encodings_of_tables(client, encoding, text):
    """In and out: as a sheet, as plain text, and as another encoding."""
    codec = {"windows-1250": "cp1250", "shift_jis": "cp932", "koi8-u": "koi8_u"}.get(encoding, encoding)
    source = f"Name;X\n{text}\n".encode(codec)
    sheet = client.result("a.csv", source, "xlsx", source_encoding=encoding, source_separator="semicolon")[1]
    assert client.result("a.xlsx", sheet, "tsv")[1].decode() == f"Name\tX\n{text}\n".replace(";", "\t")
    back = client.result("a.xlsx", sheet, "tsv", encoding=encoding)[1]
    assert back.decode(codec) == f"Name\tX\n{text}\n".replace(";", "\t")
    assert client.result("a.tsv", back, "csv", source_encoding=encoding, encoding="utf-8-bom")[1].decode("utf-8-sig").splitlines()[1] == '"{}","{}"'.format(*text.split(";"))


def test_what_an_encoding_lacks_becomes_a_question_mark(client):
    assert client.result("a.csv", "Łódź,5 €\n".encode(), "tsv", encoding="iso-8859-1")[1] == b"?\xf3d?\t5 ?\n"
    assert client.result("a.csv", "a,ä\n".encode(), "tsv", encoding="utf-8-bom")[1] == "\ufeffa\tä\n".encode()
    assert client.result("a.txt", "Größe 5 €\n".encode("cp1252"), "odt")[1]  # by itself
    text = client.result("a.txt", "Größe ąć\n".encode("iso-8859-2"), "docx", source_encoding="iso-8859-2")[1]
    assert client.result("a.docx", text, "txt", encoding="windows-1252")[1].split() == [b"Gr\xf6\xdfe", b"??"]


def test_an_encoding_that_is_not_so_is_told(client):
    for encoding, data in ("utf-8", b"a,\xe4\n"), ("shift_jis", b"a,\x93\n"), ("gb18030", b"a,\xff\xff\n"):
        job = client.wait(client.start("a.csv", data, "xlsx", source_encoding=encoding))
        assert job["status"] == "failed" and job["error_code"] == "bad_options" and "encoding" in job["error_message"]
    job = client.upload("a.csv", b"a,b\n").json()["job_id"]
    for options in ({"source_encoding": "klingon"}, {"source_encoding": "UTF-8//IGNORE"}, {"source_encoding": "utf-8-bom"}, {"source_encoding": ""}, {"source_encoding": 1252},
                    {"source_encoding": None}, {"source_encoding": ["utf-8"]}, {"encoding": "utf-8"}):
        assert client.convert(job, "xlsx", **options).status_code == 400, options
    job = client.upload("a.csv", b"a,b\n").json()["job_id"]
    for options in ({"encoding": "auto"}, {"encoding": "utf-7"}, {"encoding": "../x"}):
        assert client.convert(job, "tsv", **options).status_code == 400, options


def test_the_command_line_refuses_such_options(tmp_path):
    def convert(option):
        return subprocess.run([BIN / "decant", "convert", "in.csv", "out.pdf", "--option", option], cwd=tmp_path, capture_output=True, text=True, timeout=120)

    (tmp_path / "in.csv").write_bytes(b"a,\xe4\n")
    for option in "source_encoding=klingon", "encoding=utf-8", "background=red":
        done = convert(option)
        assert done.returncode == 2 and "option" in done.stderr, option
    done = convert("source_encoding=utf-8")
    assert done.returncode == 24 and "(bad_options)" in done.stderr and not (tmp_path / "out.pdf").exists()
