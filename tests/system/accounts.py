"""Accounts of a server, as its operator makes them."""

import subprocess

from client import Client
from server import BIN, PATIENCE, sanitizers

PASSWORD = "correct horse battery"


def decant(server, *words, stdin=""):
    return subprocess.run([BIN / "decant", *words], input=stdin, capture_output=True, text=True, check=True, timeout=PATIENCE,
                          env={"PATH": "/usr/bin:/bin", "DECANT_DATA": str(server.data), **sanitizers()}).stdout


def add_account(server, name, plan, password=None):
    decant(server, "user", "add", name, "--plan", plan, "--password-stdin" if password else "--no-password", stdin=password or "")


def add_key(server, name, scope="convert,read"):
    """The one who holds it."""
    out = decant(server, "key", "create", "--user", name, "--scope", scope)
    return Client(server.url, bearer=next(word for word in out.split() if word.startswith("dk_")))
