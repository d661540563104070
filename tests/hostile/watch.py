"""What must not happen, and how it would be seen: a listener for who calls, and a search for what leaked."""

import contextlib
import io
import re
import selectors
import socket
import subprocess
import threading
import zipfile
import zlib
from base64 import b64decode

# Where a URL without a port of its own would call: FTP, HTTP, NetBIOS, HTTPS, SMB. Those that are taken are left out.
WELL_KNOWN = (21, 80, 139, 443, 445)


class Listener:
    """Listens on loopback, TCP and UDP on the same ports; `contacts` are (port, first bytes)."""

    def __init__(self, ports=6):
        self.contacts, self.sockets, self.ports = [], [], []
        self.selector, self.stopping = selectors.DefaultSelector(), threading.Event()
        self.lock = threading.Lock()
        for _ in range(ports):
            self.ports.append(self.listen(0))
        for port in WELL_KNOWN:
            with contextlib.suppress(OSError):
                self.listen(port)

    def listen(self, port):
        tcp = socket.create_server(("127.0.0.1", port))
        port = tcp.getsockname()[1]
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", port))
        for s in tcp, udp:
            s.setblocking(False)
            self.sockets.append(s)
            self.selector.register(s, selectors.EVENT_READ, s is tcp)
        return port

    def serve(self):
        while not self.stopping.is_set():
            for key, _ in self.selector.select(0.1):
                s, stream = key.fileobj, key.data
                with contextlib.suppress(OSError):
                    port, data = s.getsockname()[1], b""
                    if stream:
                        peer, _ = s.accept()
                        with peer:
                            peer.settimeout(0.2)
                            with contextlib.suppress(OSError):
                                data = peer.recv(200)
                    else:
                        data = s.recv(200)
                    with self.lock:
                        self.contacts.append((port, data))

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        for s in self.sockets:
            s.close()


def inflated(data):
    """All that can be unpacked from the bytes, and from what was unpacked: ZIP members, zlib and gzip streams, base64."""
    todo, budget = [(data, 0)], 200_000_000
    while todo and budget > 0:
        data, depth = todo.pop()
        budget -= len(data)
        yield data
        if depth == 4:
            continue
        if data[:2] == b"PK":
            with contextlib.suppress(zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error), zipfile.ZipFile(io.BytesIO(data)) as z:
                todo += [(z.read(n), depth + 1) for n in z.namelist()]
            continue
        starts = [m.end() for m in re.finditer(rb"stream\r?\n", data)] if data[:4] == b"%PDF" else []
        for at in starts:
            with contextlib.suppress(zlib.error):
                todo.append((zlib.decompressobj().decompress(data[at:], 50_000_000), depth + 1))
        for match in re.finditer(rb"base64,\s*([A-Za-z0-9+/=\s]{64,})", data):
            with contextlib.suppress(ValueError):
                todo.append((b64decode(match[1]), depth + 1))
        if data[:8] == b"\x89PNG\r\n\x1a\n":
            for match in re.finditer(rb"zTXt[^\0]*\0\0", data):
                with contextlib.suppress(zlib.error):
                    todo.append((zlib.decompressobj().decompress(data[match.end():], 1_000_000), depth + 1))


def output_of(*command):
    with contextlib.suppress(subprocess.TimeoutExpired):
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60).stdout
    return b""


def pixels(path, extension):
    """What the picture, or the first pages of the PDF, show: raw RGB."""
    if extension == "pdf":
        return output_of("pdftoppm", "-r", "40", "-l", "30", str(path))
    if extension in ("png", "jpg", "webp", "gif", "tiff"):
        return output_of("vips", "rawsave", f"{path}[0]" if extension == "gif" else str(path), "/dev/stdout")
    return b""


def leaks(path, extension, context):
    """What of the canaries is in the file, or None."""
    data = path.read_bytes()
    secrets = [context.secret.encode(), context.secret.encode("utf-16-le"), context.secret.encode().hex().encode(), b"root:x:0:0",
               str(context.folder).encode() + b"/canary.txt\n"]
    for piece in inflated(data):
        for secret in secrets[:4]:
            if secret in piece:
                return f"the secret {secret[:12]!r}… is in the result"
    if extension == "pdf" and context.secret.encode() in output_of("pdftotext", str(path), "-"):
        return "the secret can be read in the result"
    if bytes(context.colour) * 3 in pixels(path, extension):
        return "the canary's colour can be seen in the result"
    return None
