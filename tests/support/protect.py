#!/usr/bin/python3
"""protect.py FOLDER [PASSWORD]: writes a protected document of each format that LibreOffice can protect, FOLDER/secret.FORMAT.
Without a PASSWORD it is "Grüße 12".

A soffice of its own makes them, asked by UNO over a pipe; nothing but the folder is written. (`soffice --convert-to` has no way to
name a password.)"""

import hashlib
import secrets
import subprocess
import sys
import time
from pathlib import Path

import uno
from com.sun.star.beans import NamedValue, PropertyValue
from com.sun.star.connection import NoConnectException

PATIENCE_S = 120
WORDS = "the words inside"


def values(kind, **pairs):
    return tuple(kind(Name=name, Value=value) for name, value in pairs.items())


def package(password):
    return values(PropertyValue, Password=password)


def encryption_data(**pairs):
    return values(PropertyValue, EncryptionData=uno.Any("[]com.sun.star.beans.NamedValue", values(NamedValue, **pairs)))


def ooxml(password):
    return encryption_data(CryptoType="Standard", OOXPassword=password)


def binary(password):
    """[MS-OFFCRYPTO] 2.3.6.2: the key of the formats of 97, which the dialogue for saving makes and not the filter."""
    document = secrets.token_bytes(16)
    half = hashlib.md5(password.encode("utf-16-le")).digest()[:5]
    key = hashlib.md5((half + document) * 16).digest()
    return encryption_data(STD97EncryptionKey=uno.ByteSequence(key), STD97UniqueID=uno.ByteSequence(document))


# format: kind of document, export filter, how it is told the password
FORMATS = {
    "odt": ("swriter", "writer8", package), "ods": ("scalc", "calc8", package),
    "odp": ("simpress", "impress8", package), "odg": ("sdraw", "draw8", package),
    "otg": ("sdraw", "draw8_template", package), "odf": ("smath", "math8", package),
    "docx": ("swriter", "MS Word 2007 XML", ooxml), "xlsx": ("scalc", "Calc MS Excel 2007 XML", ooxml),
    "pptx": ("simpress", "Impress MS PowerPoint 2007 XML", ooxml),
    "doc": ("swriter", "MS Word 97", binary), "xls": ("scalc", "MS Excel 97", binary),
}


def connect(pipe, process):
    local = uno.getComponentContext()
    resolver = local.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", local)
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            context = resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
            return context.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", context)
        except NoConnectException:
            if time.monotonic() > deadline or process.poll() is not None:
                raise
            time.sleep(0.1)


def write(document, kind):
    if kind == "swriter":
        document.Text.String = WORDS
    elif kind == "scalc":
        document.Sheets.getByIndex(0).getCellByPosition(0, 0).String = WORDS
    elif kind == "smath":
        document.Formula = f'"{WORDS}"'
    else:
        shape = document.createInstance("com.sun.star.drawing.TextShape")
        document.DrawPages.getByIndex(0).add(shape)
        shape.String = WORDS


def protect(desktop, path, kind, name, how):
    document = desktop.loadComponentFromURL("private:factory/" + kind, "_blank", 0, values(PropertyValue, Hidden=True))
    write(document, kind)
    document.storeToURL(uno.systemPathToFileUrl(str(path)), values(PropertyValue, FilterName=name) + how)
    document.close(True)


def main():
    folder, password = Path(sys.argv[1]).resolve(), sys.argv[2] if len(sys.argv) > 2 else "Grüße 12"
    pipe = f"decant-protect-{folder.stat().st_ino}"
    process = subprocess.Popen(
        ["soffice", "--headless", "--norestore", f"-env:UserInstallation={(folder / 'profile').as_uri()}", f"--accept=pipe,name={pipe};urp"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        desktop = connect(pipe, process)
        for suffix, (kind, name, how) in FORMATS.items():
            protect(desktop, folder / f"secret.{suffix}", kind, name, how(password))
        desktop.terminate()
        process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait()


main()
