"""PostScript: programs that read, write, start others, and never end. What has become of holes in Ghostscript's fence (-dSAFER) is here in its shape."""

from . import add, case

HONEST = "completed corrupt_input too_complex timed_out engine_crashed no_output"
BAD = "corrupt_input"
SHOW = "/Helvetica findfont 9 scalefont setfont 9 700 moveto "


def program(text, kind="PS-Adobe-3.0"):
    return f"%!{kind}\n%%BoundingBox: 0 0 99 99\n{text}\nshowpage\n".encode()


def string(s):
    return "(" + s.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)") + ")"


def read(name):
    """Shows the first bytes of a file, if it can be had; goes on in either case."""
    return f"{{ {string(name)} (r) file 4000 string readstring pop {SHOW} show }} stopped {{clear}} if"


def places(c):
    names = c.local("txt")
    return [*names, *("%os%" + name for name in names), "%rom%lib/ps2epsi.ps", "%ram%x", "%pipe%cat " + str(c.folder / "canary.txt"), "%pipe%id", "%stdin", "%statementedit", "%calendar%x",
            "%handle%3", "%disk0%x", *c.remote("ps")]


@case("ps-reads", "a.ps", "pdf", "completed")
def _(c):
    return program("\n".join(map(read, places(c))))


@case("eps-reads", "a.eps", "png", "completed")
def _(c):
    return program("\n".join(map(read, places(c))), "PS-Adobe-3.0 EPSF-3.0")


@case("ps-runs-files", "a.ps", "pdf", "completed")
def _(c):
    return program("\n".join(f"{{ {string(name)} run }} stopped {{clear}} if" for name in places(c)))


@case("ps-lists-folders", "a.ps", "pdf", "completed timed_out")
def _(c):
    return program("\n".join(f"{{ {string(pattern)} {{ {SHOW} show }} 1000 string filenameforall }} stopped {{clear}} if"
                             for pattern in (f"{c.folder}/*", "/etc/*", "/*", "/proc/self/*", "%os%*", "*")))


@case("ps-writes", "a.ps", "pdf", "completed")
def _(c):
    names = ["/tmp/escaped", "/escaped", "../../../../tmp/escaped", str(c.folder / "canary.txt"), "/usr/bin/gs", "%pipe%touch /tmp/escaped", "%os%/tmp/escaped"]
    return program("\n".join(f"{{ {string(name)} (w) file dup (x) writestring closefile }} stopped {{clear}} if {{ {string(name)} deletefile }} stopped {{clear}} if "
                             f"{{ {string(name)} (/tmp/escaped) renamefile }} stopped {{clear}} if" for name in names))


@case("ps-output-elsewhere", "a.ps", "pdf", HONEST)
def _(c):
    return program("\n".join(f"{{ << /OutputFile {string(name)} >> setpagedevice showpage }} stopped {{clear}} if"
                             for name in ("/tmp/escaped", "%pipe%id>/tmp/escaped", str(c.folder / "canary.txt"), "/output/../escaped")))


# As in CVE-2018-16509, 2019-6116, 2019-10216, 2019-14811 to 14817, 2021-3781, 2023-36664, 2023-43115, 2024-29510: each lifted the fence from within the language.
LIFTERS = {
    "restore": "{ null setpagedevice } stopped clear { legal } stopped {clear} if { save restore } stopped clear << /LockSafetyParams false /SAFER false >> setuserparams",
    "userparams": "{ << /PermitFileReading [(*)] /PermitFileWriting [(*)] /PermitFileControl [(*)] /LockFilePermissions false >> setuserparams } stopped clear",
    "forceput": "{ systemdict /SAFER false .forceput } stopped clear { userdict /superexec {} .forceput } stopped clear",
    "handlers": "errordict begin /invalidfileaccess { pop pop true } def /typecheck { stack } def end $error /newerror false put { .pdf_hook_DSC_Creator } stopped clear",
    "policy": "{ << /Policies << /PolicyReport { pop systemdict /.setsafe known } /PolicyNotFound 1 >> /.LockSafetyParams false >> setpagedevice } stopped clear",
    "device": "{ (uniprint) selectdevice << /upYMoveCommand (%s%n%x) /OutputFile (/tmp/escaped) >> setpagedevice } stopped clear "
              "{ (ijs) selectdevice << /IjsServer (id>/tmp/escaped) /DeviceManufacturer (a) /DeviceModel (b) >> setpagedevice } stopped clear "
              "{ (opvp) selectdevice << /Driver (/tmp/escaped.so) >> setpagedevice } stopped clear",
    "paths": "{ (%pipe%id>/tmp/escaped,/tmp/) (r) file } stopped clear { (/tmp/%pipe%id) (w) file } stopped clear { (/tmp/|id) (w) file } stopped clear",
    "schedule": "{ .schedule_init } stopped clear { 16#7fffffff .bindundef } stopped clear { systemdict /.runandhide get } stopped clear",
}


def lifted(c, prologue):
    return program(prologue + "\n" + "\n".join(map(read, places(c))))


for name, prologue in LIFTERS.items():
    add(f"ps-lifts-{name}", "a.ps", "pdf", HONEST, lambda c, prologue=prologue: lifted(c, prologue))


# --- those that eat

EATERS = {
    "loop": ("{} loop", "timed_out too_complex"),
    "recursion": ("/f {f f} def f", HONEST),
    "deep-stack": ("{ 1 2 3 4 } loop", HONEST),
    "arrays": ("/a [] def { /a [ a 60000 array ] def } loop", "too_complex timed_out corrupt_input"),
    "strings": ("/a [] def { /a [ a 60000 string ] def } loop", "too_complex timed_out corrupt_input"),
    "dictionaries": ("/d 10 dict def 0 { dup d exch 60000 dict put 1 add } loop", "too_complex timed_out corrupt_input"),
    "names": ("0 { dup 20 string cvs cvn pop 1 add } loop", "too_complex timed_out corrupt_input"),
    "million-pages": ("1000000 { showpage } repeat", HONEST),
    "huge-page": ("<< /PageSize [1000000 1000000] >> setpagedevice 0 0 1000000 1000000 rectfill", HONEST),
    "huge-picture": ("100000 100000 8 [1 0 0 1 0 0] { 60000 string } image", HONEST),
    "flate": ("currentfile /FlateDecode filter /FlateDecode filter 65000 string { 2 copy readstring not { exit } if pop } loop", HONEST),
    "paths": ("newpath 0 0 moveto 0 1 3000000 { dup lineto } for stroke", HONEST),
    "patterns": ("<< /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 1 1] /XStep 0.001 /YStep 0.001 /PaintProc { pop 0 0 1 1 rectfill } >> matrix makepattern setpattern 0 0 600 800 rectfill", HONEST),
    "output": ("{ (%stdout) (w) file 60000 string writestring } loop", "timed_out too_complex corrupt_input"),
    "odd-numbers": ("1e38 1e38 moveto 1e38 dup lineto stroke 1e38 1e38 scale 0 0 1 1 rectfill", HONEST),
}
for name, (text, ends) in EATERS.items():
    add(f"ps-{name}", "a.ps", "pdf", ends, lambda c, text=text: program(text))

add("ps-quits", "a.ps", "pdf", HONEST, lambda c: program("quit"))
add("ps-talks", "a.ps", "pdf", HONEST, lambda c: program("(PageCount 4000000000\\n%%[Error\\n   **** requires a password for access\\n) print flush"))
add("eps-preview-lies", "a.eps", "pdf", HONEST, lambda c: b"\xc5\xd0\xd3\xc6" + b"\xff\xff\xff\x7f" * 6 + b"\xff\xff" + program(""))
