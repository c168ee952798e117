"""Save the changes of an opened session into its own file."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from nwb_ophys.errors import FileAccessError, LinkError
from nwb_ophys.hdf5.copying import access_properties
from nwb_ophys.hdf5.datasets import Storage
from nwb_ophys.hdf5.editing import Edit
from nwb_ophys.hdf5.guarding import interrupts_held
from nwb_ophys.hdf5.nodes import Node, node_at
from nwb_ophys.hdf5.referring import Holder, Reach, find_reach, map_references
from nwb_ophys.hdf5.source import Identity, Source
from nwb_ophys.mapper.plan import Plan, join, make_plan
from nwb_ophys.mapper.saving import carry_out
from nwb_ophys.mapper.session import Session

__all__ = ["save_in_place"]


def save_in_place(session: Session, storage: Storage) -> None:
    """Write what changed into the file of a session; all of it, or nothing.

    Raises
    ------
    SchemaError, LinkError
        Where what was changed does not conform, or leaves a link or reference dangling.
    FileAccessError
        Where the file cannot be written to, or is in use; it is as it was before then.
    """
    source = session.source
    path = _editable(source)
    source.check_unchanged()
    plan = make_plan(session.root)
    if plan.unchanged:
        return
    reach = find_dangling(plan, source)
    access = access_properties(source.id)
    with source.lock, ExitStack() as ending:
        with source.lend() as lend:
            edit = Edit(path, source.file)
            try:
                with edit.open(access) as file:
                    lend(file)
                    # What is unlinked below is freed only at the end, so that nothing is written
                    # over it, which would have to be journaled.
                    held = [_open(source, address) for address in plan.replaced]
                    held += [_open(source, node_at(source, one).address) for one in _objects(plan)]
                    carry_out(plan, file, source.folder, storage)
                    for holder in _moved_holders(plan, reach):
                        map_references(file.id, holder, plan.replaced)
                    del held
                ending.enter_context(interrupts_held())
                edit.commit()
            except BaseException:
                if not edit.committed:
                    edit.roll_back()
                raise
            source.identity = Identity.of(path)
        session.rebase([(item.path, item.model) for item in plan.new], plan)


def _editable(source: Source) -> str:
    if source.path is None:
        raise FileAccessError(
            "a session of a file object cannot be saved in place",
            file=source.file,
            hint="write it to a file: nwb_ophys.write(session, path)",
        )
    if source.mode != "r+":
        raise FileAccessError(
            "the session was opened to read",
            file=source.file,
            hint='open it with nwb_ophys.open(path, "r+"), or write it to a new file: '
            "nwb_ophys.write(session, path)",
        )
    return source.path


def _open(source: Source, address: int) -> Any:
    node: Node = source.nodes[address]
    return node.id


def _objects(plan: Plan) -> list[str]:
    return [path for path, is_object in plan.removed.items() if is_object]


def find_dangling(plan: Plan, source: Source) -> Reach | None:
    """Refuse a plan that leaves links or references without the object they lead to.

    Returns
    -------
    Reach
        What remains of the file; None where nothing goes or moves.
    """
    if not plan.drops_objects:
        return None
    reach = find_reach(source, lambda path: path in plan.removed)
    rewritten = _rewritten(plan)
    gone = {one.address: one.path for one in _below_removed(plan, source, reach)}
    for address, path in gone.items():
        if address in plan.replaced:
            continue
        holders = [one for one in reach.references.get(address, ()) if one not in rewritten]
        holders = [one for one in holders if not plan.is_removed(one.path)]
        if holders:
            _refuse(source, path, [str(one) for one in holders])
    for path, target in reach.softs.items():
        if plan.is_removed(target) and target not in _new_paths(plan) and _was_there(source, path):
            _refuse(source, target, [path])
    return reach


def _below_removed(plan: Plan, source: Source, reach: Reach) -> list[Node]:
    from nwb_ophys.hdf5.nodes import objects_below

    found = []
    for path in _objects(plan):
        found += [
            node for node in objects_below(node_at(source, path)) if node.address not in reach.paths
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


def _moved_holders(plan: Plan, reach: Reach | None) -> list[Holder]:
    """List what refers to a dataset that was made anew, and is not written anew itself."""
    if reach is None:
        return []
    found: dict[Holder, None] = {}
    rewritten = _rewritten(plan)
    for address in plan.replaced:
        for holder in reach.references.get(address, ()):
            if holder not in rewritten and not plan.is_removed(holder.path):
                found[holder] = None
    return list(found)
