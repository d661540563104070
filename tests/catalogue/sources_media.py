"""Sound, films and subtitles that sources.py has no one-line recipe for: by FFmpeg, SoX, mpcenc and libvo-amrwbenc, and by hand where no stock tool writes the format.

All of them last a second, and what is said in subtitles is the same in each: judge_media.py relies on that."""

import ctypes
import math
import struct
import subprocess

SOUND = ["-f", "lavfi", "-i", "sine=frequency=440:duration=1:sample_rate=44100"]
RATE = 44100


def picture(size="96x64", rate=25):
    return ["-f", "lavfi", "-i", f"testsrc=size={size}:rate={rate}:duration=1"]


# FFmpeg's words, and the picture that the format insists on.
FFMPEG = {
    "m4b": "-f ipod", "m4r": "-f ipod", "weba": "-c:a libopus -f webm", "gsm": "-ar 8000 -ac 1 -c:a libgsm -f gsm", "mlp": "-c:a mlp -strict -2", "thd": "-c:a truehd -strict -2",
    "latm": "-c:a aac -f latm", "ra": "-c:a ac3 -f rm", "c2": "-ar 8000 -ac 1 -c:a libcodec2 -f codec2", "mmf": "-ar 8000 -ac 1", "ast": "-ac 2", "sf": "-f ircam"}
FILMS = {
    "rm": ("-c:v rv20 -c:a ac3", picture()), "wtv": ("-c:v mpeg2video -c:a mp2", picture()), "gxf": ("-c:v mpeg2video -pix_fmt yuv422p -ar 48000 -ac 1", picture("720x576")),
    "amv": ("-ar 22050 -ac 1 -block_size 882 -f amv", picture()), "roq": ("-ar 22050", picture("128x64", 30)), "cpk": ("-c:v cinepak -c:a pcm_s16be_planar -f film_cpk", picture()),
    "smjpeg": ("-c:v mjpeg -f smjpeg", picture())}
SILENT = {
    "apng": "-f apng", "gif": "", "mjpeg": "-f mjpeg", "m2v": "-c:v mpeg2video -f mpeg2video", "h264": "-c:v libx264 -pix_fmt yuv420p -f h264",
    "hevc": "-c:v libx265 -pix_fmt yuv420p -f hevc", "obu": "-c:v libaom-av1 -cpu-used 8 -pix_fmt yuv420p -f obu"}
# With subtitles in them.
TEXTED = {"mp4": "-pix_fmt yuv420p -c:s mov_text", "mov": "-pix_fmt yuv420p -c:s mov_text", "m4v": "-pix_fmt yuv420p -f ipod -c:s mov_text", "mkv": "-c:s subrip",
          "webm": "-c:v libvpx -c:a libvorbis -c:s webvtt"}
SOX = {"amr": "-r 8000 -c 1 -t amr-nb", "avr": "-r 22050 -c 1 -b 16", "8svx": "-r 22050 -c 1", "maud": "-r 22050 -c 1", "hcom": "-r 22050 -c 1", "sph": "-r 16000 -c 1",
       "wve": "-r 8000 -c 1", "pvf": "-r 8000 -c 1 -b 16"}

ASS = ("[Script Info]\nScriptType: {0}\nPlayResX: 384\nPlayResY: 288\n\n[{1} Styles]\nFormat: Name, Fontname, Fontsize, PrimaryColour, Bold, Italic, Alignment, MarginL, MarginR, MarginV, Encoding\n"
       "Style: Default,Arial,16,16777215,0,0,2,10,10,10,0\n\n[Events]\nFormat: {2}Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
       "Dialogue: {3}0:00:00.00,0:00:00.50,Default,,0,0,0,,Hello from a{4}\nDialogue: {3}0:00:00.50,0:00:01.00,Default,,0,0,0,,Bücher\n")
SUBTITLES = {
    "srt": "1\n00:00:00,000 --> 00:00:00,500\nHello from a <i>test</i>.\n\n2\n00:00:00,500 --> 00:00:01,000\nBücher\n",
    "vtt": "WEBVTT\n\n00:00.000 --> 00:00.500\nHello from a <i>test</i>.\n\n00:00.500 --> 00:01.000\nBücher\n",
    "ass": ASS.format("v4.00+", "V4+", "Layer, ", "0,", " {\\i1}test{\\i0}."), "ssa": ASS.format("v4.00", "V4", "Marked, ", "Marked=0,", " test."),
    "lrc": "[ti:Title]\n\n[00:00.00]Hello from a test.\n[00:00.50]Bücher\n",
    "sub": "{1}{1}10\n{0}{5}Hello from a test.\n{5}{10}Bücher\n",
    "mpl2": "[0][5]Hello from a test.\n[5][10]Bücher\n",
    "smi": "<SAMI>\n<HEAD><TITLE>t</TITLE></HEAD>\n<BODY>\n<SYNC Start=0><P Class=ENCC>Hello from a test.\n<SYNC Start=500><P Class=ENCC>Bücher\n<SYNC Start=1000><P Class=ENCC>&nbsp;\n</BODY>\n</SAMI>\n",
    "sbv": "0:00:00.000,0:00:00.500\nHello from a test.\n\n0:00:00.500,0:00:01.000\nBücher\n",
    "jss": "#T100\n0:00:00.00 0:00:00.50 D Hello from a test.\n0:00:00.50 0:00:01.00 D Bücher\n",
    "pjs": '0,5,"Hello from a test."\n5,10,"Bücher"\n',
    "aqt": "-->> 0\nHello from a test.\n\n-->> 12\nBücher\n\n-->> 25\n\n"}


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise RuntimeError(f"{words[0]}: {(done.stderr or done.stdout).strip()[-300:]}")


def wave(path, rate=RATE, channels=2):
    run("sox", "-n", "-r", rate, "-c", channels, "-b", 16, path, "synth", 1, "sine", 440)


def musepack(path):
    wave(path.with_suffix(".wav"))
    run("mpcenc", "--overwrite", path.with_suffix(".wav"), path)


def wideband(path):
    """AMR-WB, by the library that SoX is not built with."""
    library = ctypes.CDLL("libvo-amrwbenc.so.0")
    library.E_IF_init.restype = ctypes.c_void_p
    state, out, frame = ctypes.c_void_p(library.E_IF_init()), ctypes.create_string_buffer(100), ctypes.c_short * 320
    data = b"#!AMR-WB\n"
    for i in range(50):
        sound = frame(*(round(9000 * math.sin(2 * math.pi * 440 * (i * 320 + k) / 16000)) for k in range(320)))
        length = library.E_IF_encode(state, 8, sound, out, 0)
        data += out.raw[:length]
    library.E_IF_exit(state)
    path.write_bytes(data)


def one_bit(rate=64 * RATE):
    """A second of a tone by a sigma-delta modulator: the bits of DSD, the first one lowest in its byte."""
    out, error, byte = bytearray(), 0.0, 0
    for i in range(rate):
        error += 0.5 * math.sin(2 * math.pi * 440 * i / rate)
        bit = error > 0
        error -= 1 if bit else -1
        byte |= bit << (i & 7)
        if i & 7 == 7:
            out.append(byte)
            byte = 0
    return bytes(out)


def dsf(path):
    bits = one_bit()
    block = bits.ljust(-(-len(bits) // 4096) * 4096, b"\x69")
    head = struct.pack("<4sQQQ", b"DSD ", 28, 28 + 52 + 12 + len(block), 0)
    layout = struct.pack("<4sQIIIIIIQII", b"fmt ", 52, 1, 0, 1, 1, 64 * RATE, 1, len(bits) * 8, 4096, 0)
    path.write_bytes(head + layout + struct.pack("<4sQ", b"data", 12 + len(block)) + block)


def dff(path):
    def chunk(name, data):
        return name + struct.pack(">Q", len(data)) + data + b"\0" * (len(data) % 2)

    high_first = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))
    properties = b"SND " + chunk(b"FS  ", struct.pack(">I", 64 * RATE)) + chunk(b"CHNL", struct.pack(">H", 1) + b"C   ") + chunk(b"CMPR", b"DSD \x0enot compressed\0")
    path.write_bytes(chunk(b"FRM8", b"DSD " + chunk(b"FVER", struct.pack(">I", 0x01050000)) + chunk(b"PROP", properties) + chunk(b"DSD ", one_bit().translate(high_first))))


# --- modules of trackers: a looped tone, and eight rows of 0.12 s each

TONE = bytes(round(100 * math.sin(2 * math.pi * i / 32)) & 0xff for i in range(32))
ROWS = 8


def mod(path):
    samples = struct.pack(">22sHBBHH", b"tone", 16, 0, 64, 0, 16) + struct.pack(">22sHBBHH", b"", 0, 0, 0, 0, 1) * 30
    first, nothing = struct.pack(">HBB", 214, 0x10, 0), bytes(4)
    stop = struct.pack(">HBB", 0, 0x0d, 0)  # break
    rows = (first + nothing * 3) + (nothing * 4) * (ROWS - 2) + (stop + nothing * 3) + (nothing * 4) * (64 - ROWS)
    path.write_bytes(b"Hello".ljust(20, b"\0") + samples + bytes([1, 127]) + bytes(128) + b"M.K." + rows + TONE)


def s3m(path):
    at = 96 + 2 + 2 + 2  # orders, one instrument, one pattern
    instrument_at, pattern_at, sample_at = -(-at // 16) * 16, 192, 320
    head = struct.pack("<28sBBHHHHHHHH4sBBBBBB8sH", b"Hello", 0x1a, 16, 0, 2, 1, 1, 0, 0x1320, 2, int.from_bytes(b"SC", "little"), b"RM\0\0", 0, 0, 0, 0, 0, 0, b"", 0)
    head = head[:44] + b"SCRM" + bytes([64, 6, 125, 0x30, 0, 0]) + bytes(8) + bytes(2)
    head = head[:64].ljust(64, b"\0") + bytes([0] + [255] * 31)
    lists = bytes([0, 255]) + struct.pack("<HH", instrument_at // 16, pattern_at // 16)
    instrument = struct.pack("<B12sBHIIIBBBBI12s28s4s", 1, b"tone", 0, sample_at // 16, 32, 0, 32, 64, 0, 0, 1, 16744, b"", b"tone", b"SCRS")
    rows = bytes([0x20, 0x40, 1, 0]) + bytes(ROWS - 2) + bytes([0x80, 3, 0, 0]) + bytes(64 - ROWS)
    data = (head + lists).ljust(instrument_at, b"\0") + instrument
    data = data.ljust(pattern_at, b"\0") + struct.pack("<H", len(rows) + 2) + rows
    path.write_bytes(data.ljust(sample_at, b"\0") + bytes(b ^ 0x80 for b in TONE))


def xm(path):
    head = b"Extended Module: " + b"Hello".ljust(20) + b"\x1a" + b"FastTracker v2.00".ljust(20) + struct.pack("<HIHHHHHHHH", 0x104, 276, 1, 0, 2, 1, 1, 1, 6, 125) + bytes(256)
    rows = bytes([49, 1, 0, 0, 0]) + bytes(5) + bytes(10) * (ROWS - 1)
    pattern = struct.pack("<IBHH", 9, 0, ROWS, len(rows)) + rows
    instrument = struct.pack("<I22sBHI", 263, b"tone", 0, 1, 40) + bytes(96 + 48 + 48 + 14 + 2 + 22)
    sample = struct.pack("<IIIBbBBbB22s", 32, 0, 32, 64, 0, 1, 128, 29, 0, b"tone")
    deltas = bytes((TONE[i] - (TONE[i - 1] if i else 0)) & 0xff for i in range(32))
    path.write_bytes(head + pattern + instrument + sample + deltas)


def it(path):
    lists_at = 192
    sample_at, pattern_at, tone_at = 256, 384, 640
    head = struct.pack("<4s26sHHHHHHHHHBBBBBBHII", b"IMPM", b"Hello", 0x1004, 2, 0, 1, 1, 0x214, 0x200, 9, 0, 128, 48, 6, 125, 128, 0, 0, 0, 0) + bytes([32] * 64) + bytes([64] * 64)
    assert len(head) == lists_at
    lists = bytes([0, 255]) + struct.pack("<II", sample_at, pattern_at)
    sample = struct.pack("<4s12sBBBB26sBBIIIIIIIBBBB", b"IMPS", b"tone", 0, 64, 0x11, 64, b"tone", 1, 0, 32, 0, 32, 16744, 0, 0, tone_at, 0, 0, 0, 0)
    rows = bytes([0x81, 3, 60, 1, 0]) + bytes(ROWS - 2) + bytes([0x81, 8, 3, 0, 0]) + bytes(64 - ROWS)
    data = (head + lists).ljust(sample_at, b"\0") + sample
    data = data.ljust(pattern_at, b"\0") + struct.pack("<HHI", len(rows), 64, 0) + rows
    path.write_bytes(data.ljust(tone_at, b"\0") + TONE)


# ---


def flc(path, width=96, height=64, frames=25):
    """A bar that moves, uncompressed lines, 40 ms each."""
    def chunk(kind, data):
        return struct.pack("<IH", len(data) + 6, kind) + data

    palette = chunk(4, struct.pack("<HBB", 1, 0, 0) + bytes(v for i in range(256) for v in (i, 255 - i, 128)))
    data = b""
    for i in range(frames + 1):  # the last one leads back to the first
        pixels = bytes(200 if x // 4 == i else x for x in range(width)) * height
        chunks = (palette if i == 0 else b"") + chunk(16, pixels)
        data += struct.pack("<IHH8s", len(chunks) + 16, 0xf1fa, 2 if i == 0 else 1, b"") + chunks
    head = struct.pack("<IHHHHHHI", 128 + len(data), 0xaf12, frames, width, height, 8, 3, 40)
    path.write_bytes(head.ljust(80, b"\0") + struct.pack("<II", 128, 0) + bytes(40) + data)


def scc(path):
    """Pop-on captions of a television: pairs of characters, each byte with odd parity."""
    def odd(byte):
        return byte | (0x80 if bin(byte).count("1") % 2 == 0 else 0)

    def line(time, text):
        codes = bytes([0x14, 0x2e] * 2 + [0x14, 0x20] * 2 + [0x14, 0x70] * 2) + text.encode("ascii") + b"\0" * (len(text) % 2) + bytes([0x14, 0x2f] * 2)
        return f"{time}\t" + " ".join(f"{odd(a):02x}{odd(b):02x}" for a, b in zip(codes[::2], codes[1::2]))

    path.write_text("\n\n".join(["Scenarist_SCC V1.0", line("00:00:00:00", "Hello from a test."), line("00:00:00:15", "Books"), "00:00:01:00\t942c 942c"]) + "\n")


MADE = {"mpc": musepack, "awb": wideband, "dsf": dsf, "dff": dff, "mod": mod, "s3m": s3m, "xm": xm, "it": it, "flc": flc, "scc": scc}


def make(format, path):
    """Whether it is one of ours, and then it is made."""
    ffmpeg = ["ffmpeg", "-v", "error", "-y"]
    if format in FFMPEG:
        run(*ffmpeg, *SOUND, *FFMPEG[format].split(), path)
    elif format in FILMS:
        run(*ffmpeg, *FILMS[format][1], *SOUND, *FILMS[format][0].split(), path)
    elif format in SILENT:
        run(*ffmpeg, *picture(), *SILENT[format].split(), path)
    elif format in TEXTED:
        said = path.with_suffix(".words.srt")
        said.write_text(SUBTITLES["srt"])
        run(*ffmpeg, *picture(), *SOUND, "-i", said, *TEXTED[format].split(), path)
    elif format in SOX:
        run("sox", "-n", *SOX[format].split(), path, "synth", 1, "sine", 440)
    elif format in SUBTITLES:
        path.write_text(SUBTITLES[format])
    elif format in MADE:
        MADE[format](path)
    else:
        return False
    return True
