"""Is a PDF what PDF/A (ISO 19005-1, -2, -3), conformance B, asks for? What can be said without drawing it: an own reading, and PDFBox's for part 1."""

import json
import os
import subprocess
import xml.etree.ElementTree as ET

JARS = "/usr/share/java/"
PDFBOX = [JARS + name + ".jar" for name in ("preflight", "pdfbox2", "xmpbox", "fontbox2", "commons-logging", "javax.activation", "jaxb-api")]
FORBIDDEN_ACTIONS = {"/Launch", "/Sound", "/Movie", "/ResetForm", "/ImportData", "/JavaScript", "/SetState", "/NOP", "/Hide", "/Rendition", "/Trans", "/SetOCGState", "/GoTo3DView"}
NAMES = {"rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "dc": "http://purl.org/dc/elements/1.1/", "pdfaid": "http://www.aiim.org/pdfa/ns/id/", "xmp": "http://ns.adobe.com/xap/1.0/"}


def said(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, timeout=120)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def dictionaries(value):
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from dictionaries(inner)


class Reading:
    """The objects of a PDF, as qpdf has them."""

    def __init__(self, path):
        self.path, self.data = path, path.read_bytes()
        self.objects = json.loads(said("qpdf", "--json=2", "--json-key=qpdf", path))["qpdf"][1]
        self.trailer = self.objects["trailer"]["value"]
        self.root = self.at(self.trailer["/Root"])
        self.all = [d for o in self.objects.values() for d in dictionaries(o.get("value", o.get("stream", {}).get("dict")))]

    def at(self, value):
        found = self.objects.get(f"obj:{value}") if isinstance(value, str) else None
        return self.at(found["value"] if "value" in found else found["stream"]["dict"]) if found else value

    def stream(self, reference):
        return said("qpdf", f"--show-object={reference.split()[0]}", "--filtered-stream-data", self.path)

    def xmp(self):
        assert "/Filter" not in self.at(self.root["/Metadata"])
        return ET.fromstring(self.stream(self.root["/Metadata"]))


def check_colours(r):
    intents = [r.at(i) for i in r.at(r.root["/OutputIntents"])]
    assert [i["/S"] for i in intents] == ["/GTS_PDFA1"] and intents[0]["/OutputConditionIdentifier"]
    profile = intents[0]["/DestOutputProfile"]
    assert r.at(profile)["/N"] == 3 and r.stream(profile)[36:40] == b"acsp"


def text_of(string):
    """As qpdf's JSON has it; what is no UTF-8 there is in PDFDocEncoding, most of which is Latin-1."""
    return None if string is None else string[2:] if string.startswith("u:") else bytes.fromhex(string[2:]).decode("latin-1")


def check_metadata(r, part):
    xmp, info = r.xmp(), r.at(r.trailer.get("/Info", {}))
    text = lambda path: next((e.text for e in xmp.iterfind(f".//{path}", NAMES)), None)
    assert (text("pdfaid:part"), text("pdfaid:conformance")) == (str(part), "B")
    strings = {"/Title": "dc:title/rdf:Alt/rdf:li", "/Author": "dc:creator/rdf:Seq/rdf:li", "/Creator": "xmp:CreatorTool"}
    for key, path in strings.items():
        assert text_of(info.get(key)) == text(path), (key, info)
    digits = lambda time: "".join(c for c in time or "" if c.isdigit())
    assert digits(info.get("/CreationDate")) == digits(text("xmp:CreateDate"))


def check_forbidden(r, part):
    assert "/Encrypt" not in r.trailer and len(r.trailer["/ID"]) == 2
    names = r.at(r.root.get("/Names", {}))
    assert not {"/JavaScript", "/EmbeddedFiles"} & set(names) and "/AA" not in r.root and "/NeedAppearances" not in r.at(r.root.get("/AcroForm", {}))
    for d in r.all:
        assert d.get("/S") not in FORBIDDEN_ACTIONS and "/JS" not in d and "/AA" not in d and d.get("/Type") != "/EmbeddedFile", d
        assert "/LZWDecode" not in str(d.get("/Filter")) and d.get("/Subtype") not in ("/PS", "/Movie", "/Sound", "/3D", "/Screen")
        if d.get("/Type") == "/Annot" and d.get("/Subtype") != "/Popup":
            assert d.get("/F", 0) & 0b100 and not d.get("/F", 0) & 0b100011, d  # printed, and neither hidden nor invisible
        if part == 1:
            assert d.get("/SMask", "/None") == "/None" and d.get("/CA", 1) == d.get("/ca", 1) == 1 and d.get("/S") != "/Transparency", d
            assert d.get("/Type") not in ("/ObjStm", "/XRef", "/OCG"), d


def check_file(r, part):
    assert r.data[:5] == b"%PDF-" and r.data[5:8] in ((b"1.4",) if part == 1 else (b"1.4", b"1.5", b"1.6", b"1.7"))
    comment = r.data.split(b"\n")[1]
    assert comment[:1] == b"%" and sum(byte > 127 for byte in comment[1:5]) == 4
    fonts = said("pdffonts", r.path).decode().splitlines()
    at = fonts[0].index("emb") if fonts else 0
    assert all(line[at:at + 3] == "yes" for line in fonts[2:]), fonts
    said("qpdf", "--check", r.path)


def check(path, part):
    """Raises AssertionError when it isn't of that part."""
    r = Reading(path)
    check_file(r, part)
    check_colours(r)
    check_metadata(r, part)
    check_forbidden(r, part)


def has_validator():
    return all(os.path.exists(path) for path in [*PDFBOX, "/usr/bin/java"])


def validate_1b(path):
    """By PDFBox."""
    done = subprocess.run(["java", "-cp", ":".join(PDFBOX), "org.apache.pdfbox.preflight.Validator_A1b", str(path)], capture_output=True, text=True, timeout=300)
    assert "is a valid PDF/A-1b file" in done.stdout, done.stdout + done.stderr
