"""Whatever stands for a session, a path, a file object or a model, as the nodes of one file."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from nwb_ophys.errors import SchemaError
from nwb_ophys.hdf5.nodes import Node, root_of
from nwb_ophys.hdf5.source import Source

if TYPE_CHECKING:
    from nwb_ophys.mapper.plan import Plan
    from nwb_ophys.models.file import NWBFile

    Target = str | os.PathLike[str] | IO[bytes] | NWBFile

__all__ = ["opened"]


@contextmanager
def opened(target: Target) -> Iterator[Node]:
    """Give the root of a file, or of the file that a session would be written to.

    An opened session without changes is looked at where it is. One that was authored or changed
    is written to a temporary file first, without compression.

    Parameters
    ----------
    target
        A path, an open binary file, or a session.

    Raises
    ------
    NWBError
        Where the file cannot be opened, or the session cannot be written.
    """
    if isinstance(target, (str, os.PathLike)) or hasattr(target, "read"):
        source = Source(target)
        try:
            yield root_of(source)
        finally:
            source.close()
        return
    from nwb_ophys.mapper.planning import make_plan
    from nwb_ophys.models.file import NWBFile

    if not isinstance(target, NWBFile):
        raise SchemaError(
            f"expected a path, an open binary file or a session, found {target!r} "
            f"of type {type(target).__name__}"
        )
    plan = make_plan(target)
    if plan.unchanged and plan.session is not None:
        yield root_of(plan.session.source)
        return
    _refuse_streams(plan)
    with tempfile.TemporaryDirectory(prefix="nwb-ophys-", ignore_cleanup_errors=True) as folder:
        path = Path(folder, "session.nwb")
        _write(plan, path)
        with opened(path) as root:
            yield root


def _write(plan: Plan, path: Path) -> None:
    from nwb_ophys.authored import Storage
    from nwb_ophys.errors import SchemaUpgradeWarning
    from nwb_ophys.mapper.saving import write_plan

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SchemaUpgradeWarning)
        write_plan(plan, path, path, Storage(compression=None))


def _refuse_streams(plan: Plan) -> None:
    from nwb_ophys.authored import is_stream

    given = [(one.path, one.name, one.value) for one in plan.arrays]
    given += [
        (one.path, one.field.name, one.model.__dict__.get(one.field.name)) for one in plan.fields
    ]
    for path, name, value in given:
        if is_stream(value):
            raise SchemaError(
                "an iterator of blocks can be read only once, and is needed when the session is "
                "written",
                path=path,
                field=name,
                hint="write the session, and use the file",
            )
