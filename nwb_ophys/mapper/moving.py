"""Find the objects of an opened file that are to lie elsewhere in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nwb_ophys.errors import SchemaError
from nwb_ophys.layout import layout_of
from nwb_ophys.mapper.placing import is_here
from nwb_ophys.mapper.plan import ExternalLink, Plan, join
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.storage import Child, Members

__all__ = ["find_moves"]


def find_moves(plan: Plan) -> None:
    """Find the objects of the file that were taken out in one place and put into another."""
    if not plan.removed:
        return
    assert plan.session is not None
    pending: list[tuple[str, str, Any]] = []  # path of the owner or above it, path below that, item
    for model in plan.session.loaded(plan.session.source):
        pending += [(model.hdf5_path, below, item) for below, item in _put_in(model, new=False)]
    places: dict[str, tuple[str, str]] = {}
    while pending:
        owner, below, item = pending.pop()
        if isinstance(item, ExternalLink) or not isinstance(item, ConfiguredBaseModel):
            continue
        if is_here(plan, item) and not item._binding.node.gone:  # type: ignore[union-attr]
            path: str = item._binding.node.path  # type: ignore[union-attr]
            if plan.is_removed(path) and path not in places:
                if path == owner or owner.startswith(path + "/"):
                    raise SchemaError(
                        "an object cannot be moved into itself",
                        file=plan.session.file,
                        path=path,
                    )
                places[path] = (owner, below)
        elif item._binding is None:
            pending += [(owner, f"{below}/{more}", one) for more, one in _put_in(item, new=True)]
    for path in places:
        plan.removed.pop(path, None)

    def place(path: str) -> str:
        if path not in plan.moves:
            owner, below = places[path]
            above = owner
            while above and above not in places:
                above = above.rpartition("/")[0]
            home = place(above) + owner[len(above) :] if above else owner
            plan.moves[path] = join(home, below)
        return plan.moves[path]

    for path in places:
        place(path)


def _put_in(model: Any, *, new: bool) -> Iterator[tuple[str, Any]]:
    """Iterate over what was put into an object, with the paths below it."""
    for one in layout_of(type(model)).fields.values():
        if one.name not in model.__dict__:
            continue
        value = model.__dict__[one.name]
        if isinstance(one.marker, Members):
            exchanged = new or one.name in model.__pydantic_fields_set__
            for name in value if exchanged else value.added:
                yield "/".join((*one.groups, name)), value.raw(name)
        elif (
            isinstance(one.marker, Child)
            and value is not None
            and (new or one.name in model.__pydantic_fields_set__)
        ):
            yield "/".join((*one.groups, one.stored)), value
