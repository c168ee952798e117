"""One copying from file to file: the two files, and what went where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final, NamedTuple

from h5py import h5g, h5l, h5o

from nwb_ophys.errors import DataError, NWBError
from nwb_ophys.hdf5.copying.links import links_of
from nwb_ophys.hdf5.copying.relocation import Relocation
from nwb_ophys.hdf5.paths import join
from nwb_ophys.hdf5.values import decode_text

__all__ = ["HDF5_ERRORS", "Holder", "Place", "Transfer"]

HDF5_ERRORS: Final = (OSError, RuntimeError, ValueError, TypeError, KeyError)
"""What h5py raises when HDF5 fails."""


class Place(NamedTuple):
    """Where something is stored, for people: an object, and its attribute or compound member."""

    path: str
    field: str | None = None

    def __str__(self) -> str:
        return f"{self.path}, field {self.field!r}" if self.field else self.path

    def member(self, name: str) -> Place:
        """Give the place of a compound member of what is stored here."""
        return Place(self.path, ".".join(filter(None, (self.field, name))) or None)


class Holder(NamedTuple):
    """What holds references in both files: the data of a dataset, or an attribute of an object."""

    source_path: str
    target_path: str
    attribute: bytes | None


class Transfer:
    """What the steps of a copying share.

    Parameters
    ----------
    source, target
        The `h5py.h5f.FileID` of both files, the target open for writing.
    source_file, target_file
        Their names, for error messages.
    relocate
        Gives the name to store for a file that an external link, a virtual dataset or external raw
        storage names; None keeps all.

    Attributes
    ----------
    source, target
        The root groups.
    paths : dict of int to str
        Address in the source -> path in the target, of every copied object.
    soft_links : list of tuple of str
        Where the copied soft links are, in the source and in the target.
    holders : list of Holder
        What was copied whose references are still to be written.
    notes : list of str
        What could not be copied as it was.
    """

    def __init__(
        self,
        source: Any,
        target: Any,
        source_file: str,
        target_file: str,
        relocate: Callable[[str], str] | None = None,
    ) -> None:
        self.file = source
        self.source = h5g.open(source, b"/")
        self.target = h5g.open(target, b"/")
        self.source_file = source_file
        self.target_file = target_file
        self.relocation = Relocation(relocate)
        self.paths: dict[int, str] = {}
        self.soft_links: list[tuple[str, str]] = []
        self.holders: list[Holder] = []
        self.notes: list[str] = []

    @cached_property
    def source_paths(self) -> dict[int, str]:
        """A path of every object in the source, by address."""
        found = {h5o.get_info(self.source).addr: "/"}
        stack = [("/", self.source)]
        while stack:
            path, group = stack.pop()
            for link in links_of(group):
                if link.kind == h5l.TYPE_HARD and link.address not in found:
                    member_path = found[link.address] = join(path, decode_text(link.name))
                    with self.errors(member_path):
                        member = h5o.open(group, link.name)
                    if isinstance(member, h5g.GroupID):
                        stack.append((member_path, member))
        return found

    @contextmanager
    def errors(self, path: str, attribute: bytes | None = None) -> Iterator[None]:
        """Say of what HDF5 raises which object of the source could not be copied."""
        try:
            yield
        except NWBError:
            raise
        except HDF5_ERRORS as error:
            raise self.failure(error, path, attribute) from error

    def failure(self, error: Exception, path: str, attribute: bytes | None = None) -> DataError:
        """Give the error to raise for one of HDF5's."""
        return DataError(
            f"cannot be copied to {self.target_file}: {error}",
            file=self.source_file,
            path=path,
            field=None if attribute is None else decode_text(attribute),
        )
