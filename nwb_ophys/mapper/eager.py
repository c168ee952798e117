"""Load a whole session into memory, where there is memory for it."""

from __future__ import annotations

from contextlib import suppress

from nwb_ophys.errors import NWBError, TooLargeError
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.hdf5.nodes import objects_below, root_of
from nwb_ophys.hdf5.source import Source
from nwb_ophys.layout import layout_of
from nwb_ophys.models.base import ConfiguredBaseModel

__all__ = ["check_memory", "load_all"]


def load_all(model: ConfiguredBaseModel) -> None:
    """Read every field of an object, arrays included.

    What cannot be read is left out: it is noted in the problems of the session, and raises again
    for whoever asks for it.
    """
    for name in layout_of(type(model)).fields:
        try:
            value = getattr(model, name)
            if isinstance(value, LazyArray) and value.shape is not None:
                model.__dict__[name] = value.read()
                if model._binding is not None:
                    model._binding.remember(name, model.__dict__[name])
        except NWBError:
            continue
    _ = model.attrs


def check_memory(source: Source, size: int) -> None:
    """Refuse a file whose arrays do not fit into the available memory.

    Parameters
    ----------
    source
        The open file.
    size
        Its size in bytes.

    Raises
    ------
    TooLargeError
        Naming the largest arrays.
    """
    import psutil

    sizes = {}
    for node in objects_below(root_of(source)):
        with suppress(NWBError):  # what cannot be read takes no memory
            if node.is_dataset:
                sizes[node.path] = LazyArray(node).nbytes
    # The file is held twice, as bytes and as what HDF5 makes of them.
    needed = sum(sizes.values()) + 2 * size
    available = psutil.virtual_memory().available
    if needed > available:
        largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:5]
        named = ", ".join(f"{path} ({sizes[path] / 1e9:.3g} GB)" for path in largest)
        raise TooLargeError(
            f"the arrays take {needed / 1e9:.3g} GB of memory, and {available / 1e9:.3g} GB are "
            f"available; the largest are {named}",
            file=source.file,
            hint="use nwb_ophys.open, which reads only what is asked for",
        )
