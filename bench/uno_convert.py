"""Asks one warm soffice for conversions by UNO, as unoserver and Gotenberg do: a line `input<TAB>output<TAB>filter` on
standard input, a line `ok` or `failed: why` on standard output. Its first argument is the port that soffice listens on."""

import sys
import time

import uno
from com.sun.star.beans import PropertyValue


def prop(name, value):
    return PropertyValue(Name=name, Value=value)


def connect(port):
    local = uno.getComponentContext()
    resolver = local.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", local)
    deadline = time.monotonic() + 60
    while True:
        try:
            context = resolver.resolve(f"uno:socket,host=127.0.0.1,port={port};urp;StarOffice.ComponentContext")
            return context.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", context)
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def convert(desktop, source, output, name):
    document = desktop.loadComponentFromURL(uno.systemPathToFileUrl(source), "_blank", 0, (prop("Hidden", True), prop("ReadOnly", True)))
    if document is None:
        raise RuntimeError("it does not load")
    try:
        document.storeToURL(uno.systemPathToFileUrl(output), (prop("FilterName", name),))
    finally:
        document.close(True)


def main():
    desktop = connect(int(sys.argv[1]))
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            convert(desktop, *line.rstrip("\n").split("\t"))
            print("ok", flush=True)
        except Exception as error:
            print("failed:", str(error).replace("\n", " "), flush=True)


main()
