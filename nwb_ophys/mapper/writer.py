"""Carry out a plan on an open HDF5 file: objects first, then links and references."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5g, h5o, h5r

from nwb_ophys.authored import Storage, plain
from nwb_ophys.errors import NWBError, SchemaError
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.hdf5.copying import TreeCopier, copy_attribute_within
from nwb_ophys.hdf5.datasets import encode, write_attribute, write_dataset
from nwb_ophys.hdf5.encoding import write_block
from nwb_ophys.hdf5.growing import AsArray, fill, holds_references, write_anew, write_pending
from nwb_ophys.hdf5.guarding import check_write
from nwb_ophys.hdf5.nodes import Node
from nwb_ophys.hdf5.values import encode_text, has_references
from nwb_ophys.layout import FieldLayout, Layout, layout_of
from nwb_ophys.mapper.checking import objects_in
from nwb_ophys.mapper.grafting import copy_grafts, grafts_by_source
from nwb_ophys.mapper.modified import changed_fields
from nwb_ophys.mapper.plan import ExternalLink, Plan, SetField, join
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.models.dataset import DatasetModel
from nwb_ophys.storage import Array, Attr, Ref, Value

__all__ = ["Writer"]


class Writer:
    """Writes what a plan says into an open file.

    Parameters
    ----------
    plan
        What is to be written.
    file
        The file: a new one, or a copy of the opened one.
    folder
        The folder that the file will lie in, from which external links are told.
    storage
        How new arrays are stored.
    copier
        What copied the rest of the opened file, if that was not done as a whole.
    """

    def __init__(
        self,
        plan: Plan,
        file: h5py.File,
        folder: str,
        storage: Storage,
        copier: TreeCopier | None = None,
    ) -> None:
        self._copier = copier
        self.plan = plan
        self.file = file
        self.folder = folder
        self.storage = storage
        self._groups: dict[str, Any] = {"/": h5g.open(file.id, b"/")}
        self._later: list[Callable[[], None]] = []

    def write_objects(self) -> None:
        """Write all objects and values; first pass.

        Raises
        ------
        SchemaError
            Where a value does not conform to the schema.
        LinkError
            Where an object of another session refers to what cannot be copied with it.
        """
        plan = self.plan
        moved = {path: self._open(path) for path in plan.moves}
        for path in {**plan.removed, **plan.moves}:
            self._unlink(path)
        for path, target in sorted(plan.moves.items(), key=lambda move: move[1].count("/")):
            if path in plan.removed:  # it is made anew there
                continue
            parent, _, name = target.rpartition("/")
            h5o.link(moved[path], self._group(parent or "/"), encode_text(name))
        if plan.session is not None and plan.session.source.lent:
            plan.session.source.place_of = plan.place_of
        for source, grafts in grafts_by_source(plan):
            for graft in grafts:
                self._group(graft.path.rpartition("/")[0] or "/")
            copy_grafts(plan, source, grafts, self.file, self.folder)
        for path in plan.groups:
            self._group(path)
        for new in plan.new:
            self._create(new.path, new.model)
        # Datasets first: one that is created anew has to be there for its attributes.
        for change in sorted(plan.fields, key=_is_attribute):
            self._set_field(change)
        for path, model in plan.attributes:
            self._set_attributes(path, model)

    def write_links(self) -> None:
        """Write all links and references, now that their targets are there; second pass."""
        for link in self.plan.links:
            self._link(link.path, link.target)
        for write in self._later:
            write()

    # -- objects -------------------------------------------------------------------------------

    def _group(self, path: str) -> Any:
        group = self._groups.get(path)
        if group is None:
            parent, _, name = path.rpartition("/")
            above = self._group(parent or "/")
            raw = encode_text(name)
            try:
                group = h5g.create(above, raw)
            except (OSError, RuntimeError, ValueError):
                if raw not in above:
                    raise
                group = h5g.open(above, raw)
            self._groups[path] = group
        return group

    def _open(self, path: str) -> Any:
        return self._groups.get(path) or h5o.open(self.file.id, encode_text(path))

    def _create(self, path: str, model: Any) -> None:
        check_write()
        layout = layout_of(type(model))
        parent, _, name = path.rpartition("/")
        if isinstance(model, DatasetModel):
            assert layout.value is not None
            value = getattr(model, layout.value.name)
            owner = self._write(parent or "/", name, value, layout.value)
        else:
            owner = self._group(path)
        if model.neurodata_type is not None:
            write_attribute(owner, "neurodata_type", model.neurodata_type)
            write_attribute(owner, "namespace", model.namespace)
        for field in layout.fields.values():
            if isinstance(field.marker, (Attr, Ref, Array)) and self._is_written(model, field):
                self._write_field(path, owner, model, field, layout)
        for key, value in (model._attrs or {}).items():
            self._attribute(path, owner, key, value)

    def _is_written(self, model: Any, field: FieldLayout) -> bool:
        value = getattr(model, field.name)
        if value is None:
            return False
        if field.required or field.name in model.__pydantic_fields_set__:
            return True
        if isinstance(field.marker, Attr) and (
            field.marker.always or field.marker.fixed is not None
        ):
            return True
        return field.name == "object_id"

    def _write_field(
        self, path: str, owner: Any, model: Any, field: FieldLayout, layout: Layout
    ) -> None:
        marker = field.marker
        value = getattr(model, field.name)
        if isinstance(marker, Attr) and marker.of is not None:
            other = layout.fields[marker.of]
            if getattr(model, other.name) is None:
                return
            path = join(path, other.path)
            owner = self._open(path)
        if isinstance(marker, Array):
            self._write(join(path, *field.groups) or "/", field.stored, value, field)
        else:
            self._attribute(path, owner, field.stored, value, field)

    def _attribute(
        self, path: str, owner: Any, name: str, value: Any, field: FieldLayout | None = None
    ) -> None:
        if isinstance(value, ConfiguredBaseModel):
            self._refer_later(path, name, value)
            return
        spec = field.marker.dtype if field is not None else "any"  # type: ignore[attr-defined]
        try:
            write_attribute(owner, name, value, spec, self._refer)
        except (ValueError, TypeError) as error:
            raise SchemaError(str(error), path=path, field=name) from error

    def _refer_later(self, path: str, name: str, target: Any) -> None:
        """Write an attribute that refers to an object, in the second pass."""
        self._later.append(lambda: write_attribute(self._open(path), name, self._refer(target)))

    def _write(self, parent: str, name: str, value: Any, field: FieldLayout) -> Any:
        """Write a dataset; the references in it follow in the second pass."""
        if _has_objects(plain(value)):
            return self._write_references(parent, name, np.asarray(value))
        marker = field.marker
        assert isinstance(marker, (Array, Value))
        group = self._group(parent)
        if isinstance(value, LazyArray) and value.handle.pending is not None:
            value = AsArray(value)
        try:
            return write_dataset(group, name, value, marker.dtype, self.storage, dims=marker.shape)
        except NWBError as error:
            error.path = error.path or join(parent, name)
            raise
        except (ValueError, TypeError) as error:
            raise SchemaError(str(error), path=join(parent, name), field=field.name) from error

    def _write_references(self, parent: str, name: str, value: np.ndarray[Any, Any]) -> Any:
        dtype: Any = h5py.ref_dtype
        if value.dtype.names is not None:
            dtype = [(one, _member_type(value[one])) for one in value.dtype.names]
        group = h5py.Group(self._group(parent))
        dataset = group.create_dataset(name, shape=value.shape, dtype=dtype)

        def fill() -> None:
            dataset[...], _ = encode("any", value, self._refer)

        self._later.append(fill)
        return dataset.id

    def _refer(self, model: Any) -> Any:
        home = self.plan.home_of(model)
        if home is None:
            raise SchemaError(f"{model!r} is not in the file being written")
        return h5r.create(self.file.id, encode_text(home), h5r.OBJECT)

    # -- links ---------------------------------------------------------------------------------

    def _link(self, path: str, target: Any) -> None:
        parent, _, name = path.rpartition("/")
        group = self._group(parent or "/")
        if isinstance(target, ExternalLink):
            node = target.link_target._binding.node  # type: ignore[union-attr]
            file = os.path.relpath(node.source.path, self.folder).replace(os.sep, "/")
            group.links.create_external(
                encode_text(name), encode_text(file), encode_text(node.path)
            )
            return
        home = self.plan.home_of(target)
        assert home is not None
        group.links.create_soft(encode_text(name), encode_text(home))

    def _unlink(self, path: str) -> None:
        parent, _, name = path.rpartition("/")
        try:
            group = h5g.open(self.file.id, encode_text(parent or "/"))
        except (KeyError, OSError, RuntimeError, ValueError):
            return  # it went with what it was in
        if encode_text(name) in group:
            group.unlink(encode_text(name))

    # -- changes -------------------------------------------------------------------------------

    def _set_field(self, change: SetField) -> None:
        path, model, field = change
        value = getattr(model, field.name)
        if isinstance(field.marker, (Attr, Ref)):
            self._set_attribute(path, model, field, value)
        elif isinstance(field.marker, Array):
            if value is not None:
                self._set_array(path, model, field, value)
        else:
            parent, _, name = path.rpartition("/")
            if self._rewrite(parent or "/", name, value, field):
                attributes = layout_of(type(model)).attributes
                self._carry_attributes(path, model._binding.node, model, attributes)

    def _set_attribute(self, path: str, model: Any, field: FieldLayout, value: Any) -> None:
        marker, owner_path = field.marker, path
        if isinstance(marker, Attr) and marker.of is not None:
            owner_path = join(path, layout_of(type(model)).fields[marker.of].path)
        owner = self._open(owner_path)
        if value is None:
            _delete_attribute(owner, field.stored)
        else:
            self._attribute(owner_path, owner, field.stored, value, field)

    def _set_array(self, path: str, model: Any, field: FieldLayout, value: Any) -> None:
        if not self._rewrite(join(path, *field.groups), field.stored, value, field):
            return
        group = model._binding.group(field.groups)
        if group is not None and field.stored in group.links:
            old = group.child(field.stored)
            self._carry_attributes(join(path, field.path), old, model, {})
        layout = layout_of(type(model))
        for other in layout.of.get(field.name, ()):
            if self._is_written(model, other):
                self._write_field(path, None, model, other, layout)

    def _rewrite(self, parent: str, name: str, value: Any, field: FieldLayout) -> bool:
        """Write an array over the one that is there, or anew; tell whether it is anew."""
        group = self._group(parent)
        pending = value.handle.pending if isinstance(value, LazyArray) else None
        if encode_text(name) in group:
            dataset = h5py.Dataset(h5o.open(group, encode_text(name)))
            if pending is None:
                if not self._is_own(value, join(parent, name)):
                    _overwrite(dataset, value)
            elif isinstance(value, LazyArray) and holds_references(value):
                self._later.append(lambda: write_pending(dataset.id, pending, self._refer))
            else:
                write_pending(dataset.id, pending, None)
            return False
        if pending is not None and pending.grows:
            dims = field.marker.shape if isinstance(field.marker, (Array, Value)) else None
            new = write_anew(group, name, value, None, dims)
            if holds_references(value):
                self._later.append(lambda: fill(new, value, self._refer))
            return True
        self._write(parent, name, value, field)
        return True

    def _is_own(self, value: Any, path: str) -> bool:
        """Tell whether an array is what the dataset at a path holds already."""
        node = value.handle if isinstance(value, LazyArray) else None
        session = self.plan.session
        return (
            isinstance(node, Node)
            and session is not None
            and node.source is session.source
            and self.plan.place_of(node.path) == path
        )

    def _carry_attributes(
        self, path: str, old: Node, model: Any, fields: dict[str, FieldLayout]
    ) -> None:
        """Give a dataset that was created anew the attributes of the one before."""
        owner = self._open(path)
        changed = {one.name for one in changed_fields(model)}
        for name, value in old.attributes.items():
            field = fields.get(name)
            if field is None or field.name not in changed:
                self._carry_attribute(path, owner, old, name, model._binding.pointed, value)
            elif isinstance(field.marker, Ref):
                self._refer_later(path, name, getattr(model, field.name))
            else:
                self._attribute(path, owner, name, getattr(model, field.name), field)

    def _carry_attribute(
        self, path: str, owner: Any, old: Node, name: str, pointed: Any, value: Any
    ) -> None:
        """Give an object an attribute of one before, as it is stored."""
        session = self.plan.session
        if session is None or old.source is not session.source:  # it was behind a link
            self._attribute(path, owner, name, pointed(value))
        elif self._copier is not None:
            self._copier.copy_attribute(old.path, path, name)
        else:
            copy_attribute_within(h5a.open(old.id, encode_text(name)), owner, name)

    def _set_attributes(self, path: str, model: Any) -> None:
        owner = self._open(path)
        stored = model._binding.attributes(model)
        for name in stored.keys() - model._attrs.keys():
            _delete_attribute(owner, name)
        for name, value in model._attrs.items():
            if stored.get(name) is not value:
                self._attribute(path, owner, name, value)


def _is_attribute(change: SetField) -> bool:
    return isinstance(change.field.marker, Attr | Ref)


def _delete_attribute(owner: Any, name: str) -> None:
    if h5a.exists(owner, encode_text(name)):
        h5a.delete(owner, encode_text(name))


def _member_type(column: np.ndarray[Any, Any]) -> Any:
    """Say how a member of a compound is stored that has references among its members."""
    if column.dtype.kind != "O":
        return column.dtype
    texts = all(isinstance(one, (str, bytes)) for one in column.flat)
    return h5py.string_dtype() if texts and column.size else h5py.ref_dtype


def _overwrite(dataset: h5py.Dataset, value: Any) -> None:
    """Put a value into a dataset of its shape and dtype."""
    if isinstance(value, np.ndarray) and value.ndim and not value.dtype.hasobject:
        write_block(dataset.id, 0, value)
    else:
        dataset[...] = value.isoformat() if hasattr(value, "isoformat") else value


def _has_objects(value: Any) -> bool:
    """Tell whether an array holds objects, which are written as references."""
    if isinstance(value, LazyArray):
        return has_references(value.handle.dataset().get_type())
    return isinstance(value, np.ndarray) and next(objects_in(value), None) is not None
