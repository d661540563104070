"""An archive of every kind, each of the same few files, by the tools of the kind; where no tool of Debian writes one, by the few lines that its format takes when nothing is compressed."""

import io
import shutil
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path

TEXT = b"Hello from a test.\n"
DATA = bytes(i * i * 7 % 251 for i in range(70000))
TREE = {"hello.txt": TEXT, "folder/data.bin": DATA, "folder/empty.txt": b"", "folder/grüße.txt": "grüße\n".encode()}
DOCUMENTS = {name: TREE[name] for name in sorted(TREE) if TREE[name] and name.endswith(".txt")}
PLAIN = {name: data for name, data in TREE.items() if name.isascii()}

SEVEN = "7z" if shutil.which("7z") else "7zz"  # what Debian 13 and 12 call it

PACKERS = {"gz": ("gzip", "-c"), "bz2": ("bzip2", "-c"), "xz": ("xz", "-c"), "zst": ("zstd", "-qc"), "lz4": ("lz4", "-qc"), "lz": ("lzip", "-c")}
TARS = {"tgz": "gz", "tbz2": "bz2", "txz": "xz", "tzst": "zst", "tlz4": "lz4", "tlz": "lz"}
# What makes a ZIP one of these.
PACKAGES = {"jar": "META-INF/MANIFEST.MF", "apk": "AndroidManifest.xml", "xpi": "manifest.json", "vsix": "extension.vsixmanifest"}
FORMATS = {"zip", "tar", "7z", "rar", "cab", "iso", "cpio", "ar", "deb", "rpm", "xar", "lzh", "warc", *PACKERS, *TARS, *PACKAGES}


def expected(format):
    """{name: bytes} of what the archive of this format holds. A packed file has the name that gzip keeps, or none."""
    if format in PACKERS:
        return {"hello.txt" if format == "gz" else "data": TEXT}
    if format in PACKAGES:
        return TREE | {PACKAGES[format]: b"Hello\n"}
    if format == "ar":
        return {"hello.txt": TEXT, "data.bin": DATA}
    if format == "deb":
        return None
    if format == "warc":
        return {"hello.txt": TEXT}
    return PLAIN if format in ("cab", "lzh") else TREE


def tree(folder, files):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def run(*words, cwd=None, **options):
    return subprocess.run([str(word) for word in words], cwd=cwd, check=True, capture_output=True, timeout=120, **options).stdout


def zipped(files, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, data in files.items():
            z.writestr(name, data)
    return out.getvalue()


def rar4(files):
    """RAR 1.5 to 4, stored: marker, main header, a header and the data of each file, end."""
    def block(kind, flags, fields, data=b""):
        head = struct.pack("<BHH", kind, flags, 7 + len(fields)) + fields
        return struct.pack("<H", zlib.crc32(head) & 0xffff) + head + data

    out = b"Rar!\x1a\x07\x00" + block(0x73, 0, bytes(6))
    for name, data in files.items():
        name = name.encode()
        out += block(0x74, 0x8000, struct.pack("<IIBIIBBHI", len(data), len(data), 3, zlib.crc32(data), 0x58210000, 20, 0x30, len(name), 0o100644) + name, data)
    return out + block(0x7b, 0x4000, b"")


def number(value):
    """RAR 5's numbers: seven bits a byte, the lowest first."""
    out = b""
    while value > 0x7f:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def rar5(files):
    def block(fields, data=b""):
        sized = number(len(fields)) + fields
        return struct.pack("<I", zlib.crc32(sized)) + sized + data

    out = b"Rar!\x1a\x07\x01\x00" + block(number(1) + number(0) + number(0))
    for name, data in files.items():
        name = name.encode()
        fields = b"".join(map(number, (2, 2, len(data), 4, len(data), 0o100644))) + struct.pack("<I", zlib.crc32(data)) + b"".join(map(number, (0, 1, len(name)))) + name
        out += block(fields, data)
    return out + block(number(5) + number(0) + number(0))


def crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xa001 if crc & 1 else 0)
    return crc


def lzh(files):
    """LHA, headers of level 0, stored."""
    out = b""
    for name, data in files.items():
        name = name.replace("/", "\\").encode()
        head = b"-lh0-" + struct.pack("<IIIBBB", len(data), len(data), 0x58210000, 0x20, 0, len(name)) + name + struct.pack("<H", crc16(data))
        out += bytes([len(head), sum(head) & 0xff]) + head + data
    return out + b"\0"


def xar(files):
    """A table of contents in XML, packed by zlib, and the files as they are."""
    heap, rows, folders = bytes(20), "", {}
    for i, (name, data) in enumerate(files.items()):
        folder, _, base = name.rpartition("/")
        row = (f'<file id="{i + 1}"><name>{base}</name><type>file</type><data><length>{len(data)}</length><offset>{len(heap)}</offset><size>{len(data)}</size>'
               '<encoding style="application/octet-stream"/></data></file>')
        folders[folder] = folders.get(folder, "") + row
        heap += data
    rows = folders.pop("", "") + "".join(f'<file id="{90 + i}"><name>{folder}</name><type>directory</type>{inner}</file>' for i, (folder, inner) in enumerate(folders.items()))
    toc = f'<?xml version="1.0" encoding="UTF-8"?><xar><toc><checksum style="none"><offset>0</offset><size>0</size></checksum>{rows}</toc></xar>'.encode()
    packed = zlib.compress(toc)
    return b"xar!" + struct.pack(">HHQQI", 28, 1, len(packed), len(toc), 0) + packed + heap


def rpm(payload):
    """A lead, two headers of nothing, and the payload."""
    lead = b"\xed\xab\xee\xdb\x03\0" + bytes(90)
    header = b"\x8e\xad\xe8\x01" + bytes(4) + struct.pack(">II", 1, 4) + struct.pack(">IIII", 1000, 7, 0, 4) + b"none"
    return lead + header + bytes(-len(lead + header) % 8) + header + payload


def warc(files):
    out = b""
    for name, data in files.items():
        head = (f"WARC/1.0\r\nWARC-Type: resource\r\nWARC-Target-URI: http://example.test/{name}\r\nWARC-Date: 2024-01-02T03:04:05Z\r\n"
                f"WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-000000000001>\r\nContent-Type: text/plain\r\nContent-Length: {len(data)}\r\n\r\n").encode()
        out += head + data + b"\r\n\r\n"
    return out


def make(format, path, files=None):
    folder = path.parent / "tree"
    if folder.exists():
        shutil.rmtree(folder)
    files = files or expected(format) or TREE
    if format in ("zip", *PACKAGES):
        path.write_bytes(zipped(files))
        return
    for kind, write in (("rar", rar5), ("lzh", lzh), ("xar", xar), ("warc", warc)):
        if format == kind:
            path.write_bytes(write(files))
            return
    tree(folder, {"hello.txt": TEXT} if format in PACKERS else files)
    names = sorted(files)
    if format in PACKERS:
        path.write_bytes(run(*PACKERS[format], "hello.txt", cwd=folder))
    elif format == "tar":
        run("tar", "-cf", path, *names, cwd=folder)
    elif format in TARS:
        path.write_bytes(run(*PACKERS[TARS[format]], input=run("tar", "-cf", "-", *names, cwd=folder)))
    elif format == "7z":
        run(SEVEN, "a", "-bd", path, *names, cwd=folder)
    elif format == "cab":
        run("gcab", "-c", path, *names, cwd=folder)
    elif format == "iso":
        run("genisoimage", "-quiet", "-R", "-J", "-o", path, folder)
    elif format in ("cpio", "rpm"):
        archive = run("cpio", "-o", "-H", "newc", cwd=folder, input="".join(name + "\n" for name in names).encode())
        path.write_bytes(archive if format == "cpio" else rpm(run("gzip", "-c", input=archive)))
    elif format == "ar":
        run("ar", "rc", path, *names, cwd=folder)
    elif format == "deb":
        tree(folder, {"DEBIAN/control": b"Package: hello\nVersion: 1\nArchitecture: all\nMaintainer: A Test <a@example.test>\nDescription: hello\n"})
        run("dpkg-deb", "--build", folder, path)


def unpacked(path, format, folder):
    """Unpacks into `folder`, by tools that are not libarchive, and tests the archive on the way."""
    folder.mkdir()
    if format == "zip":
        run("unzip", "-tq", path)
        run("unzip", "-q", path, "-d", folder)
    elif format == "7z":
        run(SEVEN, "t", "-bd", path)
        run(SEVEN, "x", "-bd", f"-o{folder}", path)
    elif format == "cpio":
        run("cpio", "-id", "--quiet", "--no-absolute-filenames", cwd=folder, input=Path(path).read_bytes())
    elif format in PACKERS:
        (folder / "data").write_bytes(run(PACKERS[format][0], "-dc", input=Path(path).read_bytes()))
    else:
        archive = run(PACKERS[TARS[format]][0], "-dc", input=Path(path).read_bytes()) if format in TARS else Path(path).read_bytes()
        run("tar", "-xf", "-", cwd=folder, input=archive)
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}
