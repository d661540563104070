"""Archives that are to be packed again: names that lead out, links, bombs, quines, sizes that lie, loops."""

import bz2
import gzip
import io
import lzma
import struct
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

from . import add, case

sys.path.append(str(Path(__file__).parents[2] / "catalogue"))
import sources_archives  # noqa: E402

MIB = 1 << 20
NAMES = ["../../../../tmp/escaped", "/tmp/escaped", "..\\..\\escaped", "C:\\escaped", "a/../../escaped", "/", "..", "a\nb", "\x1b[2J", "x" * 4000, "d/" * 1500 + "x", "CON", "a:b", ".. /x"]


def zipped(*entries, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, data in entries:
            z.writestr(name, data)
    return out.getvalue()


def tarred(*members, mode="w", format=tarfile.PAX_FORMAT):
    """A member is (name, bytes), or a TarInfo."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=format) as t:
        for member in members:
            info = tarfile.TarInfo(member[0]) if isinstance(member, tuple) else member
            if isinstance(member, tuple):
                info.size = len(member[1])
            t.addfile(info, io.BytesIO(member[1]) if isinstance(member, tuple) else None)
    return out.getvalue()


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def device(name, kind):
    info = tarfile.TarInfo(name)
    info.type, info.devmajor, info.devminor = kind, 1, 3
    return info


add("zip-names", "a.zip", "tar", "completed", lambda c: zipped(*((name, b"x") for name in NAMES)))
add("tar-names", "a.tar", "zip", "completed", lambda c: tarred(*((name, b"x") for name in NAMES)))
add("rar-names", "a.rar", "zip", "completed corrupt_input", lambda c: sources_archives.rar4({name: b"x" for name in NAMES if len(name) < 1000}))
add("rar5-names", "a.rar", "zip", "completed corrupt_input", lambda c: sources_archives.rar5({name: b"x" for name in NAMES if len(name) < 1000}))
add("lzh-names", "a.lzh", "zip", "completed corrupt_input", lambda c: sources_archives.lzh({name: b"x" for name in NAMES if len(name) < 200}))
add("zip-only-bad-names", "a.zip", "tar", "no_output", lambda c: zipped(("..", b"x"), ("/", b""), ("../..", b"")))
for target in "zip", "tar", "7z":
    add(f"tar-links-to-{target}", "a.tgz", target, "completed", lambda c: tarred(
        link("passwd", "/etc/passwd"), link("canary", c.local("txt")[1]), link("up", ".."), ("up/escaped", b"x"), link("here", "."), ("here/here/x", b"x"),
        link("hard", c.local("txt")[1], tarfile.LNKTYPE), link("itself", "itself", tarfile.LNKTYPE), link("loop", "loop"), mode="w:gz"))
add("tar-links-alone", "a.tar", "zip", "no_output", lambda c: tarred(link("passwd", "/etc/passwd"), link("hard", "/etc/passwd", tarfile.LNKTYPE)))
add("tar-devices", "a.tar", "zip", "no_output", lambda c: tarred(*(device(f"d{k!r}", k) for k in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE))))
add("tar-links-to-a-large-file", "a.tgz", "tar", "too_complex", lambda c: tarred(
    ("large", bytes(8 * MIB)), *(link(f"l{i}", "large", tarfile.LNKTYPE) for i in range(500)), mode="w:gz"))


@case("zip-symlink-then-file", "a.zip", "7z", "completed")
def _(c):
    info = zipfile.ZipInfo("out")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return zipped((info, "/tmp"), ("out/escaped", b"x"))


# --- bombs

add("zip-bomb", "a.zip", "tar", "too_complex", lambda c: zipped(("zeros", bytes(300 * MIB))))
add("tgz-bomb", "a.tgz", "zip", "too_complex", lambda c: tarred(("zeros", bytes(300 * MIB)), mode="w:gz"))
add("txz-bomb", "a.txz", "zip", "too_complex", lambda c: lzma.compress(tarred(("zeros", bytes(300 * MIB))), preset=0))
add("tbz2-bomb", "a.tbz2", "zip", "too_complex", lambda c: bz2.compress(tarred(("zeros", bytes(300 * MIB)))))
add("gz-bomb", "a.gz", "zip", "too_complex", lambda c: gzip.compress(bytes(300 * MIB)))
add("xz-bomb", "a.xz", "gz", "too_complex", lambda c: lzma.compress(bytes(300 * MIB), preset=0))
add("tar-many-entries", "a.tgz", "zip", "too_complex", lambda c: gzip.compress(tarred(("x", b""))[:512] * 150_000 + bytes(1024)))
add("zip-bomb-in-a-zip", "a.zip", "tar", "completed too_complex", lambda c: zipped(*((f"{i}.zip", zipped((f"{i}", bytes(100 * MIB)))) for i in range(3))))


@case("zip-overlapping-entries", "a.zip", "tar", "too_complex corrupt_input completed")
def _(c):
    """A hundred entries share one member, as in the bomb that has no archive within."""
    data = zipped(("0", bytes(10 * MIB)))
    end = data.rindex(b"PK\5\6")
    size, offset = struct.unpack("<II", data[end + 12:end + 20])
    entry = data[offset:end]
    return data[:end] + entry * 99 + data[end:end + 8] + struct.pack("<HHII", 100, 100, size * 100, offset) + data[end + 20:]


@case("gz-of-itself", "a.tgz", "zip", "type_mismatch corrupt_input")
def _(c):
    data = b"x"
    for _ in range(30):
        data = gzip.compress(data)
    return data


add("gz-in-gz", "a.gz", "tar", "completed", lambda c: gzip.compress(gzip.compress(bytes(10))))
# A dictionary of 1.5 GiB, and one of 4.
add("xz-dictionary", "a.xz", "zip", "too_complex corrupt_input completed", lambda c: lzma.compress(bytes(100), filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1536 * MIB}]))
add("lz-dictionary", "a.lz", "zip", "too_complex corrupt_input completed", lambda c: b"LZIP\1\x1d" + bytes(40))
add("zst-window", "a.zst", "zip", "too_complex corrupt_input", lambda c: b"\x28\xb5\x2f\xfd\0\xa8" + bytes([0x03, 0, 0]) + bytes(20))


# --- numbers that lie


@case("zip-size-too-small", "a.zip", "tar", "corrupt_input completed")
def _(c):
    data = bytearray(zipped(("zeros", bytes(MIB))))
    at = data.rindex(b"PK\1\2")
    data[at + 24:at + 28] = struct.pack("<I", 100)
    return bytes(data)


@case("zip-size-too-large", "a.zip", "tar", "corrupt_input too_complex completed")
def _(c):
    """Where the member begins the size is right, which may be believed: the checksum has the last word."""
    data = bytearray(zipped(("zeros", bytes(MIB))))
    at = data.rindex(b"PK\1\2")
    data[at + 24:at + 28] = struct.pack("<I", 2 * MIB)
    return bytes(data)


@case("zip-claims-entries", "a.zip", "tar", "completed corrupt_input type_mismatch")
def _(c):
    data = bytearray(zipped(("a", b"x")))
    end = data.rindex(b"PK\5\6")
    data[end + 8:end + 12] = struct.pack("<HH", 65534, 65534)
    return bytes(data)


def header(size, name=b"a"):
    head = bytearray(tarred((name.decode(), b"x"), format=tarfile.USTAR_FORMAT)[:512])
    head[124:136] = size
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


add("tar-size-negative", "a.tar", "zip", "corrupt_input too_complex", lambda c: header(b"\xff" * 12) + bytes(2048))
add("tar-size-huge", "a.tar", "zip", "corrupt_input too_complex", lambda c: header(b"\x80\0\0\0\x7f" + b"\xff" * 7) + bytes(2048))
add("tar-size-of-eight-gib", "a.tar", "zip", "corrupt_input too_complex", lambda c: header(b"77777777777\0") + bytes(2048))
add("tar-cut-off", "a.tar", "zip", "corrupt_input", lambda c: tarred(("a", bytes(10000)))[:5000])
add("tar-pax-size-lies", "a.tar", "zip", "corrupt_input too_complex", lambda c: tarred_with_pax({"size": "99999999999"}))
add("tar-pax-path", "a.tar", "zip", "completed", lambda c: tarred_with_pax({"path": "../" * 2000 + "tmp/escaped"}))
add("tar-sparse-hole", "a.tar", "zip", "corrupt_input too_complex completed", lambda c: tarred_with_pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x", "GNU.sparse.realsize": str(1 << 40)}))


def tarred_with_pax(headers):
    info = tarfile.TarInfo("a")
    info.pax_headers = headers
    return tarred(info)


def seven(following, header):
    """A 7z whose next header, stored, is `header`."""
    start = struct.pack("<QQI", len(following), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(start)) + start + following + header


add("7z-header-far-away", "a.7z", "zip", "corrupt_input too_complex", lambda c: b"7z\xbc\xaf\x27\x1c\0\4" + (
    lambda start: struct.pack("<I", zlib.crc32(start)) + start)(struct.pack("<QQI", 1 << 62, 1 << 62, 0)) + bytes(100))
# Four thousand million files, without a name.
add("7z-many-files", "a.7z", "zip", "corrupt_input too_complex no_output", lambda c: seven(b"", b"\1\5\xf0\xff\xff\xff\xff\0\0"))
add("7z-many-folders", "a.7z", "zip", "corrupt_input too_complex no_output", lambda c: seven(b"", b"\1\4\6\0\xf0\xff\xff\xff\xff\x09\xf0\xff\xff\xff\xff\0\0"))
add("7z-packed-header", "a.7z", "zip", "corrupt_input too_complex", lambda c: seven(bytes(100), b"\x17\6\0\1\x09\x64\0\7\x0b\1\0\1\x23\3\1\1\5\x5d\xff\xff\xff\xff\x0c\xf0\xff\xff\xff\x7f\0\0"))
add("rar-header-of-nothing", "a.rar", "zip", "corrupt_input no_output", lambda c: b"Rar!\x1a\x07\x00" + bytes(1000))
add("rar5-huge-number", "a.rar", "zip", "corrupt_input too_complex no_output", lambda c: b"Rar!\x1a\x07\x01\x00" + bytes(4) + b"\xff" * 60)
add("cab-of-nothing", "a.cab", "zip", "corrupt_input no_output", lambda c: b"MSCF\0\0\0\0" + struct.pack("<IIIIBBHHHHH", 0xffffffff, 0, 0x24, 0, 3, 1, 0xffff, 0xffff, 0, 1, 0) + bytes(200))
add("cpio-huge-name", "a.cpio", "zip", "corrupt_input too_complex", lambda c: b"070701" + b"%08x" % 1 * 11 + b"7fffffff" + b"00000000" + bytes(100))
add("ar-long-name", "a.ar", "zip", "corrupt_input no_output completed", lambda c: b"!<arch>\n" + b"#1/99999999".ljust(16) + b"0".ljust(12) + b"0".ljust(6) * 2 + b"644".ljust(8) + b"99".ljust(10) + b"`\n" + bytes(99))
add("xar-entities", "a.xar", "zip", "corrupt_input no_output completed too_complex", lambda c: xar_of(
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "' + c.local("txt")[0] + '"><!ENTITY b "' + "lol" * 1000 + '">' + "".join(
        f'<!ENTITY b{i} "' + f"&b{i - 1 if i else ''};" * 10 + '">' for i in range(9)) +
    ']><xar><toc><file id="1"><name>&a;&b8;</name><type>file</type><data><length>1</length><offset>0</offset><size>1</size><encoding style="application/octet-stream"/></data></file></toc></xar>'))
add("warc-escaping", "a.warc", "zip", "completed corrupt_input no_output", lambda c: sources_archives.warc({"example.test/../../../tmp/escaped": b"x"}))
add("rpm-of-nothing", "a.rpm", "zip", "corrupt_input no_output", lambda c: sources_archives.rpm(b""))


def xar_of(toc):
    packed = zlib.compress(toc.encode())
    return b"xar!" + struct.pack(">HHQQI", 28, 1, len(packed), len(toc.encode()), 0) + packed + b"x"


@case("iso-loop", "a.iso", "zip", "completed corrupt_input no_output too_complex")
def _(c):
    """A folder that is its own parent, below itself."""
    sector = 2048

    def both(value, form):
        return struct.pack("<" + form, value) + struct.pack(">" + form, value)

    def record(name, at, size, flags):
        body = bytes([0]) + both(at, "I") + both(size, "I") + bytes(7) + bytes([flags, 0, 0]) + both(1, "H") + bytes([len(name)]) + name
        body += bytes((len(body) + 1) % 2)
        return bytes([len(body) + 1]) + body

    root = record(b"\0", 18, sector, 2)
    volume = b"\1CD001\1\0" + b" " * 64 + bytes(8) + both(20, "I") + bytes(32) + both(1, "H") + both(1, "H") + both(sector, "H") + both(10, "I") + bytes(16) + root
    folder = root + record(b"\1", 18, sector, 2) + record(b"DIR", 18, sector, 2) + record(b"FILE", 19, 5, 0)
    return bytes(16 * sector) + volume.ljust(sector, b" ") + b"\xffCD001\1".ljust(sector, b"\0") + folder.ljust(sector, b"\0") + b"hello".ljust(sector, b"\0")


# --- damage: the honest archives of the catalogue with some bytes changed

SEEDS = ("zip", "tgz", "7z", "rar", "cab", "iso", "cpio", "lzh", "xar", "txz")


def damaged(format, seed, context):
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{format}"
        sources_archives.make(format, path)
        data, chance = bytearray(path.read_bytes()), context.random(f"{format} {seed}")
    for _ in range(1 + seed):
        data[chance.randrange(8, min(len(data), 60000))] = chance.randrange(256)
    return bytes(data)


for format in SEEDS:
    for seed in range(3):
        add(f"{format}-changed-{seed}", f"a.{format}", "tar" if format == "zip" else "zip",
            "completed corrupt_input too_complex no_output password_required type_mismatch", lambda c, format=format, seed=seed: damaged(format, seed, c))
