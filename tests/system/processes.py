"""All processes of a server, and what they show of themselves to anybody."""

import contextlib
import os
import threading
from pathlib import Path


def processes(server):
    """Pids of the server and all its descendants."""
    found, todo = [], [server.process.pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                todo += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


class Watch(threading.Thread):
    """Looks at the command lines and environments of all processes, over and over."""

    def __init__(self, server, needles):
        super().__init__()
        self.server, self.needles = server, needles
        self.stopped = threading.Event()
        self.seen, self.found = set(), []

    def look(self):
        for pid in processes(self.server):
            for name in ("cmdline", "environ", "comm"):
                with contextlib.suppress(OSError):
                    data = Path(f"/proc/{pid}/{name}").read_bytes()
                    self.seen.add((pid, name))
                    if any(needle in data for needle in self.needles):
                        self.found.append((pid, name))

    def run(self):
        self.look()  # once at least, however late it gets its turn
        while not self.stopped.wait(0.005):
            self.look()

    def __exit__(self, *_):
        self.stopped.set()
        self.join()

    def __enter__(self):
        self.start()
        return self
