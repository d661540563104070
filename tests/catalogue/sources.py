"""A small file of every source format of the catalogue, made by stock tools or by hand, and never by Decant: what a conversion reads shall come from elsewhere."""

import subprocess
import sys
import zipfile
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "system"))
import sources_image  # noqa: E402
import sources_markup  # noqa: E402
import sources_media  # noqa: E402
from fixtures import docx, pdf  # noqa: E402

import sources_archives  # noqa: E402
import sources_fonts  # noqa: E402
import sources_office  # noqa: E402

SOUND = ["-f", "lavfi", "-i", "sine=frequency=440:duration=1:sample_rate=44100"]
PICTURE = ["-f", "lavfi", "-i", "testsrc=size=96x64:rate=25:duration=1"]

# FFmpeg's words for what isn't clear from the name alone.
SOUNDS = {
    "mp3": "", "m4a": "-f ipod", "aac": "-f adts", "ogg": "-c:a libvorbis", "oga": "-c:a flac", "opus": "", "spx": "-c:a libspeex -ar 16000", "flac": "", "wav": "", "w64": "",
    "aiff": "", "au": "", "ac3": "", "eac3": "", "wma": "-f asf", "mka": "-c:a libvorbis", "mp2": "", "caf": "", "tta": "", "wv": "", "voc": "", "dts": "-c:a dca -strict -2",
    "sox": "", "adx": "-c:a adpcm_adx"}
FILMS = {
    "3gp": "-c:v mpeg4 -c:a aac", "3g2": "-c:v mpeg4 -c:a aac", "f4v": "-pix_fmt yuv420p",
    "avi": "-c:v mpeg4", "flv": "-c:v flv1 -ar 44100", "wmv": "-c:v wmv2 -c:a wmav2 -f asf", "asf": "-c:v msmpeg4v3",
    "mpg": "", "vob": "", "ts": "-pix_fmt yuv420p", "m2ts": "-pix_fmt yuv420p -mpegts_m2ts_mode 1", "ogv": "-c:v libtheora -c:a libvorbis",
    "mxf": "-c:v mpeg2video -c:a pcm_s16le -ar 48000", "dv": "-target pal-dv", "nut": ""}
SILENT = {"swf": "-c:v flv1", "y4m": "-pix_fmt yuv420p", "ivf": "-c:v libvpx"}

# Pandoc's names for what it writes, and texts of the kinds that it only reads.
MARKUP = {
    "rst": "rst", "org": "org", "textile": "textile", "wiki": "mediawiki", "dokuwiki": "dokuwiki", "jira": "jira", "muse": "muse", "haddock": "haddock", "tex": "latex",
    "docbook": "docbook", "jats": "jats", "opml": "opml", "fb2": "fb2", "ipynb": "ipynb", "man": "man", "epub": "epub"}
MARKDOWN = "---\ntitle: Hello\n---\n\n# Heading\n\nHello from a *test*.\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
WIKIS = {
    "creole": "= Heading =\nHello from a //test//.\n* one\n", "t2t": "Hello\nA test\n\n= Heading =\nHello from a //test//.\n", "twiki": "---+ Heading\nHello from a _test_.\n",
    "tikiwiki": "! Heading\nHello from a ''test''.\n", "vimwiki": "= Heading =\nHello from a _test_.\n"}

# ImageMagick and libvips write these.
PICTURES = ("jpg", "webp", "tiff", "bmp", "ico", "psd", "tga", "ppm", "pgm", "pbm")
VIPS = ("avif", "heic", "jxl", "jp2")

TABLE = "Name,Amount\nA,1\nB,2.5\n"
SVG = ('<svg xmlns="http://www.w3.org/2000/svg" width="96" height="64"><rect width="96" height="64" fill="#c33"/><text x="10" y="40">Hello</text></svg>')

# What LibreOffice makes of a seed: {seed: formats}.
OFFICE = {
    "docx": "odt doc rtf fodt", "odt": "ott", "csv": "xlsx xls ods ots fods", "odp": "pptx ppt otp fodp", "odg": "fodg"}
# The same bytes as another format's but for the type of the main part.
WORD, SHEET, SLIDES = (f"application/vnd.openxmlformats-officedocument.{kind}" for kind in
                       ("wordprocessingml.document.main", "spreadsheetml.sheet.main", "presentationml.presentation.main"))
RETYPED = {
    "docm": ("docx", WORD, "application/vnd.ms-word.document.macroEnabled.main"),
    "dotx": ("docx", WORD, "application/vnd.openxmlformats-officedocument.wordprocessingml.template.main"),
    "dotm": ("docx", WORD, "application/vnd.ms-word.template.macroEnabledTemplate.main"),
    "xltm": ("xlsx", SHEET, "application/vnd.ms-excel.template.macroEnabled.main"),
    "ppsm": ("pptx", SLIDES, "application/vnd.ms-powerpoint.slideshow.macroEnabled.main"),
    "potm": ("pptx", SLIDES, "application/vnd.ms-powerpoint.template.macroEnabled.main"),
    "xlsm": ("xlsx", SHEET, "application/vnd.ms-excel.sheet.macroEnabled.main"),
    "xltx": ("xlsx", SHEET, "application/vnd.openxmlformats-officedocument.spreadsheetml.template.main"),
    "pptm": ("pptx", SLIDES, "application/vnd.ms-powerpoint.presentation.macroEnabled.main"),
    "ppsx": ("pptx", SLIDES, "application/vnd.openxmlformats-officedocument.presentationml.slideshow.main"),
    "potx": ("pptx", SLIDES, "application/vnd.openxmlformats-officedocument.presentationml.template.main"),
}


def run(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=300, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{words[0]}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def soffice(source, path, profile, filter=None):
    """`source` as the format of `path`, by that filter; soffice names its results after the source."""
    folder = path.parent / "soffice"
    run("soffice", f"-env:UserInstallation=file://{profile}", "--headless", "--convert-to", path.suffix[1:] + (f":{filter}" if filter else ""), "--outdir", folder, source)
    (folder / f"{source.stem}{path.suffix}").rename(path)


def retype(source, path, old, new):
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for entry in archive.infolist():
            data = archive.read(entry)
            made.writestr(entry.filename, data.replace(old.encode(), new.encode()) if entry.filename == "[Content_Types].xml" else data)


class Sources:
    """sources.path("docx"): made when it is asked for."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.profile = self.folder / "profile"

    def path(self, format, target=None):
        """For that target there may be another file than for others, where it needs one (special)."""
        usual = self.folder / f"{format}.{format}"
        path = self.folder / f"to-{target}" / usual.name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            if not self.special(format, target, path):
                path = usual
        if not path.exists():
            self.make(format, path)
        if not path.exists() or path.stat().st_size == 0:
            raise RuntimeError(f"no fixture for {format}")
        return path

    def special(self, format, target, path):
        if target == "pdf" and format in sources_archives.FORMATS:  # nothing may be left out: all of it has to be documents
            sources_archives.make(format, path, sources_archives.DOCUMENTS)
            return True
        return target == "txt" and sources_image.make_written(self, format, path)

    def make(self, format, path):
        if sources_media.make(format, path) or sources_markup.make(format, path):
            return
        for kind, make in (("docx", docx), ("pdf", lambda: pdf(["Hello from a test."]))):
            if format == kind:
                path.write_bytes(make())
                return
        texts = {"md": MARKDOWN, **WIKIS, "txt": "Hello from a test.\n", "html": "<!DOCTYPE html><html><title>t</title><body><p>Hello from a test.</p></body></html>", "csv": TABLE, "svg": SVG}
        if format in sources_archives.FORMATS:
            sources_archives.make(format, path)
        elif format in sources_fonts.FORMATS:
            sources_fonts.make(format, path)
        elif format in texts:
            path.write_text(texts[format])
        elif format in SOUNDS:
            run("ffmpeg", "-v", "error", "-y", *SOUND, *SOUNDS[format].split(), path)
        elif format in FILMS:
            run("ffmpeg", "-v", "error", "-y", *PICTURE, *SOUND, *FILMS[format].split(), path)
        elif format in SILENT:
            run("ffmpeg", "-v", "error", "-y", *PICTURE, *SILENT[format].split(), path)
        elif format in MARKUP:
            run("pandoc", "-s", "-f", "markdown", "-t", MARKUP[format], "-o", path, self.path("md"))
        elif format == "png":  # pictures have a word in them, to be read
            run("convert", "-size", "240x80", "xc:white", "-font", "Liberation-Sans", "-pointsize", 48, "-gravity", "center", "-annotate", 0, "Hello", path)
        elif format in PICTURES:
            run("convert", self.path("png"), f"{format}:{path}")
        elif format in VIPS:
            run("vips", "copy", self.path("png"), path)
        elif format in sources_image.FORMATS:
            sources_image.make(self, format, path)
        elif format in sources_office.FORMATS:
            sources_office.make(self, format, path)
        elif format in ("ps", "eps"):
            run("pdftops", *(["-eps"] if format == "eps" else []), self.path("pdf"), path)
        elif format in RETYPED:
            retype(self.path(RETYPED[format][0]), path, *RETYPED[format][1:])
        else:
            self.make_office(format, path)

    def soffice(self, seed, path, filter):
        soffice(seed, path, self.profile, filter)

    def make_office(self, format, path):
        if format in ("odp", "odg"):
            seed = self.folder / f"{format}.f{format}"
            seed.write_text(flat(format))
            soffice(seed, path, self.profile)
            return
        for seed, formats in OFFICE.items():
            if format in formats.split():
                soffice(self.path(seed), path, self.profile)
                return
        raise RuntimeError(f"nobody makes {format}")


def flat(format):
    """A slide or a drawing with a text in it."""
    kind, element = {"odp": ("presentation", "presentation"), "odg": ("graphics", "drawing")}[format]
    return ('<?xml version="1.0"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
            'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" office:version="1.3" '
            f'office:mimetype="application/vnd.oasis.opendocument.{kind}"><office:body><office:{element}><draw:page draw:name="one"><draw:frame svg:width="10cm" '
            f'svg:height="3cm" svg:x="2cm" svg:y="2cm"><draw:text-box><text:p>Hello</text:p></draw:text-box></draw:frame></draw:page></office:{element}></office:body></office:document>')
