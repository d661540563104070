"""Medians and spreads."""

import statistics


def percentile(values, p):
    """Linear between neighbours, as numpy's default."""
    ordered = sorted(values)
    if not ordered:
        return None
    at = (len(ordered) - 1) * p / 100
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def summary(values):
    return {"n": len(values), "median": statistics.median(values), "q1": percentile(values, 25), "q3": percentile(values, 75)}


def ratios(ours, theirs):
    """Round by round: what disturbs the machine for a minute then disturbs both sides."""
    return summary([a / b for a, b in zip(ours, theirs)])


def spread(s, digits=2):
    """median [first quartile–third quartile]"""
    return f"{number(s['median'], digits)} [{number(s['q1'], digits)}–{number(s['q3'], digits)}]"


def number(value, digits=2):
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        digits = min(digits, 0)
    elif abs(value) >= 10:
        digits = min(digits, 1)
    return f"{value:.{digits}f}"


def slope(points):
    """Theil–Sen: the median of the slopes between all pairs of points, which no outlier moves."""
    return statistics.median((y2 - y1) / (x2 - x1) for i, (x1, y1) in enumerate(points) for x2, y2 in points[i + 1:])
