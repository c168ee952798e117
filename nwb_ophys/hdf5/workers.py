"""The threads that code and decode chunks, and the memory that decoded chunks may keep."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["cache_limit", "configure", "pool", "thread_count"]

_MOST_THREADS = 16  # beyond that, memory is what decoding waits for
_DEFAULT_CACHE = 64_000_000

_lock = threading.Lock()
_threads: int | None = None
_cache = _DEFAULT_CACHE
_pool: ThreadPoolExecutor | None = None


def configure(*, threads: int | None = None, cache_bytes: int | None = None) -> None:
    """Set how chunks are read and written, for all files of the process.

    Parameters
    ----------
    threads
        Threads that decode and encode chunks. By default as many as the process may use cores,
        16 at most; with 1 all is done in the thread that reads or writes.
    cache_bytes
        Bytes of decoded chunks to keep, of which only a part was asked for: loops over single
        frames find the rest of a chunk there. By default 64 million; 0 keeps none.

    Raises
    ------
    ValueError
        Where a number makes no sense.
    """
    global _threads, _cache, _pool
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise ValueError(f"expected one thread or more, found threads={threads!r}")
    if cache_bytes is not None and (not isinstance(cache_bytes, int) or cache_bytes < 0):
        raise ValueError(f"expected a number of bytes, or 0, found cache_bytes={cache_bytes!r}")
    with _lock:
        if threads is not None and threads != _threads:
            _threads, _pool = threads, None  # what runs in the old pool ends there
        if cache_bytes is not None:
            _cache = cache_bytes


def thread_count() -> int:
    """Give the number of threads."""
    if _threads is not None:
        return _threads
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(usable or 1, _MOST_THREADS)


def cache_limit() -> int:
    """Give the bytes of decoded chunks to keep."""
    return _cache


def pool() -> ThreadPoolExecutor:
    """Give the threads; tasks in them must not wait for other tasks of the pool."""
    global _pool
    if _pool is None:
        with _lock:
            if _pool is None:
                from concurrent.futures import ThreadPoolExecutor

                _pool = ThreadPoolExecutor(thread_count(), thread_name_prefix="nwb-ophys")
    return _pool


def _forget() -> None:
    """Start anew in a forked process, to which no thread came along."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
