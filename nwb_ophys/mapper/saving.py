"""Put a planned session into a file: on top of a copy of the opened one, or from nothing."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

import h5py

from nwb_ophys.authored import Storage, is_stream, plain
from nwb_ophys.errors import DataError, LinkError, SchemaError, SchemaUpgradeWarning, warn
from nwb_ophys.hdf5.atomic import replacing
from nwb_ophys.hdf5.bytewise import copy_synced, copy_user_block
from nwb_ophys.hdf5.copying import (
    Transfer,
    TreeCopier,
    access_properties,
    creation_properties,
    relocation_between,
)
from nwb_ophys.hdf5.external import external_files
from nwb_ophys.hdf5.guarding import guarded, made_in_memory
from nwb_ophys.hdf5.nodes import objects_below, root_of
from nwb_ophys.hdf5.source import Source
from nwb_ophys.mapper.plan import Plan
from nwb_ophys.mapper.relinking import find_relinking
from nwb_ophys.mapper.schema import write_specifications
from nwb_ophys.mapper.writer import Writer
from nwb_ophys.registry import is_generated
from nwb_ophys.specs import Namespace

__all__ = ["carry_out", "repack_file", "save_as", "write_plan"]

_SMALL: Final = 1 << 25
"""The most bytes of arrays in a new file that is made in memory."""


def save_as(plan: Plan, target: Path, storage: Storage) -> None:
    """Write a planned session to a file, all or nothing, and set the paths of its objects.

    A session that is written over the file it was opened from goes on with the new one.
    """
    session = plan.session
    opened = None if session is None or session.source.path is None else session.source
    onto_itself = opened is not None and Path(opened.path or "").resolve() == target
    with ExitStack() as held:
        with replacing(target) as temporary:
            write_plan(plan, temporary, target, storage)
            if onto_itself and opened is not None:
                held.enter_context(opened.lock)  # nobody reads until the new file is there
                opened.suspend()  # some systems replace no file that is open
        if onto_itself and session is not None:
            session.rebase(plan, in_place=False)
            return
    for item in plan.new:
        item.model.__dict__["hdf5_path"] = item.path


def write_plan(plan: Plan, temporary: Path, target: Path, storage: Storage) -> None:
    """Carry a plan out into a temporary file that is to lie at the target; no model changes."""
    session = plan.session
    folder = str(target.parent)
    if session is None:
        with made_in_memory(temporary) if _is_small(plan) else guarded(temporary) as file:
            carry_out(plan, file, folder, storage)
            write_specifications(file, _extensions(plan))
        return
    source = session.source
    source.check_unchanged()
    relocate = relocation_between(source.folder, folder)
    if relocate is not None and not _names_files(source):
        relocate = None
    if plan.moves:
        _write_moved(plan, source, temporary, storage, relocate)
        return
    if relocate is None and not plan.drops_objects:
        _copy_bytes(source, temporary)
        if plan.unchanged:
            return
        with guarded(temporary, access=access_properties(source.id)) as file:
            carry_out(plan, file, folder, storage)
        return
    plist = creation_properties(source.id)
    with guarded(temporary, creation=plist, access=access_properties(source.id)) as file:
        transfer = Transfer(source.id, file.id, source.file, str(target), relocate)
        copier = TreeCopier(transfer, skip=plan.removed)
        copier.copy("/", "/")
        _refuse_dangling(plan, copier)
        copier.paths.update(plan.replaced)
        carry_out(plan, file, folder, storage, copier)
    if source.path is not None:
        copy_user_block(source.path, str(temporary), plist.get_userblock())


def carry_out(
    plan: Plan,
    file: h5py.File,
    folder: str,
    storage: Storage,
    copier: TreeCopier | None = None,
) -> None:
    """Carry a plan out on an open file that holds what it says remains.

    That is what a copier put there, or all of the opened file.
    """
    writer = Writer(plan, file, folder, storage, copier)
    writer.write_objects()
    if copier is not None:
        copier.finish()
    writer.write_links()
    if plan.session is not None and (plan.adds_types or plan.sets_newest):
        old = file.attrs.get("nwb_version")
        if write_specifications(file, _extensions(plan)) and not plan.sets_newest:
            warn(
                f"{plan.session.file}: objects of schema "
                f"{file.attrs['nwb_version']} were added to a file of schema {old}; its cached "
                "specifications and its nwb_version are now the newer ones",
                SchemaUpgradeWarning,
            )


def _write_moved(
    plan: Plan, source: Source, temporary: Path, storage: Storage, relocate: Any
) -> None:
    """Carry a plan with moves out on a copy, and copy that without what was dropped."""
    relinking = find_relinking(plan, source)
    _copy_bytes(source, temporary)
    with guarded(temporary, access=access_properties(source.id)) as file:
        carry_out(plan, file, source.folder, storage)
        relinking.carry_out(file.id)
    if relocate is not None or plan.drops_objects:
        repack_file(temporary, temporary, relocate)


def repack_file(origin: Path, target: Path, relocate: Any = None) -> None:
    """Copy a file object by object to another or to itself, without what nothing leads to."""
    with replacing(target) as temporary, h5py.File(origin, "r") as old:
        plist, access = creation_properties(old.id), access_properties(old.id)
        with guarded(temporary, creation=plist, access=access) as new:
            copier = TreeCopier(Transfer(old.id, new.id, str(origin), str(target), relocate))
            copier.copy("/", "/")
            copier.finish()
        copy_user_block(str(origin), str(temporary), plist.get_userblock())


def _is_small(plan: Plan) -> bool:
    """Tell whether an authored session takes little room, as far as its arrays tell."""
    if plan.grafts:
        return False
    values = [plain(array.value) for array in plan.arrays]
    return not any(map(is_stream, values)) and (
        sum(getattr(value, "nbytes", 0) for value in values) <= _SMALL
    )


def _extensions(plan: Plan) -> dict[str, Namespace]:
    """Gather the specifications of extensions that the new objects need."""
    generated = {type(item.model) for item in plan.new if is_generated(type(item.model))}
    if not generated:
        return {}
    from nwb_ophys.generated.families import namespaces_of

    found: dict[str, Namespace] = {}
    for cls in generated:
        for name, namespace in namespaces_of(cls).items():
            held = found.setdefault(name, namespace)
            if held.version != namespace.version:
                raise SchemaError(
                    f"objects of {name} {held.version} and of {name} {namespace.version} cannot be "
                    "in one file",
                    hint="make them all with the types of one version",
                )
    return found


def _copy_bytes(source: Source, temporary: Path) -> None:
    if source.path is None:
        source.copy_object(temporary)
    else:
        copy_synced(source.path, temporary)


def _names_files(source: Source) -> bool:
    """Tell whether a file names other files by paths that depend on its folder.

    Objects that are damaged name none.
    """
    for node in objects_below(root_of(source)):
        with suppress(DataError):
            if next(external_files(node.id), None) is not None or any(
                record.kind == "external" for record in node.links.values()
            ):
                return True
    return False


def _refuse_dangling(plan: Plan, copier: TreeCopier) -> None:
    missing = copier.outside()
    for paths in (missing.links, missing.references):
        for path, origins in paths.items():
            if plan.is_removed(path) and path not in plan.replaced.values():
                raise LinkError(
                    f"{path} was deleted, but {', '.join(sorted(set(origins)))} still leads to it",
                    file=copier.source_file,
                    path=path,
                    hint="delete or change that too",
                )
