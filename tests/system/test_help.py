"""What helps at the prompt: a manual page for each command, and the completion of bash and zsh, all as they are installed."""

import json
import re
import subprocess

import pytest

from server import BIN, BUILD, PATIENCE, sanitizers

SHARE = BUILD / "share"
PAGES = SHARE / "man" / "man1"


def said(*words, **more):
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, env={"PATH": f"{BIN}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", **sanitizers(), **more})
    assert done.returncode == 0 and "Sanitizer" not in done.stderr, (words, done.stdout, done.stderr)
    return done.stdout


COMMANDS = re.findall(r"^  ([a-z-]+) ", said("decant", "--help"), re.M)
WITH_PAGES = [command for command in COMMANDS if command != "version"]  # that is in decant(1)


def options(command):
    """Those that --help lists, and their variables."""
    text = said("decant", command, "--help")
    listed = re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", text, re.M)
    return set(listed) | set(re.findall(r"\bDECANT_[A-Z_]+(?= )", text)) | set(re.findall(r"--[a-z-]+", text.partition("\n\n")[0]))


# --- manual pages

def test_each_command_has_a_page_and_none_is_left_over():
    assert sorted(path.name for path in PAGES.glob("*")) == sorted(["decant.1", *(f"decant-{command}.1" for command in WITH_PAGES)])
    see_also = (PAGES / "decant.1").read_text().replace("\\-", "-")
    assert {f"decant-{command}" for command in WITH_PAGES} == set(re.findall(r"^\.BR (decant-[a-z-]+) \(1\),$", see_also, re.M))


@pytest.mark.parametrize("command", WITH_PAGES)
def test_a_page_has_what_help_has(command):
    page = PAGES / f"decant-{command}.1"
    shown = said("man", "-l", str(page), MANWIDTH="1000")
    words = set(re.findall(r"--[a-z-]+|DECANT_[A-Z_]+", shown))
    assert (options(command) or command == "seal-key") and options(command) <= words, options(command) - words
    for section in "NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO":
        assert re.search(f"^{section}$", shown, re.M), shown
    assert not re.search(r"^\s*[`']|\\", shown.replace("\\e", ""), re.M)


def test_pages_have_no_mistakes():
    pages = sorted(map(str, PAGES.glob("*.1")))
    warnings = subprocess.run(["mandoc", "-Tlint", "-Wwarning", *pages], capture_output=True, text=True, timeout=PATIENCE).stdout
    assert [line for line in warnings.splitlines() if "missing date" not in line] == []  # a page that is written by a build has no date of its own
    for page in pages:
        done = subprocess.run(["groff", "-ww", "-K", "utf8", "-man", "-Tutf8", "-z", page], capture_output=True, text=True, timeout=PATIENCE)
        assert (done.returncode, done.stderr) == (0, ""), page


# --- completion

BASH = """
. "$0"
[[ $(complete -p decant) == *_decant* ]] || exit 1
COMP_WORDS=(decant "$@")
COMP_CWORD=$#
_decant
printf '%s\\n' "${COMPREPLY[@]}"
"""
# What zsh's own functions would be given.
ZSH = """
fpath=($0:h $fpath)
autoload -Uz _decant
compadd() { [[ $1 == -a ]] && print -l -- ${(P)2} }
_describe() { print -l -- ${${(P)@[-1]}%%:*} }
_files() { : }
_call_program() { shift; eval "$@" }
words=(decant "$@") CURRENT=$(($# + 1))
_decant
"""


def complete(shell, *words, **more):
    """Of the last word, which is not complete."""
    if shell == "bash":
        found = said("bash", "-c", BASH, str(SHARE / "bash-completion/completions/decant"), *words, **more)
    else:
        found = said("zsh", "-f", "-c", ZSH.replace("$0:h", str(SHARE / "zsh/vendor-completions")), "zsh", *words, **more)
    return {word for word in found.split("\n") if word and word.startswith(words[-1])}


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_words_are_completed(shell, tmp_path):
    assert complete(shell, "") == set(COMMANDS)
    assert complete(shell, "conv") == {"convert"}
    assert complete(shell, "jobs", "") == {"list", "show", "wait", "download", "cancel", "delete"}
    assert complete(shell, "jobs", "--json", "d") == {"download", "delete"}
    assert complete(shell, "user", "") == {"add", "list", "passwd", "plan", "disable", "enable", "remove"}
    assert complete(shell, "queue", "dead", "") == {"list", "show", "replay", "drop"}
    assert complete(shell, "user", "add", "ada", "--plan", "") == {"free", "premium"}
    assert complete(shell, "convert", "") == set()  # files, which the shell itself has
    for command in WITH_PAGES:
        listed = {word for word in options(command) if word.startswith("--")}
        assert listed <= complete(shell, command, "-"), command
    formats = set().union(*(line.split("→ ")[1].split() for line in said("decant", "formats").splitlines() if "→" in line))
    assert complete(shell, "convert", "a.docx", "--to", "") == formats and "pdf" in formats
    (tmp_path / "decant").mkdir()
    (tmp_path / "decant" / "servers.json").write_text(json.dumps({"version": 1, "default": None, "servers": {"https://a.example": {"api_key": "dk_1"}, "https://b.example": {}}}, indent=2))
    assert complete(shell, "convert", "--server", "a", XDG_CONFIG_HOME=str(tmp_path)) == {"a.example"}
    assert complete(shell, "convert", "--server", "", XDG_CONFIG_HOME=str(tmp_path)) <= {"a.example", "b.example"}


def test_where_decant_is_not_there_nothing_is_said(tmp_path):
    done = subprocess.run(["bash", "-c", BASH, str(SHARE / "bash-completion/completions/decant"), ""], capture_output=True, text=True, timeout=PATIENCE, env={"PATH": "/usr/bin:/bin"})
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_zsh_takes_it_for_its_language():
    said("zsh", "-n", str(SHARE / "zsh/vendor-completions/_decant"))
    assert said("zsh", "-f", "-c", f"fpath=({SHARE}/zsh/vendor-completions $fpath); autoload -Uz compinit && compinit -u -D; print $_comps[decant]") == "_decant\n"
