"""Processes that change a file and are killed meanwhile, or kill themselves.

They are forked by a server that has everything imported and no threads.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import nwb_ophys as nwb

ROWS = 1 << 10
"""Of 8 KiB, which one save adds."""

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["killing"])


@contextmanager
def child(work: Any, *arguments: Any) -> Iterator[tuple[Any, Any]]:
    """Start a process; give it, and the event that it sets when it gets to the point."""
    event = CONTEXT.Event()
    process = CONTEXT.Process(target=work, args=(event, *arguments))
    process.start()
    try:
        yield process, event
    finally:
        process.kill()
        process.join()


def save_much(saving: Any, path: str) -> None:
    """Save some megabytes and some small changes, and wait to be killed."""
    with nwb.open(path, "r+") as session:
        session.session_description = "after"
        frames = np.arange(ROWS << 10).reshape(-1, 1 << 10)
        session.acquisition.add(nwb.TimeSeries(name="new", data=frames, unit="a", rate=1.0))
        for series in session.acquisition.values():
            series.description = "after"
        saving.set()
        session.save(compression=None)
        signal.pause()


def change(session: Any) -> None:
    """Change a session in several ways."""
    session.subject.age = "P91D"
    movie = next(iter(session.acquisition.values()))
    movie.description = "another one"
    movie.data[3:9] = 1
    session.acquisition.add(nwb.TimeSeries(name="new", data=np.arange(40000.0), unit="a", rate=1.0))


def die_before_commit(_: Any, path: str) -> None:
    """Save changes, and be killed when all is written but not committed."""
    from nwb_ophys.hdf5 import editing

    def commit(edit: Any) -> None:
        edit._guard.write_pages()
        os.kill(os.getpid(), signal.SIGKILL)

    editing.Edit.commit = commit
    with nwb.open(path, "r+") as session:
        change(session)
        session.save()
