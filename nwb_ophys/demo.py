"""`nwb-ophys demo`: the main job on a file that it makes, as a transcript of what it runs."""

from __future__ import annotations

import ast
import contextlib
import io
import os
import tempfile
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["STEPS", "Step", "run"]


@dataclass(frozen=True)
class Step:
    """One part of the demonstration.

    Parameters
    ----------
    title
        What it does.
    code
        The Python that does it.
    """

    title: str
    code: str


STEPS: Final = (
    Step(
        "Make a two-photon session, and write it",
        """
        import numpy as np
        import nwb_ophys as nwb
        from nwb_ophys.testing import Truth, make_session

        size = dict(frames=400, width=72, height=48, rois=12)
        first = nwb.write(make_session(segmentation=False, **size), folder / "session.nwb")
        """,
    ),
    Step(
        "Open it: only its root is read, however large it is",
        """
        session = nwb.open(first)
        session
        session.identifier, session.session_start_time.isoformat(), session.subject.species
        """,
    ),
    Step(
        "Look into it: names and types, and nothing of the movies is read",
        """
        from nwb_ophys.tree import tree
        print(*tree(session, depth=2), sep="\\n")
        movie = session.acquisition["TwoPhotonSeries"]
        movie
        [series.name for series in session.find(nwb.TimeSeries)]
        movie.imaging_plane is session.imaging_planes["ImagingPlane"]  # links are shared objects
        movie.imaging_plane.device.description
        """,
    ),
    Step(
        "Read what is wanted",
        """
        movie.data.shape, movie.data.dtype, movie.data.unit
        movie.data[100:110].mean(axis=(1, 2)).round(1)
        movie.get_timestamps(slice(100, 103)).round(3)
        """,
    ),
    Step(
        "Add the masks and traces of its cells",
        """
        found = Truth(**size)  # an algorithm would have to find them
        cells = nwb.PlaneSegmentation(
            name="PlaneSegmentation", description="Cells.", imaging_plane=movie.imaging_plane
        )
        cells.add_column("pixel_mask", found.pixel_masks, "Pixels and weights.", index=True)
        cells.add_column("snr", np.linspace(3, 9, len(cells)), "Signal to noise ratio.")
        traces = nwb.RoiResponseSeries(
            name="RoiResponseSeries",
            data=found.fluorescence(),
            unit="n.a.",
            rate=movie.rate,
            rois=cells.create_region(description="All cells."),
        )
        ophys = session.processing["ophys"].children
        ophys.add(nwb.ImageSegmentation(children=[cells]), nwb.Fluorescence(children=[traces]))
        """,
    ),
    Step(
        "Write all of it to a second file; the movies are copied as they are stored",
        """
        second = nwb.write(session, folder / "segmented.nwb")
        session.close()
        """,
    ),
    Step(
        "Compare the two: what was added is all that differs",
        """
        print(*nwb.diff(first, second), sep="\\n")
        with nwb.open(first) as before, nwb.open(second) as after:
            same_movie = np.array_equal(
                before.acquisition["TwoPhotonSeries"].data,
                after.acquisition["TwoPhotonSeries"].data,
            )
            cells = after["/processing/ophys/ImageSegmentation/PlaneSegmentation"]
            traces = after["/processing/ophys/Fluorescence/RoiResponseSeries"]
            same_cells = traces.rois.table is cells
            same_masks = np.array_equal(cells["pixel_mask"][3], found.pixel_masks[3])
        same_movie, same_cells, same_masks
        """,
    ),
)
"""The parts of the demonstration, run in order in one namespace; ``folder`` is given."""


def run(folder: str | os.PathLike[str] | None = None) -> Iterator[str]:
    """Run the demonstration.

    Parameters
    ----------
    folder
        Where to put its files, made where it is not there; a new temporary folder where None.

    Yields
    ------
    str
        The transcript, line by line, then how long each step took and where the files are.

    Raises
    ------
    NWBError
        Where the folder has the files of an earlier demonstration.
    """
    place = Path(tempfile.mkdtemp(prefix="nwb-ophys-demo-") if folder is None else folder)
    place.mkdir(parents=True, exist_ok=True)
    names: dict[str, Any] = {"folder": place}
    took: list[float] = []
    for number, step in enumerate(STEPS, 1):
        yield f"{number}. {step.title}"
        began = time.perf_counter()
        yield from (f"   {line}" for line in _transcript(step.code, names))
        took.append(time.perf_counter() - began)
        yield ""
    width = max(len(step.title) for step in STEPS)
    yield f"{'step':<{width + 3}}  seconds"
    for number, (step, seconds) in enumerate(zip(STEPS, took, strict=True), 1):
        yield f"{number}. {step.title:<{width}}  {seconds:7.3f}"
    yield ""
    yield "The files are kept:"
    for path in (names["first"], names["second"]):
        yield f"  {path}  {path.stat().st_size / 1e6:.1f} MB"


def _transcript(code: str, names: dict[str, Any]) -> Iterator[str]:
    """Run statements one by one; yield each, and what it gives, as the interpreter shows it."""
    source = textwrap.dedent(code).strip()
    for statement in ast.parse(source).body:
        lines = source.splitlines()[statement.lineno - 1 : statement.end_lineno]
        yield from (f"{'...' if i else '>>>'} {line}" for i, line in enumerate(lines))
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            if isinstance(statement, ast.Expr):
                value = eval(compile(ast.Expression(statement.value), "<demo>", "eval"), names)
                if value is not None:
                    print(repr(value))
            else:
                exec(compile(ast.Module([statement], []), "<demo>", "exec"), names)
        yield from output.getvalue().splitlines()
