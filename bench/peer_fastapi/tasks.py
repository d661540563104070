"""The Celery side: scan with clamd, run the tool of the format as a program of its own, note the result."""

import shutil
import socket
import struct
import subprocess
import tempfile
import uuid
from datetime import datetime, timezone
from pathlib import Path

import redis
from celery import Celery

from settings import BROKER, CLAMD, IMAGES, OFFICE, REDIS_SOCKET, job_key, news_channel

celery = Celery("tasks", broker=BROKER, backend=BROKER)
celery.conf.update(worker_prefetch_multiplier=1, task_acks_late=True, broker_connection_retry_on_startup=True)
store = redis.Redis(unix_socket_path=REDIS_SOCKET, decode_responses=True)
TIMEOUT = 120


def scan(path):
    """clamd's INSTREAM."""
    if not CLAMD:
        return
    with socket.socket(socket.AF_UNIX) as s, open(path, "rb") as file:
        s.connect(CLAMD)
        s.sendall(b"zINSTREAM\0")
        while chunk := file.read(1 << 16):
            s.sendall(struct.pack("!I", len(chunk)) + chunk)
        s.sendall(struct.pack("!I", 0))
        verdict = s.recv(4096)
    if not verdict.rstrip(b"\0").endswith(b" OK"):
        raise RuntimeError("infected")


def run(argv):
    subprocess.run(argv, check=True, timeout=TIMEOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def convert_office(source, target, folder):
    """A profile for each job: one that is shared is locked by the first soffice, and leaks from job to job."""
    with tempfile.TemporaryDirectory() as profile:
        run(["soffice", f"-env:UserInstallation=file://{profile}", "--headless", "--norestore", "--convert-to", target,
             "--outdir", str(folder), str(source)])
    return folder / f"{source.stem}.{target}"


def convert_image(source, target, folder):
    out = folder / f"{source.stem}.{target}"
    run(["convert", str(source), str(out)])
    return out


def convert_pdf(source, target, folder):
    if target == "txt":
        out = folder / f"{source.stem}.txt"
        run(["pdftotext", "-layout", str(source), str(out)])
        return out
    pages = folder / "pages"
    pages.mkdir()
    run(["pdftoppm", "-r", "150", "-png" if target == "png" else "-jpeg", str(source), str(pages / "page")])
    made = sorted(pages.iterdir())
    if len(made) == 1:
        return made[0]
    return Path(shutil.make_archive(str(folder / source.stem), "zip", pages))


def note(session_id, job_id, **fields):
    with store.pipeline() as pipe:
        pipe.hset(job_key(session_id, job_id), mapping=fields).publish(news_channel(session_id), job_id).execute()


@celery.task
def convert(session_id, job_id):
    key = job_key(session_id, job_id)
    job = store.hgetall(key)
    source, target = Path(job["stored_path"]), job["target_format"]
    folder = source.parent.parent / "converted"
    try:
        note(session_id, job_id, status="scanning")
        scan(source)
        note(session_id, job_id, status="processing")
        work = folder / str(uuid.uuid4())
        work.mkdir(parents=True)
        family = source.suffix[1:]
        engine = convert_office if family in OFFICE else convert_image if family in IMAGES else convert_pdf
        out = engine(source, target, work)
        if not out.stat().st_size:
            raise RuntimeError("no output")
        note(session_id, job_id, status="completed", progress=100, converted_path=str(out),
             completed_at=datetime.now(timezone.utc).isoformat())
    except Exception as error:
        note(session_id, job_id, status="failed", error_message=type(error).__name__)
        raise
