"""Sound and films, by FFmpeg in the sandbox: what comes out, what goes wrong, and what files might want from it."""

import io
import json
import struct
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from client import Client, problem
from server import eventually

RATE = 22050


def sound(seconds=1.0, channels=1):
    """A WAV of a rising and falling tone."""
    out = io.BytesIO()
    with wave.open(out, "wb") as w:
        w.setnchannels(channels)
        w.setsampwidth(2)
        w.setframerate(RATE)
        w.writeframes(b"".join(struct.pack("<h", (i * 97) % 20000 - 10000) * channels for i in range(int(seconds * RATE))))
    return out.getvalue()


def film(frames=10, width=64, height=48):
    """A YUV4MPEG2 film of grey frames, which get lighter."""
    frame = lambda i: b"FRAME\n" + bytes([16 + i % 200]) * (width * height) + b"\x80" * (width * height // 2)
    return f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420jpeg\n".encode() + b"".join(map(frame, range(frames)))


def probe(path_or_bytes, tmp_path, *entries):
    path = tmp_path / "probed"
    path.write_bytes(path_or_bytes)
    return json.loads(subprocess.run(["ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", path], check=True, capture_output=True, timeout=60).stdout)


@pytest.mark.parametrize("target, name", [("mp3", "mp3"), ("flac", "flac"), ("ogg", "ogg"), ("opus", "ogg"), ("m4a", "mov,mp4"), ("aiff", "aiff")])
def test_sound(client, tmp_path, target, name):
    job, data = client.result("a.wav", sound(), target)
    found = probe(data, tmp_path)
    assert name in found["format"]["format_name"] and float(found["format"]["duration"]) == pytest.approx(1, abs=0.2)
    assert [stream["codec_type"] for stream in found["streams"]] == ["audio"]
    assert job["engine"] == "media" and job["engine_version"].startswith("FFmpeg ") and job["cpu_ms"] > 0 and job["peak_kib"] > 1024


@pytest.mark.parametrize("target, name", [("mp4", "mov,mp4"), ("webm", "webm"), ("mkv", "matroska"), ("avi", "avi"), ("mpg", "mpeg"), ("gif", "gif")])
def test_films(client, tmp_path, target, name):
    data = client.result("a.y4m", film(), target)[1]
    found = probe(data, tmp_path)
    assert name in found["format"]["format_name"] and found["streams"][0]["codec_type"] == "video"
    assert (found["streams"][0]["width"], found["streams"][0]["height"]) == (64, 48)


def test_the_sound_of_a_film(client, tmp_path):
    (tmp_path / "a.wav").write_bytes(sound())
    (tmp_path / "a.y4m").write_bytes(film())
    subprocess.run(["ffmpeg", "-v", "error", "-i", "a.y4m", "-i", "a.wav", "a.mkv"], cwd=tmp_path, check=True, timeout=60)
    both = (tmp_path / "a.mkv").read_bytes()
    assert [stream["codec_type"] for stream in probe(client.result("a.mkv", both, "mp4")[1], tmp_path)["streams"]] == ["video", "audio"]
    assert [stream["codec_type"] for stream in probe(client.result("a.mkv", both, "mp3")[1], tmp_path)["streams"]] == ["audio"]


def test_a_silent_film_has_no_sound(client, tmp_path):
    mkv = client.result("a.y4m", film(), "mkv")[1]
    job = client.wait(client.start("a.mkv", mkv, "mp3"))
    assert (job["status"], job["error_code"]) == ("failed", "no_output")


def test_rates_that_few_take(client, tmp_path):
    """DSD, and a rate that Windows Media doesn't know."""
    sys.path.append(str(Path(__file__).parents[1] / "catalogue"))
    from sources_media import dsf
    dsf(tmp_path / "a.dsf")
    found = probe(client.result("a.dsf", (tmp_path / "a.dsf").read_bytes(), "flac")[1], tmp_path)
    assert found["streams"][0]["sample_rate"] == "44100" and float(found["format"]["duration"]) == pytest.approx(1, abs=0.1)
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=duration=1:sample_rate=96000", tmp_path / "a.wav"], check=True, timeout=60)
    assert probe(client.result("a.wav", (tmp_path / "a.wav").read_bytes(), "wma")[1], tmp_path)["streams"][0]["codec_name"] == "wmav2"


def test_options(client, tmp_path):
    small = probe(client.result("a.y4m", film(width=256, height=128), "mp4", width=100)[1], tmp_path)["streams"][0]
    assert (small["width"], small["height"]) == (100, 50)
    same = probe(client.result("a.y4m", film(), "mp4", width=8192)[1], tmp_path)["streams"][0]
    assert same["width"] == 64
    rates = [int(probe(client.result("a.wav", sound(4), "mp3", bitrate=rate)[1], tmp_path)["format"]["bit_rate"]) for rate in (32, 64)]
    assert rates[0] < 40000 < rates[1]
    problem(client.convert(client.upload("a.wav", sound()).json()["job_id"], "mp3", bitrate=9), 400, "bad_request")
    problem(client.convert(client.upload("a.wav", sound()).json()["job_id"], "flac", bitrate=64), 400, "bad_request")


def frames(data, tmp_path, *demuxer):
    """The pictures of an animation, as FFmpeg counts them."""
    (tmp_path / "animated").write_bytes(data)
    done = subprocess.run(["ffprobe", "-v", "error", *demuxer, "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", tmp_path / "animated"],
                          check=True, capture_output=True, text=True, timeout=60)
    return int(done.stdout.strip().strip(","))


def test_animations(client, tmp_path):
    """Ten pictures in a second stay ten, of 25 twelve are left; an animation keeps its own."""
    fast = tmp_path / "fast.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=1", "-c:v", "mpeg4", fast], check=True, timeout=60)
    apng = client.result("a.mp4", fast.read_bytes(), "apng")[1]
    assert apng.startswith(b"\x89PNG") and frames(apng, tmp_path, "-f", "apng") == 12
    assert client.result("a.mp4", fast.read_bytes(), "webp")[1].count(b"ANMF") == 12
    gif = client.result("a.apng", apng, "gif")[1]
    assert gif.startswith(b"GIF89a") and frames(gif, tmp_path) == 12
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=20:duration=1", tmp_path / "a.gif"], check=True, timeout=60)
    assert frames(client.result("a.gif", (tmp_path / "a.gif").read_bytes(), "apng")[1], tmp_path, "-f", "apng") == 20


def test_one_picture_is_no_animation(client):
    job = client.wait(client.start("a.y4m", film(frames=1), "apng"))
    assert (job["status"], job["error_code"]) == ("failed", "no_output")


def brightness(path):
    return float(subprocess.run(["convert", path, "-colorspace", "gray", "-format", "%[fx:mean]", "info:"], check=True, capture_output=True, text=True, timeout=60).stdout)


def test_a_picture_of_a_film(client, tmp_path):
    """By itself one that is like most of the first seconds, not the black one that films begin with; or the one that is asked for."""
    black, white = ["-f", "lavfi", "-i", "color=black:size=64x48:rate=10:duration=1"], ["-f", "lavfi", "-i", "color=white:size=64x48:rate=10:duration=6"]
    subprocess.run(["ffmpeg", "-v", "error", *black, *white, "-filter_complex", "[0:v][1:v]concat", "-c:v", "mpeg4", tmp_path / "a.mp4"], check=True, timeout=60)
    data, seen = (tmp_path / "a.mp4").read_bytes(), {}
    for name, options in {"typical": {}, "later": {"at": 3, "width": 32}}.items():
        job, picture = client.result("a.mp4", data, "jpg", **options)
        (tmp_path / f"{name}.jpg").write_bytes(picture)
        seen[name] = brightness(tmp_path / f"{name}.jpg"), probe(picture, tmp_path)["streams"][0]["width"]
    assert seen["typical"][0] > 0.9 and seen["typical"][1] == 64
    assert seen["later"][0] > 0.9 and seen["later"][1] == 32
    png = client.result("a.y4m", film(frames=1), "png")[1]
    assert png.startswith(b"\x89PNG") and b"acTL" not in png
    job = client.wait(client.start("a.mp4", data, "png", at=60))
    assert (job["status"], job["error_code"]) == ("failed", "no_output")


SRT = "1\n00:00:01,500 --> 00:00:02,000\n<i>Grüße</i>\nund mehr\n\n2\n01:00:00,000 --> 01:00:01,000\n42\n"


def test_subtitles(client):
    job, vtt = client.result("a.srt", SRT.encode(), "vtt")
    assert "00:01.500 --> 00:02.000\n<i>Grüße</i>\nund mehr\n" in vtt.decode() and "01:00:00.000 --> 01:00:01.000\n42" in vtt.decode()
    assert job["engine"] == "media"
    assert "Dialogue: 0,0:00:01.50,0:00:02.00,Default,,0,0,0,,{\\i1}Grüße{\\i0}\\Nund mehr" in client.result("a.vtt", vtt, "ass")[1].decode()
    assert client.result("a.srt", SRT.encode(), "txt")[1].decode() == "Grüße\nund mehr\n\n42\n"


@pytest.mark.parametrize("charset", ["cp1252", "utf-16", "utf-8-sig"])
def test_subtitles_in_other_charsets(client, charset):
    assert client.result("a.srt", SRT.encode(charset), "txt")[1].decode() == "Grüße\nund mehr\n\n42\n"


def test_subtitles_of_a_film(client, tmp_path):
    (tmp_path / "a.y4m").write_bytes(film())
    (tmp_path / "a.srt").write_text(SRT)
    subprocess.run(["ffmpeg", "-v", "error", "-i", "a.y4m", "-i", "a.srt", "-c:s", "srt", "a.mkv"], cwd=tmp_path, check=True, timeout=60)
    mkv = (tmp_path / "a.mkv").read_bytes()
    assert "00:00:01,500 --> 00:00:02,000\n<i>Grüße</i>\nund mehr\n" in client.result("a.mkv", mkv, "srt")[1].decode().replace("\r", "")
    assert [stream["codec_type"] for stream in probe(client.result("a.mkv", mkv, "mp4")[1], tmp_path)["streams"]] == ["video"]
    subprocess.run(["ffmpeg", "-v", "error", "-i", "a.y4m", "b.mkv"], cwd=tmp_path, check=True, timeout=60)
    job = client.wait(client.start("b.mkv", (tmp_path / "b.mkv").read_bytes(), "srt"))
    assert (job["status"], job["error_code"]) == ("failed", "no_output")


@pytest.mark.parametrize("name, text", [
    ("a.srt", "Hello\n\n00:00:01 Bye\n"), ("a.vtt", SRT), ("a.ass", SRT), ("a.sub", SRT), ("a.lrc", "Hello\n"), ("a.scc", "94ae 94ae\n"), ("a.smi", "<html><p>SAMI"),
    ("a.srt", "#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n"), ("a.sub", "# VobSub index file, v7\n")])
def test_what_are_no_subtitles(client, name, text):
    problem(client.upload(name, text.encode()), 422, "type_mismatch")


def test_a_bare_stream_under_the_name_of_a_packed_one(client, tmp_path):
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=1", "-f", "mpeg2video", tmp_path / "a.m2v"], check=True, timeout=60)
    for name in "a.m2v", "a.mpg":
        assert probe(client.result(name, (tmp_path / "a.m2v").read_bytes(), "mp4")[1], tmp_path)["streams"][0]["nb_frames"] in ("25", "26")


def test_what_is_damaged_says_so(client):
    mp4 = client.result("a.y4m", film(), "mp4")[1]
    for name, data in ("a.mp4", mp4[:200]), ("a.wav", sound()[:44]), ("a.mkv", b"\x1aE\xdf\xa3\xa3B\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x88matroska" + b"\0" * 500):
        answer = client.upload(name, data)
        if answer.status_code == 422:
            continue
        job_id = answer.json()["job_id"]
        assert client.convert(job_id, "mp3" if name == "a.wav" else "webm").status_code == 202
        job = client.wait(job_id)
        assert job["status"] == "failed" and job["error_code"] in ("corrupt_input", "no_output"), (name, job)


PLAYLIST = b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize("name", ["a.mp4", "a.ts", "a.avi", "a.mkv", "a.mp3", "a.y4m"])
@pytest.mark.parametrize("data", [PLAYLIST, b"ffconcat version 1.0\nfile '/etc/passwd'\n", b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n"], ids=["hls", "concat", "sdp"])
def test_a_list_of_files_is_no_film(client, name, data):
    problem(client.upload(name, data), 422, "type_mismatch")


def test_a_film_that_refers_to_a_file(client, tmp_path):
    """QuickTime's data references: FFmpeg may follow none, and there is nothing to be had."""
    (tmp_path / "a.y4m").write_bytes(film())
    subprocess.run(["ffmpeg", "-v", "error", "-i", "a.y4m", "a.mov"], cwd=tmp_path, check=True, timeout=60)
    mov = (tmp_path / "a.mov").read_bytes()
    reference = b"/etc/passwd"
    at = mov.index(b"dref")
    size = int.from_bytes(mov[at - 4:at], "big")
    # A reference of the same size in the place of the one that means the file itself: sizes of boxes stay right.
    assert size >= 28
    changed = mov[:at + 12] + struct.pack(">I4sI", size - 16, b"url ", 0) + reference[:size - 28].ljust(size - 28, b"\0") + mov[at - 4 + size:]
    assert len(changed) == len(mov)
    answer = client.upload("a.mov", changed)
    if answer.status_code == 201:
        client.convert(answer.json()["job_id"], "mp4")
        assert client.wait(answer.json()["job_id"])["error_code"] in (None, "corrupt_input", "no_output")


def ffmpegs(server):
    """FFmpeg's processes below this server."""
    parents = {}
    for line in subprocess.run(["ps", "-e", "-o", "pid=,ppid=,comm="], capture_output=True, text=True, check=True).stdout.splitlines():
        pid, parent, name = line.split(None, 2)
        parents[int(pid)] = int(parent), name

    def is_ours(pid):
        while pid in parents and pid != server.process.pid:
            pid = parents[pid][0]
        return pid == server.process.pid

    return [pid for pid, (_, name) in parents.items() if name == "ffmpeg" and is_ours(pid)]


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """A film of some megabytes that takes a while to become WebM."""
    path = tmp_path_factory.mktemp("slow") / "slow.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25:duration=20", "-c:v", "mpeg4", "-q:v", "20", path], check=True, timeout=300)
    return path.read_bytes()


def test_progress_is_told(client, slow):
    job_id = client.start("a.mp4", slow, "webm")
    seen = []
    while not seen or seen[-1]["status"] not in ("completed", "failed"):
        seen.append(client.status(job_id, wait=5).json())
    assert seen[-1]["status"] == "completed", seen[-1]
    assert len({job["progress"] for job in seen if 0 < job["progress"] < 100}) >= 3


@pytest.mark.parametrize("mode", ["full", "reduced"])
def test_the_program_ends_with_the_job(own_server, slow, mode):
    server = own_server("media", DECANT_SANDBOX=mode)
    client = Client(server.url)
    client.init()
    assert client.result("a.wav", sound(), "flac")[1].startswith(b"fLaC")
    client.start("a.mp4", slow, "webm")
    eventually(lambda: ffmpegs(server))
    assert client.close().status_code == 200
    assert not ffmpegs(server)


def test_a_picture_too_large_to_decode(client):
    head = b"YUV4MPEG2 W40000 H40000 F10:1 Ip A1:1 C420jpeg\nFRAME\n" + b"\x10" * 1000
    job = client.wait(client.start("a.y4m", head, "mp4"))
    assert job["status"] == "failed" and job["error_code"] in ("too_complex", "corrupt_input", "no_output")
