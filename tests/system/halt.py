"""Holds threads of a process of ours still, by ptrace(2): a signal would stop all that the process has."""

import contextlib
import ctypes
import os
import time
from pathlib import Path

SEIZE, INTERRUPT, DETACH, WAIT_ALL = 0x4206, 0x4207, 17, 0x40000000
FUTEX = "202"
POOL = 4  # threads of libuv for what blocks, where UV_THREADPOOL_SIZE is not set

libc = ctypes.CDLL(None, use_errno=True)


def ptrace(request, tid):
    if libc.ptrace(request, tid, None, None) < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace: {os.strerror(error)}")


def pool_of(pid, timeout=60):
    """The threads of libuv's pool, when each waits for work: nothing else of the API's waits for a futex."""
    deadline = time.monotonic() + timeout
    while True:
        idle = [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir() if (task / "syscall").read_text().split()[0] == FUTEX]
        if len(idle) == POOL:
            return idle
        assert time.monotonic() < deadline, idle
        time.sleep(0.05)


@contextlib.contextmanager
def halted(tids):
    """Has to be left by the thread that entered it."""
    held = []
    try:
        for tid in tids:
            ptrace(SEIZE, tid)
            held.append(tid)
            ptrace(INTERRUPT, tid)
            os.waitpid(tid, WAIT_ALL)
        yield
    finally:
        for tid in held:
            ptrace(DETACH, tid)
