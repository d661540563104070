#!/usr/bin/python3
"""Sends real documents through a running platform, from POST /upload to GET /download, and has other
programs look at what comes back: file, pdfinfo, pdftotext, identify, unzip.

    tests/samples/run.py [FOLDER] [--url URL] [--only PATTERN] [--parallel N] [--repeat N] [--keep DIR] [--json FILE]

FOLDER is ../shared/samples beside the repository unless named. It is no part of the project, and so this is
no part of its tests: without that folder there is nothing to do, and that is no failure. Any folder of
documents will do; those in EXPECTED have to end as it says, all others have to convert.

Exit status: 0 when every result is what is expected, else 1."""

import argparse
import fnmatch
import html
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "system"))

from client import Client  # noqa: E402
from server import Server  # noqa: E402

OFFICE = "docx docm dotx doc dot odt ott fodt rtf xlsx xlsm xltx xls xlt ods ots fods csv pptx pptm ppsx potx ppt pps odp otp fodp odg fodg"
TARGETS = {
    **{ending: ["pdf"] for ending in OFFICE.split()},
    "jpg": ["png", "webp"], "jpeg": ["png", "webp"], "png": ["jpg", "webp"],
    "jp2": ["png"], "tif": ["png"], "tiff": ["png"], "webp": ["png", "jpg"],
    "pdf": ["png", "jpg", "svg", "txt", "html"],
    "epub": ["pdf"],
}
AGAIN = {"webp": ["png", "jpg"]}  # what comes out as this goes in again

# How files end that can't be converted, to any target ("*") or to one: an error code of the job, or that of the
# refused upload. "T04_006_premature-EOF.pdf" and "simple-password-copy.pdf" are not here: pdfinfo reads the first,
# and the second asks for a password only to be changed.
EXPECTED = {
    ("lorem-ipsum.epub", "*"): ("unsupported_type", "no engine reads books: epub is a target only"),
    ("T02-03_006_page-object-missing.pdf", "*"): ("corrupt_input", "pdfinfo: its one page is no object"),
    ("balloon_a1b_jp2k.pdf", "txt"): ("no_output", "pdftotext: there is no text, it is a scan"),
}

MIME = {"pdf": "application/pdf", "png": "image/png", "jpg": "image/jpeg", "webp": "image/webp", "svg": "image/svg+xml",
        "zip": "application/zip", "html": "text/html"}
SVG = "{http://www.w3.org/2000/svg}svg"


class Wrong(Exception):
    """The result is not what was asked for."""


def require(condition, what):
    if not condition:
        raise Wrong(what)


def tool(*words):
    done = subprocess.run([str(w) for w in words], stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    require(done.returncode == 0, f"{words[0]}: {done.stderr.decode(errors='replace').strip()[:200]}")
    return done.stdout.decode(errors="replace")


def pdf_pages(path):
    return int(re.search(r"^Pages:\s+(\d+)$", tool("pdfinfo", path), re.M)[1])


def picture_size(path):
    return tuple(map(int, tool("identify", "-quiet", "-format", "%w %h\n", f"{path}[0]").split()[:2]))


def pdf_words(path):
    return set(re.findall(r"\w+", tool("pdftotext", path, "-")))


# --- what other programs say of a result; each returns a short note

def check_pdf(source, result, job):
    pages = pdf_pages(result)
    require(pages > 0, "no pages")
    told = job["output"].get("pages")
    require(not told or told == pages, f"{pages} pages, but the job says {told}")
    tool("pdftotext", result, "-")
    return f"{pages} pages"


def check_picture(source, result, job):
    width, height = picture_size(result)
    if source.suffix != ".pdf":  # turned pictures come out upright
        require((width, height) in (picture_size(source), picture_size(source)[::-1]), f"{width}x{height} is not the source's size")
    return f"{width}x{height}"


def check_svg(source, result, job):
    require(ElementTree.parse(result).getroot().tag == SVG, "the root is no svg")
    return "svg"


def check_zip(source, result, job):
    """One picture a page."""
    tool("unzip", "-tqq", result)
    pages = pdf_pages(source)
    with zipfile.ZipFile(result) as archive, tempfile.TemporaryDirectory() as folder:
        names = sorted(archive.namelist())
        require(len(names) == pages, f"{len(names)} files for {pages} pages")
        archive.extractall(folder)
        for name in names:
            check_kind(source, Path(folder) / name, job, job["target_format"])
    return f"{pages} pages"


def check_words(source, text):
    words = pdf_words(source)
    found = words & set(re.findall(r"\w+", text))
    require(len(found) >= 0.9 * len(words), f"{len(found)} of the {len(words)} words that pdftotext finds")
    return f"{len(found)}/{len(words)} words"


def check_txt(source, result, job):
    return check_words(source, result.read_bytes().decode())


def check_html(source, result, job):
    text = result.read_bytes().decode()
    return check_words(source, html.unescape(re.sub(r"<[^>]*>", " ", text)))


CHECKS = {"pdf": check_pdf, "png": check_picture, "jpg": check_picture, "webp": check_picture, "svg": check_svg, "zip": check_zip,
          "txt": check_txt, "html": check_html}


def check_kind(source, result, job, kind):
    if kind in MIME:
        mime = tool("file", "--brief", "--mime-type", result).strip()
        require(mime == MIME[kind], f"file says {mime}")
    return CHECKS[kind](source, result, job)


def check(source, result, target, job):
    require(job["progress"] == 100 and job["output"]["size"] == result.stat().st_size, "the job tells another size or progress")
    kind = result.suffix[1:]
    require(kind == target or (kind == "zip" and source.suffix == ".pdf" and pdf_pages(source) > 1), f"it came as {kind}")
    return check_kind(source, result, job, kind)


# --- one conversion

def problem_code(answer):
    return answer.json().get("code", str(answer.status_code))


def through_platform(client, source, target, folder):
    """From upload to the last byte; the result lies in `folder`. Returns (error code or None, job, its path)."""
    answer = client.upload(source.name, source.read_bytes())
    if answer.status_code != 201:
        return problem_code(answer), None, None
    job_id = answer.json()["job_id"]
    answer = client.convert(job_id, target)
    if answer.status_code != 202:
        return problem_code(answer), None, None
    job = client.wait(job_id, timeout=600)
    if job["status"] != "completed":
        return job["error_code"], job, None
    answer = client.download(client.token(job_id).json()["url"])
    if answer.status_code != 200:
        return problem_code(answer), job, None
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / f"{source.stem}{Path(job['output']['filename']).suffix}"
    result.write_bytes(answer.content)
    return None, job, result


def judge(row, source, target, error, job, result):
    code, why = EXPECTED.get((source.name, target)) or EXPECTED.get((source.name, "*")) or (None, None)
    row["error_code"] = error
    if error or code:
        row["note"] = why or ""
        row["good"] = error == code
        if error != code:
            row["note"] = f"expected {code or 'a result'}" + (f": {why}" if why else f"; {job['error_message']}" if job else "")
        return
    row.update(size=result.stat().st_size, good=True)
    try:
        row["note"] = check(source, result, target, job)
    except (Wrong, subprocess.TimeoutExpired, UnicodeDecodeError, ElementTree.ParseError, zipfile.BadZipFile) as error:
        row.update(good=False, note=str(error))


class Run:
    def __init__(self, url, folder):
        self.url, self.folder = url, folder
        self.rows, self.lock = [], threading.Lock()

    def convert(self, label, source, target):
        """One file to one target, in a session of its own, and what follows from it."""
        row = {"file": label, "target": target, "size": None}
        client = Client(self.url)
        client.init()
        started = time.monotonic()
        try:
            error, job, result = through_platform(client, source, target, self.folder / f"{label} to {target}")
            row["ms"] = round((time.monotonic() - started) * 1000)
            judge(row, source, target, error, job, result)
        except AssertionError as failure:  # the client's: an answer that the contract does not know
            row.update(ms=round((time.monotonic() - started) * 1000), good=False, error_code="contract", note=str(failure)[:200])
            result = None
        client.close()
        self.report(row)
        if result and result.suffix[1:] == target:
            for more in AGAIN.get(target, []):
                self.convert(f"{label} to {target}", result, more)

    def report(self, row):
        with self.lock:
            self.rows.append(row)
            said = f"ok {row['size']:>9}" if row["size"] is not None else row["error_code"]
            mark = "" if row["good"] else "WRONG"
            print(f"{mark:5} {row['file'][:60]:60} {row['target']:5} {row['ms']:6} ms  {said}  {row['note']}", flush=True)


def find_work(folder, pattern):
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and os.access(path, os.R_OK) and fnmatch.fnmatch(name, pattern):
            for target in TARGETS.get(path.suffix[1:].lower(), []):
                yield name, path, target


def summarise(rows, seconds):
    wrong = [row for row in rows if not row["good"]]
    print(f"\n{len(rows)} conversions in {seconds:.1f} s, {len(rows) * 60 / seconds:.0f} a minute; "
          f"{sum(row['size'] is not None for row in rows)} results, {sum(row['size'] is None for row in rows)} errors, {len(wrong)} wrong")
    for target in sorted({row["target"] for row in rows}):
        times = [row["ms"] for row in rows if row["target"] == target and row["size"] is not None]
        if times:
            print(f"  to {target:5} {len(times):4}   median {statistics.median(times):6.0f} ms   most {max(times):6} ms")
    return wrong


def work_through(url, work, arguments):
    with tempfile.TemporaryDirectory() as scratch:
        run = Run(url, Path(arguments.keep or scratch))
        started = time.monotonic()
        with ThreadPoolExecutor(arguments.parallel) as pool:
            for done in [pool.submit(run.convert, *item) for item in work * arguments.repeat]:
                done.result()
        wrong = summarise(run.rows, time.monotonic() - started)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(run.rows, indent=1) + "\n")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=REPOSITORY.parent / "shared" / "samples")
    parser.add_argument("--url", help="a platform that runs already; else one is started")
    parser.add_argument("--only", default="*", help="files whose path in the folder matches this pattern")
    parser.add_argument("--parallel", type=int, default=4, help="conversions at once")
    parser.add_argument("--repeat", type=int, default=1, help="each conversion so many times")
    parser.add_argument("--keep", help="a folder for the results")
    parser.add_argument("--json", help="a file for the table")
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        print(f"skipped: there is no folder {arguments.folder}")
        return 0
    work = list(find_work(arguments.folder, arguments.only))
    if not work:
        print(f"skipped: nothing to convert in {arguments.folder}")
        return 0
    if arguments.url:
        return work_through(arguments.url.rstrip("/"), work, arguments)
    with tempfile.TemporaryDirectory(prefix="decant-samples-") as folder:
        os.chmod(folder, 0o755)  # as root the parts of the platform run as somebody else
        server = Server(folder)
        server.start(ready=False)
        try:
            server.wait_ready()
            return work_through(server.url, work, arguments)
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
