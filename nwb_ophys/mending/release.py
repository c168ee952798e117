"""From the release of the schema that a file follows to the newest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from nwb_ophys.mending.ledger import ABSENT, Ledger, short
from nwb_ophys.registry import hand_written
from nwb_ophys.specs import Catalog, newest, packed_namespaces

if TYPE_CHECKING:
    from nwb_ophys.models.file import NWBFile

__all__ = ["drop_attributes", "name_type", "to_newest"]

_DROPPED: Final = ("help", "source", "ancestry")


def to_newest(root: NWBFile, ledger: Ledger, models: Iterable[Any]) -> bool:
    """Bring the version and the cached specifications to the newest; tell whether they are."""
    version = packed_namespaces()["core"].version
    attributes = root._binding.node.attributes  # type: ignore[union-attr]
    stored = attributes.get("nwb_version")
    if isinstance(stored, str) and newest((stored, version)) != version:
        ledger.leave("/", "nwb_version", "version", f"{stored} is newer than {version}")
        return False
    strangers = sorted({name for name in map(_strange_type, models) if name})
    if strangers:
        listed = ", ".join(strangers)
        message = f"schema {version} has no type {listed}: the layout is left as it is"
        ledger.leave("/", "nwb_version", "version", message)
        return False
    if stored != version:
        if not ledger.takes("version", "nwb_version"):
            message = f"expected {version}, found {short(stored)}"
            ledger.leave("/", "nwb_version", "version", message)
            return False
        was = ABSENT if stored is None else stored
        root.nwb_version = version
        ledger.done("/", "nwb_version", "version", was, version)
        ledger.left.pop(("/", "nwb_version", "missing"), None)
        ledger.done("/specifications", "core", "version", _cached(root, "core"), version)
        return True
    wrong = [name for name in packed_namespaces() if not _is_cached(root, name)]
    if wrong and ledger.takes("missing", "specifications"):
        root.nwb_version = version  # the writer adds the specifications of a version set
        for name in wrong:
            newer = packed_namespaces()[name].version
            ledger.done("/specifications", name, "missing", _cached(root, name), newer)
    elif wrong:
        listed = ", ".join(wrong)
        ledger.leave("/specifications", "", "missing", f"no specifications of {listed}")
    return True


def _cached(root: NWBFile, namespace: str) -> str:
    links = root._binding.node.links  # type: ignore[union-attr]
    if "specifications" not in links:
        return ABSENT
    group = root._binding.node.child("specifications")  # type: ignore[union-attr]
    if not group.is_group or namespace not in group.links:
        return ABSENT
    return ", ".join(group.child(namespace).links) or ABSENT


def _is_cached(root: NWBFile, namespace: str) -> bool:
    packed = packed_namespaces()[namespace].version
    attributes = root._binding.node.attributes  # type: ignore[union-attr]
    return _cached(root, namespace) == packed and ".specloc" in attributes


def drop_attributes(model: Any, ledger: Ledger) -> None:
    """Take away the attributes that older schemas had."""
    if model.namespace not in packed_namespaces():
        return  # what an extension's type has is its own
    for name in _DROPPED:
        if name in model.attrs and ledger.takes("undeclared", name):
            ledger.done(model.hdf5_path, name, "undeclared", model.attrs.pop(name), ABSENT)


def name_type(model: Any, ledger: Ledger, departures: Iterable[tuple[str, str, str]]) -> None:
    """Enter the namespace and name that a type has now, where the file has older ones."""
    cls, attributes = type(model), model._binding.node.attributes
    stored = attributes.get("namespace"), attributes.get("neurodata_type")
    wanted = cls.namespace, cls.neurodata_type
    if stored == wanted or None in wanted or None in stored:
        return
    known = hand_written(*wanted)
    if stored[0] not in packed_namespaces() or known is None or not issubclass(cls, known):
        return
    if stored[1] != wanted[1] and any(
        path == model.hdf5_path and rule == "dtype" for path, _, rule in departures
    ):
        return  # it is not what the newer type is
    for name, was, now in zip(("namespace", "neurodata_type"), stored, wanted, strict=True):
        if was != now and ledger.takes("type", name):
            model.attrs[name] = now
            ledger.done(model.hdf5_path, name, "type", was, now)


def _strange_type(model: Any) -> str | None:
    """Name the type of an object that an official namespace does not have any more."""
    attributes = model._binding.node.attributes
    namespace, name = attributes.get("namespace"), attributes.get("neurodata_type")
    if not isinstance(name, str) or namespace not in packed_namespaces():
        return None
    return None if Catalog.packed().get(namespace, name) is not None else name
