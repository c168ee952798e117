"""`Binding`: what a model knows of the file it was read from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from nwb_ophys.layout import FieldLayout

__all__ = ["Binding"]


class Binding(Protocol):
    """Ties a model to its object in an open file; the mapper implements it.

    Models load through it and know nothing else of files.
    """

    @property
    def file(self) -> str:
        """The file, for messages."""

    @property
    def session(self) -> Any:
        """The session that owns the model."""

    @property
    def node(self) -> Any:
        """The object in the file."""

    def load(self, model: Any, field: FieldLayout) -> Any:
        """Read a field of the model."""

    def remember(self, name: str, value: Any) -> None:
        """Keep what tells a value that can be changed in place from a changed one."""

    def rename(self, model: Any, name: str) -> None:
        """Give the object another name in the collection that it is in."""

    def attributes(self, model: Any) -> dict[str, Any]:
        """Read the attributes that the model does not declare."""

    def member(self, groups: tuple[str, ...], name: str) -> Any:
        """Give the model of a member, declared or not."""

    def member_names(self, groups: tuple[str, ...]) -> Iterable[str]:
        """Name all members."""

    def link_names(self, groups: tuple[str, ...]) -> frozenset[str]:
        """Name the members that are links to objects elsewhere."""

    def held_by_link(self, places: tuple[str, ...]) -> str | None:
        """Give the path that the first link holds, on the way to a member, that leads nowhere."""

    def reduce(self) -> tuple[Any, ...]:
        """Tell pickle how to find the object again."""
