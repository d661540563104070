"""The units of deploy/systemd, without a machine that runs them: what they say is understood, holds them in as documented, and fits the
programs. What they do is `make check-deb`'s to prove."""

import re
import subprocess
from pathlib import Path

import pytest

from server import BIN, PATIENCE, sanitizers

ROOT = Path(__file__).resolve().parents[2]
UNITS, PACKAGE = ROOT / "deploy/systemd", ROOT / "deploy/debian/package"
SERVICES = ("decant-api", "decant-worker", "decant-courier", "decant-redis", "decant-clamd", "decant-keys")
DOCS = (ROOT / "docs/deployment.md").read_text()

# What every service sets; and what one sets otherwise or not at all, for a reason that docs/deployment.md tells.
HELD_IN = {"CapabilityBoundingSet": "", "LockPersonality": "yes", "MemoryDenyWriteExecute": "yes", "NoNewPrivileges": "yes", "PrivateDevices": "yes",
           "PrivateMounts": "yes", "PrivateNetwork": "yes", "PrivateTmp": "yes", "PrivateUsers": "yes", "ProcSubset": "pid", "ProtectClock": "yes",
           "ProtectControlGroups": "yes", "ProtectHome": "yes", "ProtectHostname": "yes", "ProtectKernelLogs": "yes", "ProtectKernelModules": "yes",
           "ProtectKernelTunables": "yes", "ProtectProc": "invisible", "ProtectSystem": "strict", "RestrictAddressFamilies": "AF_UNIX",
           "RestrictNamespaces": "yes", "RestrictRealtime": "yes", "RestrictSUIDSGID": "yes", "SystemCallArchitectures": "native",
           "SystemCallErrorNumber": "EPERM"}
OTHERWISE = {
    "decant-api": {"PrivateNetwork": None, "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6", "RestrictSUIDSGID": None},
    "decant-worker": {"CapabilityBoundingSet": "CAP_SETUID CAP_SETGID CAP_CHOWN", "MemoryDenyWriteExecute": None, "PrivateUsers": None,
                      "RestrictNamespaces": None, "RestrictSUIDSGID": None},
    "decant-courier": {"PrivateNetwork": None, "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6"},
    "decant-redis": {},
    "decant-clamd": {},
    "decant-keys": {"RestrictAddressFamilies": "none"},
}


def sections(path):
    """{section: [(key, value), …]}"""
    found, section = {}, None
    for line in path.read_text().replace("\\\n", " ").splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            section.append(tuple(line.split("=", 1)))
    return found


def service(name):
    return sections(UNITS / f"{name}.service")["Service"]


def values(name, key):
    return [value for k, value in service(name) if k == key]


def analyze(*argv):
    answer = subprocess.run(["systemd-analyze", *map(str, argv)], capture_output=True, text=True, timeout=PATIENCE, check=False, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"})
    return answer.returncode, answer.stdout + answer.stderr


def understood(folder, change=lambda text: text):
    """What systemd says of the units, whose programs need not be here."""
    copies = [folder / path.name for path in UNITS.glob("decant*.*") if path.suffix in (".service", ".path", ".target")]
    for copy in copies:
        text = re.sub(r"(?m)^(Exec\w+=\+?)/\S+", r"\1/bin/true", (UNITS / copy.name).read_text())
        copy.write_text(change(text))
    return analyze("verify", "--man=no", "--recursive-errors=no", *copies)


def test_systemd_understands_all(tmp_path):
    assert {path.stem for path in UNITS.glob("*.service")} == set(SERVICES)
    assert understood(tmp_path) == (0, "")
    assert "Unknown key 'ProtectSistem'" in understood(tmp_path, lambda text: text.replace("ProtectSystem", "ProtectSistem"))[1]


@pytest.mark.parametrize("name", SERVICES)
def test_each_is_held_in(name):
    wanted = {**HELD_IN, **OTHERWISE[name]}
    for key, value in wanted.items():
        assert values(name, key) == ([] if value is None else [value]), key
    # An allow list; the first line makes it one. Nothing puts a whole set back.
    calls = values(name, "SystemCallFilter")
    assert calls[0] == "@system-service" and calls[1].startswith("~") and "@resources" in calls[1]
    assert not [call for line in calls[2:] for call in line.split() if call.startswith("@")]
    # Who it is.
    if name == "decant-worker":
        assert values(name, "User") == [] and "privilege_drop(" in (ROOT / "src/worker/main.c").read_text()
    else:
        assert values(name, "User") != ["root"] and len(values(name, "User")) == 1
    dynamic = name in ("decant-redis", "decant-clamd")
    assert values(name, "DynamicUser") == (["yes"] if dynamic else [])
    if not dynamic:
        users = re.findall(r"^u (\S+)", (UNITS / "decant.sysusers").read_text(), re.M)
        assert (values(name, "User") or ["decant"])[0] in users
    assert set(values(name, "IPAddressDeny")) == ({"any"} if name not in ("decant-keys", "decant-courier") else set())  # whose ways it finds out by itself
    # What it may write to is its own, or the storage.
    for path in " ".join(values(name, "ReadWritePaths")).split():
        assert path in ("/var/lib/decant/storage", "/var/lib/decant/keys", "/var/lib/decant/jwt") or path.startswith("-/sys/fs/cgroup/") and path.endswith(f"/system.slice/{name}.service")


def test_exposure_is_as_documented():
    table = re.search(r"\| unit \| exposure \|.*?\n\n", DOCS, re.S)[0]
    told = {name: float(figure) for names, figure in re.findall(r"^\| (`.*?`) \| ([\d.]+) \|", table, re.M) for name in re.findall(r"`([\w-]+)`", names)}
    assert set(told) == set(SERVICES)
    for name, figure in told.items():
        said = analyze("security", "--offline=true", "--no-pager", UNITS / f"{name}.service")[1]
        assert float(re.search(r"exposure level for \S+: ([\d.]+)", said)[1]) == figure, name


def test_exceptions_are_explained():
    table = re.search(r"\| option \| where \| why not \|.*?\n\n", DOCS, re.S)[0]
    for name, keys in OTHERWISE.items():
        for key, value in keys.items():
            if value is None and key != "PrivateNetwork":
                row = next(line for line in table.splitlines() if f"`{key}=" in line)
                assert name.removeprefix("decant-") in row.split("|")[2].lower()


def settings():
    """{variable: default} of API, worker and courier, as they tell it."""
    found = {}
    for program in ("decant-api", "decant-worker", "decant-courier"):
        said = subprocess.run([BIN / program, "--help"], capture_output=True, text=True, timeout=PATIENCE, check=True, env={"PATH": "/usr/bin:/bin", **sanitizers()}).stdout
        for line in said.splitlines():
            if name := re.search(r"\bDECANT_[A-Z_]+", line):
                found[name[0]] = (re.search(r"\[([^]]*)\]$", line) or [None, ""])[1]
    return found


def assigned(name):
    return dict(pair.split("=", 1) for line in values(name, "Environment") for pair in line.split())


def test_variables_are_settings_and_their_examples_the_defaults():
    known = settings()
    units = {name: assigned(name) for name in SERVICES}
    given = {**units["decant-api"], **units["decant-worker"], **units["decant-redis"]}
    ours = {"DECANT_REDIS_MAXMEMORY"}  # of decant-redis.service alone
    assert set(given) - ours <= set(known)
    examples = dict(re.findall(r"^#(DECANT_[A-Z_]+)=(.*)$", (UNITS / "decant.env").read_text(), re.M))
    assert len(examples) > 8 and not re.findall(r"^[^#\n]", (UNITS / "decant.env").read_text(), re.M)
    for name, value in examples.items():
        assert name in {**known, **given}, name
        if name != "DECANT_ACCEL_PREFIX":  # an example of what is off
            assert value == given.get(name, known.get(name)), name
    # What the scripts take for not set.
    for name, value in re.findall(r"\$\{(DECANT_[A-Z_]+):-(\w+)\}", (UNITS / "clamd-config").read_text()):
        assert known[name] == value, name
    # systemd says it to both, or the pair doesn't speak.
    for name in ("DECANT_STORAGE", "DECANT_REDIS"):
        assert units["decant-api"][name] == units["decant-worker"][name]
    assert units["decant-courier"] == {"DECANT_REDIS": units["decant-api"]["DECANT_REDIS"]}


def test_what_has_to_be_in_step_is():
    known = settings()
    for name in ("decant-api", "decant-worker", "decant-courier"):
        assert int(values(name, "TimeoutStopSec")[0]) >= int(known["DECANT_GRACE"]) + 10
    site = (UNITS / "sites-available/decant").read_text()
    assert f"proxy_pass http://127.0.0.1:{known['DECANT_PORT']};" in site
    assert f"client_max_body_size {int(known['DECANT_MAX_UPLOAD'].removesuffix('M')) + 1}m;" in site
    assert f"alias {assigned('decant-api')['DECANT_STORAGE']}/;" in site
    # Sockets lie where their makers make them, and folders are there.
    made = {f"/run/{folder}/" for name in SERVICES for folder in values(name, "RuntimeDirectory")}
    for socket in (assigned("decant-worker")["DECANT_REDIS"], assigned("decant-worker")["DECANT_CLAMD"]):
        assert str(Path(socket.removeprefix("unix:")).parent) + "/" in made
    folders = re.findall(r"^d (\S+)", (UNITS / "decant.tmpfiles").read_text(), re.M)
    for name in SERVICES:
        assert {path for path in " ".join(values(name, "ReadWritePaths")).split() if path.startswith("/var")} <= set(folders)


def test_the_package_has_all_that_units_run():
    lines = [line.split() for line in (PACKAGE / "install").read_text().splitlines()]
    installed = {f"/{to}/{path.name}" for source, to in lines for path in ROOT.glob(source)}
    assert all(list(ROOT.glob(source)) for source, _ in lines if not source.startswith("debian/"))  # there `rules` puts what it makes
    programs = {f"/usr/libexec/decant/{path.name}" for path in BIN.iterdir()}
    for name in SERVICES:
        for key, value in service(name):
            if key.startswith("Exec"):
                program = value.lstrip("+").split()[0]
                assert program in installed | programs or program in ("/bin/kill", "/usr/bin/test", "/usr/bin/redis-server", "/usr/sbin/clamd"), program
    for path in UNITS.rglob("*"):
        packed = any(Path(to).name == path.name for to in installed) or path.suffix in (".sysusers", ".tmpfiles", ".1")
        assert path.is_dir() or packed, path
    # Whoever makes a unit enables it, or says who starts it.
    rules = (PACKAGE / "rules").read_text()
    for path in UNITS.glob("decant*.*"):
        if "Install" in (sections(path) if path.suffix in (".service", ".path", ".target") else {}):
            assert path.name in rules, path.name


def test_the_manual_page_names_all_commands():
    said = subprocess.run([BIN / "decant", "--help"], capture_output=True, text=True, timeout=PATIENCE, check=True, env={"PATH": "/usr/bin:/bin", **sanitizers()}).stdout
    commands = re.findall(r"^  ([a-z-]+) ", said, re.M)
    page = (ROOT / "src" / "cli" / "man" / "decant.1").read_text()
    assert re.search(r"\{ (.*?) \}", page)[1].split(" | ") == commands
    assert set(re.findall(r"^\.B decant ([a-z-]+)", page, re.M)) == set(commands)
    assert {f"{path.stem}{path.suffix}" for path in UNITS.glob("*.service")} | {"decant.target"} <= set(re.findall(r"decant[\w-]*\.(?:service|target)", page))
