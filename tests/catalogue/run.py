#!/usr/bin/python3
"""Every pair that the catalogue offers: a file of the source format (sources.py) is converted as `decant convert` does it, and an independent tool says whether the result is what
it should be (judge.py). Writes a line for each pair to catalogue.tsv; ends with `N pairs passed, N failed`.

    tests/catalogue/run.py [--bindir build/bin] [--out build/catalogue.tsv] [--jobs N] [--engine NAME] [--spread] [--sample N]

--spread takes each source and each target once instead of all pairs with all; --sample N of these, others each time."""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sources import Sources
from judge import judge
from judge_archives import arrived as all_arrived
from judge_office import arrived
from sources_archives import FORMATS as ARCHIVES
from sources_office import FORMATS

ROOT = Path(__file__).parents[2]


def offered(bindir):
    """{source: [target, …]}"""
    formats = json.loads(subprocess.run([bindir / "decant", "formats", "--json"], check=True, capture_output=True, text=True).stdout)["formats"]
    return {source: format["targets"] for source, format in formats.items() if format["targets"]}


def spread(pairs):
    """Few of them, in which each source and each target occurs: first those in which both are new."""
    seen = set()
    for wanted in (2, 1):
        for source, target in pairs:
            words = {(source, 0), (target, 1)}
            if len(words - seen) >= wanted:
                seen |= words
                yield source, target


def convert(bindir, target, inputs, folder, jobs):
    """{input: report} of one command for one target."""
    words = [bindir / "decant", "convert", *inputs, "--to", target, "-o", folder, "--json", "--force", f"-j{jobs}"]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=3600)
    reports = {report["input"]: report for report in map(json.loads, done.stdout.splitlines())}
    if not reports:
        sys.exit(f"decant convert says nothing: {done.stderr.strip()[-500:]}")
    return reports


def verdict(report, target):
    if report["status"] != "completed":
        return report["error_code"]
    path = Path(report["output"])
    try:
        judge(path, target if path.suffix == f".{target}" else path.suffix[1:])
        source = Path(report["input"]).suffix[1:]
        if target == "pdf" and source in FORMATS:
            arrived(path, source)
        elif target == "pdf" and source in ARCHIVES:
            all_arrived(path)
    except (AssertionError, ValueError, OSError, SyntaxError, subprocess.SubprocessError) as error:
        return str(error).replace("\t", " ").replace("\n", " ") or type(error).__name__
    finally:
        path.unlink(missing_ok=True)
    return "pass"


def of_engine(bindir, name, pairs):
    described = subprocess.run([bindir / f"decant-engine-{name}", "--describe"], check=True, capture_output=True, text=True).stdout
    own = {tuple(word.strip(' "') for word in line.split(",")[1:3]) for line in described.splitlines() if line.startswith("STEP(")}
    return [pair for pair in pairs if pair in own]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--bindir", type=Path, default=ROOT / "build/bin")
    arguments.add_argument("--out", type=Path, default=ROOT / "build/catalogue.tsv")
    arguments.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments.add_argument("--engine")
    arguments.add_argument("--spread", action="store_true")
    arguments.add_argument("--sample", type=int)
    options = arguments.parse_args()
    pairs = [(source, target) for source, targets in offered(options.bindir).items() for target in targets]
    if options.engine:
        pairs = of_engine(options.bindir, options.engine, pairs)
    if options.spread:
        pairs = list(spread(pairs))
    if options.sample:
        pairs = random.sample(pairs, min(options.sample, len(pairs)))

    with tempfile.TemporaryDirectory(prefix="decant-catalogue-") as folder:
        os.chmod(folder, 0o755)
        sources, lines, failed = Sources(Path(folder) / "in"), [], 0
        for target in sorted({target for _, target in pairs}):
            inputs = {str(sources.path(source, target)): source for source, to in pairs if to == target}
            reports = convert(options.bindir, target, inputs, Path(folder) / "out", options.jobs)
            with ThreadPoolExecutor(options.jobs) as pool:
                found = dict(zip(reports, pool.map(lambda report: verdict(report, target), reports.values())))
            for path, source in inputs.items():
                result = found.get(path, "no report")
                failed += result != "pass"
                lines.append(f"{source}\t{target}\t{'pass' if result == 'pass' else 'fail'}\t{reports[path]['ms'] if path in reports else 0}\t{'' if result == 'pass' else result}")
                if result != "pass":
                    print(f"FAIL  {source} -> {target}: {result}", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("source\ttarget\tresult\tms\treason\n" + "\n".join(sorted(lines)) + "\n")
    print(f"{len(lines) - failed} pairs passed, {failed} failed ({options.out})")
    return failed > 0 or not lines


if __name__ == "__main__":
    sys.exit(main())
