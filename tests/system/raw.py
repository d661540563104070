"""HTTP as bytes, on a socket of the test's own: what is sent is exactly what the test says."""

import ctypes
import json
import re
import select
import socket
import struct

import contract

PATIENCE = 60
PLAIN = re.compile(rb"([A-Z]+) (/[!-~]*) HTTP/1\.[01]\r\n((?:[A-Za-z0-9-]+:[ -~]*\r\n)*)\r\n")
LIBRARY = ctypes.CDLL("libmicrohttpd.so.12")
LIBRARY.MHD_get_version.restype = ctypes.c_char_p
IS_MHD_1_0 = LIBRARY.MHD_get_version() >= b"1"


class Answer:
    def __init__(self, head, body):
        first, *lines = head.decode("latin-1").split("\r\n")
        self.version, status, _ = first.split(" ", 2)
        self.status = int(status)
        self.fields = [tuple(line.split(": ", 1)) for line in lines]
        self.headers = {name.lower(): value for name, value in self.fields}
        self.body = body

    @property
    def code(self):
        """That of the problem document; None: there is none; "plain": the HTTP library's own words."""
        if self.headers.get("content-type") == "application/problem+json":
            problem = json.loads(self.body) if self.body else {}
            assert not problem or (problem["status"] == self.status and problem["request_id"] == self.headers["x-request-id"])
            return problem.get("code")
        return None if "x-request-id" in self.headers or self.status < 200 else "plain"

    def __repr__(self):
        return f"<{self.status} {self.code}>"


def plain_request(data):
    """Method, target, body and what comes behind it, of bytes that begin with a request that nobody reads in two ways; None of any others. A body that is cut off is None."""
    head = PLAIN.match(data)
    if not head:
        return None
    method, target, lines = head.groups()
    fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines.split(b"\r\n") if line)]
    sizes = [value for name, value in fields if name == b"content-length"]
    if any(name == b"transfer-encoding" for name, _ in fields) or len(sizes) > 1 or (sizes and not sizes[0].isdigit()):
        return None
    rest, size = data[head.end():], int(sizes[0]) if sizes else 0
    return method.decode(), target.decode(), rest[:size] if len(rest) >= size else None, rest[size:]


class Raw:
    """A connection. `source`: the address on loopback that it comes from."""

    def __init__(self, port, source=None, receive_buffer=None):
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect(("127.0.0.1", port))
        self.unread = b""
        self.url = f"http://127.0.0.1:{port}"
        self.unanswered = b""  # of what was sent; None: it isn't known any more which answer is to what

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        if self.unanswered is not None:
            self.unanswered += data
        self.socket.sendall(data)

    def try_send(self, data):
        """False: the server has closed."""
        try:
            self.send(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def finish(self):
        """The end of what we send; the other direction stays open."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def was_cut(self):
        """The server has reset it. Nothing is read."""
        poll = select.poll()
        poll.register(self.socket, 0)
        return bool(poll.poll(0))

    def receive(self):
        """False at the end."""
        data = self.socket.recv(1 << 16)
        self.unread += data
        return bool(data)

    def answer(self, head=False):
        """The next one, without the body if it is one to HEAD; None at the end of the connection."""
        while b"\r\n\r\n" not in self.unread:
            if not self.receive():
                assert not self.unread, self.unread
                return None
        text, _, self.unread = self.unread.partition(b"\r\n\r\n")
        answer = Answer(text, b"")
        size = 0 if head or answer.status < 200 else int(answer.headers["content-length"])
        while len(self.unread) < size:
            assert self.receive(), "the answer is cut off"
        answer.body, self.unread = self.unread[:size], self.unread[size:]
        if answer.status >= 200:
            self.look(answer, head)
        return answer

    def look(self, answer, head):
        """Where a request was not understood, the HTTP library says so in words of its own."""
        asked = plain_request(self.unanswered or b"")
        self.unanswered = asked and asked[3]
        method, target, body = asked[:3] if asked else (None, "/", None)
        if answer.code != "plain" or answer.status < 400:
            # without the query: to send parameters that nothing knows is what some of these tests are about
            contract.look_at(self.url + target.partition("?")[0], method, answer.status, answer.headers, answer.body, body, streams=head and method != "HEAD")

    def answers(self):
        """All until the server closes."""
        found = []
        while answer := self.answer():
            found.append(answer)
        return found


def request(line, *fields, body=b"", host=b"x"):
    """The bytes of a request that is well-formed, but for what the arguments make of it."""
    lines = [line, *([b"Host: " + host] if host is not None else []), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def get(path, *fields):
    return request(b"GET " + path + b" HTTP/1.1", *fields)
