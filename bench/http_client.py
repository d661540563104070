"""A lean HTTP/1.1 client on one kept connection: the load of the benchmark shares the cores with what it measures, and
a client of 1 ms a request would hide differences of 1 ms."""

import json
import socket


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Connection:
    def __init__(self, port, timeout=120):
        self.port, self.timeout = port, timeout
        self.socket = None
        self.rest = b""
        self.cookie = self.csrf = None

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), self.timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def head(self, method, target, headers):
        lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1"]
        if self.cookie:
            lines.append("Cookie: session_id=" + self.cookie)
        if self.csrf and method != "GET":
            lines.append("X-CSRF-Token: " + self.csrf)
        return "\r\n".join(lines + headers).encode() + b"\r\n\r\n"

    def more(self):
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data

    def read_answer(self):
        data = self.rest
        while b"\r\n\r\n" not in data:
            data += self.more()
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        parts, have = [body], len(body)
        while have < length:
            parts.append(self.more())
            have += len(parts[-1])
        body = b"".join(parts)
        self.rest = body[length:]
        return Answer(int(first.split()[1]), headers, body[:length])

    def request(self, method, target, body=b"", headers=()):
        """Once more on a new connection when the kept one has been closed meanwhile."""
        headers = list(headers)
        if method == "POST":
            headers.append(f"Content-Length: {len(body)}")
        message = self.head(method, target, headers) + body
        for attempt in (1, 2):
            fresh = self.socket is None
            if fresh:
                self.connect()
            try:
                self.socket.sendall(message)
                answer = self.read_answer()
                break
            except ConnectionError:
                self.close()
                if fresh or attempt == 2:
                    raise
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    def get(self, target):
        return expect(self.request("GET", target))

    def post(self, target, value):
        return expect(self.request("POST", target, json.dumps(value).encode(), ["Content-Type: application/json"]))

    # --- the platform's calls, which the peer has too

    def open_session(self):
        self.cookie = self.csrf = None
        answer = self.get("/session/init")
        self.cookie = answer.headers["set-cookie"].split(";")[0].split("=", 1)[1]
        self.csrf = answer.json()["csrf_token"]

    def multipart(self, filename):
        boundary = "----bench7d93b1"
        before = (f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
                  "Content-Type: application/octet-stream\r\n\r\n").encode()
        return before, f"\r\n--{boundary}--\r\n".encode(), "Content-Type: multipart/form-data; boundary=" + boundary

    def upload(self, filename, data):
        before, after, content_type = self.multipart(filename)
        return expect(self.request("POST", "/upload", before + data + after, [content_type])).json()

    def upload_file(self, path):
        """Straight from a file, by sendfile."""
        before, after, content_type = self.multipart(path.name)
        size = path.stat().st_size
        if self.socket is None:
            self.connect()
        self.socket.sendall(self.head("POST", "/upload", [content_type, f"Content-Length: {len(before) + size + len(after)}"]) + before)
        with open(path, "rb") as file:
            self.socket.sendfile(file)
        self.socket.sendall(after)
        return expect(self.read_answer()).json()


class Refused(Exception):
    pass


def expect(answer):
    if answer.status not in (200, 201, 202, 206):
        raise Refused(f"{answer.status}: {answer.body[:300].decode(errors='replace')}")
    return answer
