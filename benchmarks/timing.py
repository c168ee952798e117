"""Measure two pieces of work in turns, so that both meet the same state of the machine."""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.files import Scale

__all__ = [
    "Comparison",
    "compare",
    "fresh_process",
    "seconds",
    "seconds_in_fresh_process",
    "spread",
]

Work = Callable[[], object]
Stopwatch = Callable[[], float]
"""Does a piece of work and gives the seconds that it took."""

_REPEATS = 9  # of a side that is much faster than the other, in one round


@dataclass(frozen=True)
class Comparison:
    """The seconds that two pieces of work took, one pair a round."""

    ours: list[float]
    theirs: list[float]

    @property
    def speedups(self) -> list[float]:
        """How many times faster ours was, round by round."""
        return [theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True)]


def seconds(work: Work) -> Stopwatch:
    """Time a piece of work of this process; what it returns is let go outside of the time."""

    def run() -> float:
        gc.collect()
        start = time.perf_counter()
        result = work()
        elapsed = time.perf_counter() - start
        del result
        return elapsed

    return run


def compare(
    ours: Stopwatch, theirs: Stopwatch, scale: Scale, *, more: int = 1, warm: bool = True
) -> Comparison:
    """Measure both sides in turns: at least 3 rounds, more while they fit into the budget.

    Parameters
    ----------
    scale
        Says how many rounds there are at most, and after how many seconds none begins any more.
    more
        So many times more rounds, for work that takes very little.
    warm
        Whether a first round is thrown away.
    """
    rounds = scale.rounds * more
    started = time.perf_counter()
    pairs: list[tuple[float, float]] = []
    if warm and scale.rounds > 1:
        ours()
        theirs()
    while len(pairs) < rounds:
        if len(pairs) >= 3 and time.perf_counter() - started > scale.budget:
            break
        one, other = ours(), theirs()
        if scale.rounds > 1:
            one, other = _steadied(ours, one, other), _steadied(theirs, other, one)
        pairs.append((one, other))
    return Comparison([pair[0] for pair in pairs], [pair[1] for pair in pairs])


def _steadied(stopwatch: Stopwatch, took: float, other: float) -> float:
    """Repeat a side that costs next to nothing beside the other, and give the median."""
    repeats = min(_REPEATS, int(other / (10 * took)))
    return statistics.median([took, *(stopwatch() for _ in range(repeats))])


def spread(values: list[float]) -> float:
    """Give half the distance between the quartiles, as a part of the median."""
    if len(values) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2 / middle


def fresh_process(code: str, *arguments: str) -> str:
    """Run code in a new interpreter and give what it printed."""
    command = [sys.executable, "-c", code, *arguments]
    # Installed packages are compiled ahead, so a checkout may be as well.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"a fresh process failed:\n{done.stderr}")
    return done.stdout.strip()


def seconds_in_fresh_process(code: str) -> Stopwatch:
    """Time code inside a new interpreter, whose own start does not count."""
    timed = f"import time\nstart = time.perf_counter()\n{code}\nprint(time.perf_counter() - start)"
    return lambda: float(fresh_process(timed))
