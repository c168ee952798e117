"""Members of a type that have no name of their own: one collection over each group of the type."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pydantic import Field

from nwb_ophys.annotations import Later
from nwb_ophys.children import Children
from nwb_ophys.generated.deltas import Spec, bounds_of
from nwb_ophys.generated.drafting import Draft
from nwb_ophys.layout import FieldLayout
from nwb_ophys.storage import Members, Quota

__all__ = ["Collections"]

_SNAKE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Collections:
    """The collections of a class, gathered from what its spec says of their members.

    Parameters
    ----------
    draft
        Where they are declared.
    """

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._linked: dict[tuple[str, ...], list[Later]] = {}
        self._collected: dict[tuple[str, ...], list[Later]] = {}
        self._quotas: dict[tuple[str, ...], dict[str, Quota]] = {}

    def add(
        self,
        spec: Spec,
        groups: tuple[str, ...],
        type_name: str,
        found: Later,
        *,
        required: bool,
        links: bool = False,
        part: Later | None = None,
    ) -> None:
        """Enter members, or links to some, that are told by their type.

        One of a kind is a property as well. A part is what this use asks for beyond the type.
        """
        if links:
            self._linked.setdefault(groups, []).append(found)
        self._collected.setdefault(groups, []).append(found)
        least, most = bounds_of(spec)
        quotas = self._quotas.setdefault(groups, {})
        if (other := quotas.get(type_name)) is not None:  # objects, and links to some
            least = max(least, other.least)
            most = None if most is None or other.most is None else most + other.most
            part = None  # nobody can tell the two
        # A group that may be missing need not hold anything.
        quotas[type_name] = Quota(type_name, least if required else 0, most, part)
        name = _SNAKE.sub("_", type_name).lower()
        if groups or spec.get("quantity", 1) not in (1, "?", "zero_or_one"):
            return
        if name.isidentifier() and self._draft.free(name) == name and name not in self._draft.body:
            self._draft.body[name] = _single(found)
            self._draft.singles.append(name)

    def declare(self) -> None:
        """Declare the collections of named objects, one over each group."""
        for groups, found in self._collected.items():
            known = self._draft.layout.collections.get(groups, [])
            wide = [one for one in known if not one.marker.only]  # type: ignore[attr-defined]
            before = wide[0] if wide else None
            narrow = tuple(kind for one in known if one is not before for kind in one.types)
            kinds = Later(_joined(found, before, narrow), ", ".join(map(repr, found)))
            if before is not None:
                name = before.name
            else:
                name = self._draft.free(groups[-1], *groups[:-1]) if groups else "children"
            links = self._linked.get(groups)
            contained = [one for one in found if one not in (links or ())]
            marker = Members(
                "/".join(groups) or None,
                links=Later(_only_linked(links, contained), "links") if links else None,
                quotas=self._quotas_over(groups, before),
            )
            self._draft.declare(name, Children[kinds], marker, None, required=True)  # type: ignore[valid-type]
            self._draft.body[name] = Field(default_factory=Children)

    def _quotas_over(
        self, groups: tuple[str, ...], before: FieldLayout | None
    ) -> tuple[Quota, ...]:
        marker: Any = before.marker if before is not None else Members()
        quotas = {one.type: one for one in marker.quotas} | self._quotas[groups]
        if any(one.least or one.most is not None or one.part for one in quotas.values()):
            return tuple(quotas.values())  # the others tell which objects are not of those
        return ()


def _joined(
    found: list[Later], before: FieldLayout | None, narrow: tuple[type, ...]
) -> Callable[[], tuple[type, ...]]:
    def join() -> tuple[type, ...]:
        kinds = [kind for one in found for kind in one()]
        if before is not None:
            kinds = [*before.types, *kinds]
        kinds = [kind for kind in kinds if not issubclass(kind, narrow)]
        return tuple(
            dict.fromkeys(
                kind
                for kind in kinds
                if not any(other is not kind and issubclass(kind, other) for other in kinds)
            )
        )

    return join


def _only_linked(links: list[Later], contained: list[Later]) -> Callable[[], tuple[type, ...]]:
    """Gather the types of which there are links, but no objects, in a collection."""

    def gather() -> tuple[type, ...]:
        held = tuple(kind for one in contained for kind in one())
        return tuple(kind for one in links for kind in one() if not issubclass(kind, held))

    return gather


def _single(kinds: Later) -> property:
    """Make the property of a member that has no name of its own, but of which there is one."""

    def get(model: Any) -> Any:
        found = (one for one in model.children.values() if isinstance(one, kinds()))
        return next(found, None)

    def put(model: Any, value: Any) -> None:
        before = get(model)
        if before is not None:
            del model.children[before.name]
        if value is not None:
            model.children.add(value)

    return property(get, put, doc=f"The {kinds!r} among the children.")
