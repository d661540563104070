"""Many files become one: uploads that are merged or packed, and archives whose files are converted one by one."""

import io
import json
import subprocess
import zipfile

import pytest

from client import Client
from fixtures import docx, eicar, pdf, png, zipped
from server import BIN


def uploaded(client, *files):
    answers = [client.upload(name, data) for name, data in files]
    assert [answer.status_code for answer in answers] == [201] * len(files), answers[-1].text
    return [answer.json()["job_id"] for answer in answers]


def convert(client, jobs, target, **options):
    return client.request("POST", "/convert", json={"job_ids": jobs, "target_format": target, "options": options})


def fetched(client, job_id):
    job = client.wait(job_id)
    assert job["status"] == "completed", job
    return job, client.download(client.token(job_id).json()["url"])


def merged(client, jobs, target, **options):
    answer = convert(client, jobs, target, **options)
    assert answer.status_code == 202, answer.text
    assert answer.json()["job_id"] == jobs[0]
    return fetched(client, jobs[0])


def pages(data, tmp_path):
    path = tmp_path / "result.pdf"
    path.write_bytes(data)
    subprocess.run(["qpdf", "--check", path], check=True, capture_output=True)
    text = subprocess.run(["pdftotext", path, "-"], check=True, capture_output=True, text=True).stdout
    return [page.strip() for page in text.split("\f")[:-1]]


def test_different_files_become_one_pdf(client, tmp_path):
    jobs = uploaded(client, ("a.docx", docx(["First."])), ("b.png", png()), ("c.pdf", pdf(["Second.", "Third."])), ("d.txt", b"Fourth.\n"))
    job, answer = merged(client, jobs, "pdf")
    assert pages(answer.content, tmp_path) == ["First.", "", "Second.", "Third.", "Fourth."]
    assert job["engine"] == "pages" and job["output"]["mime_type"] == "application/pdf"
    for other in jobs[1:]:  # which stay what they were
        assert client.status(other).json()["status"] == "uploaded"
    assert client.convert(jobs[3], "pdf").status_code == 202 and client.wait(jobs[3])["status"] == "completed"
    assert client.convert(jobs[0], "pdf").status_code == 409


def test_options_are_about_the_whole(client, tmp_path):
    jobs = uploaded(client, ("a.pdf", pdf(["One.", "Two."])), ("b.pdf", pdf(["Three.", "Four."])))
    _, answer = merged(client, jobs, "pdf", pages="z-2", linearize=True)
    assert pages(answer.content, tmp_path) == ["Four.", "Three.", "Two."]
    assert "Optimized:       yes" in subprocess.run(["pdfinfo", tmp_path / "result.pdf"], capture_output=True, text=True).stdout


def test_the_same_file_twice(client, tmp_path):
    job, = uploaded(client, ("a.pdf", pdf(["Again."])))
    _, answer = merged(client, [job, job], "pdf")
    assert pages(answer.content, tmp_path) == ["Again.", "Again."]


def test_many_become_an_archive(client):
    jobs = uploaded(client, ("letter.docx", docx()), ("Grüße.txt", "Grüße".encode()), ("letter.docx", docx(["Another."])))
    job, answer = merged(client, jobs, "zip")
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert names == ["letter.docx", "Grüße.txt", "letter (2).docx"], names
    assert job["output"]["mime_type"] == "application/zip"
    jobs = uploaded(client, ("letter.docx", docx()), ("b.txt", b"b\n"))
    _, answer = merged(client, jobs, "zip", each="pdf")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["letter.pdf", "b.pdf"] and all(archive.read(name).startswith(b"%PDF") for name in archive.namelist())


def test_files_of_an_archive_are_converted_one_by_one(client):
    archive = zipped([("letters/May.docx", docx()), ("letters/notes.md", b"# Notes\n"), ("tool.exe", b"MZ\x90\0"), ("broken.pdf", b"%PDF-1.4\nnothing"), ("__MACOSX/._May.docx", b"\0\5")])
    job, result = client.result("documents.zip", archive, "zip", each="pdf")
    made = zipfile.ZipFile(io.BytesIO(result))
    assert made.namelist() == ["letters/May.pdf", "letters/notes.pdf", "not-converted.txt"]
    problems = made.read("not-converted.txt").decode().splitlines()
    assert [line.split(": ")[0] for line in problems] == ["tool.exe", "broken.pdf"], problems
    assert job["original_filename"] == "documents.zip" and job["engine"].startswith("archive")


def test_an_archive_becomes_one_pdf(client, tmp_path):
    _, result = client.result("scans.zip", zipped([("1.txt", b"One.\n"), ("2/2.pdf", pdf(["Two."])), (".DS_Store", b"\0\0\0\1Bud1")]), "pdf")
    assert pages(result, tmp_path) == ["One.", "Two."]
    job = client.wait(client.start("mixed.zip", zipped([("1.txt", b"One.\n"), ("tool.exe", b"MZ\x90\0")]), "pdf"))
    assert (job["status"], job["error_code"]) == ("failed", "unsupported_content")
    assert job["error_message"].startswith("tool.exe: A file in it "), job


def test_one_that_fails_fails_the_whole(client, server):
    jobs = uploaded(client, ("a.pdf", pdf(["Good."])), ("b.pdf", b"%PDF-1.4\nnothing"))
    assert convert(client, jobs, "pdf").status_code == 202
    job = client.wait(jobs[0])
    assert (job["status"], job["error_code"], job["output"]) == ("failed", "corrupt_input", None)
    assert job["error_message"].startswith("b.pdf: The file is damaged"), job
    folder = server.data / "storage" / client.session_id
    assert not [path for path in folder.rglob("work-*")]
    assert client.status(jobs[1]).json()["status"] == "uploaded"


def test_malware_in_any_of_them(client, server):
    jobs = uploaded(client, ("a.pdf", pdf(["Good."])), ("b.txt", eicar()))
    assert convert(client, jobs, "pdf").status_code == 202
    job = client.wait(jobs[0])
    assert (job["status"], job["error_code"]) == ("failed", "infected")
    assert job["error_message"].startswith("b.txt: "), job
    folder = server.data / "storage" / client.session_id
    assert [path for path in folder.rglob("*") if path.is_file() and b"EICAR" in path.read_bytes()] == []
    assert client.wait(jobs[1])["status"] == "failed"  # there is nothing left of it


def test_what_is_refused(client, server):
    a, b = uploaded(client, ("a.txt", b"a\n"), ("b.png", png()))
    other = Client(server.url)
    other.init()
    foreign, = uploaded(other, ("c.txt", b"c\n"))
    body = {"target_format": "pdf"}
    for jobs, target, status in [([], "pdf", 400), (["x"] * 101, "pdf", 400), ([a, 7], "pdf", 400), ("x", "pdf", 400), ([a, foreign], "pdf", 404),
                                 ([a, b], "docx", 422), ([a, b], "nonsense", 422)]:
        answer = client.request("POST", "/convert", json={**body, "job_ids": jobs, "target_format": target})
        assert answer.status_code == status, (jobs, answer.text)
    answer = client.request("POST", "/convert", json={"job_id": a, "job_ids": [a], "target_format": "pdf"})
    assert answer.status_code == 400
    assert convert(client, [a, b], "pdf", each="pdf").status_code == 400  # is about archives
    assert convert(client, [a, b], "zip", each="nonsense").status_code == 400
    assert convert(client, [a, b], "zip", each="docx").status_code == 422  # no picture becomes one
    assert client.status(a).json()["status"] == client.status(b).json()["status"] == "uploaded"


@pytest.mark.parametrize("target", ["pdf", "zip"])
def test_on_the_command_line(tmp_path, target):
    (tmp_path / "a.txt").write_text("One.\n")
    (tmp_path / "b.pdf").write_bytes(pdf(["Two."]))
    result = tmp_path / f"m.{target}"
    done = subprocess.run([BIN / "decant", "convert", tmp_path / "a.txt", tmp_path / "b.pdf", "--merge", result], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    if target == "pdf":
        assert pages(result.read_bytes(), tmp_path) == ["One.", "Two."]
    else:
        assert zipfile.ZipFile(result).namelist() == ["a.txt", "b.pdf"]
    (tmp_path / "b.pdf").write_bytes(b"no PDF")
    done = subprocess.run([BIN / "decant", "convert", tmp_path / "a.txt", tmp_path / "b.pdf", "--merge", result, "--json"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 3 and json.loads(done.stdout)["error_message"].startswith("b.pdf: "), done.stdout
