"""Texts that sources.py has no one-line recipe for: bibliographies."""

import json

ENTRIES = {
    "bib": "@book{hello84,\n  author = {Donald E. Example},\n  title = {Hello from a test},\n  publisher = {Tests},\n  year = {1984}\n}\n"
           "@article{mueller2020,\n  author = {Müller, Max and Doe, Jane},\n  title = {A second one},\n  journal = {Journal of Tests},\n  volume = {3},\n  year = {2020}\n}\n",
    "csljson": json.dumps([
        {"id": "hello84", "type": "book", "author": [{"family": "Example", "given": "Donald E."}], "title": "Hello from a test", "publisher": "Tests", "issued": {"date-parts": [[1984]]}},
        {"id": "mueller2020", "type": "article-journal", "author": [{"family": "Müller", "given": "Max"}, {"family": "Doe", "given": "Jane"}], "title": "A second one",
         "container-title": "Journal of Tests", "volume": "3", "issued": {"date-parts": [[2020]]}}])}


def make(format, path):
    """Whether it is one of ours, and then it is made."""
    if format in ENTRIES:
        path.write_text(ENTRIES[format], encoding="utf-8")
    return format in ENTRIES
