"""Does an archive hold what the fixture held that it was made of, name by name and byte by byte? Asked of tools that are not libarchive."""

import subprocess
import tempfile
from pathlib import Path

from sources_archives import DOCUMENTS, FORMATS, PACKERS, TEXT, expected, unpacked

TARGETS = {"zip", "tar", "tgz", "tbz2", "txz", "tzst", "tlz4", "7z", "cpio", "gz", "bz2", "xz", "zst", "lz4"}


def judges(path, format):
    """Results are called after the format they come from; a ZIP may also be of pages."""
    return format in TARGETS and path.stem in FORMATS


def judge(path, format):
    with tempfile.TemporaryDirectory() as folder:
        found = unpacked(path.resolve(), format, Path(folder) / "in")
    if format in PACKERS:
        wanted = {"data": TEXT}
    elif path.stem == "deb":
        assert found.get("debian-binary") == b"2.0\n", found.keys()
        assert {name.split(".")[0] for name in found} == {"debian-binary", "control", "data"} and all(found.values()), found.keys()
        return
    else:
        wanted = expected(path.stem)
    assert set(found) == set(wanted), f"holds {sorted(found)}"
    for name in wanted:
        assert found[name] == wanted[name], f"{name} is another"


def arrived(path):
    """One PDF of all documents in an archive: is each there, in the archive's order?"""
    text = subprocess.run(["pdftotext", path, "-"], check=True, capture_output=True, text=True).stdout
    found = [text.find(DOCUMENTS[name].decode().strip()) for name in DOCUMENTS]
    assert -1 not in found and found == sorted(found), text
