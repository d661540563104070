"""Sound, films and subtitles: lists of other files in disguise, references, and sizes, counts and times that lie."""

import struct

from . import add, case

REFUSED = "type_mismatch"
NOTHING = "corrupt_input no_output"
BOUNDED = "completed corrupt_input no_output too_complex timed_out"


# --- lists of files: FFmpeg, left to itself, would open what they name

def lists(c):
    path, url = c.local("txt")[1], c.remote("txt")[0]
    return {
        "hls": f"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10,\n{url}\n#EXTINF:10,\nfile://{path}\n#EXT-X-ENDLIST\n",
        "ffconcat": f"ffconcat version 1.0\nfile '{path}'\nfile '{url}'\n",
        "dash": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S"><Period><BaseURL>{url}</BaseURL>'
                f'<AdaptationSet><Representation id="1" mimeType="video/mp4"><BaseURL>file://{path}</BaseURL></Representation></AdaptationSet></Period></MPD>',
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {c.ports[0]} RTP/AVP 0\n",
        "pls": f"[playlist]\nFile1={url}\nFile2={path}\nNumberOfEntries=2\n",
        "smil": f'<smil><body><video src="{url}"/><audio src="{path}"/></body></smil>',
        "asx": f'<asx version="3.0"><entry><ref href="{url}"/></entry></asx>',
        "rtsp": f"rtsptext{url}\n",
        "ffmetadata": f";FFMETADATA1\ntitle={path}\n",
        "cue": f'FILE "{path}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n'}


for kind in ("hls", "ffconcat", "dash", "sdp", "pls", "smil", "asx", "rtsp", "ffmetadata", "cue"):
    for name, target in (("a.mp4", "webm"), ("a.srt", "vtt"), ("a.mp3", "wav")):
        add(f"{kind}-named-{name[2:]}", name, target, REFUSED, lambda c, kind=kind: lists(c)[kind].encode())

# The first bytes are of what it is named; behind them, where its demuxer finds nothing, is a list.
HEADS = {"ts": (b"G" + bytes(187) + b"G", "mp4"), "mp3": (b"ID3\4\0\0\0\0\0\0", "wav"), "mkv": (b"\x1aE\xdf\xa3\x80", "mp4"), "aac": (b"\xff\xf1\x50\x80", "wav"),
         "mpg": (b"\0\0\1\xba" + bytes(8), "mp4"), "wav": (b"RIFF\xff\xff\xff\x7fWAVE", "mp3"), "mp4": (struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0), "webm"),
         "h264": (b"\0\0\0\1\x67", "mp4"), "mjpeg": (b"\xff\xd8\xff\xe0", "mp4"), "flv": (b"FLV\1\5\0\0\0\x09\0\0\0\0", "mp4")}
for name, (head, target) in HEADS.items():
    for kind in ("hls", "ffconcat"):
        add(f"{kind}-in-{name}", f"a.{name}", target, BOUNDED + " " + REFUSED, lambda c, head=head, kind=kind: head + lists(c)[kind].encode())


# --- MPEG-4

def box(kind, *parts):
    data = b"".join(parts)
    return struct.pack(">I4s", len(data) + 8, kind) + data


def full(kind, *parts):
    return box(kind, bytes(4), *parts)


def movie(references, sizes=None, times=None, samples=1, side=8):
    """A film of raw pictures whose bytes lie where `references`, boxes of a dref, say."""
    entry = struct.pack(">6xHHHIIIHHIIIH32sHH", 1, 0, 0, 0, 0, 0, side, side, 0x480000, 0x480000, 0, 1, b"", 24, 0xffff)
    table = box(b"stbl", full(b"stsd", struct.pack(">I", 1), box(b"raw ", entry)), times or full(b"stts", struct.pack(">III", 1, samples, 1000)),
                full(b"stsc", struct.pack(">IIII", 1, 1, samples, 1)), sizes or full(b"stsz", struct.pack(">II", min(side * side * 3, 0xffffffff), samples)),
                full(b"stco", struct.pack(">II", 1, 0)))
    media = box(b"mdia", full(b"mdhd", struct.pack(">IIIIHH", 0, 0, 1000, min(samples * 1000, 0xffffffff), 0, 0)), full(b"hdlr", struct.pack(">4s4s12xB", b"mhlr", b"vide", 0)),
                box(b"minf", full(b"vmhd", bytes(8)), box(b"dinf", full(b"dref", struct.pack(">I", len(references)), *references)), table))
    header = full(b"tkhd", struct.pack(">IIIII8xHHHH", 0, 0, 1, 0, min(samples * 1000, 0xffffffff), 0, 0, 0, 0), bytes(36), struct.pack(">II", side << 16, side << 16))
    return box(b"ftyp", b"qt  ", bytes(4), b"qt  ") + box(b"moov", full(b"mvhd", struct.pack(">IIII", 0, 0, 1000, min(samples * 1000, 0xffffffff)), bytes(80)), box(b"trak", header, media))


def alias(path):
    """An `alis` reference, by the records that FFmpeg reads: the path (2), the volume (18 and 19)."""
    path = path.encode()
    record = struct.pack(">HHHHH", 0, 2, len(path), 0, 0)[2:6] + path + b"\0" * (len(path) % 2)
    return full(b"alis", struct.pack(">6xH", 150), bytes(2), b"\1v" + bytes(26), bytes(4), struct.pack(">B", len(path[-63:])), path[-63:].ljust(63, b"\0"), bytes(16),
                struct.pack(">HH", 0xffff, 0xffff), bytes(16), record, struct.pack(">HH", 0xffff, 0))


for name in ("mov", "mp4"):
    add(f"{name}-data-in-url", f"a.{name}", "png", BOUNDED, lambda c: movie([full(b"url ", url.encode() + b"\0") for url in c.everywhere("txt")]))
    add(f"{name}-data-in-alias", f"a.{name}", "png", BOUNDED, lambda c: movie([alias(path) for path in c.local("txt")]))
add("mov-samples-without-end", "a.mov", "mp4", BOUNDED, lambda c: movie(
    [box(b"url ", b"\0\0\0\1")], full(b"stsz", struct.pack(">II", 1, 0x7fffffff)), full(b"stts", struct.pack(">III", 1, 0x7fffffff, 1)), 0x7fffffff))
add("mov-sizes-without-table", "a.mov", "mp4", BOUNDED, lambda c: movie([box(b"url ", b"\0\0\0\1")], full(b"stsz", struct.pack(">II", 0, 0x0fffffff))))
add("mov-huge-side", "a.mov", "png", BOUNDED, lambda c: movie([box(b"url ", b"\0\0\0\1")], side=65535))


@case("mp4-nested", "a.mp4", "webm", BOUNDED)
def _(c):
    data = b""
    for _ in range(20000):
        data = box(b"moov" if len(data) % 3 else b"trak", data)
    return box(b"ftyp", b"isom", bytes(4)) + data


add("mp4-box-of-all", "a.mp4", "webm", BOUNDED, lambda c: box(b"ftyp", b"isom", bytes(4)) + struct.pack(">I4sQ", 1, b"moov", 2**63 - 1) + bytes(64))


# --- Matroska: sizes up to 2^56 - 2

def element(identity, data, size=None):
    return bytes.fromhex(identity) + (b"\x01" + (len(data) if size is None else size).to_bytes(7, "big")) + data


EBML = b"\x1aE\xdf\xa3\x9bB\x86\x81\1B\xf7\x81\1B\xf2\x81\4B\xf3\x81\x08B\x82\x88matroska"
HUGE = 2**56 - 2
for name, data in {
        "segment": element("18538067", b"", HUGE), "cluster": element("18538067", element("1f43b675", b"\xe7\x81\0", HUGE), HUGE),
        "attachment": element("18538067", element("1941a469", element("61a7", element("466e", b"a.ttf") + element("465c", b"x", HUGE), HUGE), HUGE), HUGE),
        "codec-private": element("18538067", element("1654ae6b", element("ae", element("86", b"V_MPEG4/ISO/AVC") + element("63a2", b"x", 2**31), HUGE), HUGE), HUGE),
        "void": element("18538067", element("ec", b"", HUGE) * 50, HUGE), "nested": element("18538067", element("1254c367", b"", HUGE) * 5000, HUGE)}.items():
    add(f"mkv-huge-{name}", "a.mkv", "mp4", NOTHING + " too_complex timed_out", lambda c, data=data: EBML + data)


@case("mkv-nested-tags", "a.mkv", "mp3", BOUNDED)
def _(c):
    data = b""
    for _ in range(3000):
        data = element("67c8", data)
    return EBML + element("18538067", element("1254c367", element("7373", data)))


# --- counts and times

def y4m(rate, frames, side=16):
    frame = b"FRAME\n" + bytes(side * side * 3 // 2)
    return f"YUV4MPEG2 W{side} H{side} F{rate} Ip A1:1 C420jpeg\n".encode() + frame * frames


# Two pictures, between which lie weeks: in a format with a picture each 40 ms that is a billion of them.
for target in ("mpg", "mp4", "gif", "nut", "webp", "png"):
    add(f"y4m-slow-to-{target}", "a.y4m", target, BOUNDED, lambda c: y4m("1:2000000000", 3))
add("y4m-fast", "a.y4m", "mp4", BOUNDED, lambda c: y4m("2000000000:1", 200))
add("y4m-no-rate", "a.y4m", "mp4", BOUNDED, lambda c: y4m("0:0", 3))
add("y4m-pixels", "a.y4m", "png", "too_complex " + NOTHING, lambda c: b"YUV4MPEG2 W60000 H60000 F25:1 C420jpeg\nFRAME\n" + bytes(1000))


def wav(channels=1, rate=8000, bits=16, size=None, data=bytes(50)):
    head = struct.pack("<HHIIHH", 1, channels, rate & 0xffffffff, rate * channels * bits // 8 & 0xffffffff, channels * bits // 8 & 0xffff, bits)
    size = len(data) if size is None else size
    return b"RIFF" + struct.pack("<I", 0xffffffff) + b"WAVEfmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", size) + data


add("wav-4g-of-50-bytes", "a.wav", "flac", BOUNDED, lambda c: wav(size=0xffffffff))
add("wav-many-channels", "a.wav", "mp3", BOUNDED, lambda c: wav(channels=65535, bits=8, data=bytes(200000)))
add("wav-slow", "a.wav", "mp3", BOUNDED, lambda c: wav(rate=1, data=bytes(100000)))
add("wav-fast", "a.wav", "mp3", BOUNDED, lambda c: wav(rate=0x7fffffff, data=bytes(100000)))
add("wav-no-bits", "a.wav", "mp3", BOUNDED, lambda c: wav(bits=0))
add("au-slow", "a.au", "ogg", BOUNDED, lambda c: b".snd" + struct.pack(">IIIII", 24, 0xffffffff, 3, 1, 1) + bytes(5000))
add("dsf-huge", "a.dsf", "wav", BOUNDED, lambda c: struct.pack("<4sQQQ4sQIIIIIIQII4sQ", b"DSD ", 28, 2**63, 2**63, b"fmt ", 52, 1, 0, 1, 6, 0x7fffffff, 1, 2**63, 0x7fffffff, 0,
                                                                b"data", 2**63) + bytes(999))
add("dff-huge", "a.dff", "wav", BOUNDED, lambda c: b"FRM8" + struct.pack(">Q", 2**63 - 1) + b"DSD PROP" + struct.pack(">Q", 2**63 - 1) + b"SND CHNL" + struct.pack(">QH", 2**62, 65535))


@case("avi-huge-index", "a.avi", "mp4", BOUNDED)
def _(c):
    main = struct.pack("<IIIIIIIIIIIIII", 40000, 0, 0, 0x10, 0x7fffffff, 0, 1, 0, 64, 64, 0, 0, 0, 0)
    stream = struct.pack("<4s4sIHHIIIIIIIIHHHH", b"vids", b"MJPG", 0, 0, 0, 0, 1, 25, 0, 0x7fffffff, 0, 0, 0, 0, 0, 64, 64)
    picture = struct.pack("<IiiHH4sIiiII", 40, 64, 64, 1, 24, b"MJPG", 0, 0, 0, 0, 0)

    def chunk(name, data, size=None):
        return name + struct.pack("<I", len(data) if size is None else size) + data

    lists_ = chunk(b"LIST", b"hdrl" + chunk(b"avih", main) + chunk(b"LIST", b"strl" + chunk(b"strh", stream) + chunk(b"strf", picture)))
    index = struct.pack("<4sIII", b"00dc", 0x10, 4, 0x7fffffff) * 300_000
    return b"RIFF\xff\xff\xff\xffAVI " + lists_ + chunk(b"LIST", b"movi" + chunk(b"00dc", b"x" * 8)) + chunk(b"idx1", index, 0xffffffff)


@case("mod-without-end", "a.mod", "wav", BOUNDED)
def _(c):
    """Two kilobytes that play for hours: the slowest tempo, each row repeated, and each pattern played 128 times."""
    samples = struct.pack(">22sHBBHH", b"", 16, 0, 64, 0, 16) * 31
    row = bytes([0, 0xd6, 0x1f, 0x20]) + bytes([0, 0, 0x0f, 0x1f]) + bytes([0, 0, 0x0e, 0xef]) + bytes([0, 0, 0x0e, 0x6f])
    return b"x".ljust(20, b"\0") + samples + bytes([128, 127]) + bytes(128) + b"M.K." + row * 64 + bytes(range(32)) * 31


add("xm-counts", "a.xm", "mp3", BOUNDED, lambda c: b"Extended Module: " + bytes(20) + b"\x1a" + bytes(20) + struct.pack("<HIHHHHHHHH", 0x104, 276, 256, 0, 65535, 65535, 65535, 0, 6, 125)
    + bytes(256) + b"\xff" * 5000)
add("it-counts", "a.it", "mp3", BOUNDED, lambda c: b"IMPM" + bytes(26) + struct.pack("<HHHHH", 0, 65535, 65535, 65535, 65535) + b"\xff" * 5000)


@case("apng-long", "a.apng", "gif", BOUNDED)
def _(c):
    """Each picture is shown for 18 hours."""
    from . import chunk
    import zlib
    data = zlib.compress(b"\0" + bytes(3))
    frames = b"".join(chunk(b"fcTL", struct.pack(">IIIIIHHBB", 2 * i, 1, 1, 0, 0, 65535, 1, 0, 0)) + (chunk(b"IDAT", data) if i == 0 else chunk(b"fdAT", struct.pack(">I", 2 * i + 1) + data))
                      for i in range(2000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)) + chunk(b"acTL", struct.pack(">II", 0xffffffff, 0)) + frames + chunk(b"IEND", b"")


add("gif-long-to-apng", "a.gif", "apng", BOUNDED, lambda c: b"GIF89a\1\0\1\0\x80\0\0" + bytes(6) + (b"!\xf9\4\0\xff\xff\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0") * 20000 + b";")
add("flc-slow", "a.flc", "mpg", BOUNDED, lambda c: struct.pack("<IHHHHHHI", 160, 0xaf12, 65535, 8, 8, 8, 3, 0xffffffff).ljust(128, b"\0") + struct.pack("<IHH8x", 16, 0xf1fa, 0) * 100)
add("gsm-of-nothing", "a.gsm", "wav", BOUNDED, lambda c: (b"\xd2" + bytes(32)) * 50000)
add("rm-counts", "a.rm", "mp4", BOUNDED, lambda c: b".RMF" + struct.pack(">IHII", 18, 0, 0, 0xffffffff) + b"MDPR" + struct.pack(">IH", 0xffffffff, 0) + b"\xff" * 3000)
add("wtv-cut", "a.wtv", "mp4", BOUNDED, lambda c: bytes.fromhex("b7d800203749da11a64e0007e95ead8d") + b"\xff" * 5000)

# --- subtitles

TIMES = "00:00:01,000 --> 00:00:02,000\n"


@case("srt-one-cue", "a.srt", "vtt", BOUNDED)
def _(c):
    return ("1\n" + TIMES + "<b>x " * 5_500_000).encode()


add("srt-many-cues", "a.srt", "ass", BOUNDED, lambda c: f"1\n{TIMES}x\n\n".encode() * 600_000)
add("srt-one-line", "a.srt", "txt", BOUNDED, lambda c: f"1\n{TIMES}".encode() + b"x" * 28_000_000)
add("srt-no-time", "a.srt", "vtt", BOUNDED, lambda c: b"1\n99999999999999999999:99:99,999 --> 0:0:0,0\nx\n\n2\n00:00:01,000 --> 00:00:00,000\ny\n")
add("vtt-nested", "a.vtt", "srt", BOUNDED, lambda c: b"WEBVTT\n\n00:01.000 --> 00:02.000\n" + b"<c.x><i>" * 500_000 + b"x\n")
add("ass-nested", "a.ass", "srt", BOUNDED, lambda c: b"[Script Info]\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    b"Dialogue: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,," + b"{\\t(\\clip(" * 300_000 + b"x\n")
add("lrc-times", "a.lrc", "srt", BOUNDED, lambda c: b"[99999999999:99.99]x\n[-1:-1.0]y\n" + b"[00:01.00]" * 500_000 + b"z\n")
add("sub-times", "a.sub", "srt", BOUNDED, lambda c: b"{1}{1}0.000000001\n{0}{99999999999999999999}x\n{2147483647}{1}y\n")
add("scc-long", "a.scc", "srt", BOUNDED, lambda c: b"Scenarist_SCC V1.0\n\n00:00:00:00\t" + b"9420 9470 c8e5 " * 500_000 + b"\n")


@case("smi-references", "a.smi", "ass", "completed")
def _(c):
    links = "".join(f'<LINK rel=stylesheet href="{u}"><STYLE>@import url({u});</STYLE>' for u in c.everywhere("css"))
    return f'<SAMI><HEAD>{links}</HEAD><BODY><SYNC Start=0><P>Hello<IMG src="{c.remote()[0]}"><SYNC Start=500><P>&nbsp;</BODY></SAMI>'.encode()


@case("ass-fonts", "a.ass", "srt", "completed")
def _(c):
    """A font that is a file of the machine, and one that is attached."""
    return ("[Script Info]\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\n" + "".join(f"Style: s{i},{u},16\n" for i, u in enumerate(c.everywhere("txt")))
            + "\n[Fonts]\nfontname: " + c.local("txt")[1] + "\n" + "!" * 80 + "\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
            "Dialogue: 0,0:00:00.00,0:00:01.00,s0,,0,0,0,,Hello{\\fn" + c.local("txt")[0] + "} there\n").encode()


@case("vtt-styles", "a.vtt", "ttml", "completed")
def _(c):
    styles = "".join(f"STYLE\n::cue {{ background: url({u}) }}\n\n" for u in c.everywhere("css"))
    return f"WEBVTT\n\n{styles}00:01.000 --> 00:02.000\nHello\n".encode()


@case("srt-with-page", "a.srt", "ttml", "completed")
def _(c):
    return f"1\n{TIMES}Hello <script>fetch('{c.remote()[0]}')</script><img src='{c.local()[0]}'>\n".encode()
