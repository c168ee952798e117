"""The benchmarks by name, and what each is measured against."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

from benchmarks.files import Files, Scale
from benchmarks.timing import Comparison

__all__ = [
    "BENCHMARKS",
    "GROWTHS",
    "Benchmark",
    "Growth",
    "Target",
    "at_most",
    "benchmark",
    "faster",
    "growth",
]


@dataclass(frozen=True)
class Target:
    """What a ratio has to be.

    Parameters
    ----------
    limit
        The number to reach.
    is_cost
        Whether the ratio is ours over theirs and may be at most the limit; else it is theirs over
        ours, how many times faster we are, and must be at least the limit.
    """

    limit: float
    is_cost: bool = False

    def ratios(self, comparison: Comparison) -> list[float]:
        """Give the ratio of each round."""
        return [1 / one if self.is_cost else one for one in comparison.speedups]

    def reached(self, comparison: Comparison) -> bool:
        """Tell whether the median ratio is as it has to be."""
        ratio = statistics.median(self.ratios(comparison))
        return ratio <= self.limit if self.is_cost else ratio >= self.limit

    def __str__(self) -> str:
        return f"<= {self.limit:g}x" if self.is_cost else f">= {self.limit:g}x"


def faster(limit: float) -> Target:
    """Ask for work done so many times faster than the other side does it."""
    return Target(limit)


def at_most(limit: float) -> Target:
    """Allow so many times the other side's time."""
    return Target(limit, is_cost=True)


@dataclass(frozen=True)
class Benchmark:
    """One line of the table; what is measured are seconds, or bytes."""

    name: str
    work: str
    against: str
    target: Target
    run: Callable[[Files], Comparison]
    unit: Literal["s", "B"] = "s"

    def describe(self, scale: Scale) -> str:
        """Say what is measured, with the sizes of a scale."""
        return self.work.format(**asdict(scale))


@dataclass(frozen=True)
class Growth:
    """How the seconds of one piece of work grow with a number."""

    name: str
    work: str
    run: Callable[[Files], dict[int, list[float]]]


BENCHMARKS: dict[str, Benchmark] = {}
GROWTHS: dict[str, Growth] = {}


def benchmark(
    name: str, work: str, *, against: str, target: Target, unit: Literal["s", "B"] = "s"
) -> Callable[[Callable[[Files], Comparison]], Callable[[Files], Comparison]]:
    """Register a comparison; ``work`` may name fields of `Scale` in braces."""

    def register(run: Callable[[Files], Comparison]) -> Callable[[Files], Comparison]:
        BENCHMARKS[name] = Benchmark(name, work, against, target, run, unit)
        return run

    return register


def growth(
    name: str, work: str
) -> Callable[
    [Callable[[Files], dict[int, list[float]]]], Callable[[Files], dict[int, list[float]]]
]:
    """Register a measurement of how cost grows."""

    def register(
        run: Callable[[Files], dict[int, list[float]]],
    ) -> Callable[[Files], dict[int, list[float]]]:
        GROWTHS[name] = Growth(name, work, run)
        return run

    return register
