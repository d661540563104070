"""A line between browser and server that breaks when it is told to."""

import socket
import threading

PIECE = 64 * 1024


class Line:
    """cut_at: the first connections that have carried so many bytes to the server break there, one for each number. refused: paths that are never
    answered."""

    def __init__(self, port, cut_at=(), refused=()):
        self.server, self.cuts, self.refused = port, list(cut_at), [path.encode() for path in refused]
        self.broken = self.carried = 0  # in all
        self.seen = {}  # path: how often it was asked for
        self.down = False
        self.lock = threading.Lock()
        self.open = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.close()
        self.hang_up()

    def hang_up(self):
        for connection in list(self.open):
            self.cut(connection)

    def set_down(self, down):
        self.down = down
        if down:
            self.hang_up()

    @staticmethod
    def cut(*sockets):
        for each in sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            if self.down:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self.server))
            self.open |= {near, far}
            threading.Thread(target=self.up, args=(near, far), daemon=True).start()
            threading.Thread(target=self.back, args=(far, near), daemon=True).start()
            del near, far  # they close with their threads: until then who sends is not told that nobody reads any more

    def breaks(self, carried):
        with self.lock:
            if self.cuts and carried >= self.cuts[0]:
                self.cuts.pop(0)
                self.broken += 1
                return True
            return False

    def up(self, near, far):
        carried = 0
        try:
            while data := near.recv(PIECE):
                if data.split(b" ", 1)[0] in (b"GET", b"POST", b"HEAD", b"PATCH", b"DELETE"):
                    path = data.split(b" ", 2)[1]
                    name = path.split(b"?")[0].decode()
                    self.seen[name] = self.seen.get(name, 0) + 1
                    if any(path.startswith(refused) for refused in self.refused):
                        break
                    carried = 0
                carried += len(data)
                self.carried += len(data)
                if self.breaks(carried):
                    break
                far.sendall(data)
        except OSError:
            pass
        self.cut(near, far)
        self.open -= {near, far}

    def back(self, far, near):
        try:
            while data := far.recv(PIECE):
                near.sendall(data)
        except OSError:
            pass
        self.cut(near, far)
