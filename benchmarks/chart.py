"""A bar chart of the ratios, for people who look before they read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["draw"]

_OURS, _TARGET = "#2a78b8", "#444444"


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Draw how many times faster each piece of work is than the other side's.

    Needs matplotlib. The axis is logarithmic; a mark shows what has to be reached.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [one for one in results if one["ratio_is"] == "theirs / ours"][::-1]
    figure, axes = pyplot.subplots(figsize=(9, 0.38 * len(rows) + 1.1), layout="constrained")
    names = [f"{one['work']}\nnext to {one['against']}" for one in rows]
    ratios = [one["ratio"] for one in rows]
    axes.barh(names, ratios, color=_OURS, height=0.6)
    axes.scatter([one["target"] for one in rows], names, marker="|", s=160, color=_TARGET, zorder=3)
    axes.set_xscale("log")
    axes.axvline(1, color=_TARGET, linewidth=0.8)
    axes.set_xlim(0.3, max([10.0, *ratios]) * 3)
    shown = [f"{ratio:,.{0 if ratio >= 100 else 2}f} x" for ratio in ratios]
    axes.bar_label(axes.containers[0], shown, padding=4)
    axes.tick_params(axis="y", labelsize=7, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel("times faster (logarithmic); a bar's mark is its target")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
