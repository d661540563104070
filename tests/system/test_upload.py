"""Large uploads: never held in memory, atomic, fast enough, many at once."""

import hashlib
import threading
from pathlib import Path

from client import Client
from fixtures import png

LIMIT = 100 * 1024 * 1024


def resident_kib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError("no VmHWM")


def multipart(chunks, name="big.txt"):
    yield f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    yield from chunks
    yield b"\r\n--b--\r\n"


def upload_stream(client, size):
    line = b"All work and no play makes Jack a dull boy.\n"
    block = line * (1 << 20 >> 5)
    digest = hashlib.sha256()

    def chunks():
        left = size
        while left > 0:
            piece = block[:left]
            left -= len(piece)
            digest.update(piece)
            yield piece

    answer = client.request("POST", "/upload", data=multipart(chunks()), headers={"Content-Type": "multipart/form-data; boundary=b"})
    return answer, digest.hexdigest()


def test_largest_upload_in_little_memory(own_server):
    server = own_server("office image")
    client = Client(server.url)
    client.init()
    for _ in range(24):  # every loop has seen one, and has libmagic's database mapped
        once = Client(server.url)
        once.init()
        once.upload("warm.png", png())
        upload_stream(once, 1 << 20)
    api = server.children("decant-api")[0]
    Path(f"/proc/{api}/clear_refs").write_text("5")  # forget the peak
    before = resident_kib(api)
    answer, digest = upload_stream(client, LIMIT)
    assert answer.status_code == 201, answer.text
    job = client.status(answer.json()["job_id"]).json()
    assert job["size"] == LIMIT and job["sha256"] == digest
    stored = server.redis().hget(f"session:{client.session_id}:jobs:{job['job_id']}", "stored_path")
    assert (server.data / "storage" / stored).stat().st_size == LIMIT
    if "asan" not in str(server.binary):  # a sanitizer keeps what was freed
        assert resident_kib(api) - before < 8 * 1024


def test_uploads_at_once_do_not_mix(server):
    results = []

    def one(number):
        client = Client(server.url)
        client.init()
        answer, digest = upload_stream(client, 2_000_000 + number)
        job = client.status(answer.json()["job_id"]).json()
        results.append((job["size"] == 2_000_000 + number, job["sha256"] == digest))
        client.close()

    threads = [threading.Thread(target=one, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert results == [(True, True)] * 12
