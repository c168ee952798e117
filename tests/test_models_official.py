"""Every hand-written model against the official schema it follows, member by member.

The declarations and the schema are brought to the same form, a `Member` for each attribute,
dataset, group and link, and compared. What may differ is listed with the reason; a reason that
no longer applies fails too.
"""

import copy
import re
from dataclasses import dataclass, fields
from typing import Any

import pytest

import nwb_ophys.models as models
from nwb_ophys.layout import layout_of
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.models.dataset import Dataset
from nwb_ophys.models.group import Group
from nwb_ophys.registry import get_type
from nwb_ophys.specs import Catalog
from nwb_ophys.storage import Array, Attr, Child, Link, Members, Ref

CATALOG = Catalog.packed()

COMPARED = sorted(
    name
    for name in models.__all__
    if isinstance(cls := getattr(models, name), type)
    and issubclass(cls, ConfiguredBaseModel)
    and cls.__dict__.get("neurodata_type") == name
)

GENERATED = sorted({entry.name for entry in CATALOG.types()} - set(COMPARED))

PARTS = sorted(
    name
    for name in models.__all__
    if isinstance(cls := getattr(models, name), type)
    and issubclass(cls, ConfiguredBaseModel)
    and cls not in (ConfiguredBaseModel, Dataset, Group, models.DatasetModel, models.GroupModel)
    and "neurodata_type" not in cls.__dict__
)

TOLD_BY_THE_MODEL = "authors need not say it: the model says it for them, and it is written"
FOLLOWS_AT_WRITE = "follows from the columns when the table is written"
OTHER_VERSIONS = "files of other versions open too, and keep theirs"

DIFFERENCES = {
    ("NWBFile", "nwb_version", "fixed"): OTHER_VERSIONS,
    ("NWBFile", "nwb_version", "required"): OTHER_VERSIONS,
    ("Subject", "", "name"): "the file holds it under this name and no other",
    ("ElementIdentifiers", "", "name"): "tables hold it under this name and no other",
    ("ExternalImage", "", "shape"): "a single path, as a comment in the schema says",
    ("ElectrodeGroup", "position", "shape"): "a single position, or several, as PyNWB has it",
    ("DynamicTable", "colnames", "default"): FOLLOWS_AT_WRITE,
    ("DynamicTable", "id", "required"): FOLLOWS_AT_WRITE,
    ("VectorIndex", "target", "required"): FOLLOWS_AT_WRITE,
    ("VectorIndex", "description", "default"): TOLD_BY_THE_MODEL,
    ("AlignedDynamicTable", "categories", "default"): FOLLOWS_AT_WRITE,
    ("MeaningsTable", "description", "default"): TOLD_BY_THE_MODEL,
    ("MeaningsTable", "target", "required"): "files from before hdmf-common 1.10 have a link",
    ("MeaningsTable", "value", "required"): "made with add_column",
    ("MeaningsTable", "meaning", "required"): "made with add_column",
    ("DynamicTableRegion", "table", "required"): "its own write says what is missing",
    ("TimeSeriesReferenceVectorData", "description", "default"): TOLD_BY_THE_MODEL,
    ("TimeSeriesStartingTime", "", "default"): "a series that is given a rate begins at 0",
}
"""(class, member, aspect) and why the model departs from the schema there. What a class departs
in, its subclasses and parts may too; the member "" is the object itself."""

KINDS = ("attributes", "links", "datasets", "groups")

IMPLICIT = {
    "object_id": "every typed object has it, so the schema language lists it nowhere",
}


@dataclass
class Member:
    """A member as the schema, or a model, declares it; None where that does not apply."""

    storage: str
    types: frozenset[str] | None = None
    dtype: Any = None
    shape: Any = None
    required: bool | None = None
    default: Any = None
    fixed: Any = None
    name: str | None = None


# -- the schema ----------------------------------------------------------------------------------


def type_of(spec, word="inc"):
    return spec.get(f"neurodata_type_{word}", spec.get(f"data_type_{word}"))


def key_of(spec, namespace):
    """Tell specs of one object apart from those of another: by name, else by type."""
    return spec.get("name") or f"<{type_of(spec)}>"


def merged(base, spec, namespace):
    """Lay the spec of a subtype, or of one use of a type, over what it extends."""
    result = {**base, **{k: v for k, v in spec.items() if k not in ("attributes", "links")}}
    if "dtype" in spec and "shape" not in spec and "dims" not in spec and "shape" in base:
        result["shape"] = base["shape"]
    for kind in KINDS:
        found = {key_of(each, namespace): each for each in base.get(kind, ())}
        for each in spec.get(kind, ()):
            key = key_of(each, namespace)
            nested = kind in ("datasets", "groups") and key in found
            # What a subtype declares anew is required, unless it says otherwise again.
            each = {"quantity": 1, **each} if nested else each
            found[key] = merged(found[key], each, namespace) if nested else each
        result[kind] = list(found.values())
    return result


def effective(namespace, name):
    """Collect the spec of a type with all that it inherits."""
    result = {}
    for entry in reversed(list(CATALOG.bases(namespace, name))):
        spec = CATALOG.spec(entry.namespace, entry.name)
        for word in ("name", "default_name", "value", "default_value"):
            result.pop(word, None)  # these are of the base alone
        result = merged(result, spec, namespace)
    return result


def of_use(spec, namespace):
    """Collect the spec of a typed member: what its type says and what this use adds."""
    if type_of(spec) is None:
        return spec
    entry = CATALOG.get(namespace, type_of(spec))
    base = effective(entry.namespace, entry.name)
    return merged({k: v for k, v in base.items() if k != "default_name"}, spec, namespace)


def dtype_of(spec):
    dtype = spec.get("dtype")
    if isinstance(dtype, list):
        return tuple((each["name"], dtype_of(each)) for each in dtype)
    if isinstance(dtype, dict):
        return "reference"
    return dtype or "any"


def shape_of(spec, *, scalar):
    shape = spec.get("shape")
    if shape is None:
        return () if scalar else None
    nested = isinstance(shape[0], list)
    each = [tuple(n or "*" for n in axes) for axes in (shape if nested else [shape])]
    return frozenset(each)


def declared_type(namespace, name):
    """Name the model by which a type is declared."""
    entry = CATALOG.get(namespace, name)
    assert get_type(entry.namespace, name).__name__ == name
    return name


def model(name):
    """Give the class of an official type, or the hand-written class of a part."""
    entry = next((one for one in CATALOG.types() if one.name == name), None)
    return getattr(models, name) if entry is None else get_type(entry.namespace, name)


def attribute_member(spec, namespace, owner_required=True):
    fixed = spec.get("value")
    default = spec.get("default_value")
    reference = isinstance(spec.get("dtype"), dict)
    return Member(
        storage="Ref" if reference else "Attr",
        types=frozenset([declared_type(namespace, spec["dtype"]["target_type"])])
        if reference
        else None,
        dtype=None if reference else spec.get("dtype"),
        shape=None if reference else shape_of(spec, scalar=True),
        # A default makes it optional; what is fixed is nobody's choice.
        required=owner_required and spec.get("required", True) and default is None
        if fixed is None
        else None,
        default=fixed if fixed is not None else default,
        fixed=fixed,
    )


def attribute_members(spec, namespace, prefix="", *, owner_required=True):
    return {
        f"{prefix}@{each['name']}": attribute_member(each, namespace, owner_required)
        for each in spec.get("attributes", ())
    }


def schema_members(spec, namespace, prefix=""):
    """Bring the members of a group's spec to `Member`, by their paths."""
    found: dict[str, Any] = {}
    if not prefix:
        found.update(attribute_members(spec, namespace))
    collected: dict[str, set[str]] = {}
    for each in spec.get("links", ()):
        found[prefix + each["name"]] = Member(
            storage="Link",
            types=frozenset([declared_type(namespace, each["target_type"])]),
            required=each.get("quantity", 1) == 1,
        )
    for kind in ("datasets", "groups"):
        for each in spec.get(kind, ()):
            name, required = each.get("name"), each.get("quantity", 1) in (1, "+")
            if name is None:
                collected.setdefault(prefix, set()).add(declared_type(namespace, type_of(each)))
            elif type_of(each) is not None:
                found[prefix + name] = (
                    Member(
                        storage="Child",
                        types=frozenset([declared_type(namespace, type_of(each))]),
                        required=required,
                    ),
                    of_use(each, namespace),
                )
            elif kind == "datasets":
                found[prefix + name] = (
                    Member(
                        storage="Array",
                        dtype=dtype_of(each),
                        shape=shape_of(each, scalar="dtype" in each),
                        required=required and each.get("default_value") is None
                        if each.get("value") is None
                        else None,
                        default=each.get("value", each.get("default_value")),
                        fixed=each.get("value"),
                    ),
                    each,
                )
            elif any(each.get(below) for below in ("groups", "datasets", "links")):
                found.update(schema_members(each, namespace, f"{prefix}{name}/"))
            else:
                found[prefix + name] = (Member(storage="Child", required=required), each)
    for path, types in collected.items():
        found[f"{path}*"] = Member(storage="Members", types=without_subtypes(types))
    return found


def without_subtypes(names):
    """Drop the types that another of them covers."""
    kinds = {name: model(name) for name in names}
    return frozenset(
        name
        for name, kind in kinds.items()
        if not any(kind is not other and issubclass(kind, other) for other in kinds.values())
    )


# -- the models ----------------------------------------------------------------------------------


def dims_of(dims):
    if dims is None or dims == ():
        return dims
    each = dims if isinstance(dims[0], tuple) else (dims,)
    return frozenset(tuple("*" if isinstance(axis, str) else axis for axis in one) for one in each)


def default_of(field):
    value = field.default()
    return None if field.types and not value else value


def base_names(field):
    """Name the neurodata types that a field holds; a part counts as the type it is one of."""
    names = {kind.neurodata_type for kind in field.types}
    return frozenset(names - {None}) or None


def model_member(field):
    marker = field.marker
    if isinstance(marker, Members):
        return Member(storage="Members", types=without_subtypes(base_names(field)))
    if isinstance(marker, (Child, Link)):
        storage = next(kind for kind in (Ref, Link, Child) if isinstance(marker, kind)).__name__
        return Member(storage=storage, types=base_names(field), required=field.required)
    storage = "Attr" if isinstance(marker, Attr) else "Array"
    fixed = marker.fixed
    return Member(
        storage=storage,
        dtype=marker.dtype,
        shape=dims_of(marker.shape),
        required=field.required if fixed is None else None,
        default=default_of(field),
        fixed=fixed,
    )


def model_members(cls):
    """Bring the declarations of a model to `Member`, by the paths where they are stored."""
    layout = layout_of(cls)
    found = {}
    for field in layout.fields.values():
        marker = field.marker
        if isinstance(marker, Attr) and marker.of is not None:
            found[f"{layout.fields[marker.of].path}@{field.stored}"] = (model_member(field), field)
        elif isinstance(marker, (Attr, Ref)):
            found[f"@{field.stored}"] = (model_member(field), field)
        elif isinstance(marker, Members):
            if not field.types:
                continue  # the catch-all of what no declaration knows
            path = "".join(f"{group}/" for group in field.groups) + "*"
            member = model_member(field)
            if path in found:  # several collections over one group share what it holds
                member.types = without_subtypes(member.types | found[path][0].types)
            found[path] = (member, field)
        elif isinstance(marker, (Array, Child, Link)):
            found[field.path] = (model_member(field), field)
    return found


# -- the comparison ------------------------------------------------------------------------------


class Comparison:
    def __init__(self):
        self.found = []
        self.excused = set()
        self.parts = set()

    def note(self, cls, member, aspect, schema, model):
        for base in cls.__mro__:
            key = (base.__name__, member, aspect)
            if key in DIFFERENCES:
                self.excused.add(key)
                return
        if member == "description" and aspect == "default" and is_part(cls):
            return  # a column that the type declares says what the type says of it
        shown = f"{cls.__name__}.{member}" if member else cls.__name__
        self.found.append(f"{shown}: {aspect}: the schema has {schema!r}, the model {model!r}")

    def members(self, cls, name, schema, model):
        for aspect in (field.name for field in fields(Member)):
            wanted, got = getattr(schema, aspect), getattr(model, aspect)
            if wanted != got or (isinstance(wanted, bool) and wanted is not got):
                self.note(cls, name, aspect, wanted, got)

    def objects(self, cls, spec, namespace):
        """Compare a model with the spec of its type, or of the one use of a type it is for."""
        self.names(cls, spec)
        if is_part(cls):
            self.parts.add(cls.__name__)
        is_group = issubclass(cls, models.GroupModel)
        if is_group:
            wanted = schema_members(spec, namespace)
        else:
            wanted = attribute_members(spec, namespace)
            self.data(cls, spec)
        declared = model_members(cls)
        for path in sorted(wanted.keys() - declared.keys()):
            self.found.append(f"{cls.__name__}: the schema's member {path!r} is not declared")
        for path in sorted(declared.keys() - wanted.keys()):
            if path.lstrip("@") in IMPLICIT:
                continue
            self.invented(cls, path, wanted, declared)
        for path in sorted(wanted.keys() & declared.keys()):
            self.pair(cls, wanted[path], *declared[path], namespace)

    def invented(self, cls, path, wanted, declared):
        owner, _, attribute = path.rpartition("@")
        if owner and isinstance(wanted.get(owner), tuple):
            dataset, spec = wanted[owner]
            known = attribute_members(spec, cls.namespace, owner_required=dataset.required)
            if f"@{attribute}" in known:
                member, field = declared[path]
                self.members(cls, field.name, known[f"@{attribute}"], member)
                return
        self.found.append(f"{cls.__name__}: the schema knows no {path!r}")

    def pair(self, cls, wanted, member, field, namespace):
        spec = None
        if isinstance(wanted, tuple):
            wanted, spec = wanted
        part = field.types[0] if field.types else None
        if wanted.storage == "Array" and member.storage == "Child" and is_part(part):
            # A dataset with attributes, as a model of its own.
            wanted = Member(storage="Child", required=wanted.required)
        self.members(cls, field.name, wanted, member)
        if spec is None:
            return
        if part is not None and is_part(part):
            self.objects(part, spec, namespace)
        elif member.storage == "Array":
            declared = {f.stored for f in layout_of(cls).of.get(field.name, ())}
            for each in spec.get("attributes", ()):
                if each["name"] not in declared:
                    self.found.append(
                        f"{cls.__name__}.{field.name}: its attribute {each['name']!r} is not "
                        "declared"
                    )

    def names(self, cls, spec):
        info = cls.model_fields.get("name")
        own = None if info is None or info.is_required() else info.get_default()
        wanted = spec.get("name") or spec.get("default_name")
        if own != wanted:
            self.note(cls, "", "name", wanted, own)

    def data(self, cls, spec):
        value = layout_of(cls).value
        # A dataset without a type is a scalar where nothing is said of its shape.
        typed = type_of(spec) or type_of(spec, "def")
        shape = shape_of(spec, scalar=not typed and "dtype" in spec)
        if dtype_of(spec) != value.marker.dtype:
            self.note(cls, "", "dtype", dtype_of(spec), value.marker.dtype)
        if shape != dims_of(value.marker.shape):
            self.note(cls, "", "shape", shape, dims_of(value.marker.shape))
        if spec.get("default_value") != value.default():
            self.note(cls, "", "default", spec.get("default_value"), value.default())


def is_part(cls):
    return cls is not None and "neurodata_type" not in cls.__dict__


def compare(name, spec=None, namespace=None):
    comparison = Comparison()
    cls = model(name)
    namespace = namespace or cls.namespace
    comparison.objects(cls, effective(namespace, name) if spec is None else spec, namespace)
    return comparison


@pytest.mark.parametrize("name", COMPARED)
def test_model_follows_the_schema(name):
    found = compare(name).found
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", GENERATED)
def test_generated_class_follows_the_schema(name):
    found = compare(name).found
    assert not found, "\n".join(found)


def test_every_part_and_every_reason_is_met():
    comparisons = [compare(name) for name in (*COMPARED, *GENERATED)]
    assert set().union(*(each.parts for each in comparisons)) >= set(PARTS)
    assert set().union(*(each.excused for each in comparisons)) == set(DIFFERENCES)


def change(spec, path, **values):
    """Change the member of a spec that a path of names leads to; None takes a key away."""
    spec = copy.deepcopy(spec)
    member = spec
    for name in path.split("/") if path else ():
        below = [each for kind in KINDS for each in member.get(kind, ())]
        member = next(each for each in below if name in (each.get("name"), type_of(each)))
    for key, value in values.items():
        if value is None:
            del member[key]
        else:
            member[key] = value
    return spec


@pytest.mark.parametrize(
    ("name", "path", "values", "message"),
    [
        ("Device", "description", {"name": "remark"}, "member '@remark' is not declared"),
        ("Device", "description", {"name": "remark"}, "knows no '@description'"),
        ("Device", "description", {"dtype": "int32"}, "Device.description: dtype: .*'int32'"),
        ("Device", "description", {"required": True}, "Device.description: required"),
        ("Device", "model", {"target_type": "Device"}, "Device.model: types: .*'Device'"),
        ("ImagingPlane", "indicator", {"quantity": "?"}, "ImagingPlane.indicator: required"),
        ("ImagingPlane", "location", {"shape": [None]}, "ImagingPlane.location: shape"),
        ("ImagingPlane", "manifold", {"shape": [None, 3]}, "ImagingPlane.manifold: shape"),
        ("ImagingPlane", "manifold/unit", {"default_value": "mm"}, "manifold_unit: default"),
        ("ImagingPlane", "manifold/unit", {"name": "units"}, "its attribute 'units' is not"),
        ("ImagingPlane", "OpticalChannel", {"neurodata_type_inc": "Device"}, "children: types"),
        ("ImageSeries", "data", {"dtype": "int8"}, "ImageSeriesData: dtype"),
        ("ImageSeries", "data", {"shape": [None]}, "ImageSeriesData: shape"),
        ("ImageSeries", "data/unit", {"required": False}, "ImageSeriesData.unit: required"),
        ("ImageSeries", "format", {"default_value": None}, "ImageSeries.format: default"),
        ("AnnotationSeries", "data/unit", {"value": "no"}, "AnnotationSeriesData.unit: fixed"),
        ("PlaneSegmentation", "pixel_mask", {"dtype": "int8"}, "PixelMask: dtype"),
        ("PlaneSegmentation", "reference_images", {"name": "images"}, "'images/\\*' is not"),
        ("Fluorescence", "", {"default_name": "F"}, "Fluorescence: name"),
        ("CorrectedImageStack", "corrected", {"quantity": "?"}, "corrected: required"),
        ("NWBFile", "general/lab", {"name": "laboratory"}, "'general/laboratory' is not"),
        ("NWBFile", "processing/ProcessingModule", {"neurodata_type_inc": "Device"}, "types"),
    ],
)
def test_a_difference_is_found(name, path, values, message):
    changed = change(effective(getattr(models, name).namespace, name), path, **values)
    assert re.search(message, "\n".join(compare(name, changed).found))
