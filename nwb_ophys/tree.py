"""`tree`: what is in a file, as indented lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from nwb_ophys.errors import NWBError
from nwb_ophys.hdf5.links import LinkRecord
from nwb_ophys.hdf5.nodes import Node
from nwb_ophys.hdf5.unresolved import unresolved
from nwb_ophys.shown import first_paths, form_of, link_text, shown, target_of
from nwb_ophys.snapshot import opened

if TYPE_CHECKING:
    from nwb_ophys.snapshot import Target

__all__ = ["tree"]

_INDENT: Final = "  "


def tree(target: Target, *, attributes: bool = False, depth: int | None = None) -> Iterator[str]:
    """Show a file as a tree: one indented line for each object, sorted by name.

    A line names the object, its neurodata type, and of a dataset the elements and the shape, or
    the value where it is a single one. Links are shown with what they lead to, and not followed;
    an object that has several paths is shown at the first of them, and the others lead there. The
    cached specifications are shown by their versions. No array is read.

    Parameters
    ----------
    target
        A path, an open binary file, or a session. A session that was authored or changed is
        written to a temporary file for it.
    attributes
        Whether attributes are shown too.
    depth
        How many levels to show; all where None.

    Yields
    ------
    str
        The lines, without line ends.

    Raises
    ------
    NWBError
        Where the file cannot be opened.
    """
    with opened(target) as root:
        paths = first_paths(root)
        yield f"/{_form(root)}{_version(root)}"
        yield from _attributes(root, paths, _INDENT) if attributes else ()
        stack = _members("", root) if depth is None or depth > 0 else []
        while stack:
            path, group, record = stack.pop()
            level = path.count("/")
            indent = _INDENT * level
            if record.kind != "hard":
                yield f"{indent}{record.name} {_link(group, record)}"
                continue
            node = group.child(record.name)
            if paths[node.address] != path:
                yield f"{indent}{record.name} -> {paths[node.address]} (the same object)"
            elif path == "/specifications":
                yield f"{indent}{record.name}{_versions(node)}"
            else:
                yield f"{indent}{record.name}{_form(node)}{_value(node, paths)}"
                yield from _attributes(node, paths, indent + _INDENT) if attributes else ()
                if depth is None or level < depth:
                    stack += _members(path, node)


def _members(path: str, group: Node) -> list[tuple[str, Node, LinkRecord]]:
    """List the links of a group with their paths, the last by name first."""
    try:
        links = sorted(group.links.items(), reverse=True)
    except NWBError:  # the line of the object said so
        return []
    return [(f"{path}/{name}", group, record) for name, record in links]


def _form(node: Node) -> str:
    try:
        slash = "/" if node.is_group and node.path != "/" else ""
        return f"{slash}  {form_of(node)}".rstrip()
    except (NWBError, TypeError) as error:  # h5py knows no such elements
        return f"  not readable: {getattr(error, 'message', error)}"


def _value(node: Node, paths: dict[int, str]) -> str:
    """Show the value of a dataset that holds a single one."""
    try:
        if not node.is_dataset or node.id.shape != ():
            return ""
    except NWBError:  # its form says so
        return ""
    try:
        return f" = {shown(unresolved(node)[()], paths.get)}"
    except NWBError as error:
        return f" = not readable: {error.message}"


def _attributes(node: Node, paths: dict[int, str], indent: str) -> Iterator[str]:
    try:
        found = sorted(node.attributes.items())
    except NWBError as error:
        yield f"{indent}@{error.field} not readable: {error.message}"
        return
    for name, value in found:
        if name not in ("neurodata_type", "namespace"):
            yield f"{indent}@{name} = {shown(value, paths.get)}"


def _link(group: Node, record: LinkRecord) -> str:
    text = link_text(record)
    if record.kind == "external" and not group.source.may_open(group.source.beside(record.file)):
        return f"{text} (in another folder, not looked at)"
    return text if target_of(group, record) is not None else f"{text} (dangling)"


def _version(root: Node) -> str:
    version = root.attributes.get("nwb_version")
    return f", NWB {version}" if isinstance(version, str) else ""


def _versions(specifications: Node) -> str:
    names = (
        f"{name} {', '.join(sorted(specifications.child(name).links))}"
        for name in sorted(specifications.links)
    )
    return f"/  {'; '.join(names)}"
