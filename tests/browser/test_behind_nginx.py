"""The page as the containers serve it: nginx in front with TLS, by its own configuration; what it hands out and what it passes on."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

import pytest
import requests

from fixtures import pdf, png
from page import Page
from server import BUILD, Server, eventually, free_port
from test_nginx_page import configure


@pytest.fixture
def front(tmp_path):
    """The address of nginx; the API behind it has no page."""
    with tempfile.TemporaryDirectory() as copy:
        os.chmod(copy, 0o755)  # nginx's processes are another user
        shutil.copytree(BUILD / "web", Path(copy) / "web")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", tmp_path / "privkey.pem", "-out", tmp_path / "fullchain.pem"], check=True, capture_output=True)
        server = Server(tmp_path, "image,pdf,pages", DECANT_ACCEL_PREFIX="/_files", DECANT_TRUSTED_PROXIES="127.0.0.1").start()
        port = free_port()
        configuration = configure(tmp_path, Path(copy) / "web", port, server)
        (Path(configuration).parent / "limits.conf").write_text("client_max_body_size 101m;\nlimit_conn address 256;\n")
        process = subprocess.Popen([shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-e", "stderr", "-c", configuration])

        def answers():
            assert process.poll() is None
            with contextlib.suppress(requests.ConnectionError):
                return requests.get(f"https://localhost:{port}/healthz", verify=tmp_path / "fullchain.pem", timeout=60)

        eventually(answers)
        yield f"https://localhost:{port}"
        process.terminate()
        process.wait(10)
        server.stop()


def test_the_whole_way_over_tls(front, own_browser, tmp_path):
    page = Page(own_browser(flags=["--ignore-certificate-errors"]), front).open()
    (tmp_path / "a.png").write_bytes(png(300, 200))
    (tmp_path / "b.pdf").write_bytes(pdf(["behind nginx"]))
    (tmp_path / "large.ppm").write_bytes(b"P6\n1500 1500\n255\n" + bytes(3 * 1500 * 1500))  # goes in pieces
    page.choose(tmp_path / "large.ppm")
    page.reaches("large.ppm", "ready")
    page.press("Delete from the server", "large.ppm")
    page.choose(tmp_path / "a.png", tmp_path / "b.pdf")
    page.convert("a.png", "webp")
    page.convert("b.pdf", "txt")
    page.reaches("a.png", "completed")
    page.reaches("b.pdf", "completed")
    thumbnail = page.one(".row .thumbnail img")
    page.wait(lambda: page.driver.execute_script("return arguments[0].naturalWidth", thumbnail) > 0, "nginx doesn't send the preview")
    page.press("Preview", "b.pdf")
    page.says("behind nginx", "dialog.preview pre")
    page.press("Close")
    assert "behind nginx" in page.download("b.pdf").read_text()
    before = set(page.browser.downloads.iterdir())
    page.press("Download all")
    with zipfile.ZipFile(page.arrived(before)) as archive:
        assert archive.testzip() is None and sorted(archive.namelist()) == ["a.webp", "b.txt"]
    protocols = page.driver.execute_script("return performance.getEntriesByType('resource').map(e => e.nextHopProtocol)")
    assert "h2" in protocols
    page.close()
