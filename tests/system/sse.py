"""A client of GET /events on a raw socket: it sees chunks, heartbeats and the end as they come."""

import json
import select
import socket
import time
from urllib.parse import urlsplit

from contract import check_schema, look_at

SCHEMAS = {"job": "Job", "deleted": "JobOnly"}  # of the data of each kind of event

class Event:
    def __init__(self, fields):
        self.kind, self.id, self.job = fields.get("event"), int(fields["id"]), json.loads(fields["data"])


class Events:
    """`status` and `headers` are those of the answer; `ended`: by the last chunk, as it should."""

    def __init__(self, client, last_id=None, method="GET", version="1.1", receive_buffer=None):
        self.url = client.url
        address = urlsplit(client.url)
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(30)
        self.socket.connect((address.hostname, address.port))
        lines = [f"{method} /events HTTP/{version}", f"Host: {address.netloc}", f"Cookie: session_id={client.session_id or ''}"]
        if client.bearer:
            lines.append(f"Authorization: Bearer {client.bearer}")
        if last_id is not None:
            lines.append(f"Last-Event-ID: {last_id}")
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self.raw, self.text = b"", ""
        self.ended = self.broken = False
        while b"\r\n\r\n" not in self.raw:
            self.raw += self.receive()
        head, _, self.raw = self.raw.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        look_at(self.url + "/events", method, self.status, self.headers, b"", streams=True)
        self.chunked = self.headers.get("transfer-encoding") == "chunked"

    def receive(self):
        data = self.socket.recv(1 << 16)
        if not data:
            self.broken = not self.ended
            raise ConnectionError("the stream broke off")
        return data

    def unpack(self):
        """Moves whole chunks into the text."""
        while self.chunked and not self.ended and b"\r\n" in self.raw:
            size, _, rest = self.raw.partition(b"\r\n")
            length = int(size, 16)
            if len(rest) < length + 2:
                return
            assert rest[length:length + 2] == b"\r\n"
            self.text += rest[:length].decode()
            self.raw = rest[length + 2:]
            self.ended = length == 0
        if not self.chunked:
            self.text += self.raw.decode()
            self.raw = b""

    def next(self, timeout=120):
        """The next event; None when there is none in time, or the stream has ended."""
        deadline = time.monotonic() + timeout
        while True:
            self.unpack()
            while "\n\n" in self.text:
                block, _, self.text = self.text.partition("\n\n")
                fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
                if "data" in fields:
                    event = Event(fields)
                    check_schema(self.url, SCHEMAS[event.kind], event.job)
                    return event
            left = deadline - time.monotonic()
            if self.ended or left <= 0 or not select.select([self.socket], [], [], left)[0]:
                return None
            self.raw += self.receive()

    def until(self, condition, timeout=60):
        """All events up to and with the first of which that is true."""
        found, deadline = [], time.monotonic() + timeout
        while not found or not condition(found[-1]):
            event = self.next(max(0, deadline - time.monotonic()))
            assert event, [(e.id, e.job["status"], e.job["progress"]) for e in found]
            found.append(event)
        return found

    def wait_end(self, timeout=30):
        """The events that were left, up to the proper end."""
        found = []
        while event := self.next(timeout):
            found.append(event)
        assert self.ended, "the stream has not ended"
        return found

    def close(self):
        self.socket.close()
