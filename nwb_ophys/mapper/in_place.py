"""Save the changes of an opened session into its own file."""

from __future__ import annotations

from contextlib import ExitStack

from nwb_ophys.authored import Storage
from nwb_ophys.errors import FileAccessError
from nwb_ophys.hdf5.copying import access_properties
from nwb_ophys.hdf5.editing import Edit
from nwb_ophys.hdf5.guarding import interrupts_held
from nwb_ophys.hdf5.nodes import node_at
from nwb_ophys.hdf5.source import Identity, Source
from nwb_ophys.mapper.planning import make_plan
from nwb_ophys.mapper.relinking import find_relinking, removed_objects
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
    relinking = find_relinking(plan, source)
    access = access_properties(source.id)
    with source.lock, ExitStack() as ending:
        with source.lend() as lend:
            edit = Edit(path, source.file)
            try:
                with edit.open(access) as file:
                    lend(file)
                    # What is unlinked below is freed only at the end, so that nothing is written
                    # over it, which would have to be journaled.
                    held = [node_at(source, path).id for path in removed_objects(plan)]
                    carry_out(plan, file, source.folder, storage)
                    relinking.carry_out(file.id)
                    del held
                ending.enter_context(interrupts_held())
                edit.commit()
            except BaseException:
                if not edit.committed:
                    edit.roll_back()
                raise
            source.identity = Identity.of(path)
        session.rebase(plan, in_place=True)


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
