"""Processes that change a file and are killed meanwhile: by themselves, to be sure when.

They are forked by a server that has everything imported and no threads.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import Any

import numpy as np

import nwb_ophys as nwb

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["killing", "nwb_ophys.mapper.in_place"])


def run(work: Any, *arguments: Any) -> int:
    """Run a process; give the number that it ends with."""
    process = CONTEXT.Process(target=work, args=arguments)
    process.start()
    process.join()
    return process.exitcode


def much() -> np.ndarray:
    """Give some megabytes."""
    return np.arange(1 << 20).reshape(-1, 1 << 10)


def save_much(path: str, writes: int) -> None:
    """Save some megabytes and some small changes, and be killed at one of the writes to disk."""
    with nwb.open(path, "r+") as session:
        session.session_description = "after"
        session.acquisition.add(nwb.TimeSeries(name="new", data=much(), unit="a", rate=1.0))
        for series in session.acquisition.values():
            series.description = "after"
        real, left = os.pwrite, iter(range(writes))

        def pwrite(*arguments: Any) -> int:
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments)

        os.pwrite = pwrite
        session.save(compression=None)


def change(session: Any) -> None:
    """Change a session in several ways."""
    session.subject.age = "P91D"
    movie = next(iter(session.acquisition.values()))
    movie.description = "another one"
    movie.data[3:9] = 1
    session.acquisition.add(nwb.TimeSeries(name="new", data=np.arange(40000.0), unit="a", rate=1.0))


def die_before_commit(path: str) -> None:
    """Save changes, and be killed when all is written but not committed."""
    from nwb_ophys.hdf5 import editing

    def commit(edit: Any) -> None:
        edit._guard.write_pages()
        os.kill(os.getpid(), signal.SIGKILL)

    editing.Edit.commit = commit
    with nwb.open(path, "r+") as session:
        change(session)
        session.save()
