"""What the elements of a stored array are, in words: what they mean, not how they are stored."""

from __future__ import annotations

from typing import Any, Final

import h5py
import numpy as np

__all__ = ["kind_of"]

_NUMBERS: Final = {"b": "boolean", "i": "integer", "u": "integer", "f": "float", "c": "complex"}


def kind_of(dtype: np.dtype[Any], *, exact: bool = False) -> str:
    """Name the kind of elements of a dtype that h5py gives.

    Two dtypes have one kind where they differ in storage only: the width of numbers, the byte
    order, the length and character set of text.

    Parameters
    ----------
    dtype
        The dtype, with what h5py notes in it of text, references, ragged elements, enumerations.
    exact
        Whether numbers are named with their width: "int16" rather than "integer".
    """
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return f"{kind_of(base, exact=exact)} {shape}"
    if dtype.names is not None:
        members = (f"{name}: {kind_of(dtype[name], exact=exact)}" for name in dtype.names)
        return f"{{{', '.join(members)}}}"
    if h5py.check_string_dtype(dtype) is not None:
        return "text"
    reference = h5py.check_ref_dtype(dtype)
    if reference is not None:
        return "reference" if reference is h5py.Reference else "region reference"
    row = h5py.check_vlen_dtype(dtype)
    if row is not None:
        return f"ragged {kind_of(np.dtype(row), exact=exact)}"
    values = h5py.check_enum_dtype(dtype)
    if values is not None:
        named = (f"{name}={values[name]}" for name in sorted(values, key=values.__getitem__))
        return f"enumeration {{{', '.join(named)}}}"
    if dtype.kind == "V":
        return f"opaque, {dtype.itemsize} bytes"
    return dtype.name if exact else _NUMBERS.get(dtype.kind, dtype.name)
