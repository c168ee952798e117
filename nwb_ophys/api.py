"""Open, read and write sessions: the functions of the package."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from typing import IO, Any, Literal

import h5py

from nwb_ophys.errors import DataError, FileAccessError, NotNWBError, SchemaError, TooLargeError
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.hdf5.atomic import check_target, replacing
from nwb_ophys.hdf5.copying import TreeCopier, copy_user_block, creation_properties
from nwb_ophys.hdf5.datasets import Storage
from nwb_ophys.hdf5.nodes import Node, external_files, root_of
from nwb_ophys.hdf5.source import ExternalPolicy, Source
from nwb_ophys.mapper.plan import ExternalLink, Plan, make_plan
from nwb_ophys.mapper.schema import SchemaUpgradeWarning, write_specifications
from nwb_ophys.mapper.session import Session
from nwb_ophys.mapper.writer import Writer, relocation
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.models.file import NWBFile

__all__ = ["link", "open", "read", "write"]


def open(
    path: str | os.PathLike[str] | IO[bytes],
    mode: Literal["r"] = "r",
    *,
    external_links: ExternalPolicy = "folder",
) -> NWBFile:
    """Open an NWB 2.x file as lazy, typed objects.

    Only what it takes to hand back the session is read; fields, children and links load when they
    are first touched, arrays when they are indexed. Close the session, or use it in a ``with``
    block.

    Parameters
    ----------
    path
        A path, or an open binary file object.
    mode
        ``"r"``, to read. Changes are written to a new file, or over this one, with `write`.
    external_links
        Which other files may be opened for links, virtual datasets and external storage:
        ``"folder"`` those below the folder of the file, ``"all"``, or ``"none"``.

    Returns
    -------
    NWBFile
        The session.

    Raises
    ------
    FileMissingError, FileIsFolderError, FilePermissionError, FileLockedError
        Where the file cannot be opened.
    NotNWBError
        Where it is no HDF5 file, not a whole one, or no NWB file of version 2.
    """
    if mode != "r":
        raise ValueError(
            f"mode {mode!r} is not supported: open with 'r', change the session, "
            "and write it with nwb_ophys.write(session, path, overwrite=True)"
        )
    if external_links not in ("folder", "all", "none"):
        raise ValueError(f"external_links is 'folder', 'all' or 'none', not {external_links!r}")
    return _session(Source(path, external=external_links))


def _session(source: Source) -> NWBFile:
    try:
        check_version(root_of(source))
        root: NWBFile = Session(source).root
    except BaseException:
        source.close()
        raise
    return root


def check_version(root: Node) -> None:
    """Refuse a file that is not NWB of version 2.

    Raises
    ------
    NotNWBError
        Saying what the file is instead.
    """
    version = root.attributes.get("nwb_version")
    if version is None and "nwb_version" in root.links:
        # NWB 1.x stored it as a dataset.
        version = LazyArray(root.child("nwb_version"))[()]
    if isinstance(version, bytes):
        version = version.decode("utf-8", "replace")
    if not isinstance(version, str):
        raise NotNWBError(
            "expected an NWB file, found an HDF5 file without the attribute nwb_version",
            file=root.file,
            path="/",
            field="nwb_version",
        )
    number = version.removeprefix("NWB-")
    if not number.startswith("2"):
        raise NotNWBError(
            f"expected NWB version 2, found {version!r}",
            file=root.file,
            path="/",
            field="nwb_version",
            hint="files of NWB 1.x can be converted with the tools of the time",
        )


def read(
    path: str | os.PathLike[str] | IO[bytes], *, external_links: ExternalPolicy = "folder"
) -> NWBFile:
    """Read a whole NWB file into memory; the file is closed again.

    Parameters
    ----------
    path, external_links
        As in `open`.

    Raises
    ------
    TooLargeError
        Where the arrays would take more than the available memory; it names the largest ones.
    """
    with open(path, external_links=external_links) as lazy:
        source: Source = lazy._binding.session.source  # type: ignore[union-attr]
        image = source.image()
        if image is None:
            assert source.path is not None
            _check_memory(source, source.identity.size)  # type: ignore[union-attr]
            image = Path(source.path).read_bytes()
        else:
            _check_memory(source, len(image))
        name = source.file
    session = _session(Source(image, name=name, external=external_links))
    for model in session.walk():
        _load(model)
    return session


def _load(model: ConfiguredBaseModel) -> None:
    from nwb_ophys.errors import NWBError
    from nwb_ophys.layout import layout_of

    for name in layout_of(type(model)).fields:
        try:
            value = getattr(model, name)
            if isinstance(value, LazyArray) and value.shape is not None:
                model.__dict__[name] = value.read()
                model._binding.remember(name, model.__dict__[name])  # type: ignore[union-attr]
        except NWBError:
            continue  # noted in the problems of the session; raised again for who asks
    _ = model.attrs


def _check_memory(source: Source, size: int) -> None:
    import psutil

    sizes: dict[str, int] = {}
    stack = [root_of(source)]
    seen = set()
    while stack:
        node = stack.pop()
        if node.address in seen:
            continue
        seen.add(node.address)
        if node.is_group:
            stack += [node.child(one.name) for one in node.links.values() if one.kind == "hard"]
        elif node.is_dataset:
            sizes[node.path] = LazyArray(node).nbytes
    # The file is held twice, as bytes and as what HDF5 makes of them.
    needed = sum(sizes.values()) + 2 * size
    available = psutil.virtual_memory().available
    if needed > available:
        largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:5]
        named = ", ".join(f"{path} ({sizes[path] / 1e9:.3g} GB)" for path in largest)
        raise TooLargeError(
            f"the arrays take {needed / 1e9:.3g} GB of memory, and {available / 1e9:.3g} GB are "
            f"available; the largest are {named}",
            file=source.file,
            hint="use nwb_ophys.open, which reads only what is asked for",
        )


def link(target: ConfiguredBaseModel) -> Any:
    """Make an external link to an object of another opened file.

    What it returns goes where the object itself could go: into a collection, or into a link field.

    Parameters
    ----------
    target
        The object.

    Raises
    ------
    LinkError
        Where the object is in no file.
    """
    return ExternalLink(target)


def write(
    session: NWBFile,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    compression: str | None = "gzip",
    progress: bool = False,
) -> Path:
    """Write a session to a file, all or nothing.

    What came from an opened file and was not touched is carried over as it is stored. An opened
    session that is written over its own file goes on with the new one.

    Parameters
    ----------
    session
        An authored session, or an opened one with or without changes.
    path
        Where to; its folder must exist.
    overwrite
        Whether a file there may be replaced.
    compression
        ``"gzip"`` or None, for new arrays.
    progress
        Whether long writes show a bar.

    Returns
    -------
    pathlib.Path
        Where the file lies, symbolic links resolved.

    Raises
    ------
    FileExistsNWBError
        Where a file is there and ``overwrite`` is not set.
    SchemaError, LinkError
        Where what was authored does not conform; nothing is written.
    FileAccessError
        Where the disk is full or cannot be written to; what was there stays as it was.
    """
    if not isinstance(session, NWBFile):
        raise SchemaError(
            f"expected an NWBFile, found {session!r} of type {type(session).__name__}"
        )
    storage = Storage(compression=compression, progress=progress)
    target = check_target(path, overwrite=overwrite)
    plan = make_plan(session)
    try:
        with replacing(target) as temporary:
            write_plan(plan, temporary, target, storage)
    except OSError as error:
        if isinstance(error, (FileAccessError, DataError)):
            raise
        raise FileAccessError(f"the file cannot be written: {error}", file=path) from error
    _after(plan, target)
    return target


def write_plan(plan: Plan, temporary: Path, target: Path, storage: Storage) -> None:
    """Carry a plan out into a temporary file that is to lie at the target; models stay untouched."""
    session = plan.session
    folder = str(target.parent)
    if session is None:
        with h5py.File(temporary, "w") as file:
            Writer(plan, file, folder, storage).run()
            write_specifications(file, plan.root)
        return
    source = session.source
    source.check_unchanged()
    relocate = relocation(source.folder, folder)
    if relocate is not None and not _names_files(source):
        relocate = None
    if relocate is None and not plan.removed:
        _copy_bytes(source, temporary)
        if plan.unchanged:
            return
        with h5py.File(temporary, "r+") as file:
            _carry_out(plan, file, folder, storage)
        return
    plist = creation_properties(source.id)
    with h5py.File(h5py.h5f.create(os.fsencode(temporary), h5py.h5f.ACC_TRUNC, plist)) as file:
        copier = TreeCopier(
            source.id,
            file.id,
            source_file=source.file,
            target_file=str(target),
            relocate=relocate,
            skip=plan.removed,
        )
        copier.copy("/", "/")
        _refuse_dangling(plan, copier)
        _carry_out(plan, file, folder, storage)
        copier.paths.update(plan.replaced)
        copier.finish()
    if source.path is not None:
        copy_user_block(source.path, str(temporary), plist.get_userblock())


def _carry_out(plan: Plan, file: h5py.File, folder: str, storage: Storage) -> None:
    Writer(plan, file, folder, storage).run()
    if plan.adds_types:
        old = file.attrs.get("nwb_version")
        if write_specifications(file, plan.root):
            warnings.warn(
                f"{plan.session.file if plan.session else ''}: objects of schema "
                f"{file.attrs['nwb_version']} were added to a file of schema {old}; its cached "
                "specifications and its nwb_version are now the newer ones",
                SchemaUpgradeWarning,
                stacklevel=4,
            )


def _copy_bytes(source: Source, temporary: Path) -> None:
    image = source.image()
    if image is not None:
        temporary.write_bytes(image)
    else:
        assert source.path is not None
        shutil.copyfile(source.path, temporary)


def _names_files(source: Source) -> bool:
    """Tell whether a file names other files by paths that depend on its folder."""
    stack = [root_of(source)]
    seen = set()
    while stack:
        node = stack.pop()
        if node.address in seen:
            continue
        seen.add(node.address)
        for record in node.links.values():
            if record.kind == "external":
                return True
            if record.kind == "hard":
                stack.append(node.child(record.name))
        if next(external_files(node.id), None) is not None:
            return True
    return False


def _refuse_dangling(plan: Plan, copier: TreeCopier) -> None:
    from nwb_ophys.errors import LinkError

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


def _after(plan: Plan, target: Path) -> None:
    """Set the paths of what was written; go on with the new file where it is the opened one."""
    session = plan.session
    homes = {id(item.model): (item.path, item.model) for item in plan.new}
    opened = None if session is None else session.source.path
    if session is not None and opened is not None and Path(opened).resolve() == target:
        session.rebase(homes)
        return
    for path, model in homes.values():
        model.__dict__["hdf5_path"] = path
