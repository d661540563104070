"""GET /preview: a picture of a result, drawn in the sandbox when somebody first wants it, kept with the job."""

import contextlib
import io
import os
import signal
import threading
import time
import zipfile

import pytest
import requests

from client import Client, problem
from fixtures import docx, noise, pdf, png, slow_docx
from server import below, eventually, still, waiting, work_folders

PAGE_BREAK = '</w:t><w:br w:type="page"/><w:t>'


def preview(client, job_id, size=None, **headers):
    return client.request("GET", f"/preview?job_id={job_id}" + (f"&size={size}" if size else ""), headers=headers)


def answered(client, job_id, size=None):
    """The answer that counts: a 503 means that it takes longer than a request is held, as on a busy machine."""
    last = []
    eventually(lambda: last.append(preview(client, job_id, size)) or last[-1].status_code != 503, timeout=300)
    return last[-1]


def shown(client, job_id, size=None):
    answer = answered(client, job_id, size)
    assert answer.status_code == 200, answer.text
    return answer.content


def sides(data):
    assert data.startswith(b"\x89PNG\r\n\x1a\n") and data.endswith(b"IEND\xaeB`\x82")
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def converted(client, name, data, target, **options):
    job_id = client.start(name, data, target, **options)
    job = client.wait(job_id)
    assert job["status"] == "completed", job
    return job_id


def kept(server, client, job_id):
    folder = server.data / "storage" / client.session_id / job_id / "preview"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def begin(server):
    client = Client(server.url)
    client.init()
    return server, client


def test_the_first_page_of_a_document(server, client):
    job_id = converted(client, "a.docx", docx([f"one{PAGE_BREAK}two"]), "pdf")
    answer = preview(client, job_id) if sides(shown(client, job_id)) else None
    width, height = sides(answer.content)
    assert height == 512 and 300 < width < 512  # a sheet of paper, upright
    assert answer.headers["Content-Type"] == "image/png" and answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"] == "inline"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Cache-Control"] == "private, max-age=3600, immutable"
    job = client.status(job_id).json()
    assert job["status"] == "completed" and job["attempts"] == 1 and job["engine"] == "office"


def test_a_result_that_is_an_office_document(server, client):
    job_id = converted(client, "a.docx", docx(), "odt")
    width, height = sides(shown(client, job_id, 256))
    assert height == 256 and width < 256
    assert [name.rsplit("-", 1)[1] for name in kept(server, client, job_id)] == ["256.png"]


@pytest.mark.parametrize("target", ["epub", "md", "html", "txt"])
def test_what_is_laid_out_over_several_engines(client, target):
    assert sides(shown(client, converted(client, "a.docx", docx(), target), 64))[1] == 64


def test_pictures_never_grow(client):
    job_id = converted(client, "a.png", png(40, 30), "jpg")
    assert sides(shown(client, job_id)) == (40, 30)
    job_id = converted(client, "a.png", png(3000, 1000), "png")
    assert sides(shown(client, job_id, 1024)) == (1024, 341)
    assert sides(shown(client, job_id, 64)) == (64, 21)


def test_drawings_and_films(client):
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="400" height="100"><rect width="400" height="100" fill="red"/></svg>'
    assert sides(shown(client, converted(client, "a.svg", svg, "pdf"), 128)) == (128, 32)
    job_id = converted(client, "a.png", png(320, 200), "gif")
    assert sides(shown(client, job_id, 128)) == (128, 80)
    film = converted(client, "a.gif", client.download(client.token(job_id).json()["url"]).content, "mp4")
    width, height = sides(shown(client, film, 128))
    assert width == 128 and height == pytest.approx(80, abs=1)


def test_of_many_pages_in_an_archive_the_first(client):
    """What a PDF of several pages becomes as pictures, and as single PDFs."""
    pages = pdf(["one", "two", "three"])
    job_id = converted(client, "a.pdf", pages, "jpg")
    assert client.status(job_id).json()["output"]["filename"] == "a.zip"
    width, height = sides(shown(client, job_id, 256))
    assert max(width, height) == 256
    assert max(sides(shown(client, converted(client, "a.pdf", pages, "pdf", split=1), 128))) == 128


def test_sizes_are_few_and_each_is_made_once(server, client):
    job_id = converted(client, "a.png", png(2000, 1000), "jpg")
    assert sides(shown(client, job_id, 700)) == (512, 256)
    assert sides(shown(client, job_id)) == (512, 256)
    first = [path for path in below(server.data / "storage" / client.session_id / job_id / "preview")]
    inode = first[0].stat().st_ino
    assert sides(shown(client, job_id, 1023)) == (512, 256)
    assert sides(shown(client, job_id, 127)) == (64, 32)
    assert [name.rsplit("-", 1)[1] for name in kept(server, client, job_id)] == ["512.png", "64.png"]
    assert first[0].stat().st_ino == inode
    for size in ("0", "63", "1025", "-1", "1e3", "x", "99999999999999999999"):
        problem(preview(client, job_id, size), 400, "bad_request")
    problem(client.request("GET", "/preview"), 400, "bad_request")


def test_one_that_is_kept_needs_no_worker(own_server):
    server, client = begin(own_server("image"))
    job_id = converted(client, "a.png", png(900, 900), "jpg")
    first = shown(client, job_id)
    [worker] = server.children("decant-worker")
    with still(worker):
        answer = preview(client, job_id)
        assert answer.status_code == 200 and answer.content == first
        known = preview(client, job_id, **{"If-None-Match": answer.headers["ETag"]})
        assert known.status_code == 304 and known.content == b"" and known.headers["ETag"] == answer.headers["ETag"]
        assert preview(client, job_id, **{"If-None-Match": '"another"'}).content == first
        head = client.request("HEAD", f"/preview?job_id={job_id}")
        assert head.status_code == 200 and head.headers["Content-Length"] == str(len(first)) and head.content == b""
        # one that is not: for so long, and no longer
        before = time.monotonic()
        answer = preview(client, job_id, 64)
        problem(answer, 503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0 and time.monotonic() - before > 15
    assert sides(shown(client, job_id, 64)) == (64, 64)
    client.close()


def test_many_at_once_make_one_task(own_server):
    server, client = begin(own_server("image"))
    job_id = converted(client, "a.png", png(900, 900), "jpg")
    [worker] = server.children("decant-worker")
    answers = []
    with still(worker):
        threads = [threading.Thread(target=lambda: answers.append(preview(client_of(client), job_id, 256))) for _ in range(8)]
        for thread in threads:
            thread.start()
        eventually(lambda: waiting(server.redis(), "decant.previews") > 0)
        time.sleep(1)
        assert waiting(server.redis(), "decant.previews") == 1
    for thread in threads:
        thread.join()
    answers = [answer if answer.status_code == 200 else preview(client, job_id, 256) for answer in answers]
    assert len({answer.content for answer in answers}) == 1 and sides(answers[0].content) == (256, 256)
    made = eventually(lambda: counted(server, "previews ok"))
    assert made == 1
    client.close()


def client_of(client):
    """The same session on a connection of its own."""
    twin = Client(client.url)
    twin.session_id, twin.csrf = client.session_id, client.csrf
    return twin


def counted(server, field):
    return int(server.redis().hget("decant:counts", field) or 0)


def test_only_of_completed_jobs_of_ones_own(server, client, other):
    job_id = client.upload("a.png", png()).json()["job_id"]
    problem(preview(client, job_id), 409, "wrong_state")
    done = converted(client, "b.png", png(), "jpg")
    assert preview(client, done).status_code == 200
    foreign, unknown = preview(other, done), preview(other, "00000000-0000-4000-8000-000000000000")
    problem(foreign, 404, "job_not_found")
    ours, theirs = foreign.json(), unknown.json()
    assert {**ours, "request_id": ""} == {**theirs, "request_id": ""}
    problem(preview(client, "../" + done), 404, "job_not_found")
    problem(requests.get(f"{server.url}/preview?job_id={done}", timeout=60), 401, "session_required")


def test_what_has_nothing_to_be_seen(server, client):
    wav = b"RIFF" + (36 + 8000).to_bytes(4, "little") + b"WAVEfmt " + bytes([16, 0, 0, 0, 1, 0, 1, 0, 64, 31, 0, 0, 64, 31, 0, 0, 1, 0, 8, 0])
    wav += b"data" + (8000).to_bytes(4, "little") + bytes(128 for _ in range(8000))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("a.png", png())
    for name, data, target in [("a.wav", wav, "mp3"), ("a.zip", archive.getvalue(), "tar")]:
        job_id = converted(client, name, data, target)
        problem(preview(client, job_id), 422, "no_preview")
        assert not server.redis().exists(f"session:{client.session_id}:previews")


def test_one_that_is_protected_says_so(client):
    job_id = converted(client, "a.pdf", pdf(), "pdf", new_password="secret")
    answer = answered(client, job_id)
    assert "password" in problem(answer, 422, "no_preview")["detail"]


def result_of(server, client, job_id):
    [path] = (server.data / "storage" / client.session_id / job_id / "converted").iterdir()
    return path


def test_a_broken_result_is_tried_once(own_server):
    """A result that is no picture any more, as from a failing disk: what is said of it is remembered."""
    server, client = begin(own_server("image"))
    job_id = converted(client, "a.png", png(), "jpg")
    path = result_of(server, client, job_id)
    path.write_bytes(path.read_bytes()[:40] + bytes(200))
    answer = answered(client, job_id)
    problem(answer, 422, "no_preview")
    [worker] = server.children("decant-worker")
    with still(worker):
        problem(preview(client, job_id), 422, "no_preview")
        problem(preview(client, job_id, 64), 422, "no_preview")
    assert kept(server, client, job_id) == [] and client.status(job_id).json()["status"] == "completed"
    eventually(lambda: not work_folders(server.data / "storage"))
    for key in server.redis().scan_iter(f"session:{client.session_id}:preview*"):
        assert 0 < server.redis().ttl(key) <= 600
    client.close()


def test_one_that_was_called_off_is_drawn_when_it_is_asked_for_again(server, client):
    job_id = converted(client, "a.png", png(), "jpg")
    record = f"session:{client.session_id}:preview:{result_of(server, client, job_id).stem}"
    server.redis().hset(record, mapping={"status": "cancelled", "task_id": "00000000-0000-4000-8000-000000000000"})  # as an operator's revoke leaves it
    server.redis().expire(record, 600)
    assert shown(client, job_id).startswith(b"\x89PNG")
    eventually(lambda: server.redis().hget(record, "status") == "completed")


def test_a_hostile_result_gets_no_further_than_an_upload(own_server):
    """A bomb in place of the result: the limits of every conversion are there."""
    server, client = begin(own_server("image"))
    job_id = converted(client, "a.png", png(), "png")
    path = result_of(server, client, job_id)
    path.write_bytes(b'<svg xmlns="http://www.w3.org/2000/svg"><image href="/etc/passwd"/></svg>')
    answer = answered(client, job_id)
    problem(answer, 422, "no_preview")
    client.close()


def test_a_link_in_place_of_the_result_is_not_followed(own_server):
    server, client = begin(own_server("image"))
    job_id = converted(client, "a.png", png(), "jpg")
    path = result_of(server, client, job_id)
    path.unlink()
    path.symlink_to("/etc/passwd")
    answer = answered(client, job_id)
    problem(answer, 422, "no_preview")
    client.close()


def test_closing_the_session_leaves_nothing(server):
    client = Client(server.url)
    client.init()
    job_id = converted(client, "a.png", png(900, 900), "jpg")
    shown(client, job_id)
    shown(client, job_id, 64)
    redis = server.redis()
    folder = server.data / "storage" / client.session_id
    eventually(lambda: not work_folders(folder))
    stored = sum(path.stat().st_size for path in below(folder) if path.is_file())
    eventually(lambda: int(redis.hget("decant:stored", client.session_id)) == stored)  # one may be seen before its task has ended
    assert client.close().status_code == 200
    assert not folder.exists()
    assert not list(redis.scan_iter(f"*{client.session_id}*"))
    assert redis.hget("decant:stored", client.session_id) is None


def test_closing_stops_one_that_is_being_drawn(own_server):
    server, client = begin(own_server("office pdf pages", DECANT_MAX_DELIVERIES="5"))
    job_id = converted(client, "slow.docx", slow_docx(20000), "odt")
    held = []
    thread = threading.Thread(target=lambda: held.append(preview(client_of(client), job_id)))
    thread.start()
    eventually(lambda: work_folders(server.data / "storage"), every=0.02)
    assert client.close().status_code == 200
    assert not (server.data / "storage" / client.session_id).exists()
    assert not list(server.redis().scan_iter(f"*{client.session_id}*"))
    thread.join()
    assert held[0].status_code in (401, 404), held[0].text
    eventually(lambda: server.redis().hlen("unacked") == 0)
    assert not (server.data / "storage" / client.session_id).exists()


def test_a_worker_that_is_killed(own_server):
    server, client = begin(own_server("office pdf pages", DECANT_MAX_DELIVERIES="5"))
    job_id = converted(client, "slow.docx", slow_docx(5000), "odt")
    held = []
    thread = threading.Thread(target=lambda: held.append(preview(client_of(client), job_id)))
    thread.start()
    eventually(lambda: work_folders(server.data / "storage"), every=0.02)
    os.kill(server.children("decant-worker")[0], signal.SIGKILL)
    thread.join()
    assert held[0].status_code in (200, 503), held[0].text
    assert sides(shown(client, job_id))[1] == 512
    eventually(lambda: not work_folders(server.data / "storage"))
    redis = server.redis()
    eventually(lambda: redis.hlen("unacked") == 0)
    assert len(kept(server, client, job_id)) == 1
    client.close()


def test_a_client_that_leaves_takes_nothing_along(own_server):
    server, client = begin(own_server("image"))
    job_id = converted(client, "a.png", png(900, 900), "jpg")
    [worker] = server.children("decant-worker")
    with still(worker):
        with contextlib.suppress(requests.Timeout):
            requests.get(f"{server.url}/preview?job_id={job_id}", headers=client.headers(), timeout=1)
    eventually(lambda: kept(server, client, job_id))
    assert sides(shown(client, job_id)) == (512, 512)
    client.close()


def test_conversions_do_not_stand_before_them_nor_they_before_conversions(own_server):
    server, client = begin(own_server("image", DECANT_JOBS="1"))
    done = converted(client, "a.png", png(900, 900), "jpg")
    more = [converted(client, f"{i}.png", png(300, 300), "jpg") for i in range(4)]
    jobs = [client.upload(f"{i}.ppm", noise(700)).json()["job_id"] for i in range(30)]
    [worker] = server.children("decant-worker")
    with still(worker):  # for so short that it still has its scanner
        assert {client.convert(job, "webp").status_code for job in jobs} == {202}
        held = []
        threads = [threading.Thread(target=lambda job=job: held.append((job, preview(client_of(client), job, 64)))) for job in [done, *more]]
        for thread in threads:
            thread.start()
        eventually(lambda: waiting(server.redis(), "decant.previews") == 5)
    for job in [done, *more]:
        shown(client, job, 64)
    left = sum(client.status(job).json()["status"] == "queued" for job in jobs)
    assert 5 <= left < 30, left  # about one of each kind after the other
    for thread in threads:
        thread.join()
    for job in jobs:
        assert client.wait(job)["status"] == "completed"
    client.close()


def test_nginx_sends_them(own_server):
    """The API says where it lies; who may see it is asked before."""
    server, client = begin(own_server("image", DECANT_ACCEL_PREFIX="/_files"))
    job_id = converted(client, "a.png", png(900, 900), "jpg")
    answer = answered(client, job_id, 64)
    [name] = kept(server, client, job_id)
    assert answer.content == b"" and answer.headers["X-Accel-Redirect"] == f"/_files/{client.session_id}/{job_id}/preview/{name}"
    assert answer.headers["Content-Type"] == "image/png"
    client.close()
