"""The seven endpoints as their clients use them: shapes, headers, limits of what one session sees."""

import re
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest
import requests

from client import Client, problem
from fixtures import docx, pdf, png, slow_docx, slow_pdf
from processes import Watch
from server import eventually

BITS256 = re.compile(r"[0-9a-f]{64}")
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def when(text):
    assert text.endswith("Z")
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_session_init(server):
    client = Client(server.url)
    answer = client.init()
    body = answer.json()
    cookie = [part.strip() for part in answer.headers["Set-Cookie"].split(";")]
    assert set(cookie[1:]) == {"Path=/", "HttpOnly", "Secure", "SameSite=Strict", "Max-Age=86400"}
    assert BITS256.fullmatch(client.session_id) and BITS256.fullmatch(body["csrf_token"]) and client.session_id != body["csrf_token"]
    assert when(body["expires_at"]) - when(body["created_at"]) == timedelta(hours=24)
    assert abs(when(body["created_at"]) - datetime.now(timezone.utc)) < timedelta(seconds=30)
    assert body["limits"]["max_upload_bytes"] == 100 * 1024 * 1024 and body["limits"]["max_jobs"] > 0
    assert body["logins"] == {"password": True, "oidc": False}
    again = client.init()
    assert again.json() == body and again.headers["Set-Cookie"] == answer.headers["Set-Cookie"]
    client.close()


def test_whole_way(client):
    answer = client.upload("Bericht für Größe.docx", docx())
    assert answer.status_code == 201, answer.text
    upload = answer.json()
    assert UUID4.fullmatch(upload["job_id"])
    assert upload["original_filename"] == "Bericht für Größe.docx" and upload["size"] == len(docx())
    assert upload["mime_type"] == "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    assert upload["format"] == "docx" and upload["status"] == "uploaded" and "pdf" in upload["targets"] and "docx" not in upload["targets"]

    answer = client.convert(upload["job_id"], "pdf")
    assert answer.status_code == 202, answer.text
    convert = answer.json()
    assert convert["job_id"] == upload["job_id"] and UUID4.fullmatch(convert["task_id"])
    assert convert["status"] == "queued" and convert["target_format"] == "pdf"
    assert convert["queue_position"] >= 0 and (convert["estimated_wait_ms"] is None or convert["estimated_wait_ms"] >= 0)

    job = client.wait(upload["job_id"])
    assert job["status"] == "completed" and job["progress"] == 100 and job["task_id"] == convert["task_id"]
    assert job["error_code"] is None and job["error_message"] is None and job["target_format"] == "pdf"
    assert when(job["completed_at"]) >= when(job["created_at"])
    assert job["engine"] == "office" and job["engine_version"].startswith("LibreOffice ") and job["attempts"] == 1
    assert job["queue_ms"] >= 0 and job["duration_ms"] > 0 and job["cpu_ms"] > 0
    assert job["peak_rss_bytes"] == job["peak_kib"] * 1024 > 1 << 20
    assert job["output"]["filename"] == "Bericht für Größe.pdf" and job["output"]["mime_type"] == "application/pdf"

    answer = client.token(upload["job_id"])
    assert answer.status_code == 201, answer.text
    token = answer.json()
    assert BITS256.fullmatch(token["token"]) and token["url"] == "/download?token=" + token["token"]
    assert timedelta(minutes=9) < when(token["expires_at"]) - datetime.now(timezone.utc) <= timedelta(minutes=10)

    file = client.download(token["url"])
    assert file.status_code == 200 and file.content.startswith(b"%PDF-") and len(file.content) == job["output"]["size"]
    assert file.headers["Content-Type"] == "application/pdf"
    assert file.headers["X-Content-Type-Options"] == "nosniff"
    assert file.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert file.headers["Cache-Control"] == "private, no-store"
    assert file.headers["Content-Disposition"] == \
        "attachment; filename=\"Bericht f_r Gr__e.pdf\"; filename*=UTF-8''Bericht%20f%C3%BCr%20Gr%C3%B6%C3%9Fe.pdf"


def test_download_ranges_and_head(client):
    job, content = client.result("a.pdf", pdf(), "txt")
    url = client.token(job["job_id"]).json()["url"]
    head = client.download(url, "HEAD")
    assert head.status_code == 200 and int(head.headers["Content-Length"]) == len(content) and not head.content
    assert head.headers["Accept-Ranges"] == "bytes"
    part = client.download(url, Range="bytes=1-3")
    assert part.status_code == 206 and part.content == content[1:4]
    assert part.headers["Content-Range"] == f"bytes 1-3/{len(content)}"
    assert client.download(url, Range="bytes=-2").content == content[-2:]
    assert client.download(url, Range="bytes=2-").content == content[2:]
    beyond = client.download(url, Range=f"bytes={len(content)}-")
    assert beyond.status_code == 416 and beyond.headers["Content-Range"] == f"bytes */{len(content)}"
    assert beyond.headers["Cache-Control"] == "no-store"
    assert client.download(url, **{"Range": "bytes=1-3", "If-Range": '"another"'}).content == content
    assert client.download(url, Range="lines=1-2").status_code == 200


@pytest.mark.parametrize("name, kept", [
    ("日本語.docx", "日本語.docx"), ("تقرير.docx", "تقرير.docx"), ("a b;c\"d.docx", "a b;c\"d.docx"), ("../../etc/passwd.docx", "passwd.docx"),
    ("C:\\temp\\x.docx", "x.docx"), ("invoice\u202excod.docx", "invoicexcod.docx"), ("a\x01b\x7f.docx", "ab.docx"), ("%41.docx", "%41.docx"),
    ("x" * 300 + ".docx", "x" * 250 + ".docx"), ("A.DOCX", "A.DOCX"), ("-rf.docx", "-rf.docx"), ("a.b.c.docx", "a.b.c.docx")],
    ids=["japanese", "arabic", "quotes", "path", "backslash", "override", "control", "percent", "long", "upper", "dash", "dots"])
def test_names_survive_but_do_no_harm(client, server, name, kept):
    body = (b'--b\r\nContent-Disposition: form-data; name="file"; filename="' + name.replace('"', "%22").encode() +
            b'"\r\n\r\n' + docx() + b"\r\n--b--\r\n")
    answer = client.request("POST", "/upload", data=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["original_filename"] == kept
    for path in server.files():
        assert re.fullmatch(r"[0-9a-f]+/[0-9a-f-]+/(uploads|converted)/[0-9a-f-]+\.[a-z0-9]+", path)
    assert kept not in server.log() or kept == "x.docx"


@pytest.mark.parametrize("stem", ["Größe", "отчёт", "τιμολόγιο", "دفتر", "מסמך", "रिपोर्ट", "報告書", "문서", "สรุป", "ทดสอบ 🗂️ ✓", "a\u0301e\u0308", "𝒜𝓁𝑔𝑒𝒷𝓇𝒶", "100 % & \"x\" 'y'; z", "--help", "$(id)`id`"])
def test_a_name_in_any_script_comes_back_with_the_result(server, client, stem):
    """And is nowhere else: no path, no command line, no log has it while the file is converted."""
    needles = [text.encode() for text in (stem, stem.encode("unicode_escape").decode(), requests.utils.quote(stem))]
    with Watch(server, needles) as watch:
        answer = client.request("POST", "/upload", headers={"Content-Type": "multipart/form-data; boundary=b"}, data=(
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="' + stem.replace('"', "%22").encode() + b'.png"\r\n\r\n' + png() + b"\r\n--b--\r\n"))
        assert answer.status_code == 201 and answer.json()["original_filename"] == stem + ".png", answer.text
        job_id = answer.json()["job_id"]
        assert client.convert(job_id, "jpg").status_code == 202
        assert client.wait(job_id)["output"]["filename"] == stem + ".jpg"
    assert watch.seen and watch.found == []
    disposition = client.download(client.token(job_id).json()["url"]).headers["Content-Disposition"]
    plain, _, extended = disposition.partition("; filename*=UTF-8''")
    assert requests.utils.unquote(extended) == stem + ".jpg" and re.fullmatch(r"[A-Za-z0-9!#$&+.^_`|~%-]+", extended)  # of RFC 8187 attr-char
    assert plain.startswith('attachment; filename="') and plain.isascii() and plain.isprintable()
    assert all(stem not in path for path in server.files()) and not any(needle.decode() in server.log() for needle in needles)


# Of a PDF pages can be chosen, a picture can be made smaller, an archive cleaned.
ITSELF = set("pdf png jpg webp avif gif tiff heic jxl zip tar tgz tbz2 txz tzst tlz4 7z cpio".split())


def test_formats_tell_what_uploads_are_taken(client):
    formats = requests.get(client.url + "/formats").json()["formats"]
    assert {"docx", "doc", "odt", "rtf", "xlsx", "xls", "ods", "pptx", "ppt", "odp", "pdf", "png", "jpg", "webp"} <= set(formats)
    for name, entry in formats.items():
        assert entry["label"] and entry["category"] and entry["mime_types"] and entry["extensions"]
        assert (name in entry["targets"]) == (name in ITSELF), name
    assert client.upload("a.png", png()).json()["targets"] == formats["png"]["targets"]


def test_two_sessions_are_strangers(client, other, server):
    job, _ = client.result("mine.png", png(), "jpg")
    job_id = job["job_id"]
    for answer in (other.status(job_id), other.token(job_id), other.convert(job_id, "webp")):
        problem(answer, 404, "job_not_found")
    url = client.token(job_id).json()["url"]
    assert other.close().json() == {"closed": True}
    assert client.download(url).status_code == 200
    assert client.status(job_id).json()["status"] == "completed"


def test_close_leaves_nothing(server):
    client = Client(server.url)
    client.init()
    job, _ = client.result("a.png", png(), "jpg")
    url = client.token(job["job_id"]).json()["url"]
    client.upload("b.pdf", pdf())
    answer = client.close()
    assert answer.status_code == 200 and answer.json() == {"closed": True}
    assert "Max-Age=0" in answer.headers["Set-Cookie"] and answer.headers["Set-Cookie"].startswith("session_id=;")
    assert not (server.data / "storage" / client.session_id).exists()
    assert [key for key in server.redis().scan_iter("*") if client.session_id in key] == []
    assert server.redis().keys("download_token:" + url.split("=")[1]) == []
    problem(client.download(url), 404, "token_invalid")
    problem(client.status(job["job_id"]), 401, "session_required")
    problem(client.close(), 401, "session_required")


def test_close_stops_running_jobs(own_server):
    server = own_server("image pdf", DECANT_JOBS="1")
    client = Client(server.url)
    client.init()
    running = client.start("slow.pdf", slow_pdf(2000), "png")
    waiting = client.start("a.png", png(), "jpg")
    eventually(lambda: client.status(running).json()["status"] == "processing")
    assert client.close().json() == {"closed": True}
    assert server.files() == [] and not (server.data / "storage" / client.session_id).exists()
    assert [key for key in server.redis().scan_iter("*") if running in key or waiting in key or client.session_id in key] == []
    after = Client(server.url)
    after.init()
    assert after.result("b.png", png(), "jpg")[0]["status"] == "completed"
    assert not list((server.data / "storage").glob(client.session_id + "*"))


def test_waiting_for_a_change(client):
    job_id = client.upload("a.docx", slow_docx(4000)).json()["job_id"]
    started = time.monotonic()
    assert client.status(job_id, wait=1).json()["status"] == "uploaded"
    assert 0.9 < time.monotonic() - started < 25
    seen = []

    def follow():
        mine = Client(client.url)
        mine.session_id, mine.csrf = client.session_id, client.csrf
        while not seen or seen[-1][0] not in ("completed", "failed"):
            job = mine.status(job_id, wait=30).json()
            seen.append((job["status"], job["progress"]))

    thread = threading.Thread(target=follow)
    thread.start()
    time.sleep(0.3)
    client.convert(job_id, "pdf")
    thread.join(60)
    assert seen[-1] == ("completed", 100)
    assert [p for _, p in seen] == sorted(p for _, p in seen)
    assert all(a != b for a, b in zip(seen, seen[1:]))
    assert all(progress < 100 for status, progress in seen if status != "completed")


def test_health(server):
    assert requests.get(server.url + "/healthz").json()["status"] == "ok"
    ready = requests.get(server.url + "/readyz").json()
    for part in ("redis", "scanner", "storage", "disk", "workers", "engines", "sandbox", "queue"):
        assert ready[part]["ok"] is True, ready
    assert ready["ready"] is True and ready["disk"]["free_bytes"] > ready["disk"]["reserve_bytes"] == 1 << 20
    assert ready["queue"]["waiting"] >= 0 and ready["queue"]["max"] == 10000 and ready["queue"]["oldest_ms"] >= 0
    assert ready["engines"]["states"] == {"office": "up", "image": "up", "pdf": "up", "media": "up", "markup": "up", "archive": "up", "font": "up", "pages": "up", "press": "up", "ocr": "up"}
    page = requests.get(server.url + "/")
    assert page.headers["Content-Type"].startswith("text/html") and "Decant" in page.text


def test_what_a_part_lacks_is_said(own_server):
    server = own_server("image", ready=False, DECANT_DISK_RESERVE="1T")
    server.wait_listening()
    answer = requests.get(server.url + "/readyz")
    ready = answer.json()
    assert answer.status_code == 503 and ready["ready"] is False
    assert ready["disk"]["ok"] is False and ready["disk"]["detail"] and ready["storage"]["ok"] is True
    assert ready["queue"]["ok"] is True


def test_who_waits_is_told_how_long(own_server):
    """Its place among those that wait, and a guess of the time once there was something to measure."""
    from fixtures import slow_docx
    server = own_server("office image", DECANT_JOBS="1")
    client = Client(server.url)
    client.init()
    first = client.convert(client.upload("a.docx", slow_docx()).json()["job_id"], "pdf").json()
    assert first["queue_position"] == 0 and first["estimated_wait_ms"] == 0
    while client.status(first["job_id"]).json()["status"] != "processing":
        time.sleep(0.05)
    ids = [client.upload("a.png", png()).json()["job_id"] for _ in range(3)]
    second, third = (client.convert(job_id, "jpg").json() for job_id in ids[:2])
    assert (second["queue_position"], third["queue_position"]) == (0, 1)
    assert second["estimated_wait_ms"] is None  # a slot is busy, and nothing has ended yet
    job = client.wait(third["job_id"])
    assert job["queue_ms"] > 0
    busy = client.start("a.docx", slow_docx(), "pdf")
    while client.status(busy).json()["status"] != "processing":
        time.sleep(0.05)
    deadline = time.monotonic() + 180  # workers tell what they have measured every five seconds
    while "run_ms" not in requests.get(server.url + "/readyz").json()["sandbox"]["engines"]["office"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    time.sleep(2.5)  # and servers look every two
    last = client.convert(ids[2], "jpg").json()
    assert last["queue_position"] == 0
    if client.status(busy).json()["status"] == "processing":
        assert last["estimated_wait_ms"] > 0
    client.close()


def test_every_answer_has_a_request_id(client):
    for answer in (requests.get(client.url + "/"), requests.get(client.url + "/none"), client.status("x"), client.upload("a.png", png())):
        assert UUID4.fullmatch(answer.headers["X-Request-Id"])


def test_redis_holds_the_specifications_keys(server, client):
    job, _ = client.result("a.png", png(), "jpg")
    token = client.token(job["job_id"]).json()["token"]
    redis = server.redis()
    session = redis.hgetall(f"session:{client.session_id}")
    assert session["csrf_token"] == client.csrf and session["created_at"]
    record = redis.hgetall(f"session:{client.session_id}:jobs:{job['job_id']}")
    assert {"original_filename", "target_format", "stored_path", "converted_path", "status", "task_id", "created_at", "completed_at",
            "error_message"} <= set(record)
    assert (server.data / "storage" / record["stored_path"]).is_file() and (server.data / "storage" / record["converted_path"]).is_file()
    assert re.fullmatch(rf"{client.session_id}/{job['job_id']}/converted/[0-9a-f-]+\.jpg", record["converted_path"])
    held = redis.hgetall(f"download_token:{token}")
    assert held["session_id"] == client.session_id and held["job_id"] == job["job_id"] and held["file_path"] == record["converted_path"]
    assert 0 < redis.ttl(f"download_token:{token}") <= 600
    assert 86000 < redis.ttl(f"session:{client.session_id}") <= 86400
    assert 86000 < redis.ttl(f"session:{client.session_id}:jobs:{job['job_id']}") <= 86400


def test_logs_hold_no_secrets(server, client):
    job, _ = client.result("very-private-name.png", png(), "jpg")
    token = client.token(job["job_id"]).json()["token"]
    client.download("/download?token=" + token)
    log = server.log()
    assert job["job_id"] in log
    for secret in (client.session_id, client.csrf, token, "very-private-name"):
        assert secret not in log
