"""What is shown of the results: a table to read, and JSON."""

from __future__ import annotations

import os
import platform
import statistics
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.files import Scale
from benchmarks.registry import Benchmark, Growth
from benchmarks.timing import Comparison, spread

__all__ = ["Table", "as_json", "growth_as_json", "growth_line", "machine"]

_HEADINGS = ("work", "against", "ours", "theirs", "ratio", "(spread)", "target", "reached")


class Table:
    """A table whose rows are shown as they come.

    Parameters
    ----------
    benchmarks
        What will be in it.
    scale
        The sizes to name.
    """

    def __init__(self, benchmarks: list[Benchmark], scale: Scale) -> None:
        self.scale = scale
        works = [one.describe(scale) for one in benchmarks]
        sides = [one.against.format(**asdict(scale)) for one in benchmarks]
        widths = (*(max(map(len, [*texts, "against"])) for texts in (works, sides)), 13, 13, 7, 15)
        self._pattern = "  ".join(f"{{:<{width}}}" for width in (*widths, 8, 7))

    def heading(self) -> str:
        """Give the headings, underlined."""
        line = self._pattern.format(*_HEADINGS)
        return f"{line}\n{'-' * len(line)}"

    def row(self, benchmark: Benchmark, comparison: Comparison) -> str:
        """Give the row of a benchmark."""
        ratios = benchmark.target.ratios(comparison)
        return self._pattern.format(
            benchmark.describe(self.scale),
            benchmark.against.format(**asdict(self.scale)),
            _shown(comparison.ours, benchmark.unit),
            _shown(comparison.theirs, benchmark.unit),
            f"{_digits(statistics.median(ratios))}x",
            f"({_digits(min(ratios))} - {_digits(max(ratios))})",
            str(benchmark.target),
            "yes" if benchmark.target.reached(comparison) else "no",
        ).rstrip()


def growth_line(growth: Growth, samples: dict[int, list[float]]) -> str:
    """Show how cost grows, next to that of the smallest number."""
    medians = {count: statistics.median(values) for count, values in samples.items()}
    first = next(iter(medians.values()))
    steps = (
        f"{count:,}: {_duration(took)} ({took / first:.2f}x)" for count, took in medians.items()
    )
    return f"{growth.work}: {', '.join(steps)}"


def as_json(benchmark: Benchmark, comparison: Comparison, scale: Scale) -> dict[str, Any]:
    """Give a result as plain values."""
    ratios = benchmark.target.ratios(comparison)
    return {
        "name": benchmark.name,
        "work": benchmark.describe(scale),
        "against": benchmark.against.format(**asdict(scale)),
        "unit": benchmark.unit,
        "ours": comparison.ours,
        "theirs": comparison.theirs,
        "ratio": statistics.median(ratios),
        "ratio_is": "ours / theirs" if benchmark.target.is_cost else "theirs / ours",
        "target": benchmark.target.limit,
        "reached": benchmark.target.reached(comparison),
    }


def growth_as_json(growth: Growth, samples: dict[int, list[float]]) -> dict[str, Any]:
    """Give a growth as plain values, in seconds."""
    return {"name": growth.name, "work": growth.work, "seconds": samples}


def machine() -> dict[str, Any]:
    """Say what the numbers were measured with."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "packages": {name: _version(name) for name in ("nwb-ophys", "pynwb", "h5py", "numpy")},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _shown(values: list[float], unit: str) -> str:
    middle = statistics.median(values)
    shown = _duration(middle) if unit == "s" else f"{_digits(middle / 1e6)} MB"
    return f"{shown} ±{spread(values):.0%}"


def _duration(seconds: float) -> str:
    for unit, size in (("s", 1), ("ms", 1e-3)):
        if seconds >= size:
            return f"{_digits(seconds / size)} {unit}"
    return f"{_digits(seconds / 1e-6)} µs"


def _digits(value: float) -> str:
    """Show three digits, all before the point, or two of what is small."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.{3 if value >= 0.1 else 2}g}"
