"""The command: chooses benchmarks, runs them, shows the results."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.files import FULL, NORMAL, SMALL, Files
from benchmarks.registry import BENCHMARKS, GROWTHS, Benchmark, Growth
from benchmarks.report import Table, as_json, growth_as_json, growth_line, machine

__all__ = ["main"]

for _theme in (
    "starting",
    "objects",
    "arrays",
    "writing",
    "validating",
    "segmentation",
    "editing",
):  # in this order they are run
    importlib.import_module(f"benchmarks.{_theme}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run benchmarks and print their table.

    Returns
    -------
    int
        1 where a benchmark could not run; how fast anything was plays no part.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    names = options.names or [*BENCHMARKS, *GROWTHS]
    unknown = [name for name in names if name not in BENCHMARKS and name not in GROWTHS]
    if unknown:
        parser.error(f"no benchmark is named {unknown[0]!r}; see --help")
    scale = SMALL if options.small else FULL if options.full else NORMAL
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        results, failed = _run(names, Files(Path(folder), scale))
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    if options.chart is not None:
        from benchmarks.chart import draw

        draw(results["results"], options.chart)
    return int(failed)


def _run(names: list[str], files: Files) -> tuple[dict[str, Any], bool]:
    """Run benchmarks by name; print each result as it comes, and collect them."""
    benchmarks = [one for name, one in BENCHMARKS.items() if name in names]
    growths = [one for name, one in GROWTHS.items() if name in names]
    table = Table(benchmarks, files.scale)
    rows: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    failed = False
    if benchmarks:
        print(table.heading(), flush=True)
    chosen: list[Benchmark | Growth] = [*benchmarks, *growths]
    for one in chosen:
        try:
            if isinstance(one, Benchmark):
                comparison = one.run(files)
                print(table.row(one, comparison), flush=True)
                rows.append(as_json(one, comparison, files.scale))
            else:
                samples = one.run(files)
                print(growth_line(one, samples), flush=True)
                lines.append(growth_as_json(one, samples))
        except Exception:
            failed = True
            print(f"{one.name}: failed", flush=True)
            traceback.print_exc(file=sys.stderr)
    results = {
        "machine": machine(),
        "scale": files.scale.name,
        "results": rows,
        "growth": lines,
    }
    return results, failed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure nwb_ophys next to pynwb, h5py and cp."
    )
    known = [*BENCHMARKS, *GROWTHS]
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(known)}; all by default"
    )
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--small", action="store_true", help="once, in small sizes: does it run?")
    sizes.add_argument("--full", action="store_true", help="in the largest sizes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results there")
    parser.add_argument(
        "--chart", type=Path, metavar="PNG", help="also draw the ratios there; needs matplotlib"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        help="where the files to measure on go; the temporary folder if unset",
    )
    return parser
