"""The containers' nginx, with its configuration as it is: it sends the page by itself, and all else is the API's."""

import contextlib
import gzip
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import brotli
import pytest
import requests

import contract
import front
from client import Client, problem
from fixtures import png
from server import Server, eventually, free_port

SCRIPT = b"export const table = [" + b"1, 2, 3, " * 4000 + b"];\n"
FILES = {"index.html": b"<!doctype html><title>Ours</title>" * 20, "favicon.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>" * 20,
         "docs/index.html": b"<!doctype html><title>The API</title>" * 20, "licenses.txt": b"MIT\n", "assets/index-Ax9.js": SCRIPT, "assets/index-Bx1.css": b"body { margin: 0 }\n" * 40}
PACKED = {"index.html", "docs/index.html", "favicon.svg", "assets/index-Ax9.js", "assets/index-Bx1.css"}
TYPES = {"/": "text/html; charset=utf-8", "/docs": "text/html; charset=utf-8", "/docs/": "text/html; charset=utf-8", "/favicon.svg": "image/svg+xml", "/licenses.txt": "text/plain; charset=utf-8", "/assets/index-Ax9.js": "text/javascript; charset=utf-8",
         "/assets/index-Bx1.css": "text/css; charset=utf-8"}
COMPARED = {"Content-Type", "Content-Length", "Content-Encoding", "Vary", "Cache-Control", "Content-Security-Policy", "Cross-Origin-Opener-Policy", "Permissions-Policy",
            "X-Content-Type-Options", "Referrer-Policy", "X-Frame-Options", "Cross-Origin-Resource-Policy"}
POLICY = "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
ALWAYS = {"Strict-Transport-Security": "max-age=31536000", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
          "Cross-Origin-Resource-Policy": "same-origin"}


def write_page(folder):
    for name, data in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if name in PACKED:
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(data, 9))
            path.with_name(path.name + ".br").write_bytes(brotli.compress(data))
    (folder / ".env").write_bytes(b"secret")
    (folder / "notes").write_bytes(b"secret")


def configure(folder, page, port, server):
    """nginx.conf and what deploy/docker/web/start writes for it, with this machine's folders and ports in the place of the container's. To who sends X-Away there is no API."""
    (folder / "variables.conf").write_text(f'map "" $https_port {{ default ":{port}"; }}\nmap $http_x_away $api {{ "" "127.0.0.1:{server.port}"; default "127.0.0.1:1"; }}\n')
    (folder / "limits.conf").write_text("client_max_body_size 4m;\nlimit_conn address 256;\n")
    text = (front.ROOT / "deploy/docker/web/nginx.conf").read_text()
    for old, new in {" /tmp/": f" {folder}/", "/shared/tmp/": f"{server.data}/storage/", "/run/decant/tls": str(folder), "/run/decant/acme": str(folder), "/dev/stdout": f"{folder}/access.log",
                     "/usr/local/share/decant/web": str(page), "listen 8443 ssl": f"listen 127.0.0.1:{port} ssl", "listen [::]:8443 ssl http2;": "",
                     "listen 8080;": f"listen unix:{folder}/plain.sock;", "listen [::]:8080;": "", "127.0.0.1 0; default 1": "default 1"}.items():
        assert old in text, old
        text = text.replace(old, new)
    config = folder / "nginx.conf"
    config.write_text(("user root;\n" if os.geteuid() == 0 else "") + text)
    return config


@pytest.fixture(scope="module")
def trusts():
    with pytest.MonkeyPatch.context() as patch:
        yield lambda certificate: patch.setenv("REQUESTS_CA_BUNDLE", str(certificate))


@pytest.fixture(scope="module")
def page():
    """In a folder that the API's user may look into."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        write_page(Path(folder) / "web")
        yield Path(folder) / "web"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("containers")


@pytest.fixture(scope="module")
def both(folder, trusts, page):
    """The addresses of nginx, and of the API behind it, which has the same page."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem"], check=True, capture_output=True)
    server = Server(folder, "image", DECANT_ACCEL_PREFIX="/_files", DECANT_TRUSTED_PROXIES="127.0.0.1", DECANT_WEB=str(page)).start()
    port = free_port()
    url = f"https://localhost:{port}"
    trusts(folder / "fullchain.pem")
    process = subprocess.Popen([shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-e", "stderr", "-c", configure(folder, page, port, server)])

    def answers():
        assert process.poll() is None
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"{url}/healthz", timeout=60)

    eventually(answers)
    contract.learn_front(url, server.url, speaks=True)
    yield url, server.url
    process.terminate()
    process.wait(10)
    server.stop()


@pytest.fixture
def url(both):
    return both[0]


def get(url, path, method="GET", **headers):
    """As it comes: requests would unpack it, and say itself what it takes."""
    answer = requests.request(method, url + path, headers={"Accept-Encoding": None, **{name.replace("_", "-"): value for name, value in headers.items()}}, stream=True, timeout=60)
    answer.raw.decode_content = False
    answer.bytes = answer.raw.read()
    return answer


@pytest.mark.parametrize("path", TYPES)
def test_the_page_is_sent(url, path):
    name = {"/": "index.html", "/docs": "docs/index.html", "/docs/": "docs/index.html"}.get(path, path[1:])
    for coding, unpack in ((None, bytes), ("gzip", gzip.decompress), ("br", brotli.decompress)):
        answer = get(url, path, Accept_Encoding=coding)
        packed = coding if name in PACKED else None
        assert answer.status_code == 200 and answer.headers["Content-Type"] == TYPES[path]
        assert answer.headers.get("Content-Encoding") == packed and (unpack if packed else bytes)(answer.bytes) == FILES[name]
        assert answer.headers.get("Vary") == ("Accept-Encoding" if name in PACKED else None)
        assert answer.headers["Cache-Control"] == ("public, max-age=31536000, immutable" if path.startswith("/assets/") else "no-cache")
        assert answer.headers["Content-Security-Policy"] == POLICY and "camera=()" in answer.headers["Permissions-Policy"]
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert all(answer.headers[header] == said for header, said in ALWAYS.items()) and "X-Request-Id" not in answer.headers
        again = get(url, path, Accept_Encoding=coding, If_None_Match=answer.headers["ETag"])
        assert again.status_code == 304 and again.bytes == b"" and again.headers["Cache-Control"] == answer.headers["Cache-Control"]
    assert get(url, path, "HEAD").headers["Content-Length"] == str(len(FILES[name]))


@pytest.mark.parametrize("path", TYPES)
def test_as_the_api_would_send_it(both, path):
    for coding in (None, "gzip", "br"):
        for method in ("GET", "HEAD"):
            nginx, api = ({name: said for name, said in get(url, path, method, Accept_Encoding=coding).headers.items() if name in COMPARED} for url in both)
            assert nginx == api


@pytest.mark.parametrize("path", ["/index.html", "/docs/index.html", "/.env", "/notes", "/assets", "/assets/", "/assets/none.js", "/none.svg", "/assets/%2e%2e/notes", "/metrics", "/_files/none.png"])
def test_nothing_else_of_its_folder_is(url, path):
    answer = get(url, path)
    assert answer.status_code == 404 and answer.headers["Content-Type"] == "application/problem+json" and b'"not_found"' in answer.bytes
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'" and "Permissions-Policy" not in answer.headers
    assert all(answer.headers[name] == said for name, said in ALWAYS.items()) and "Cross-Origin-Opener-Policy" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/docs", "/assets/index-Ax9.js"])
def test_the_page_is_only_read(url, path):
    for method in ("POST", "PUT", "DELETE"):
        answer = requests.request(method, url + path, timeout=60)
        assert answer.status_code == 405 and answer.json()["code"] == "method_not_allowed" and answer.headers["Allow"] == "GET, HEAD"
    assert "Allow" not in get(url, path).headers


def test_its_refusals_are_as_the_apis(url, folder):
    """Each by an id of its own, under which the log has it; it has those of the API, which is asked last, as well."""
    found = []
    for method, path, headers, status, code in (("GET", "/none.svg", {}, 404, "not_found"), ("DELETE", "/", {}, 405, "method_not_allowed"),
                                                ("POST", "/upload", {"Content-Length": "5000000"}, 413, "too_large"), ("GET", "/formats", {"X-Away": "1"}, 503, "unavailable"),
                                                ("GET", "/nowhere", {}, 404, "not_found")):
        found.append(requests.request(method, url + path, headers=headers, timeout=60))
        problem(found[-1], status, code)
    ids = {answer.headers["X-Request-Id"] for answer in found}
    assert len(ids) == len(found)
    assert [answer.headers.get("Retry-After") for answer in found] == [None, None, None, "2", None]
    eventually(lambda: ids <= set((folder / "access.log").read_text().split()))  # it writes a line when its client has the answer
    said = dict(re.findall(r"return (\d+) '(.*)';", (front.ROOT / "deploy/docker/web/nginx.conf").read_text()))
    assert said.keys() == {"404", "405", "413", "429", "503"}
    for status, text in said.items():
        contract.look_at(url, None, int(status), found[0].headers, text.replace("$own_request_id", found[0].headers["X-Request-Id"]).encode())


def test_the_api_is_behind_it(url):
    answer = get(url, "/formats")
    assert answer.headers["Content-Type"] == "application/json" and answer.headers["X-Request-Id"]
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'" and "Permissions-Policy" not in answer.headers
    client = Client(url)
    client.init()
    job, content = client.result("a.png", png(), "jpg")
    assert content[:3] == b"\xff\xd8\xff" and len(content) == job["output"]["size"]
    assert client.download(client.token(job["job_id"]).json()["url"]).headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    client.close()
