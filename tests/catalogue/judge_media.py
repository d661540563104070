"""Is it sound, a film or a list of subtitles, in the packing that its name says, and does it last the second that each fixture lasts (sources_media.py)?

FFmpeg's tools read what FFmpeg wrote, but by themselves: they find out what the file is from its bytes. Subtitles are read here."""

import re
import subprocess
from xml.etree import ElementTree

PROBED = {  # what FFmpeg's demuxer is called
    "mp3": "mp3", "mp2": "mp3", "m4a": "mov", "m4b": "mov", "m4r": "mov", "aac": "aac", "ogg": "ogg", "oga": "ogg", "opus": "ogg", "spx": "ogg", "flac": "flac", "wav": "wav",
    "w64": "w64", "aiff": "aiff", "au": "au", "ac3": "ac3", "eac3": "eac3", "wma": "asf", "mka": "matroska", "weba": "matroska", "caf": "caf", "tta": "tta", "wv": "wv", "voc": "voc",
    "gsm": "gsm", "mp4": "mov", "mov": "mov", "m4v": "mov", "3gp": "mov", "3g2": "mov", "f4v": "mov", "mkv": "matroska", "webm": "matroska", "avi": "avi", "flv": "flv",
    "wmv": "asf", "mpg": "mpeg", "vob": "mpeg", "ts": "mpegts", "m2ts": "mpegts", "ogv": "ogg", "mxf": "mxf", "nut": "nut", "y4m": "yuv4mpegpipe", "apng": "apng"}
FILMS = {"mp4", "mov", "m4v", "3gp", "3g2", "f4v", "mkv", "webm", "avi", "flv", "wmv", "mpg", "vob", "ts", "m2ts", "ogv", "mxf", "nut", "y4m", "apng"}
CODECS = {"m4a": "aac", "m4b": "aac", "m4r": "aac", "weba": "opus", "gsm": "gsm", "mp3": "mp3", "mp2": "mp2", "flac": "flac", "oga": "flac", "opus": "opus", "webm": "vp9", "mp4": "h264"}
TEXTS = ("srt", "vtt", "ass", "lrc", "ttml")
FORMATS = {*PROBED, *TEXTS}
SAID = ("Hello from a test.", ("Bücher", "Books"))  # at 0 and at 0.5 s; captions of televisions have few letters


def said(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{words[0]}: {done.stderr.strip()[-200:]}"
    return done.stdout


def probe(path, format):
    # An animation, or what has no name for it in its bytes, is found by its own name alone.
    named = ["-f", format] if format in ("apng", "gsm") else []
    lines = said("ffprobe", "-v", "error", *named, "-show_entries", "format=format_name:stream=codec_type,codec_name", "-of", "csv=p=0", path).splitlines()
    lines = [line.rstrip(",") for line in lines if line.strip(",")]
    assert PROBED[format] in lines[-1], f"ffprobe sees {lines[-1]}"
    streams = [line.split(",") for line in lines[:-1]]
    kind = "video" if format in FILMS else "audio"
    assert any(stream[1] == kind and stream[0] == CODECS.get(format, stream[0]) for stream in streams), f"ffprobe sees {streams}"
    done = subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-progress", "pipe:1", *named, "-i", path, "-map", "0:v:0" if format in FILMS else "0:a:0", "-f", "null", "-"],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == "", done.stderr.strip()[-200:]
    # GXF has its sound in pieces of two thirds of a second.
    lasts = int(re.findall(r"out_time_us=(\d+)", done.stdout)[-1]) / 1e6
    assert 0.85 <= lasts <= 1.5, f"it lasts {lasts} s"


def seconds(time):
    parts = [float(part) for part in time.replace(",", ".").split(":")]
    return sum(part * 60 ** i for i, part in enumerate(reversed(parts)))


def cues(path, format):
    """[(start, text without its markup), …]"""
    text = path.read_text(encoding="utf-8")
    if format == "ttml":
        name = "{http://www.w3.org/ns/ttml}"
        root = ElementTree.fromstring(text)
        assert root.tag == name + "tt"
        return [(seconds(p.get("begin")), "".join(p.itertext()).strip()) for p in root.iter(name + "p")]
    if format == "ass":
        assert text.startswith("[Script Info]") and "[V4+ Styles]" in text
        found = re.findall(r"^Dialogue: [^,]*,([^,]*),[^,]*,(?:[^,]*,){6}(.*)$", text, re.M)
    elif format == "lrc":
        found = re.findall(r"^\[(\d+:\d+\.\d+)\](.*)$", text, re.M)
    else:
        assert format == "srt" or text.startswith("WEBVTT")
        found = re.findall(r"^([\d:.,]+) --> [\d:.,]+.*\n((?:.+\n?)+)", text, re.M)
    return [(seconds(start), re.sub(r"<[^>]*>|\{[^}]*\}", "", words).strip()) for start, words in found]


def judge(path, format):
    if format in PROBED:
        probe(path, format)
        return
    found = cues(path, format)
    assert [words for _, words in found] in [[SAID[0], second] for second in SAID[1]], found
    assert found[0][0] < 0.05 and abs(found[1][0] - 0.5) < 0.05, found
