"""The text format of Prometheus, read strictly: whatever is not as its specification and OpenMetrics have it is an error.

https://prometheus.io/docs/instrumenting/exposition_formats/ and, for names, https://github.com/prometheus/OpenMetrics"""

import math
import re
from collections import defaultdict

HELP = re.compile(r"# HELP ([a-z_][a-z0-9_]*) ([A-Za-z][^\n\\]*\.)")
TYPE = re.compile(r"# TYPE ([a-z_][a-z0-9_]*) (counter|gauge|histogram)")
SAMPLE = re.compile(r'([a-z_][a-z0-9_]*)(?:\{([a-z_]+="[^"\\\n]*"(?:,[a-z_]+="[^"\\\n]*")*)\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="([^"\\\n]*)"')
NUMBER = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)?(e[+-][0-9]+)?")


class Family:
    def __init__(self, name, help_text):
        self.name, self.help, self.kind = name, help_text, None
        self.samples = {}  # (name, ((label, value), …)) → number


def _check_histogram(family):
    series = defaultdict(list)
    for (name, labels), value in family.samples.items():
        if name == family.name + "_bucket":
            le = dict(labels)["le"]
            rest = tuple(pair for pair in labels if pair[0] != "le")
            series[rest].append((math.inf if le == "+Inf" else float(le), value))
    for rest, buckets in series.items():
        bounds, counts = zip(*buckets)
        assert list(bounds) == sorted(set(bounds)) and bounds[-1] == math.inf, (family.name, rest, bounds)
        assert list(counts) == sorted(counts), (family.name, rest, counts)
        assert family.samples[family.name + "_count", rest] == counts[-1]
        assert (family.samples[family.name + "_sum", rest] > 0) or counts[-1] == 0 or bounds[0] >= 0
    assert len(family.samples) == sum(len(buckets) + 2 for buckets in series.values()), family.name


def _check_names(families):
    bare = [name[:-len("_total")] if family.kind == "counter" else name for name, family in families.items()]
    assert len(bare) == len(set(bare)), "two families that OpenMetrics could not tell apart"
    for name, family in families.items():
        assert (family.kind == "counter") == name.endswith("_total"), name
        assert not re.search(r"_(count|sum|bucket|created|milliseconds|ms|kib|kilobytes)$", name), name
        assert family.kind != "histogram" or name.endswith(("_seconds", "_bytes")), f"{name} has no unit"


def parse(text):
    """{name: Family}; samples by their name and sorted labels."""
    assert text.endswith("\n")
    families, family = {}, None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP"):
            name, help_text = HELP.fullmatch(line).groups()
            assert name not in families, f"{name} comes twice"
            family = families[name] = Family(name, help_text)
        elif line.startswith("#"):
            name, kind = TYPE.fullmatch(line).groups()
            assert name == family.name and family.kind is None and not family.samples, line
            family.kind = kind
        else:
            found = SAMPLE.fullmatch(line)
            assert found, f"no sample: {line!r}"
            name, labels, number = found.groups()
            labels = LABEL.findall(labels or "")
            assert len({key for key, _ in labels}) == len(labels), line
            assert NUMBER.fullmatch(number), line
            endings = ("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",)
            assert name in [family.name + ending for ending in endings], f"{name} within {family.name}"
            assert ("le" in dict(labels)) == name.endswith("_bucket"), line
            key = name, tuple(sorted(labels))
            assert key not in family.samples, f"{line} comes twice"
            family.samples[key] = float(number)
    for family in families.values():
        assert family.kind, f"{family.name} has no type"
        if family.kind == "histogram":
            _check_histogram(family)
    _check_names(families)
    return families


def value(families, sample_name, **labels):
    """The value of one sample; 0 when there is none of these labels."""
    for ending in ("", "_bucket", "_sum", "_count"):
        family = families.get(sample_name.removesuffix(ending) if ending else sample_name)
        if family and (not ending or sample_name.endswith(ending)):
            return family.samples.get((sample_name, tuple(sorted(labels.items()))), 0)
    raise AssertionError(f"no family has {sample_name}")
