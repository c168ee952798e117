"""Which class an object of a file is read as: by what it says it is, and where it lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from nwb_ophys import registry
from nwb_ophys.errors import LinkError
from nwb_ophys.hdf5.nodes import Node, root_of
from nwb_ophys.hdf5.source import Source
from nwb_ophys.models.container import NWBContainer, NWBData
from nwb_ophys.models.dataset import Dataset, DatasetModel
from nwb_ophys.models.group import Group, GroupModel
from nwb_ophys.problems import Severity

if TYPE_CHECKING:
    from nwb_ophys.specs import Catalog

__all__ = ["Classes"]


class Note(Protocol):
    """Takes a departure from the schema."""

    def __call__(
        self, path: str, field: str, rule: str, message: str, severity: Severity = "error", /
    ) -> None:
        """Take it."""


class Classes:
    """The classes of the objects of the files of a session, by the types that those define.

    Parameters
    ----------
    note
        Told of what departs from the schema.
    """

    def __init__(self, note: Note) -> None:
        self._note = note
        self._catalogs: dict[int, Catalog] = {}

    def forget(self, source: Source) -> None:
        """Forget the types of a file that was replaced."""
        self._catalogs.pop(id(source), None)

    def of(self, node: Node, declared: tuple[type[Any], ...]) -> type[Any]:
        """Give the class to read an object as, and note where it is not what it should be.

        Parameters
        ----------
        node
            The object.
        declared
            The classes that the place it is found in declares.

        Raises
        ------
        LinkError
            Where it is neither a group nor a dataset.
        """
        is_group = node.is_group
        plain: type[Any] = Group if is_group else Dataset
        if not is_group and not node.is_dataset:
            raise LinkError("a named datatype is no object", file=node.file, path=node.path)
        kind = GroupModel if is_group else DatasetModel
        untyped: type[Any] = NWBContainer if is_group else NWBData
        first = declared[0] if declared else None
        type_name = node.attributes.get("neurodata_type")
        if isinstance(type_name, str):
            namespace = node.attributes.get("namespace")
            base = first if first is not None and issubclass(first, kind) else None
            cls = self._resolve(node, namespace, type_name, base or untyped)
            if first is not None and not issubclass(cls, declared):
                # What a parent declares of a member may be more than the member says of itself:
                # a part of its own, or a type that older schemas did not have yet.
                if issubclass(first, cls):
                    cls = first
                elif not registry.of_the_type(cls, declared):
                    wanted = " or ".join(one.__name__ for one in declared)
                    self._note(node.path, "", "type", f"expected {wanted}, found {cls.__name__}")
                    if node.path == "/":  # whatever it says, it is the file
                        cls = first
        elif first is not None:
            cls = first
            if first.neurodata_type is not None:
                self._note(
                    node.path,
                    "neurodata_type",
                    "type",
                    f"expected {first.__name__}, found a {plain.__name__.lower()} without a type",
                )
        else:
            cls = plain
        if not issubclass(cls, kind):
            found = "group" if is_group else "dataset"
            self._note(node.path, "", "kind", f"{cls.__name__} is no {found}, but found one")
            return plain
        return cls

    def _resolve(self, node: Node, namespace: Any, name: str, fallback: type[Any]) -> type[Any]:
        """Find the class of a type; one that is specified nowhere is known as the fallback."""
        if not isinstance(namespace, str):
            self._note(node.path, "namespace", "missing", f"the type {name!r} names no namespace")
            namespace = "core"
        found = registry.hand_written(namespace, name)
        if found is not None:
            return found
        catalog = self.catalog(node.source)
        if catalog.get(namespace, name) is None:
            self._note(
                node.path,
                "neurodata_type",
                "unknown-type",
                f"the type {name!r} of namespace {namespace!r} is specified nowhere",
                "warning",
            )
        cls = registry.resolve(namespace, name, catalog, fallback)
        family = catalog.family
        if family is not None and (namespace, name) in family.broken:
            self._note(
                node.path,
                "neurodata_type",
                "specification",
                f"the specification of {name!r} of namespace {namespace!r} cannot be followed: "
                f"{family.broken[namespace, name]}",
                "warning",
            )
        return cls

    def catalog(self, source: Source) -> Catalog:
        """Give the types that a file's cached specifications define, read when first needed."""
        catalog = self._catalogs.get(id(source))
        if catalog is None:
            import h5py

            from nwb_ophys.generated.extensions import remember
            from nwb_ophys.specs import Catalog, cached_namespaces

            try:
                group = h5py.Group(root_of(source).child("specifications").id)
                namespaces = cached_namespaces(group)
            except LookupError:
                namespaces = {}
            catalog = self._catalogs[id(source)] = Catalog.from_texts(namespaces.values())
            remember(catalog)
        return catalog
