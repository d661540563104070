"""Behind the real nginx: downloads are handed over by X-Accel-Redirect, and the storage can't be reached otherwise."""

import os
import shutil
import subprocess
import time

import pytest
import requests

from client import Client
from fixtures import png
from server import free_port
from sse import Events

CONFIG = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{user}
events {{ }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 101m;
        location / {{
            proxy_pass {backend};
            proxy_http_version 1.1;
            proxy_request_buffering off;
        }}
        location /_files/ {{
            internal;
            alias {storage}/;
            # nginx keeps only a few headers of the answer that redirects to it (Content-Type and -Disposition, Cache-Control).
            add_header X-Content-Type-Options nosniff always;
            add_header Content-Security-Policy "default-src 'none'; sandbox" always;
        }}
    }}
}}
"""


@pytest.fixture
def behind_nginx(own_server, tmp_path):
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    server = own_server(DECANT_ACCEL_PREFIX="/_files")
    port = free_port()
    config = tmp_path / "nginx.conf"
    config.write_text(CONFIG.format(folder=tmp_path, port=port, backend=server.url, storage=server.data / "storage",
                                    user="user root;" if os.geteuid() == 0 else ""))
    process = subprocess.Popen([nginx, "-c", config])
    for _ in range(100):
        try:
            requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5)
            break
        except requests.ConnectionError:
            time.sleep(0.05)
    yield server, Client(f"http://127.0.0.1:{port}")
    process.terminate()
    process.wait(10)


def test_download_by_nginx(behind_nginx):
    server, client = behind_nginx
    client.init()
    job, content = client.result("Übersicht.png", png(), "jpg")
    assert content[:3] == b"\xff\xd8\xff" and len(content) == job["output"]["size"]
    url = client.token(job["job_id"]).json()["url"]

    through = client.download(url)
    assert "X-Accel-Redirect" not in through.headers and through.headers["Server"].startswith("nginx")
    assert through.headers["Content-Type"] == "image/jpeg" and through.headers["X-Content-Type-Options"] == "nosniff"
    assert through.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert through.headers["Cache-Control"] == "private, no-store"
    assert through.headers["Content-Disposition"].startswith("attachment; ")
    assert client.download(url, Range="bytes=0-2").content == content[:3]

    direct = requests.get(server.url + url)
    path = server.redis().hget(f"session:{client.session_id}:jobs:{job['job_id']}", "converted_path")
    assert direct.status_code == 200 and direct.content == b"" and direct.headers["X-Accel-Redirect"] == "/_files/" + path
    assert requests.get(client.url + "/_files/" + path).status_code == 404


def test_events_by_nginx(behind_nginx):
    """Each event comes through when it happens, and the end as an end."""
    _, client = behind_nginx
    client.init()
    stream = Events(client)
    assert stream.status == 200 and stream.headers["content-type"] == "text/event-stream"
    assert stream.headers["server"].startswith("nginx")
    job_id = client.upload("a.png", png()).json()["job_id"]
    first = stream.next()
    assert first.job["job_id"] == job_id and first.job["status"] == "uploaded"
    client.convert(job_id, "jpg")
    seen = stream.until(lambda event: event.job["status"] == "completed")
    again = Events(client, last_id=first.id)
    assert again.next().id == seen[-1].id
    client.close()
    assert stream.wait_end() == [] and again.wait_end() == []
