"""The files of the web page, and what else never changes: which there are, as what they come, and to whom again."""

import gzip
import json
import os
import re
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
import requests

from client import Client, problem
from exposition import parse, value
from server import BIN, Server, still

INDEX = b'<!doctype html><html lang="en"><title>Ours</title><link rel="stylesheet" href="/assets/index-Bx1.css"><script type="module" src="/assets/index-Ax9.js"></script></html>' * 4
SCRIPT = b"export const table = [" + b"1, 2, 3, " * 4000 + b"];\n"
FILES = {
    "index.html": INDEX, "favicon.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "robots.txt": b"User-agent: *\n", "app.webmanifest": b"{}",
    "assets/index-Ax9.js": SCRIPT, "assets/index-Ax9.js.br": b"these are not really brotli's bytes", "assets/index-Ax9.js.gz": gzip.compress(SCRIPT + b"// ahead\n", 9),
    "docs/index.html": INDEX + b"<!-- the API -->", "assets/index-Bx1.css": b"body { margin: 0 }\n" * 40, "assets/font.woff2": b"wOF2" + bytes(400), "assets/deep/er/chunk.js": b"1;\n", "assets/picture.png": b"\x89PNG" + bytes(400),
    # what is not served
    ".env": b"secret", ".git/config.txt": b"secret", "assets/.hidden.js": b"secret", "assets/index-Ax9.js.map": b"secret", "notes": b"secret", "a b.txt": b"secret",
    "ümlaut.txt": b"secret", "server.conf": b"secret", "only.txt.gz": gzip.compress(b"secret"), "formats": b"secret"}
TYPES = {"/": "text/html; charset=utf-8", "/docs": "text/html; charset=utf-8", "/docs/": "text/html; charset=utf-8", "/favicon.svg": "image/svg+xml", "/robots.txt": "text/plain; charset=utf-8", "/app.webmanifest": "application/manifest+json",
         "/assets/index-Ax9.js": "text/javascript; charset=utf-8", "/assets/index-Bx1.css": "text/css; charset=utf-8", "/assets/font.woff2": "font/woff2",
         "/assets/deep/er/chunk.js": "text/javascript; charset=utf-8", "/assets/picture.png": "image/png"}


def write(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.fixture(scope="module")
def seen():
    """A folder that the API's user may look into."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture
def fresh(seen, request):
    folder = seen / re.sub(r"\W", "_", request.node.name)
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def folder(seen):
    folder = seen / "page" / "web"
    write(folder, FILES)
    outside = folder.parent / "outside.txt"
    outside.write_bytes(b"secret")
    (folder / "link.txt").symlink_to(outside)
    (folder / "folder").symlink_to(folder.parent)
    return folder


@pytest.fixture(scope="module")
def served(folder, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), "image", DECANT_WEB=str(folder)).start()
    yield server
    server.stop()


def get(server, path, method="GET", **headers):
    """As it comes: requests would unpack it, and say itself what it takes."""
    headers = {"Accept-Encoding": None, **{name.replace("_", "-"): value for name, value in headers.items()}}
    answer = requests.request(method, server.url + path, headers=headers, stream=True, timeout=60)
    answer.raw.decode_content = False
    answer.bytes = answer.raw.read()
    return answer


# --- which there are

def test_all_files_are_there(served):
    for path, kind in TYPES.items():
        name = {"/": "index.html", "/docs": "docs/index.html", "/docs/": "docs/index.html"}.get(path, path[1:])
        answer = get(served, path)
        assert answer.status_code == 200 and answer.bytes == FILES[name] and answer.headers["Content-Type"] == kind, path
        assert "Content-Encoding" not in answer.headers and answer.headers["Content-Length"] == str(len(FILES[name]))
        head = get(served, path, "HEAD")
        assert head.status_code == 200 and not head.bytes
        same = {name for name in answer.headers if name not in ("Date", "X-Request-Id") and not name.startswith("RateLimit")}
        assert {name: head.headers[name] for name in same} == {name: answer.headers[name] for name in same}


@pytest.mark.parametrize("path", [
    "/index.html", "/docs/index.html", "/docs//", "/.env", "/.git/config.txt", "/assets/.hidden.js", "/assets/index-Ax9.js.map", "/assets/index-Ax9.js.gz", "/assets/index-Ax9.js.br", "/notes", "/a%20b.txt",
    "/%C3%BCmlaut.txt", "/server.conf", "/only.txt", "/only.txt.gz", "/link.txt", "/folder/outside.txt", "/assets", "/assets/", "/assets/../robots.txt", "/assets/%2e%2e/robots.txt",
    "//robots.txt", "/./robots.txt", "/robots.txt/", "/robots.txt%00", "/ROBOTS.TXT", "/..%2foutside.txt", "/../outside.txt", "/assets/none.js"])
def test_nothing_else_is(served, path):
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as s:  # as it is written: a client would tidy it up
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: s.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 ")) and b"secret" not in answer
    assert b"application/problem+json" in head and json.loads(body)["code"] in ("not_found", "bad_request")


def test_the_api_is_where_it_was(served):
    assert get(served, "/formats").headers["Content-Type"] == "application/json"
    problem(requests.get(served.url + "/none", timeout=60), 404, "not_found")
    for path in "/", "/robots.txt":
        answer = requests.post(served.url + path, timeout=60)
        problem(answer, 405, "method_not_allowed")
        assert answer.headers["Allow"] == "GET, HEAD"
    client = Client(served.url)
    client.init()
    client.close()


# --- what browsers are told

def test_headers_of_pages(served):
    for path in TYPES:
        headers = get(served, path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert policy == {"default-src": "'self'", "img-src": "'self' blob:", "object-src": "'none'", "base-uri": "'none'", "form-action": "'self'", "frame-ancestors": "'none'"}
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer" and headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin" and headers["X-Frame-Options"] == "DENY" and "camera=()" in headers["Permissions-Policy"]
        assert "Set-Cookie" not in headers and not any(name.lower().startswith("access-control-") for name in headers)
    for path in "/none", "/healthz", "/formats", "/openapi.json":
        assert get(served, path).headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_how_long_they_are_kept(served):
    for path in TYPES:
        answer = get(served, path)
        assert answer.headers["Cache-Control"] == ("public, max-age=31536000, immutable" if path.startswith("/assets/") else "no-cache")
        assert answer.headers["ETag"].startswith('"') and answer.headers["ETag"].endswith('"')
    assert len({get(served, path).headers["ETag"] for path in TYPES}) == len(TYPES) - 1  # "/docs/" is "/docs"


@pytest.mark.parametrize("path", ["/", "/robots.txt", "/assets/index-Ax9.js", "/formats", "/openapi.json"])
def test_who_has_it_gets_it_not_again(served, path):
    tags = set()
    for coding in (None, "gzip", "br"):
        first = get(served, path, Accept_Encoding=coding)
        tag = first.headers["ETag"]
        tags.add(tag)
        for method in "GET", "HEAD":
            for has in (tag, "W/" + tag, f'"other", {tag}', "*"):
                again = get(served, path, method, Accept_Encoding=coding, If_None_Match=has)
                assert again.status_code == 304 and again.bytes == b"", (coding, has)
                assert again.headers["ETag"] == tag and again.headers["Cache-Control"] == first.headers["Cache-Control"]
                assert again.headers.get("Vary") == first.headers.get("Vary") and "Content-Encoding" not in again.headers
        for has in ('"other"', tag.strip('"'), tag[:-1], ""):
            assert get(served, path, Accept_Encoding=coding, If_None_Match=has).bytes == first.bytes
    assert len(tags) == {"/robots.txt": 1, "/assets/index-Ax9.js": 3}.get(path, 2)  # other bytes, another tag


def test_a_connection_lives_on_after_a_304(served):
    tag = get(served, "/").headers["ETag"]
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as s:
        s.sendall((f"GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: {tag}\r\n\r\n" * 2 + "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").encode())
        answer = b"".join(iter(lambda: s.recv(65536), b""))
    assert answer.count(b"HTTP/1.1 304 ") == 2 and answer.count(b"HTTP/1.1 200 ") == 1 and b'"status":"ok"' in answer


# --- compressed

@pytest.mark.parametrize("accepts, coding", [
    (None, None), ("", None), ("identity", None), ("gzip", "gzip"), ("br", "br"), ("gzip, deflate, br", "br"), ("GZIP", "gzip"), ("gzip;q=1.0, br;q=0.5", "gzip"),
    ("br;q=0, gzip", "gzip"), ("br;q=0, gzip;q=0", None), ("*", "br"), ("*;q=0.1, br;q=0", "gzip"), ("identity;q=1, gzip;q=0.5", None), ("gzip;q=0.5", "gzip"), ("zstd", None),
    ("gzip;q=x", None), ("*;q=0", None)], ids=str)
def test_each_takes_what_it_can_read(served, accepts, coding):
    answer = get(served, "/assets/index-Ax9.js", Accept_Encoding=accepts)
    suffix = {None: "", "gzip": ".gz", "br": ".br"}[coding]
    assert answer.headers.get("Content-Encoding") == coding and answer.bytes == FILES["assets/index-Ax9.js" + suffix]
    assert answer.headers["Vary"] == "Accept-Encoding" and answer.headers["Content-Type"] == "text/javascript; charset=utf-8"


def test_what_nobody_compressed_ahead_is_compressed_here(served):
    for path in "/", "/assets/index-Bx1.css":
        answer, plain = get(served, path, Accept_Encoding="gzip, br"), get(served, path)
        assert answer.headers["Content-Encoding"] == "gzip" and gzip.decompress(answer.bytes) == plain.bytes and len(answer.bytes) < len(plain.bytes) / 2
        assert answer.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    for path in "/assets/font.woff2", "/assets/picture.png", "/robots.txt":  # compressed already, or too small
        answer = get(served, path, Accept_Encoding="gzip, br")
        assert "Content-Encoding" not in answer.headers and "Vary" not in answer.headers


def test_formats_are_compressed(server):
    plain, packed = get(server, "/formats"), get(server, "/formats", Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(packed.bytes) == plain.bytes
    assert len(plain.bytes) > 200_000 and len(packed.bytes) < len(plain.bytes) / 10
    assert plain.headers["Vary"] == "Accept-Encoding" and plain.headers["Cache-Control"] == "no-cache" and plain.headers["Content-Type"] == "application/json"
    assert json.loads(plain.bytes)["formats"]["pdf"]


def test_caches_are_told_of_cors_too(own_server, folder):
    server = own_server("image", DECANT_WEB=str(folder), DECANT_CORS_ORIGINS="https://app.example.com")
    for path in "/formats", "/assets/index-Ax9.js", "/":
        answer = get(server, path, Origin="https://app.example.com")
        assert answer.headers["Vary"] == "Origin, Accept-Encoding" and answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
        assert requests.options(server.url + path, headers={"Origin": "https://app.example.com"}, timeout=60).status_code == 204
    assert get(server, "/healthz").headers["Vary"] == "Origin"


# --- the start

def run_api(folder, web, **environment):
    return subprocess.run([BIN / "decant-api"], env={"PATH": "/usr/bin:/bin", "DECANT_STORAGE": str(folder / "s"), "DECANT_REDIS": f"unix:{folder}/none", "DECANT_WEB": str(web),
                                                     "DECANT_LISTEN": "256.0.0.1", "DECANT_LOG_FORMAT": "text", **environment}, capture_output=True, text=True, timeout=120)


def test_a_folder_that_is_no_page_is_refused(fresh):
    many = fresh / "many"
    write(many, {"index.html": b"x", **{f"{n}.txt": b"x" for n in range(500)}})
    large = fresh / "large"
    write(large, {"index.html": b"x"})
    with open(large / "b.txt", "wb") as f:
        f.truncate(16 * 1024 * 1024)
    deep = fresh / "deep"
    write(deep, {"index.html": b"x", "/".join("abcdefghijk") + "/x.txt": b"x"})
    for folder in many, large, deep:
        done = run_api(fresh, folder)
        assert done.returncode == 78 and "DECANT_WEB" in done.stderr and str(folder) in done.stderr, done.stderr
        assert "listen" not in done.stderr
    (many / "499.txt").unlink()
    assert "web page" not in run_api(fresh, many).stderr


@pytest.mark.parametrize("missing", ["none", "empty", "file/x"])
def test_without_a_page_there_is_a_text(own_server, fresh, missing):
    (fresh / "empty").mkdir()
    (fresh / "file").write_bytes(b"x")
    server = own_server("image", DECANT_WEB=str(fresh / missing))
    answer = get(server, "/")
    assert answer.status_code == 200 and b"HTTP API" in answer.bytes and answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    for path in "/robots.txt", "/docs":
        problem(requests.get(server.url + path, timeout=60), 404, "not_found")
    assert server.log().count("there is no web page to serve") == 1


def test_no_page_is_asked_for(own_server):
    server = own_server("image", DECANT_WEB="")
    assert b"HTTP API" in get(server, "/").bytes and "web page" not in server.log()


def test_the_api_finds_its_page_beside_itself(fresh):
    (fresh / "bin").mkdir()
    (fresh / "bin/decant-api").write_bytes((BIN / "decant-api").read_bytes())
    (fresh / "bin/decant-api").chmod(0o755)
    write(fresh / "share/decant/web", {"index.html": b"x", **{f"{n}.txt": b"x" for n in range(500)}})  # too many: it says where it looked
    done = subprocess.run([fresh / "bin/decant-api"], env={"PATH": "/usr/bin:/bin", "DECANT_STORAGE": str(fresh / "s"), "DECANT_LOG_FORMAT": "text"}, capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 78 and f"{fresh}/bin/../share/decant/web" in done.stderr, done.stderr


def test_serve_finds_it_where_the_api_could_not(tmp_path):
    """As in root's home: `decant serve` opens the folder, and the API's user gets it open."""
    tmp_path.chmod(0o700)
    (tmp_path / "bin").mkdir()
    for program in BIN.iterdir():
        (tmp_path / "bin" / program.name).symlink_to(program)
    write(tmp_path / "share/decant/web", {"index.html": INDEX, "assets/index-Ax9.js": SCRIPT})
    server = Server(tmp_path, "image", DECANT_BINDIR=str(tmp_path / "bin"))
    del server.environment["DECANT_WEB"]
    server.start()
    assert get(server, "/").bytes == INDEX and get(server, "/assets/index-Ax9.js").bytes == SCRIPT
    server.stop()


# --- all the same

def test_a_changed_file_is_the_old_one(own_server, fresh):
    """It is read once: nobody who can write there later changes what is served."""
    folder = fresh / "web"
    write(folder, {"index.html": b"first"})
    server = own_server("image", DECANT_WEB=str(folder))
    (folder / "index.html").write_bytes(b"second")
    assert get(server, "/").bytes == b"first"


def test_a_page_needs_no_redis(own_server, folder):
    server = own_server("image", DECANT_WEB=str(folder))
    with still(server.children("redis-server")[0]):
        assert get(server, "/").bytes == INDEX and get(server, "/assets/index-Ax9.js").bytes == SCRIPT


def test_they_are_counted_as_one_route(served):
    before = value(parse(requests.get(served.url + "/metrics", timeout=60).text), "decant_http_requests_total", route="page", method="GET", status="200") or 0
    for path in "/robots.txt", "/assets/index-Ax9.js":
        get(served, path)
    found = parse(requests.get(served.url + "/metrics", timeout=60).text)
    assert value(found, "decant_http_requests_total", route="page", method="GET", status="200") == before + 2
    assert "robots" not in requests.get(served.url + "/metrics", timeout=60).text
