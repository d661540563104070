"""The results of many jobs as one ZIP, which is made while it is sent."""

import contextlib
import io
import os
import re
import socket
import struct
import subprocess
import time
import zipfile
import zlib
from datetime import datetime, timezone

import pytest
import requests

import contract
import front
from client import Client, problem
from exposition import parse, value
from fixtures import noise, pdf, png
from server import Server, eventually, free_port

UUID = "00000000-0000-4000-8000-000000000000"
MIB = 1 << 20


def token(client, *jobs):
    return client.request("POST", "/download_token", json={"job_ids": list(jobs)})


def url_of(client, *jobs):
    answer = token(client, *jobs)
    assert answer.status_code == 201, answer.text
    return answer.json()["url"]


def archive(client, *jobs):
    answer = client.download(url_of(client, *jobs))
    assert answer.status_code == 200, answer.text
    return answer


def finish(client, names, target="jpg"):
    """Ids of as many jobs, completed."""
    jobs = [client.start(name, png(16 + n), target) for n, name in enumerate(names)]
    for job in jobs:
        assert client.wait(job)["status"] == "completed"
    return jobs


def result_path(server, client, job):
    return server.data / "storage" / server.redis().hget(f"session:{client.session_id}:jobs:{job}", "converted_path")


def grow(server, client, job, size, byte=None):
    """Makes its result one of that size: noise, or a hole."""
    with open(result_path(server, client, job), "r+b") as f:
        f.truncate(0)
        for _ in range(size // MIB if byte is None else 0):
            f.write(os.urandom(MIB))
        f.truncate(size)


def streamed(data):
    """As a reader of streams sees it, which knows no directory: names and contents by what stands in front of them."""
    found, at = {}, 0
    while data[at:at + 4] == b"PK\x03\x04":
        _, flags, method, _, _, crc, packed, size, name, extra = struct.unpack_from("<HHHHHLLLHH", data, at + 4)
        assert flags & ~0x800 == 0 and method == 0 and packed == size
        at += 30
        text = data[at:at + name].decode("utf-8" if flags & 0x800 else "ascii")
        at += name + extra
        found[text] = data[at:at + size]
        assert zlib.crc32(found[text]) == crc and len(found[text]) == size
        at += size
    assert data[at:at + 4] == b"PK\x01\x02"
    return found


# --- what comes

def test_all_in_one(server, client, tmp_path):
    jobs = finish(client, ["one.png", "two.png"]) + [client.result("text.pdf", pdf(), "txt")[0]["job_id"]]
    single = {client.status(job).json()["output"]["filename"]: client.download(client.token(job).json()["url"]).content for job in jobs}
    made = token(client, *jobs)
    body = made.json()
    assert made.status_code == 201 and set(body) == {"token", "url", "expires_at"} and re.fullmatch("[0-9a-f]{64}", body["token"])
    assert body["url"] == "/download/archive?token=" + body["token"] and made.headers["Cache-Control"] == "no-store"
    answer = client.download(body["url"])
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/zip"
    assert int(answer.headers["Content-Length"]) == len(answer.content) and "Transfer-Encoding" not in answer.headers
    name = re.fullmatch(r'attachment; filename="(decant-\d{4}-\d\d-\d\d\.zip)"; filename\*=UTF-8\'\'(\S+)', answer.headers["Content-Disposition"])
    assert name[1] == name[2] and abs(datetime.now(timezone.utc) - datetime.strptime(name[1], "decant-%Y-%m-%d.zip").replace(tzinfo=timezone.utc)).days < 2
    part = client.request("POST", "/download_token", json={"job_ids": jobs, "part": 2}).json()["url"]
    assert f'filename="{name[1][:-4]}-2.zip"' in client.download(part).headers["Content-Disposition"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Cache-Control"] == "private, no-store" and answer.headers["X-Accel-Buffering"] == "no"
    assert answer.headers["Referrer-Policy"] == "no-referrer" and "Set-Cookie" not in answer.headers and "X-Accel-Redirect" not in answer.headers

    with zipfile.ZipFile(io.BytesIO(answer.content)) as z:
        assert z.testzip() is None and z.namelist() == ["one.jpg", "two.jpg", "text.txt"]
        assert {name: z.read(name) for name in z.namelist()} == single
        for info in z.infolist():
            assert abs(datetime(*info.date_time, tzinfo=timezone.utc) - datetime.now(timezone.utc)).total_seconds() < 3600
            assert info.compress_type == zipfile.ZIP_STORED and info.flag_bits == 0 and info.file_size == len(single[info.filename])
    assert streamed(answer.content) == single
    assert client.download(body["url"]).content == answer.content  # as often as it is wanted

    path = tmp_path / "all.zip"
    path.write_bytes(answer.content)
    for command in ["unzip", "-tq"], ["7zz", "t"], ["python3", "-m", "zipfile", "-t"]:
        done = subprocess.run([*command, path], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "warning" not in (done.stdout + done.stderr).lower(), (command, done.stdout, done.stderr)
    subprocess.run(["unzip", "-q", path, "-d", tmp_path / "out"], check=True, timeout=60)
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()} == single
    assert all(abs(file.stat().st_mtime - time.time()) < 3600 for file in (tmp_path / "out").iterdir())  # with its zone


def test_names(client, tmp_path):
    names = ["Bericht für Größe.png", "تقرير.png", "報告書.png", "ทดสอบ 🗂️.png", "a.png", "a.png", "A.PNG", "a (2).png", "a.tar.png", "x" * 250 + ".png", "x" * 250 + ".png", "plain.png"]
    data = archive(client, *finish(client, names)).content
    expected = ["Bericht für Größe.jpg", "تقرير.jpg", "報告書.jpg", "ทดสอบ 🗂️.jpg", "a.jpg", "a (2).jpg", "A (3).jpg", "a (2) (2).jpg", "a.tar.jpg", "x" * 250 + ".jpg",
                "x" * 247 + " (2).jpg", "plain.jpg"]
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        assert z.namelist() == expected and z.testzip() is None and len({name.casefold() for name in expected}) == len(expected)
        for info in z.infolist():
            assert info.flag_bits == (0 if info.filename.isascii() else 0x800)
    (tmp_path / "a.zip").write_bytes(data)
    subprocess.run(["7zz", "x", "-y", f"-o{tmp_path / 'out'}", tmp_path / "a.zip"], check=True, capture_output=True, timeout=60, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert {file.name for file in (tmp_path / "out").iterdir()} == set(expected)


@pytest.mark.parametrize("name, kept", [("../../etc/passwd.png", "passwd.jpg"), ("/a/b.png", "b.jpg"), ("..\\..\\c.png", "c.jpg"), ("..", "file.jpg"), ("", "file.jpg"), ("a\n\u202eb.png", "ab.jpg"),
                                        ("con/../d", "d.jpg")])
def test_no_name_leads_elsewhere(server, client, name, kept):
    """Not every name in Redis has come by an upload."""
    [job] = finish(client, ["a.png"])
    server.redis().hset(f"session:{client.session_id}:jobs:{job}", "original_filename", name)
    with zipfile.ZipFile(io.BytesIO(archive(client, job).content)) as z:
        assert z.namelist() == [kept]


def test_a_hundred(client):
    jobs = finish(client, ["many.png"] * 100)
    data = archive(client, *jobs).content
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        assert z.namelist() == ["many.jpg"] + [f"many ({n}).jpg" for n in range(2, 101)] and z.testzip() is None
        assert len({z.read(name) for name in z.namelist()}) > 50  # each is its own job's
    assert len(streamed(data)) == 100


def test_large_results(server, client, tmp_path):
    """More than a turn of the thread sums up, and no multiple of any piece."""
    jobs = finish(client, ["a.png", "b.png", "c.png"])
    for job, size in zip(jobs, (40 * MIB + 1, 65535, 20 * MIB)):
        grow(server, client, job, size)
    whole = [result_path(server, client, job).read_bytes() for job in jobs]
    data = archive(client, *jobs).content
    assert list(streamed(data).values()) == whole
    (tmp_path / "a.zip").write_bytes(data)
    subprocess.run(["unzip", "-tq", tmp_path / "a.zip"], check=True, capture_output=True, timeout=120)


def test_head_and_ranges(client):
    jobs = finish(client, ["a.png", "b.png"])
    url = url_of(client, *jobs)
    whole = client.download(url)
    head = client.download(url, "HEAD")
    assert head.status_code == 200 and not head.content and head.headers["Content-Length"] == str(len(whole.content))
    assert head.headers["Content-Disposition"] == whole.headers["Content-Disposition"]
    part = client.download(url, Range="bytes=0-3")  # not known here
    assert part.status_code == 200 and part.content == whole.content and "Accept-Ranges" not in part.headers


# --- what is refused

@pytest.mark.parametrize("body", [
    {"job_ids": []}, {"job_ids": [UUID] * 101}, {"job_ids": [UUID, UUID]}, {"job_ids": UUID}, {"job_ids": [1]}, {"job_ids": [None]}, {"job_ids": {}}, {"job_ids": [UUID], "job_id": UUID},
    {"job_ids": [[UUID]]}, {"job_ids": None}, {}], ids=lambda body: str(body)[:40])
def test_malformed(client, body):
    problem(client.request("POST", "/download_token", json=body), 400, "bad_request")


def test_it_says_which_job_it_is(client, other):
    done = finish(client, ["a.png"])[0]
    uploaded = client.upload("b.png", png()).json()["job_id"]
    theirs = finish(other, ["c.png"])[0]
    for stranger in (theirs, UUID, "x", "", "../" * 10, "*"):
        body = problem(token(client, done, stranger, uploaded), 404, "job_not_found")
        assert "job_ids[1]" in body["detail"] and (not stranger or stranger not in body["detail"])
    body = problem(token(client, done, uploaded, theirs), 409, "wrong_state")
    assert "job_ids[1]" in body["detail"]
    problem(client.request("POST", "/download_token", csrf=False, json={"job_ids": [done]}), 403, "csrf_invalid")
    problem(Client(client.url).request("POST", "/download_token", json={"job_ids": [done]}), 401, "session_required")


def test_each_link_is_of_its_kind(server, client):
    [job] = finish(client, ["a.png"])
    all_of_it, one = token(client, job).json(), client.token(job).json()
    problem(client.download("/download?token=" + all_of_it["token"]), 404, "token_invalid")
    problem(client.download("/download/archive?token=" + one["token"]), 404, "token_invalid")
    assert client.download(all_of_it["url"]).status_code == client.download(one["url"]).status_code == 200
    for wrong in ("x", "0" * 64, all_of_it["token"].upper(), ""):
        problem(client.download("/download/archive?token=" + wrong), 404, "token_invalid")
    problem(client.download("/download/archive"), 400, "bad_request")
    problem(client.request("POST", "/download/archive"), 405, "method_not_allowed")
    held = server.redis().hgetall("download_token:" + all_of_it["token"])
    assert set(held) == {"session_id", "results", "filename", "expires_at"} and held["session_id"] == client.session_id
    assert 0 < server.redis().ttl("download_token:" + all_of_it["token"]) <= 600


def test_a_link_ends_with_any_of_its_jobs(server, client):
    jobs = finish(client, ["a.png", "b.png"])
    redis, key = server.redis(), f"session:{client.session_id}:jobs:{jobs[1]}"
    url, kept = url_of(client, *jobs), server.redis().hgetall(key)
    for break_it in (lambda: redis.delete(key), lambda: redis.hset(key, "status", "failed"), lambda: redis.hset(key, "converted_path", kept["converted_path"].replace("jpg", "png")),
                     lambda: redis.hset(key, "converted_path", kept["stored_path"]), lambda: redis.hdel(key, "converted_path")):
        assert client.download(url).status_code == 200
        break_it()
        problem(client.download(url), 404, "token_invalid")
        redis.delete(key)
        redis.hset(key, mapping=kept)
    path = result_path(server, client, jobs[1])
    path.rename(path.parent / "away")
    problem(client.download(url), 404, "token_invalid")  # before the first byte
    assert client.download(url, "HEAD").status_code == 404
    path.symlink_to(path.parent / "away")
    problem(client.download(url), 404, "token_invalid")
    path.unlink()
    (path.parent / "away").rename(path)
    assert client.download(url).status_code == 200


def test_a_link_ends_with_its_session(server):
    client = Client(server.url)
    client.init()
    url = url_of(client, *finish(client, ["a.png"]))
    client.close()
    problem(client.download(url), 404, "token_invalid")
    assert not server.redis().exists("download_token:" + url.split("=")[1])


@pytest.mark.parametrize("field, value", [
    ("results", "{theirs}"), ("results", "{job}/../../uploads/x.png"), ("results", "*/*"), ("results", ""), ("results", "{job}"), ("results", "/"), ("session_id", "{other}"), ("session_id", "*")])
def test_what_redis_says_is_not_believed(server, client, other, field, value):
    [job], [their_job] = finish(client, ["a.png"]), finish(other, ["b.png"])
    secret = token(client, job).json()["token"]
    theirs = f"{their_job}/{result_path(server, other, their_job).name}"
    server.redis().hset("download_token:" + secret, field, value.format(theirs=theirs, job=job, other=other.session_id))
    problem(client.download("/download/archive?token=" + secret), 404, "token_invalid")


# --- on its way

def sockets_and_files(server):
    """Descriptors of the API's processes: how many, and those of results."""
    links = []
    for pid in server.children("decant-api"):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                links.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return len(links), [link for link in links if "/converted/" in link]


def memory(server):
    """In bytes, of the API's processes."""
    return sum(int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read())[1]) << 10 for pid in server.children("decant-api"))


def ask(server, url):
    """A client that reads little: a small window, and the header read."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(120)
    s.connect(("127.0.0.1", server.port))
    s.sendall(f"GET {url} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += s.recv(1)
    assert head.startswith(b"HTTP/1.1 200 "), head
    return s, int(re.search(rb"Content-Length: (\d+)", head)[1])


def drain(s):
    """Bytes until the end, however that comes."""
    total = 0
    with contextlib.suppress(ConnectionResetError):
        while n := len(s.recv(MIB)):
            total += n
    s.close()
    return total


def test_who_leaves_leaves_nothing(server, client):
    jobs = finish(client, ["a.png", "b.png"])
    for job in jobs:
        grow(server, client, job, 300 * MIB, 0)
    url = url_of(client, *jobs)
    before, _ = sockets_and_files(server)
    for _ in range(8):
        ask(server, url)[0].close()
    waiting = [ask(server, url)[0] for _ in range(8)]
    assert sockets_and_files(server)[0] >= before + 8
    for s in waiting:
        s.close()
    eventually(lambda: not sockets_and_files(server)[1] and sockets_and_files(server)[0] <= before + 2, lambda: f"open: {sockets_and_files(server)}, {before} before")
    assert client.status(jobs[0]).status_code == 200


def test_who_is_slow_costs_little(own_server):
    server = own_server("image", DECANT_RATE_WINDOW="8")
    client = Client(server.url)
    client.init()
    jobs = finish(client, ["a.png", "b.png"])
    for job in jobs:
        grow(server, client, job, 200 * MIB, 0)
    url = url_of(client, *jobs)
    before = memory(server)
    readers = [ask(server, url)[0] for _ in range(20)]
    until = time.monotonic() + 17
    while time.monotonic() < until:  # 5,000 bytes a second, or what a busy machine makes of that
        assert all(s.recv(2500) for s in readers)  # none is cut
        assert client.status(jobs[0]).status_code == 200  # others are served all the while
        time.sleep(0.5)
    assert memory(server) - before < 40 * MIB  # of 8,000 MiB
    # From here on they take nothing.
    eventually(lambda: sockets_and_files(server)[1] == [])
    for s in readers:
        assert drain(s) < 100 * MIB
    client.close()


@pytest.mark.parametrize("change", ["gone", "shorter", "longer", "another"])
def test_what_breaks_on_the_way_is_cut(server, client, change):
    """Nobody takes a part for the whole."""
    jobs = finish(client, ["a.png", "b.png"])
    grow(server, client, jobs[0], 64 * MIB, 0)
    grow(server, client, jobs[1], MIB)
    s, length = ask(server, url_of(client, *jobs))
    path = result_path(server, client, jobs[1])
    if change == "gone":
        path.unlink()
    elif change == "another":
        path.unlink()
        path.mkdir()
    else:
        os.truncate(path, MIB + (1 if change == "longer" else -1))
    assert 32 * MIB < drain(s) < length
    eventually(lambda: not sockets_and_files(server)[1])
    server.wait_log("an archive broke off")
    assert client.session_id not in server.log()


def test_a_file_that_shrinks_while_it_is_sent(server, client):
    [job] = finish(client, ["a.png"])
    grow(server, client, job, 64 * MIB, 0)
    s, length = ask(server, url_of(client, job))
    os.truncate(result_path(server, client, job), 40 * MIB)
    assert drain(s) < length


def test_many_at_once(server, client):
    jobs = finish(client, ["a.png", "b.png", "c.png"])
    for job in jobs:
        grow(server, client, job, 3 * MIB)
    url = url_of(client, *jobs)
    whole = client.download(url).content
    readers = [ask(server, url) for _ in range(24)]
    for s, length in readers:
        assert length == len(whole) and drain(s) == length


def test_the_server_ends_meanwhile(own_server):
    server = own_server("image", DECANT_GRACE="1")
    client = Client(server.url)
    client.init()
    jobs = finish(client, ["a.png"])
    grow(server, client, jobs[0], 300 * MIB, 0)
    readers = [ask(server, url_of(client, *jobs))[0] for _ in range(4)]
    assert server.stop() == 0
    for s in readers:
        assert drain(s) < 300 * MIB


# --- around it

def test_bytes_are_counted(server, client):
    def counted():
        found = parse(requests.get(server.url + "/metrics", timeout=60).text)
        return [value(found, "decant_downloads_total"), value(found, "decant_download_bytes_total"),
                value(found, "decant_http_requests_total", route="/download/archive", method="GET", status="200") or 0]

    jobs = finish(client, ["a.png", "b.png"])
    url = url_of(client, *jobs)
    files, size, requests_before = counted()
    length = len(client.download(url).content)
    eventually(lambda: counted() == [files + 1, size + length, requests_before + 1])
    client.download(url, "HEAD")
    grow(server, client, jobs[0], 100 * MIB, 0)
    ask(server, url)[0].close()  # broke off
    eventually(lambda: not sockets_and_files(server)[1])
    assert counted()[:2] == [files + 1, size + length]


def test_so_many_at_once(own_server):
    """Each reads files for who may not even take them: there is a bound, and a place is free again at once."""
    server = own_server("image", DECANT_ADDRESS_ARCHIVES="3")
    client = Client(server.url)
    client.init()
    jobs = finish(client, ["a.png"])
    grow(server, client, jobs[0], 300 * MIB, 0)
    url = url_of(client, *jobs)
    readers = [ask(server, url)[0] for _ in range(3)]
    answer = client.download(url)
    problem(answer, 429, "rate_limited")
    assert int(answer.headers["Retry-After"]) > 0 and "Content-Disposition" not in answer.headers
    assert client.download(client.token(jobs[0]).json()["url"], "HEAD").status_code == 200  # one by one
    readers.pop().close()
    eventually(lambda: client.download(url, "HEAD").status_code == 200)
    for s in readers:
        s.close()
    for _ in range(10):
        eventually(lambda: client.download(url, "HEAD").status_code == 200)
    problem(client.download("/download/archive?token=" + "0" * 64), 404, "token_invalid")
    client.close()


def test_no_log_has_the_link(server, client):
    secret = url_of(client, *finish(client, ["very-private.png"])).split("=")[1]
    client.download("/download/archive?token=" + secret)
    assert secret not in server.log() and "very-private" not in server.log()


def test_on_an_origin_of_its_own(own_server):
    server = own_server("image", DECANT_DOWNLOAD_ORIGIN="https://files.example.com", DECANT_CORS_ORIGINS="https://app.example.com")
    client = Client(server.url)
    client.init()
    url = url_of(client, *finish(client, ["a.png"]))
    assert url.startswith("https://files.example.com/download/archive?token=")
    path = url.removeprefix("https://files.example.com")
    problem(client.download(path), 404, "not_found")
    answer = client.download(path, **{"Host": "files.example.com", "X-Forwarded-Proto": "https", "Origin": "https://app.example.com"})
    assert answer.status_code == 200 and answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    client.close()


def answers(port):
    with contextlib.closing(socket.socket()) as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def test_behind_nginx(tmp_path):
    """It streams: no redirect, no temporary file, and what breaks off breaks off there too."""
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server", "image", DECANT_ACCEL_PREFIX="/_files").start()
    port = free_port()
    process = subprocess.Popen(front.nginx(tmp_path, port, server.data / "storage", server.port))
    try:
        client = Client(f"http://127.0.0.1:{port}")
        eventually(lambda: answers(port))
        contract.learn_front(client.url, server.url)
        client.init()
        jobs = finish(client, ["a.png", "b.png"])
        grow(server, client, jobs[0], 20 * MIB)
        answer = archive(client, *jobs)
        assert "X-Accel-Redirect" not in answer.headers and "X-Accel-Buffering" not in answer.headers
        assert int(answer.headers["Content-Length"]) == len(answer.content) and answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert streamed(answer.content)["a.jpg"] == result_path(server, client, jobs[0]).read_bytes()
        grow(server, client, jobs[0], 200 * MIB, 0)
        url = url_of(client, *jobs)
        with socket.create_connection(("127.0.0.1", port), timeout=120) as s:
            s.sendall(f"GET {url} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            s.recv(1000)
            result_path(server, client, jobs[1]).unlink()
            assert 150 * MIB < drain(s) < 200 * MIB + 100_000
        client.close()
    finally:
        process.terminate()
        process.wait(30)
        server.stop()
