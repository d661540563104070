"""The hostile corpus: files that try to reach out, to read what is not theirs, or to eat the machine.

Everything is made from code, so that a reviewer can read what each file does, and nothing in it is malware: the remote
references point at a listener of the test's own, the local ones at a canary with a random secret, at /etc/passwd and at
the engine's own environment.

A case says how it may end: "completed", the error code of a job, or the code of a refused upload. Ends that the fences
decide are exact; for damaged files, where the library has the word, all the honest ones are listed.
"""

import dataclasses
import random
import struct
import zlib
from pathlib import Path
from typing import Callable

CASES = []


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    file: str    # the name it is uploaded under
    target: str
    ends: frozenset
    make: Callable  # Context -> bytes
    options: dict = dataclasses.field(default_factory=dict, hash=False)  # of the conversion


def add(name, file, target, ends, make, options=None, **more):
    CASES.append(Case(name, file, target, frozenset(ends.split()), make, {**(options or {}), **more}))


def case(name, file, target, ends, options=None, **more):
    """Decorates the function that makes the file."""
    def register(make):
        add(name, file, target, ends, make, options, **more)
        return make
    return register


class Context:
    """What the files of one run point at."""

    def __init__(self, folder, ports, secret, colour, seed):
        self.folder, self.ports, self.secret, self.colour, self.seed = Path(folder), ports, secret, colour, seed

    def random(self, name):
        return random.Random(f"{self.seed} {name}")

    def write_canaries(self):
        """The same secret in each form that an engine might take in: as text, and as a colour no file has by chance."""
        text = self.secret
        for name, data in {
            "canary.txt": text, "canary.csv": f"{text},1\n", "canary.html": f"<html><body><p>{text}</p></body></html>",
            "canary.css": f"p::before {{ content: '{text}' }}", "canary.rtf": "{\\rtf1 " + text + "}",
            "canary.dtd": f"<!ENTITY leak '{text}'>", "canary.png": solid_png(self.colour, text),
            "canary.svg": f"<svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'><title>{text}</title>"
                          f"<rect id='r' width='64' height='64' fill='rgb{self.colour}'/></svg>",
        }.items():
            path = self.folder / name
            path.write_bytes(data if isinstance(data, bytes) else data.encode())
            path.chmod(0o644)

    def remote(self, kind="png"):
        """One URL for each way out."""
        p = [self.ports[i % len(self.ports)] for i in range(8)]
        return [f"http://127.0.0.1:{p[0]}/x.{kind}", f"https://127.0.0.1:{p[1]}/x.{kind}", f"ftp://127.0.0.1:{p[2]}/x.{kind}",
                f"smb://127.0.0.1:{p[3]}/s/x.{kind}", f"dav://127.0.0.1:{p[4]}/x.{kind}",
                f"vnd.sun.star.webdav://127.0.0.1:{p[5]}/x.{kind}", f"http://localhost:{p[6]}/x.{kind}",
                f"//127.0.0.1:{p[7]}/x.{kind}", f"\\\\127.0.0.1\\share\\x.{kind}", f"file://127.0.0.1/share/x.{kind}"]

    def local(self, kind="png"):
        path = self.folder / f"canary.{kind}"
        return [f"file://{path}", str(path), "../" * 12 + str(path)[1:], f"file:///proc/self/root{path}",
                "file:///proc/self/environ", "/etc/passwd", f"vnd.sun.star.expand:file://{path}"]

    def everywhere(self, kind="png"):
        return self.remote(kind) + self.local(kind)

    def links(self, kind="png"):
        """Without the one that is no IRI: for OpenDocument, where LibreOffice gives up at it and would see none of the others."""
        return [url for url in self.everywhere(kind) if "\\" not in url]


def chunk(kind, data):
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_file(width, height, *chunks, colour_type=2):
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0))
            + b"".join(chunk(*c) for c in chunks) + chunk(b"IEND", b""))


def solid_png(colour, text="", side=64):
    rows = (b"\0" + bytes(colour) * side) * side
    return png_file(side, side, (b"tEXt", b"Comment\0" + text.encode()), (b"IDAT", zlib.compress(rows)))


from . import archives, damage, films, fonts, markup, office, old_formats, operations, pdfs, postscript, rarities, rasters, repacked, scans, two_kinds, vectors  # noqa: E402,F401  each adds its cases
