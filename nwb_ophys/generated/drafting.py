"""A class that is being written down: fields with their markers, defaults and descriptions."""

from __future__ import annotations

import types
from typing import Annotated, Any

from pydantic import ConfigDict

from nwb_ophys.generated.members import field_name, optional
from nwb_ophys.layout import Layout, layout_of
from nwb_ophys.storage import Marker

__all__ = ["Draft"]

_CONFIG = ConfigDict(protected_namespaces=())


class Draft:
    """What a class adds to its base.

    Parameters
    ----------
    name
        The name of the class.
    base
        The class that it extends.
    settings
        Keywords of the class.
    """

    def __init__(self, name: str, base: type[Any], settings: dict[str, Any]) -> None:
        self.name = name
        self.base = base
        self.settings = settings
        self.layout: Layout = layout_of(base)
        self.annotations: dict[str, Any] = {}
        self.body: dict[str, Any] = {}
        self.docs: dict[str, str] = {}
        self.singles: list[str] = []
        """Properties that stand for the only member of their type."""

    def declare(
        self, name: str, annotation: Any, marker: Marker, doc: Any, *default: Any, required: bool
    ) -> None:
        """Declare a field; one that is not required admits None."""
        self.annotations[name] = Annotated[annotation if required else optional(annotation), marker]
        if default:
            self.body[name] = default[0]
        elif not required:
            self.body[name] = None
        if isinstance(doc, str):
            self.docs[name] = doc

    def taken(self, name: str) -> bool:
        """Tell whether a name means something in the class already."""
        return (
            name in self.annotations
            or name in self.layout.flat
            or hasattr(self.base, name)
            or name in self.base.model_fields
        )

    def free(self, stored: str, *owners: str) -> str:
        """Choose the name of a new field, with those of its owners where its own is taken."""
        name = field_name(stored, lambda _: False)
        if owners and self.taken(name):
            return field_name("_".join((*owners, stored)), self.taken)
        return field_name(stored, self.taken)

    def make(self, doc: str) -> type[Any]:
        """Make the class, described by a text."""
        lines = [doc or f"The type {self.name}."]
        if self.docs:
            lines += ["", "Parameters", "----------"]
            for name, text in self.docs.items():
                lines += [name, f"    {' '.join(text.split())}"]
        body = {
            **self.body,
            "__annotations__": self.annotations,
            "__doc__": "\n".join(lines),
            "__module__": "nwb_ophys.generated",
            "model_config": _CONFIG,
        }
        if self.singles:
            body["singles"] = (*getattr(self.base, "singles", ()), *self.singles)
        # A name from a file may hold what no class name can: bytes that are no UTF-8, zeros.
        shown = self.name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
        return types.new_class(shown, (self.base,), self.settings, lambda own: own.update(body))
