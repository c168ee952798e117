"""Load ``.npy`` files, pickled ones too, without running code that came with them."""

from __future__ import annotations

import io
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import numpy as np

from nwb_ophys.errors import DataError, FileMissingError, UnsafePickleError

__all__ = ["load_npy"]


def load_npy(path: str | os.PathLike[str], *, mapped: bool = True) -> Any:
    """Load an array, or the object that was saved as one.

    Pickled files are loaded where there is nothing in them but numpy arrays and scalars, plain
    Python values, times, and paths, which become text.

    Parameters
    ----------
    path
        A ``.npy`` file.
    mapped
        Whether plain arrays stay in the file, and are read where they are indexed.

    Raises
    ------
    FileMissingError
        Where there is no such file.
    UnsafePickleError
        Where loading it would call anything else.
    DataError
        Where it is no whole ``.npy`` file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileMissingError("there is no such file", file=path)
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }.get(version)
            # Version 3 differs in the encoding of names of fields alone, which never are pickled.
            dtype = np.dtype(float) if header is None else header(file)[2]
            if dtype.hasobject:
                return _unwrapped(_Unpickler(file, file=str(path)).load())
        return np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except UnsafePickleError:
        raise
    except (ValueError, EOFError, pickle.UnpicklingError, TypeError, AttributeError) as error:
        raise DataError(f"no whole .npy file: {error}", file=path) from error


def _unwrapped(value: Any) -> Any:
    """Take an object out of the array of no axes that `numpy.save` put it into."""
    if isinstance(value, np.ndarray) and value.shape == ():
        return value.item()
    return value


def _as_text(*parts: Any) -> str:
    """Give a path as text, whichever system it is of."""
    return "/".join(str(part).rstrip("/\\") or "/" for part in parts).replace("//", "/")


def _encoded(text: str, encoding: str = "latin1") -> bytes:
    """Do what old pickles call to make bytes of text."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"expected the encoding latin1, found {encoding!r}")
    return text.encode("latin1")


_Allowed = Callable[..., Any]
_ALLOWED: Final[dict[tuple[str, str], _Allowed]] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encoded,
    ("collections", "OrderedDict"): OrderedDict,
    **{
        (module, one.__name__): one
        for module in ("builtins", "__builtin__")
        for one in (set, frozenset, complex, slice, bytearray, range)
    },
    **{("datetime", one.__name__): one for one in (date, datetime, time, timedelta, timezone)},
    **{
        (module, name): _as_text
        for module in ("pathlib", "pathlib._local")
        for name in ("Path", "PurePath", "PosixPath", "WindowsPath", "PurePosixPath")
    },
    ("pathlib", "PureWindowsPath"): _as_text,
}
_NUMPY: Final[dict[tuple[str, str], Any]] = {
    ("multiarray", "_reconstruct"): np.zeros(1).__reduce__()[0],
    ("multiarray", "scalar"): np.float64(0).__reduce__()[0],
    ("numeric", "_frombuffer"): np.zeros(1).__reduce_ex__(5)[0],
}
"""What numpy's own pickles call, in modules that were renamed in its version 2."""


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: io.BufferedReader, *, file: str) -> None:
        super().__init__(stream, encoding="latin1")
        self._file = file

    def find_class(self, module: str, name: str) -> Any:
        """Give one of the few things that a pickle may call."""
        allowed = _ALLOWED.get((module, name))
        if allowed is not None:
            return allowed
        package, _, inner = module.rpartition(".")
        if package in ("numpy.core", "numpy._core") and (inner, name) in _NUMPY:
            return _NUMPY[inner, name]
        raise UnsafePickleError(
            f"expected numpy arrays and plain values, found {module}.{name}, which loading the "
            "file would call",
            file=self._file,
            hint="load it in the environment that made it, if you trust it, and save its arrays",
        )
