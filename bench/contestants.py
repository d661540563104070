"""The peers: the programs that do the same work on the same machine, each used as its users do.

A contestant has start() and stop(); client(i) gives something with convert(source, target), which returns the size of the
result or raises; cpu_seconds() is what it took so far; work_pids() are the processes that work on documents now."""

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import procs
from decant import PlatformClient
from http_client import Connection

PYTHON = "/usr/bin/python3"
HERE = Path(__file__).resolve().parent
# Debian's programs, whatever else lies about on this machine.
CLEAN = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
os.environ["PATH"] = CLEAN["PATH"] + ":/usr/sbin:/sbin"


class Failed(Exception):
    pass


class Contestant:
    def start(self):
        return self

    def stop(self):
        pass


# --- a program for each job

class Tool(Contestant):
    """One of the command-line programs, in a new process for each document."""

    def __init__(self, folder, label, argv):
        self.folder, self.label, self.argv = Path(folder), label, argv
        self.cpu, self.lock = 0.0, threading.Lock()
        self.running = set()

    def cpu_seconds(self):
        return self.cpu

    def work_pids(self):
        return list(procs.tree(*self.running))

    def run(self, argv, env=CLEAN):
        process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env=env)
        self.running.add(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        with self.lock:
            self.running.discard(process.pid)
            self.cpu += usage.ru_utime + usage.ru_stime
        return process.returncode

    def client(self, index=0):
        return ToolClient(self, index)


class ToolClient:
    def __init__(self, tool, index):
        self.tool = tool
        self.folder = tool.folder / f"{tool.label.replace(' ', '-').replace('/', '-')}-{index}"

    def ready(self):
        pass

    def leave(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def convert(self, source, target):
        self.folder.mkdir(exist_ok=True)
        status = self.tool.run(self.tool.argv(source, target, self.folder / f"out.{target}"))
        return self.collect(status, source)

    def collect(self, status, source):
        """One result or many, as of pdftoppm."""
        made = list(self.folder.iterdir())
        size = sum(path.stat().st_size for path in made)
        for path in made:
            path.unlink()
        if status != 0 or not size:
            raise Failed(f"{self.tool.label} {source.suffix}: status {status}, {size} bytes")
        return size


def tools(folder):
    stem = lambda out: out.with_suffix("")
    return {tool.label: tool for tool in (
        Tool(folder, "convert", lambda source, target, out: ["convert", source, out]),
        Tool(folder, "vips", lambda source, target, out: ["vips", "copy", source, out]),
        Tool(folder, "pdftotext", lambda source, target, out: ["pdftotext", "-layout", source, out]),
        Tool(folder, "pdftoppm", lambda source, target, out: ["pdftoppm", "-r", "150", "-jpeg" if target == "jpg" else "-png",
                                                              source, stem(out)]))}


class Soffice(Tool):
    """`soffice --convert-to` with a fresh profile, made and deleted with the job: what keeps jobs apart today."""

    def __init__(self, folder):
        super().__init__(folder, "soffice a job", None)

    def client(self, index=0):
        return SofficeClient(self, index)


class SofficeClient(ToolClient):
    def convert(self, source, target):
        private = self.folder.with_name(self.folder.name + "-private")
        private.mkdir()
        self.folder.mkdir(exist_ok=True)
        environment = {**CLEAN, "HOME": str(private), "TMPDIR": str(private)}
        try:
            status = self.tool.run(["soffice", f"-env:UserInstallation=file://{private}/profile", "--headless", "--norestore",
                                    "--nologo", "--convert-to", target, "--outdir", self.folder, source], environment)
        finally:
            shutil.rmtree(private, ignore_errors=True)
        return self.collect(status, source)


# --- one warm soffice

FILTERS = {**dict.fromkeys(("docx", "doc", "odt", "rtf", "txt"), "writer_pdf_Export"),
           **dict.fromkeys(("xlsx", "xls", "ods", "csv"), "calc_pdf_Export"),
           **dict.fromkeys(("pptx", "ppt", "odp"), "impress_pdf_Export")}


class Uno(Contestant):
    """One soffice kept running and asked by UNO: one document at a time, without HTTP, queue or isolation."""

    label = "one warm soffice"

    def __init__(self, folder):
        self.folder = Path(folder) / "uno"
        self.lock = threading.Lock()
        self.office = self.asker = None

    def start(self):
        self.folder.mkdir()
        port = procs.free_port()
        environment = {**CLEAN, "HOME": str(self.folder), "TMPDIR": str(self.folder)}
        self.office = procs.start(["soffice", f"-env:UserInstallation=file://{self.folder}/profile", "--headless", "--invisible",
                                   "--norestore", "--nologo", f"--accept=socket,host=127.0.0.1,port={port};urp;"],
                                  self.folder / "log", environment)
        with open(self.folder / "log", "ab") as log:
            self.asker = subprocess.Popen([PYTHON, HERE / "uno_convert.py", str(port)], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, stderr=log, text=True)
        if self.asker.stdout.readline() != "ready\n":
            raise RuntimeError("soffice does not answer by UNO")
        return self

    def stop(self):
        procs.stop(self.asker)
        procs.stop(self.office)

    def cpu_seconds(self):
        return procs.cpu_seconds(procs.tree(self.office.pid, self.asker.pid))

    def work_pids(self):
        return list(procs.tree(self.office.pid))

    def client(self, index=0):
        return UnoClient(self, index)


class UnoClient:
    def __init__(self, uno, index):
        self.uno, self.out = uno, uno.folder / f"out-{index}"

    def ready(self):
        pass

    def leave(self):
        pass

    def convert(self, source, target):
        out = self.out.with_suffix("." + target)
        with self.uno.lock:
            self.uno.asker.stdin.write(f"{source}\t{out}\t{FILTERS[source.suffix[1:]]}\n")
            self.uno.asker.stdin.flush()
            answer = self.uno.asker.stdout.readline()
        if answer != "ok\n":
            raise Failed(f"UNO: {answer.strip()}")
        size = out.stat().st_size
        out.unlink()
        return size


# --- the specification in Python

class FastApi(Contestant):
    """bench/peer_fastapi: FastAPI under uvicorn, Celery with a process a core, Redis; the scanner is the given clamd."""

    label = "FastAPI + Celery"

    def __init__(self, folder, clamd_socket):
        self.folder, self.clamd = Path(folder) / "fastapi", clamd_socket
        self.processes, self.celery = [], set()

    def start(self):
        storage = self.folder / "storage"
        storage.mkdir(parents=True)
        socket = self.folder / "redis.sock"
        environment = {**CLEAN, "HOME": str(self.folder), "TMPDIR": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1",
                       "PEER_REDIS": str(socket), "PEER_STORAGE": str(storage), "PEER_CLAMD": str(self.clamd)}
        self.port = procs.free_port()
        log, where = self.folder / "log", HERE / "peer_fastapi"
        self.processes.append(procs.start(["redis-server", "--port", 0, "--unixsocket", socket, "--dir", self.folder,
                                           "--appendonly", "yes", "--save", ""], log))
        while not socket.exists():
            time.sleep(0.05)
        self.processes.append(procs.start(
            [PYTHON, "-m", "celery", "-A", "tasks", "worker", "-P", "prefork", "-c", os.cpu_count(), "--loglevel", "warning",
             "--without-gossip", "--without-mingle"], log, environment, where))
        self.api = procs.start([PYTHON, "-m", "uvicorn", "app:app", "--host", "127.0.0.1", "--port", self.port, "--workers", 1,
                                "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"],
                               log, environment, where)
        self.processes.append(self.api)
        self.await_ready(log)
        return self

    def await_ready(self, log):
        connection, deadline = Connection(self.port), time.monotonic() + 60
        while True:
            try:
                connection.open_session()
                break
            except OSError:
                connection.close()
            if time.monotonic() > deadline or self.api.poll() is not None:
                raise RuntimeError("the FastAPI peer does not start:\n" + log.read_text(errors="replace")[-2000:])
            time.sleep(0.1)
        connection.close()

    def stop(self):
        for process in reversed(self.processes):
            procs.stop(process)

    def cpu_seconds(self):
        return procs.cpu_seconds(procs.tree(*(p.pid for p in self.processes)))

    def work_pids(self):
        """What the Celery processes have started: the tools."""
        if not self.celery:
            self.celery = set(procs.tree(self.processes[1].pid))
        return list(procs.tree(*(child for pid in self.celery for child in procs.children(pid) if child not in self.celery)))

    def client(self, index=0):
        return FastApiClient(self.port)


class FastApiClient(PlatformClient):
    """Its job_status answers at once, as the specification has it, so its clients ask again and again."""

    def pause(self):
        time.sleep(0.02)
