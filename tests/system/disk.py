"""A server whose storage is a disk of its own, and small."""

import contextlib
import subprocess

import pytest

from server import Server

DISK_MIB = 24


@contextlib.contextmanager
def on_small_disk(folder, engines, **environment):
    """Not started again yet."""
    server = Server(folder, engines, DECANT_CLAMD="off", **environment)
    storage = server.data / "storage"
    server.start(ready=False).wait_listening()
    server.stop()  # whoever owns the folders has made them
    owner = storage.stat()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=0700,uid={owner.st_uid},gid={owner.st_gid}", "decant", storage],
                      capture_output=True).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        yield server
    finally:
        server.stop()
        subprocess.run(["umount", "-l", storage], check=True)
