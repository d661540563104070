"""Request smuggling through the real nginx: with connections that it keeps for requests of all its clients, the server must
answer as many requests as nginx has sent, whatever they hold."""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time

import pytest
import requests

from raw import Raw, get, request
from server import free_port

CONFIG = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ }}
http {{
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    upstream kept {{ server 127.0.0.1:{wire}; keepalive 4; }}
    log_format sent '$upstream_status $uri';
    access_log {folder}/access.log sent;
    # Whoever has no second request to send is waited for so long.
    keepalive_timeout 2s; client_header_timeout 2s; client_body_timeout 2s;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://kept;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


class Wire:
    """Between nginx and the server: passes everything on, and keeps what the server answered on each connection."""

    def __init__(self, port):
        self.port, self.answers = port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near = self.listener.accept()[0]
                far = socket.create_connection(("127.0.0.1", self.port))
                self.answers.append(bytearray())
                threading.Thread(target=self.copy, args=(near, far, bytearray()), daemon=True).start()
                threading.Thread(target=self.copy, args=(far, near, self.answers[-1]), daemon=True).start()

    @staticmethod
    def copy(source, target, seen):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                seen += data
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def count(self):
        return sum(bytes(seen).count(b"HTTP/1.1 ") for seen in self.answers)


class Nginx:
    def __init__(self, folder, server):
        self.folder, self.wire, self.port = folder, Wire(server.port), free_port()
        config = folder / "nginx.conf"
        config.write_text(CONFIG.format(folder=folder, port=self.port, wire=self.wire.listener.getsockname()[1],
                                        user="user root;" if os.geteuid() == 0 else ""))
        self.process = subprocess.Popen([shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-c", config])
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"http://127.0.0.1:{self.port}/healthz", timeout=10).status_code == 200:
                    return
            assert self.process.poll() is None
            time.sleep(0.05)

    def sent(self):
        """The paths of the requests that reached the server, as nginx understood them."""
        lines = (line.split(" ", 1) for line in (self.folder / "access.log").read_text().splitlines())
        return [uri for status, uri in lines if status != "-"]

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.wire.listener.close()


@pytest.fixture(scope="module")
def nginx(server, tmp_path_factory):
    nginx = Nginx(tmp_path_factory.mktemp("nginx"), server)
    yield nginx
    nginx.stop()


CHUNKED = b"Transfer-Encoding: chunked"
SMUGGLED = get(b"/smuggled")


def smuggler(*fields, body):
    return request(b"POST /convert HTTP/1.1", *fields, body=body + SMUGGLED)


@pytest.mark.parametrize("data", [
    smuggler(b"Content-Length: 5", CHUNKED, body=b"0\r\n\r\n"), smuggler(CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n"),
    smuggler(b"Content-Length: 2", b"Content-Length: 43", body=b"{}"), smuggler(CHUNKED + b", chunked", body=b"0\r\n\r\n"),
    smuggler(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), smuggler(CHUNKED + b" ", body=b"0\r\n\r\n"),
    smuggler(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"), smuggler(b"X: a\nTransfer-Encoding: chunked", body=b"0\r\n\r\n"),
    smuggler(b"X: a\rTransfer-Encoding: chunked", body=b"0\r\n\r\n"), smuggler(b"X: a", b" Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    smuggler(b"Content-Length: +2", body=b"{}"), smuggler(CHUNKED, body=b"2;\n{}\r\n0\r\n\r\n"), smuggler(CHUNKED, body=b"0;\n\r\n"),
    smuggler(CHUNKED, body=b"2\n{}\n0\n\n"), smuggler(CHUNKED, body=b"0\r\nContent-Length: 9\r\n\r\n"),
    smuggler(b"Connection: Content-Length", b"Content-Length: 2", body=b"{}"), smuggler(b"Content-Length: 2\n:\n", body=b"{}"),
    smuggler(b"Content-Length: 2", b":", body=b"{}"), smuggler(b"Content-Length: 2", b"X: \0", body=b"{}"),
    smuggler(b"X: a\0\nTransfer-Encoding: chunked", body=b"0\r\n\r\n"),
    request(b"GET /healthz HTTP/1.1", b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED)],
    ids=["CL TE", "TE CL", "CL CL", "chunked twice", "vertical tab", "blank", "blank before the colon", "LF", "CR", "fold", "sign",
         "LF in an extension", "LF after an extension", "LF in chunks", "trailer", "Connection names it", "colon LF", "colon", "NUL", "NUL LF",
         "GET with a body"])
def test_no_smuggling_by_nginx(nginx, data):
    before = len(nginx.sent())
    with Raw(nginx.port) as raw:
        raw.send(data)
        found = raw.answers()
    for _ in range(5):  # what a request left on a kept connection would be answered instead
        with Raw(nginx.port) as raw:
            raw.send(get(b"/healthz", b"Connection: close"))
            assert [a.status for a in raw.answers()] == [200]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:  # nginx logs after it has answered
        sent = nginx.sent()
        if len(sent) >= before + 5 and nginx.wire.count() == len(sent):
            break
        time.sleep(0.1)
    assert nginx.wire.count() == len(sent), sent[before:]
    assert [a.status for a in found].count(404) == sent[before:].count("/smuggled")
