"""What the elements of a stored array are, in words: what they mean, not how they are stored."""

from __future__ import annotations

from typing import Any, Final

import h5py
import numpy as np
from h5py import h5a, h5d, h5t

__all__ = ["kind_of", "kind_of_elements", "kind_of_type"]

_NUMBERS: Final = {"b": "boolean", "i": "integer", "u": "integer", "f": "float", "c": "complex"}


_CLASSES: Final = {
    h5t.INTEGER: "integer",
    h5t.FLOAT: "float",
    h5t.TIME: "time",
    h5t.BITFIELD: "bit field",
    h5t.ENUM: "enumeration",
    h5t.VLEN: "ragged",
    h5t.REFERENCE: "reference",
}


def kind_of_elements(stored: h5d.DatasetID | h5a.AttrID, *, exact: bool = False) -> str:
    """Name the kind of elements of a dataset or attribute; axes within them are axes of it."""
    kind = stored.get_type()
    while kind.get_class() == h5t.ARRAY:
        kind = kind.get_super()
    return kind_of_type(kind, exact=exact)


def kind_of_type(kind: h5t.TypeID, *, exact: bool = False) -> str:
    """Name the kind of elements of a stored type, also where numpy has no word for them."""
    try:
        numpy_type = kind.dtype
    except (TypeError, ValueError):
        numpy_type = None
    if numpy_type is not None:
        return kind_of(numpy_type, exact=exact)
    name = _CLASSES.get(kind.get_class())
    return f"{name or 'elements'} of {kind.get_size()} bytes, unknown to numpy"


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
