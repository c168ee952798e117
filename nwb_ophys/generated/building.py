"""Build the class of a type out of what its specification adds to the class of its base."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args

from nwb_ophys.annotations import Later
from nwb_ophys.generated.collecting import Collections
from nwb_ophys.generated.deltas import Spec, is_required, members_of, type_of
from nwb_ophys.generated.drafting import Draft
from nwb_ophys.generated.members import (
    dims_of,
    dtype_of,
    python_type,
    target_of,
)
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.models.dataset import DatasetModel
from nwb_ophys.models.group import GroupModel
from nwb_ophys.storage import (
    Array,
    Attr,
    Child,
    Internal,
    Link,
    NDArray,
    Ref,
    Value,
)

__all__ = ["Builder", "Find", "PartOf"]

Find = Callable[[str, type[Any]], Later]
"""Gives the classes of a type by its name, and of what they are where it is unknown."""

# Attributes by which files say what an object is: the mapper keeps them.
_KEPT = frozenset({"namespace", "neurodata_type", "object_id"})


class PartOf(NamedTuple):
    """Where a part comes from, for pickle: a field of the class that it is a part of."""

    owner: type[Any]
    field: str

    def restore(self) -> type[Any]:
        """Give the part."""
        kind: type[Any] = layout_of(self.owner).fields[self.field].types[0]
        return kind


class Builder:
    """Builds one class: the fields that a spec adds to a base or changes of it.

    Parameters
    ----------
    name
        The name of the class.
    base
        The class of the type that it extends.
    find
        Finds the types that members are of.
    settings
        Keywords of the class: ``schema`` for a type, ``part`` for a part of one.
    """

    def __init__(self, name: str, base: type[Any], find: Find, **settings: Any) -> None:
        self.name = name
        self.base = base
        self.find = find
        self.draft = Draft(name, base, settings)
        self.layout = self.draft.layout
        self.collections = Collections(self.draft)
        self.made: type[Any] | None = None
        self.parts: list[tuple[type[Any], str]] = []
        self.told: Counter[str] = Counter()
        """How many plain datasets have an attribute of a name."""

    def build(self, spec: Spec) -> type[Any]:
        """Build the class that a spec describes."""
        self._name(spec)
        self._value(spec)
        for each in members_of(spec, "attributes"):
            self._attribute(each)
        if issubclass(self.base, GroupModel):
            self.told.update(
                str(each.get("name"))
                for dataset in members_of(spec, "datasets")
                for each in members_of(dataset, "attributes")
                if type_of(dataset) is None
            )
            self._group(spec, (), required=True)
            self.collections.declare()
        self.made = self.draft.make(str(spec.get("doc") or ""))
        for part, field in self.parts:
            part.__nwb_origin__ = PartOf(self.made, field)
        return self.made

    # -- one field -----------------------------------------------------------------------------

    def _name(self, spec: Spec) -> None:
        fixed, default = spec.get("name"), spec.get("default_name")
        if isinstance(fixed, str):
            self.draft.annotations["name"] = Annotated[Literal[fixed], Internal()]
            self.draft.body["name"] = fixed
        elif isinstance(default, str):
            self.draft.annotations["name"] = Annotated[str, Internal()]
            self.draft.body["name"] = default
        elif "name" not in self.base.model_fields:
            self.draft.annotations["name"] = Annotated[str, Internal()]

    def _value(self, spec: Spec) -> None:
        """Declare the data of a dataset, where the spec says more of them than the base does."""
        if not issubclass(self.base, DatasetModel):
            return
        before = self.layout.value
        says = {"dtype", "shape", "dims", "value", "default_value"} & spec.keys()
        if before is not None and not says:
            return
        dtype, dims = dtype_of(spec), dims_of(spec)
        fixed = spec.get("value")
        default = fixed if fixed is not None else spec.get("default_value")
        if before is not None:
            marker: Any = before.marker
            dtype = dtype if "dtype" in spec else marker.dtype
            dims = dims if dims is not None else marker.shape
            name = before.name
        elif dims is None and isinstance(spec.get("dtype"), str):
            dims, name = (), "value"
            self.draft.body["array"] = property(lambda model: model.value, doc="The value.")
        else:
            name = "array"
        annotation = python_type(dtype, dims, as_list=False)
        if name == "array":
            annotation = NDArray  # it is what makes the object behave as an array
        required = name == "value" and default is None
        self.draft.declare(
            name,
            annotation,
            Value(dtype, dims, fixed=fixed),
            _shown(dims),
            *(() if required else (default,)),
            required=required,
        )

    def _attribute(self, spec: Spec, of: FieldLayout | None = None, owner: str = "") -> None:
        """Declare an attribute of the object, or of one of its plain datasets."""
        stored = spec.get("name")
        if not isinstance(stored, str) or (of is None and not owner and stored in _KEPT):
            return
        carrier = owner or (of.name if of is not None else None)
        if of is not None:
            known = next((f for f in self.layout.of.get(of.name, ()) if f.stored == stored), None)
        else:
            known = None if carrier else self.layout.attributes.get(stored)
        name = known.name if known else self.draft.free(stored, *([carrier] if carrier else []))
        fixed, default = spec.get("value"), spec.get("default_value")
        target = target_of(spec)
        required = is_required(spec)
        if target is not None and carrier is None:
            self.draft.declare(
                name,
                self.find(target, object),
                Ref(path=stored if stored != name else None),
                spec.get("doc"),
                required=required,
            )
            return
        dtype = dtype_of(spec)
        dims = dims_of(spec) or ()
        settings: dict[str, Any] = {"fixed": fixed}
        if stored != name:
            settings["name"] = stored
        if carrier is not None:
            settings["of"] = carrier
            required = False  # the dataset may not be there
        given = fixed if fixed is not None else default
        if isinstance(given, list) and (dims == () or dtype not in ("text", "ascii")):
            given = None
        self.draft.declare(
            name,
            python_type(dtype, dims, as_list=True),
            Attr("reference" if target is not None else dtype, dims, **settings),
            spec.get("doc"),
            *(() if given is None else (given,)),
            required=required and (default is None or fixed is not None),
        )

    # -- groups --------------------------------------------------------------------------------

    def _group(self, spec: Spec, groups: tuple[str, ...], *, required: bool) -> None:
        """Declare the members of a group: of the object itself, or of one within it."""
        for each in members_of(spec, "datasets"):
            self._member(each, groups, DatasetModel, required=required)
        for each in members_of(spec, "groups"):
            self._member(each, groups, GroupModel, required=required)
        for each in members_of(spec, "links"):
            self._link(each, groups, required=required)

    def _member(
        self, spec: Spec, groups: tuple[str, ...], kind: type[Any], *, required: bool
    ) -> None:
        stored, type_name = spec.get("name"), type_of(spec)
        if not isinstance(stored, str):
            if type_name is not None:
                found, part = self.find(type_name, kind), None
                if _refines(spec):
                    use = {**spec, "name": type_name}
                    part = Later(self._later_part(use, type_name, None, type_name), type_name)
                self.collections.add(spec, groups, type_name, found, required=required, part=part)
            return
        required = required and is_required(spec)
        known = self.layout.members.get(groups, {}).get(stored)
        if (
            type_name is None
            and kind is GroupModel
            and known is None
            and not spec.get("attributes")
            and any(spec.get(each) for each in ("datasets", "groups", "links"))
        ):
            self._group(spec, (*groups, stored), required=required)
            return
        if known is not None and isinstance(known.marker, Link):
            known = None  # it was a link, and is an object now
        name = known.name if known is not None else self.draft.free(stored, *groups)
        if (
            type_name is None
            and kind is DatasetModel
            and (
                isinstance(known.marker, Array)
                if known is not None
                else not any(members_of(spec, "attributes"))
            )
        ):
            self._array(spec, groups, name, known, required=required)
        else:
            self._child(spec, groups, name, known, kind, required=required)

    def _array(
        self,
        spec: Spec,
        groups: tuple[str, ...],
        name: str,
        known: FieldLayout | None,
        *,
        required: bool,
    ) -> None:
        stored = spec["name"]
        dtype, dims = dtype_of(spec), dims_of(spec)
        scalar = dims is None and isinstance(spec.get("dtype"), str)
        if known is not None:
            before: Any = known.marker
            if "dtype" not in spec:
                dtype = before.dtype
            if dims is None:
                dims = before.shape
        elif scalar:
            dims = ()
        fixed = spec.get("value")
        default = fixed if fixed is not None else spec.get("default_value")
        path = "/".join((*groups, stored))
        settings: dict[str, Any] = {} if path == name else {"path": path}
        if fixed is not None and dims == ():
            settings["fixed"] = fixed
        if isinstance(default, list):
            default = None
        self.draft.declare(
            name,
            python_type(dtype, dims, as_list=False),
            Array(dtype, dims, **settings),
            spec.get("doc"),
            *(() if default is None else (default,)),
            required=required and (default is None or fixed is not None),
        )
        for each in members_of(spec, "attributes"):
            self._attribute(each, known, name)

    def _child(
        self,
        spec: Spec,
        groups: tuple[str, ...],
        name: str,
        known: FieldLayout | None,
        kind: type[Any],
        *,
        required: bool,
    ) -> None:
        stored, type_name = spec["name"], type_of(spec)
        flat: tuple[str, ...] = ()
        if known is not None and isinstance(known.marker, Child):
            flat = known.marker.flat
        annotation: Any
        if type_name is None:
            base = known.types[0] if known is not None and known.types else kind
            part = self._part(spec, base, name)
            annotation = part
            flat = self._flat(part, flat)
        elif (
            known is not None
            and any(one.neurodata_type == type_name for one in known.types)
            and not _refines(spec)
        ):
            annotation = known.annotation
            annotation = _without_none(annotation)
        elif kind is DatasetModel or _adds_members(spec):
            annotation = Later(self._later_part(spec, type_name, known, name), type_name)
        else:
            annotation = self.find(type_name, kind)
        path = "/".join((*groups, stored))
        settings: dict[str, Any] = {} if path == name else {"path": path}
        if flat:
            settings["flat"] = flat
        self.draft.declare(name, annotation, Child(**settings), spec.get("doc"), required=required)

    def _flat(self, part: type[Any], before: tuple[str, ...]) -> tuple[str, ...]:
        """Choose the fields of a part that the constructor takes and shows as its own."""
        fields = layout_of(part).fields
        new = [
            one.name
            for one in fields.values()
            if isinstance(one.marker, Attr)
            and one.name not in before
            and self.told[one.stored] == 1
            and not self.draft.taken(one.name)
        ]
        return (*before, *new)

    def _part(self, spec: Spec, base: type[Any], field: str) -> type[Any]:
        """Build the class of one use of a type, or of a dataset or group without one."""
        shown = "".join(word[:1].upper() + word[1:] for word in str(spec["name"]).split("_"))
        builder = Builder(f"{self.name}{shown}", base, self.find, part=True)
        described = base.model_fields.get("description")
        if described is not None and described.is_required():
            # A column that the type declares says what the type says of it.
            builder.draft.declare(
                "description", str, Attr(), None, str(spec.get("doc") or ""), required=True
            )
        part = builder.build({k: v for k, v in spec.items() if k != "quantity"})
        self.parts.append((part, field))
        if self.made is not None:
            part.__nwb_origin__ = PartOf(self.made, field)
        return part

    def _later_part(
        self, spec: Spec, type_name: str, known: FieldLayout | None, field: str
    ) -> Callable[[], tuple[type, ...]]:
        kind = DatasetModel if "groups" not in spec else GroupModel
        found = self.find(type_name, kind)

        def make() -> tuple[type, ...]:
            base = found()[0]
            if known is not None and known.types and issubclass(known.types[0], base):
                base = known.types[0]
            return (self._part(spec, base, field),)

        return make

    def _link(self, spec: Spec, groups: tuple[str, ...], *, required: bool) -> None:
        target, stored = spec.get("target_type"), spec.get("name")
        if not isinstance(target, str):
            return
        if not isinstance(stored, str):
            found = self.find(target, GroupModel)
            self.collections.add(spec, groups, target, found, required=required, links=True)
            return
        known = self.layout.members.get(groups, {}).get(stored)
        name = known.name if known is not None else self.draft.free(stored, *groups)
        path = "/".join((*groups, stored))
        self.draft.declare(
            name,
            self.find(target, object),
            Link(path=None if path == name else path),
            spec.get("doc"),
            required=required and is_required(spec),
        )


def _refines(spec: Spec) -> bool:
    return any(
        spec.get(key) is not None
        for key in ("dtype", "shape", "value", "attributes", "datasets", "groups", "links")
    )


def _adds_members(spec: Spec) -> bool:
    return any(spec.get(key) for key in ("attributes", "datasets", "groups", "links"))


def _without_none(annotation: Any) -> Any:
    kept = tuple(arg for arg in get_args(annotation) if arg is not type(None))
    return Union[kept] if type(None) in get_args(annotation) else annotation  # noqa: UP007


def _shown(dims: Any) -> str | None:
    if not dims:
        return None
    each: Iterator[Any] = iter(dims if isinstance(dims[0], tuple) else (dims,))
    return " or ".join("(" + ", ".join(map(str, axes)) + ")" for axes in each) + "."
