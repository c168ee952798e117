"""Links and references of an opened file, where their targets go, move, or are made anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from h5py import h5g

from nwb_ophys.errors import LinkError
from nwb_ophys.hdf5.nodes import Node, node_at, objects_below
from nwb_ophys.hdf5.referring import Holder, Reach, find_reach, map_references
from nwb_ophys.hdf5.source import Source
from nwb_ophys.hdf5.values import encode_text
from nwb_ophys.mapper.plan import Plan, join

__all__ = ["Relinking", "find_relinking", "removed_objects"]


@dataclass
class Relinking:
    """What is to be led elsewhere, once a plan was carried out.

    Parameters
    ----------
    softs
        Where soft links are to lead, by their paths.
    holders
        What refers to datasets that were made anew.
    replaced
        Where those are, by their addresses before.
    """

    softs: dict[str, str] = field(default_factory=dict)
    holders: list[Holder] = field(default_factory=list)
    replaced: dict[int, str] = field(default_factory=dict)

    def carry_out(self, file: Any) -> None:
        """Write it into the open file, h5py's ``FileID``."""
        for path, target in self.softs.items():
            parent, _, name = path.rpartition("/")
            group = h5g.open(file, encode_text(parent or "/"))
            group.unlink(encode_text(name))
            group.links.create_soft(encode_text(name), encode_text(target))
        for holder in self.holders:
            map_references(file, holder, self.replaced)


def find_relinking(plan: Plan, source: Source) -> Relinking:
    """Find what is to be led elsewhere, and refuse a plan that would leave something dangling.

    The whole file is looked through, but only where something goes, moves, or is made anew.

    Raises
    ------
    LinkError
        Where a link or a reference leads to an object that goes.
    """
    replaced = {address: plan.place_of(path) or path for address, path in plan.replaced.items()}
    result = Relinking(replaced=replaced)
    if not plan.drops_objects and not plan.moves:
        return result
    kept = set(plan.replaced.values())  # with their attributes
    reach = find_reach(source, lambda path: path in plan.removed and path not in kept)
    rewritten = _rewritten(plan)

    def holders_of(address: int) -> list[Holder]:
        holders = reach.references.get(address, ())
        places = [(one, plan.place_of(one.path)) for one in holders if one not in rewritten]
        return [one._replace(path=place) for one, place in places if place is not None]

    for node in _below_removed(plan, source, reach):
        if node.address not in plan.replaced and (holders := holders_of(node.address)):
            _refuse(source, node.path, [str(one) for one in holders])
    for address in plan.replaced:
        result.holders += holders_of(address)
    result.holders = list(dict.fromkeys(result.holders))
    again = _new_paths(plan)
    for path, target in reach.softs.items():
        place, home = plan.place_of(path), plan.place_of(target)
        if place is None:
            continue
        if home is None:
            if target not in again and _was_there(source, path):
                _refuse(source, target, [path])
        elif home != target or place != path:
            result.softs[place] = home
    return result


def removed_objects(plan: Plan) -> list[str]:
    """List the paths of the objects that go, and of datasets that are made anew."""
    return [path for path, is_object in plan.removed.items() if is_object]


def _below_removed(plan: Plan, source: Source, reach: Reach) -> list[Node]:
    found = []
    for path in removed_objects(plan):
        found += [
            node
            for node in objects_below(node_at(source, path))
            if node.address not in reach.paths and plan.place_of(node.path) is None
        ]
    return found


def _was_there(source: Source, path: str) -> bool:
    try:
        node_at(source, path)
    except LookupError:
        return False
    return True


def _new_paths(plan: Plan) -> set[str]:
    paths = {join(one.path, one.field.path) for one in plan.fields}
    paths.update(item.path for item in plan.new)
    paths.update(item.path for item in plan.links)
    paths.update(item.path for item in plan.grafts)
    return paths


def _rewritten(plan: Plan) -> set[Holder]:
    """Name what held references and is written anew."""
    found = set()
    for one in plan.fields:
        found.add(Holder(one.path, one.field.stored))
        found.add(Holder(join(one.path, one.field.path), None))
        found.add(Holder(one.path, None))
    for path, model in plan.attributes:
        found.update(Holder(path, name) for name in model._binding.attributes(model))
    return found


def _refuse(source: Source, path: str, holders: list[str]) -> None:
    raise LinkError(
        f"{path} was deleted, but {', '.join(sorted(set(holders)))} still leads to it",
        file=source.file,
        path=path,
        hint="delete or change that too",
    )
