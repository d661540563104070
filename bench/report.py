"""What a run leaves: tables for a terminal, Markdown for the page, JSON for machines."""

import json
import os
import platform
import re
import subprocess
from pathlib import Path

BEGIN, END = "<!-- figures: bench/run.py --update-docs -->", "<!-- end of figures -->"


def machine():
    """What the figures depend on, without the machine's name."""
    cpu = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text()).group(1))
    return {"cpu": cpu, "cores": os.cpu_count(), "memory_gib": round(memory / (1 << 20)), "kernel": platform.release().split("-")[0],
            "debian": Path("/etc/debian_version").read_text().strip(), "load_at_start": os.getloadavg()[0],
            "versions": {name: version(name) for name in (
                "libreoffice-core", "imagemagick", "libvips-tools", "poppler-utils", "python3-fastapi", "python3-uvicorn",
                "python3-celery", "redis-server", "wrk")}}


def version(package):
    out = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    return out.stdout if out.returncode == 0 else None


def text_table(columns, rows):
    cells = [[str(c) for c in row] for row in [columns, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in cells]
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


def markdown_table(columns, rows):
    line = lambda row: "| " + " | ".join(str(c).replace("|", "\\|") for c in row) + " |"
    return "\n".join([line(columns), "|" + "---|" * len(columns), *map(line, rows)])


def goals_table(goals):
    return ["goal", "wanted", "measured", "met"], [[g["name"], g["wanted"], g["measured"], "yes" if g["met"] else "no"] for g in goals]


def markdown(results):
    m, parts = results["machine"], []
    seconds = results["seconds"]
    parts.append(f"Taken on {results['date']} in one {results['mode']} run of {seconds / 60:.0f} minutes: {m['cores']} cores of "
                 f"{m['cpu']}, {m['memory_gib']} GiB, Linux {m['kernel']}, Debian {m['debian']}; the load average was "
                 f"{m['load_at_start']:.1f} at the start, before any of it ran. Decant {results['commit']}.")
    parts.append("### Goals\n\n" + markdown_table(*goals_table(results["goals"])))
    for measure in results["measures"].values():
        for table in measure["tables"]:
            parts.append(f"### {table['title']}\n\n" + markdown_table(table["columns"], table["rows"]))
        parts += measure["notes"]
    versions = ", ".join(f"{name} {v}" for name, v in m["versions"].items() if v)
    parts.append(f"Versions: {versions}.")
    return "\n\n".join(parts)


def update_page(path, results):
    page = path.read_text()
    before, found, rest = page.partition(BEGIN)
    _, found_end, after = rest.partition(END)
    if not found or not found_end:
        raise SystemExit(f"{path} lacks its markers {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n\n{markdown(results)}\n\n{END}{after}")


def write_json(path, results):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
