"""Processes of the benchmark: started in groups of their own, measured by /proc, ended by their process ids."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def start(argv, log, env=None, cwd=None, **kwargs):
    """A long-lived program; its output goes to the file `log`."""
    with open(log, "ab") as out:
        return subprocess.Popen([str(a) for a in argv], stdout=out, stderr=out, stdin=kwargs.pop("stdin", subprocess.DEVNULL),
                                env=env, cwd=cwd, **kwargs)


def stop(process, timeout=30):
    """Ends it and what it started. Its descendants are noted first, as some daemons leave theirs behind."""
    if process is None:
        return
    left = tree(process.pid)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pid, born in left.items():
        if pid != process.pid and start_time(pid) == born:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def start_time(pid):
    """With the pid it names a process for good: pids come again. None when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def children(pid):
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def tree(*pids):
    """{pid: start time} of these processes and all their descendants."""
    found, todo = {}, list(pids)
    while todo:
        pid = todo.pop()
        born = start_time(pid)
        if born is not None and pid not in found:
            found[pid] = born
            todo += children(pid)
    return found


def name(pid):
    """The program, by its command line: threads and zygotes rename themselves."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").split()
        if words:
            return os.path.basename(words[0].rstrip(":"))
    return ""


def cpu_seconds(pids):
    """What these processes and the children that they have reaped took so far."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / TICK


def memory_kib(pid, field="Pss"):
    """A line of smaps_rollup: Pss, Rss, Private_Dirty…; 0 when the process is gone."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
    return 0


def private_kib(pid):
    return memory_kib(pid, "Private_Dirty") + memory_kib(pid, "Private_Clean")


def run_ns(pid):
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    return 0


class PeakPss:
    """The largest PSS of the processes that work on one document, sampled while it is converted. `find` gives their pids;
    with `busiest` the one among them that ran longest counts, as the others wait for work of their own, else their sum.
    Reading it costs the watched process time, so nothing is timed meanwhile."""

    def __init__(self, find, busiest=False, interval=0.001):
        self.find, self.busiest, self.interval = find, busiest, interval
        self.sums, self.peaks, self.ran = [], {}, {}
        self.before = {pid: run_ns(pid) for pid in find()}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.sample, daemon=True)

    def sample(self):
        while not self.ended.is_set():
            now = {pid: memory_kib(pid) for pid in self.find()}
            self.sums.append(sum(now.values()))
            for pid, kib in now.items():
                self.peaks[pid] = max(self.peaks.get(pid, 0), kib)
                self.ran[pid] = max(self.ran.get(pid, 0), run_ns(pid) - self.before.get(pid, 0))
            time.sleep(self.interval)

    @property
    def peak_kib(self):
        """0 when it was over before it was seen."""
        if self.busiest:
            return self.peaks[max(self.ran, key=self.ran.get)] if self.ran else 0
        return max(self.sums, default=0)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def free_port():
    import socket
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
