#!/usr/bin/python3
"""Compares our results with those of the stock tools – soffice, pdftoppm, pdftotext and convert – on real documents: page counts, text, and how the pages look.

    tests/compare/run.py [FOLDER…] [--bindir build/bin] [--out build/compare.tsv] [--only PATTERN]

FOLDER is ../shared/samples beside the repository unless named, and the files that tests/catalogue makes. Every difference is either explained below, in EXPLAINED, or makes this fail.
Pages count as looking the same when the difference is no more than what rounding and the antialiasing of letters make (LOOKS: the share of what the full range would be)."""

import argparse
import fnmatch
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/catalogue"))
from sources import OFFICE, Sources  # noqa: E402

OFFICE_ENDINGS = set("docx docm dotx doc dot odt ott fodt rtf xlsx xlsm xltx xls xlt ods ots fods csv pptx pptm ppsx potx ppt pps odp otp fodp odg fodg txt".split())
PICTURES = set("jpg jpeg png jp2 tif tiff webp gif bmp".split())
DPI, LOOKS = 60, 0.02
GLYPHS = 0.05  # pdftoppm moves each letter to a quarter of a pixel and hints it; cairo draws it where it is
SRGB = Path("/usr/share/color/icc/ghostscript/srgb.icc")

# (file pattern, what differs): why that is right.
EXPLAINED = {
    ("*.pdf", "text: order"): "the same words: where lines of two columns lie at unequal heights, one program sets them on one line and the other on two",
    ("T02-03_006_page-object-missing.pdf", "failed"): "its one page is no object: pdftoppm draws nothing and calls it a success, we say that the file is damaged",
    ("Word6_sections2.doc", "text"): "a field for the path of the file: ours tells nothing of where it was converted",
}


def run(*words, timeout=300, check=True):
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
    if check and done.returncode != 0:
        raise RuntimeError(f"{Path(str(words[0])).name}: {done.stderr.decode(errors='replace').strip()[-200:]}")
    return done.stdout.decode(errors="replace")


def pages(pdf):
    found = re.search(r"^Pages:\s+(\d+)$", run("pdfinfo", pdf), re.M)
    return int(found[1]) if found else 0


def words(text):
    return text.replace("\f", " ").split()


def compare_texts(ours, stock, differences):
    if ours == stock:
        return
    if sorted(ours) == sorted(stock):
        at = next(i for i, pair in enumerate(zip(ours, stock)) if pair[0] != pair[1])
        differences.append(("text: order", f"from word {at} of {len(ours)}"))
    else:
        lost, more = set(stock) - set(ours), set(ours) - set(stock)
        differences.append(("text", f"lost: {' '.join(sorted(lost)[:5])}; more: {' '.join(sorted(more)[:5])}"))


def difference(one, other):
    """0: the same; 1: as different as can be; None: not even of one size."""
    sizes = [run("identify", "-quiet", "-format", "%w %h\n", f"{path}[0]").split("\n")[0] for path in (one, other)]
    if sizes[0] != sizes[1]:
        return None
    # Smaller: the edges of letters are drawn by other rules in each program.
    small = [Path(other).parent / f"small-{n}.png" for n in "ab"]
    for path, made in zip((one, other), small):
        run("convert", "-quiet", f"{path}[0]", "-background", "white", "-flatten", "-filter", "Box", "-resize", "25%", made)
    done = subprocess.run(["compare", "-quiet", "-metric", "RMSE", *small, "null:"], capture_output=True, text=True, timeout=120)
    found = re.search(r"\(([\d.e+-]+)\)", done.stderr)
    if not found:
        raise RuntimeError(f"compare: {done.stderr.strip()[-200:]}")
    return float(found[1])


class Comparison:
    def __init__(self, bindir, folder):
        self.decant, self.folder = bindir / "decant", Path(folder)

    def ours(self, path, target):
        out = self.folder / f"ours.{target}"
        for old in self.folder.glob("ours.*"):
            old.unlink()
        run(self.decant, "convert", path, out)
        return out if out.exists() else next(self.folder.glob("ours.*"))

    def soffice(self, path):
        run("soffice", f"-env:UserInstallation=file://{self.folder}/profile", "--headless", "--convert-to", "pdf", "--outdir", self.folder / "stock", path)
        return self.folder / "stock" / f"{path.stem}.pdf"

    def look(self, one, other, differences, what, looks=LOOKS):
        d = difference(one, other)
        if d is None:
            differences.append((f"{what}: size", "not of one size"))
        elif d > looks:
            differences.append((f"{what}: look", f"{d:.3f}"))

    def office(self, path):
        ours, stock, differences = self.ours(path, "pdf"), self.soffice(path), []
        if pages(ours) != pages(stock):
            return [("pages", f"{pages(ours)} instead of {pages(stock)}")]
        compare_texts(words(run("pdftotext", "-layout", ours, "-")), words(run("pdftotext", "-layout", stock, "-")), differences)
        for n in range(1, min(pages(ours), 5) + 1):
            drawn = []
            for name, pdf in (("a", ours), ("b", stock)):
                run("pdftoppm", "-r", DPI, "-png", "-singlefile", "-f", n, "-l", n, pdf, self.folder / name)
                drawn.append(self.folder / f"{name}.png")
            self.look(*drawn, differences, f"page {n}")
        return differences

    def pdf(self, path):
        differences = []
        stock = words(run("pdftotext", "-layout", path, "-"))
        if stock:
            compare_texts(words(self.ours(path, "txt").read_text(errors="replace")), stock, differences)
        ours = self.ours(path, "png")
        if ours.suffix == ".zip":
            run("unzip", "-o", "-q", ours, "-d", self.folder / "pages")
            drawn = sorted((self.folder / "pages").iterdir())
        else:
            drawn = [ours]
        if len(drawn) != pages(path):
            differences.append(("pages", f"{len(drawn)} instead of {pages(path)}"))
        for n, page in enumerate(drawn[:3], 1):
            run("pdftoppm", "-cropbox", "-r", 150, "-png", "-singlefile", "-f", n, "-l", n, path, self.folder / "b")
            self.look(page, self.folder / "b.png", differences, f"page {n}", GLYPHS)
        shutil.rmtree(self.folder / "pages", ignore_errors=True)
        return differences

    def picture(self, path):
        differences, stock = [], self.folder / "stock.png"
        # Ours are sRGB, whatever profile the picture had.
        run("convert", f"{path}[0]", "-auto-orient", *(["-profile", SRGB] if SRGB.exists() else []), "-strip", "-colorspace", "sRGB", stock)
        ours = self.ours(path, "png")
        self.look(ours, stock, differences, "picture")
        return differences

    def compare(self, path):
        ending = path.suffix[1:].lower()
        kind = self.office if ending in OFFICE_ENDINGS else self.pdf if ending == "pdf" else self.picture if ending in PICTURES else None
        if not kind:
            return None
        try:
            return kind(path)
        except (RuntimeError, subprocess.TimeoutExpired, OSError, StopIteration) as error:
            return [("failed", str(error).replace("\n", " ")[:160])]


def explanation(path, what):
    for (pattern, kind), why in EXPLAINED.items():
        if fnmatch.fnmatch(path.name, pattern) and fnmatch.fnmatch(what, kind):
            return why
    return None


def inputs(folders, made):
    for folder in folders:
        yield from sorted(path for path in Path(folder).rglob("*") if path.is_file())
    sources = Sources(made)
    for name in sorted({"docx", "png", "pdf", "jpg", "webp", "tiff", *" ".join(OFFICE.values()).split()}):
        yield sources.path(name)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folders", nargs="*", type=Path)
    arguments.add_argument("--bindir", type=Path, default=ROOT / "build/bin")
    arguments.add_argument("--out", type=Path, default=ROOT / "build/compare.tsv")
    arguments.add_argument("--only", default="*")
    options = arguments.parse_args()
    samples = ROOT.parent / "shared/samples"
    folders = options.folders or ([samples] if samples.is_dir() else [])
    lines, unexplained, compared = [], 0, 0
    with tempfile.TemporaryDirectory(prefix="decant-compare-") as folder:
        os.chmod(folder, 0o755)
        comparison = Comparison(options.bindir, folder)
        for path in inputs(folders, Path(folder) / "made"):
            differences = comparison.compare(path) if fnmatch.fnmatch(path.name, options.only) else None
            if differences is None:
                continue
            compared += 1
            for what, how in differences:
                why = explanation(path, what)
                unexplained += why is None
                lines.append(f"{path.name}\t{what}\t{how}\t{why or 'UNEXPLAINED'}")
                print(f"{'     ' if why else 'FAIL '} {lines[-1]}", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("file\twhat\thow\twhy\n" + "".join(f"{line}\n" for line in lines))
    print(f"{compared} files compared, {len(lines)} differences, {unexplained} of them unexplained ({options.out})")
    return unexplained > 0 or compared == 0


if __name__ == "__main__":
    sys.exit(main())
