"""`TreeCopier`: objects of one file built in another, by ``H5Ocopy`` or piece by piece."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from h5py import h5a, h5d, h5g, h5l, h5o, h5p, h5t

from nwb_ophys.errors import LinkError, MemberNotFoundError
from nwb_ophys.hdf5.copying.attributes import attributes_of, create_like
from nwb_ophys.hdf5.copying.committed import CommittedTypes
from nwb_ophys.hdf5.copying.elements import Format
from nwb_ophys.hdf5.copying.links import Link, resolve
from nwb_ophys.hdf5.copying.properties import group_properties, link_properties
from nwb_ophys.hdf5.copying.references import Outside, find_outside, write_references
from nwb_ophys.hdf5.copying.survey import Item, holds_references, survey
from nwb_ophys.hdf5.copying.transfer import HDF5_ERRORS, Holder, Place, Transfer
from nwb_ophys.hdf5.guarding import check_write
from nwb_ophys.hdf5.paths import join
from nwb_ophys.hdf5.stored import read_stored, stored_chunks, write_stored
from nwb_ophys.hdf5.values import decode_text, encode_text

__all__ = ["TreeCopier"]


class TreeCopier:
    """Copies objects from one open file to another: `copy` all that is wanted, then `finish`.

    Parameters
    ----------
    transfer
        The files.
    skip
        Absolute paths in the source whose links are not copied.

    Attributes
    ----------
    paths : dict of int to str
        Address in the source -> path in the target, of every copied object. References to an
        address that the caller adds lead to the path given for it.
    notes : list of str
        What could not be copied as it was.
    """

    def __init__(self, transfer: Transfer, *, skip: Collection[str] = ()) -> None:
        self._transfer = transfer
        self.source_file = transfer.source_file
        self.target_file = transfer.target_file
        self.paths = transfer.paths
        self.notes = transfer.notes
        self._source = transfer.source
        self._target = transfer.target
        self._errors = transfer.errors
        self._skip = frozenset(skip)
        self._types = CommittedTypes(self._target)
        self._bare = h5p.create(h5p.OBJECT_COPY)
        self._bare.set_copy_object(h5o.COPY_WITHOUT_ATTR_FLAG)

    def copy(self, source_path: str, target_path: str) -> None:
        """Copy what is at `source_path`, and all that is hard-linked below it.

        An object that was copied before gets one more hard link; a soft or external link is copied
        as that. The root, copied to the root, adds its members and attributes to those of the
        target. Groups on the way to `target_path` are created when they are missing.

        Raises
        ------
        MemberNotFoundError
            There is nothing at `source_path`.
        LinkError
            There is something at `target_path`, or a link of the source cannot be copied.
        DataError
            HDF5 failed to read or write an object; the error names it.
        """
        if target_path == "/":
            if source_path != "/":
                raise ValueError("only the root can be copied to the root")
            with self._errors("/"):
                root = self._survey("/", h5o.get_info(self._source).addr)
                root.set_apart()
                self._record(root, "/")
                self._fill(root, self._target, "/")
            return
        parent_path, _, name = target_path.rpartition("/")
        with self._errors(source_path):
            link = self._link(source_path)._replace(name=encode_text(name))
            parent = self._require_group(parent_path)
            if parent.links.exists(link.name):
                raise LinkError(
                    f"cannot be copied, as {self.target_file} has a {target_path} already",
                    file=self.source_file,
                    path=source_path,
                )
        item = None
        if link.kind == h5l.TYPE_HARD:
            if link.address in self.paths:
                item = Item(source_path, link.address)
            else:
                item = self._survey(source_path, link.address)
        created = self._place(link, item, source_path, parent, target_path)
        if item is not None and created is not None:
            self._fill(item, created, target_path)

    def copy_attribute(self, source_path: str, target_path: str, name: str) -> None:
        """Copy an attribute to an object that is there, in place of one of that name."""
        raw = encode_text(name)
        with self._errors(source_path, raw):
            attribute = h5a.open(h5o.open(self._source, encode_text(source_path)), raw)
            target = h5o.open(self._target, encode_text(target_path))
            kind = attribute.get_type()
            created = create_like(attribute, target, raw, self._types.of(kind))
            if holds_references(kind):
                self._transfer.holders.append(Holder(source_path, target_path, raw))
            else:
                Format.of(kind).copy(attribute, created)

    def outside(self) -> Outside:
        """Find what the objects copied so far point at that was not copied, nor is dangling."""
        return find_outside(self._transfer)

    def finish(self) -> None:
        """Write all references, now that it is known where every object went.

        A reference that leads nowhere in the source either becomes null, which `notes` says.

        Raises
        ------
        LinkError
            A reference leads to an object that was not copied.
        """
        write_references(self._transfer)

    # -- where from, and where to --------------------------------------------------------------

    def _survey(self, path: str, address: int) -> Item:
        return survey(self._transfer, path, address, self._skip)

    def _link(self, path: str) -> Link:
        if path == "/":
            return Link(b"", h5l.TYPE_HARD, h5o.get_info(self._source).addr, h5t.CSET_UTF8)
        parent_path, _, name = path.rpartition("/")
        where = resolve(self._source, parent_path)
        if isinstance(where, tuple):
            raise LinkError(
                "is in another file, behind an external link", file=self.source_file, path=path
            )
        group = None if where is None else h5o.open(self._source, encode_text(parent_path or "/"))
        if not isinstance(group, h5g.GroupID) or not group.links.exists(encode_text(name)):
            raise MemberNotFoundError(
                "there is nothing to copy here", file=self.source_file, path=path
            )
        info = group.links.get_info(encode_text(name))
        return Link(encode_text(name), info.type, info.u, info.cset)

    def _require_group(self, path: str) -> Any:
        group = self._target
        for part in filter(None, path.split("/")):
            if group.links.exists(encode_text(part)):
                group = h5g.open(group, encode_text(part))
            else:
                charset = h5t.CSET_ASCII if part.isascii() else h5t.CSET_UTF8
                group = h5g.create(group, encode_text(part), link_properties(charset))
        if group.fileno != self._target.fileno:
            raise LinkError(
                "is in another file, behind an external link", file=self.target_file, path=path
            )
        return group

    def _record(self, item: Item, path: str) -> None:
        """Remember where an object went, and which references of it are still to be written."""
        self.paths[item.address] = path
        self._transfer.holders += (Holder(item.path, path, one) for one in item.references)

    def _record_all(self, item: Item, path: str) -> None:
        """Remember where everything in a subtree went that H5Ocopy has copied."""
        stack = [(item, path)]
        while stack:
            item, path = stack.pop()
            self._record(item, path)
            for link, child in item.members:
                name = decode_text(link.name)
                if child is not None:
                    stack.append((child, join(path, name)))
                elif link.kind == h5l.TYPE_SOFT:
                    self._transfer.soft_links.append((join(item.path, name), join(path, name)))

    # -- piece by piece ------------------------------------------------------------------------

    def _fill(self, item: Item, group: Any, path: str) -> None:
        """Copy the attributes and members of a group into one of the target."""
        stack = [(item, group, path)]
        while stack:
            item, group, path = stack.pop()
            with self._errors(item.path):
                source = h5o.open(self._source, encode_text(item.path))
                self._copy_attributes(item, source, group)
                if comment := source.get_comment(b"."):
                    group.set_comment(b".", comment)
            for link, child in item.members:
                name = decode_text(link.name)
                member_path = join(path, name)
                created = self._place(link, child, join(item.path, name), group, member_path)
                if child is not None and created is not None:
                    stack.append((child, created, member_path))

    def _place(
        self, link: Link, item: Item | None, source_path: str, parent: Any, path: str
    ) -> Any:
        """Make a link in a group of the target; return the group made there if it is to be filled.

        `item` is what a hard link leads to, and None for the other kinds.
        """
        properties = link_properties(link.charset)
        with self._errors(source_path):
            if item is None:
                self._copy_link(link, source_path, parent, path, properties)
            elif item.address in self.paths:
                first = encode_text(self.paths[item.address])
                parent.links.create_hard(link.name, self._target, first, properties)
            elif item.apart or not self._copy_whole(item, parent, link.name, path, properties):
                return self._create(item, parent, link.name, path, properties)
        return None

    def _copy_link(
        self, link: Link, source_path: str, parent: Any, path: str, properties: Any
    ) -> None:
        """Copy a soft or external link as that."""
        value = self._source.links.get_val(encode_text(source_path))
        if link.kind == h5l.TYPE_SOFT:
            parent.links.create_soft(link.name, value, properties)
            self._transfer.soft_links.append((source_path, path))
        else:
            file, target = value
            file = self._transfer.relocation.name(file)
            parent.links.create_external(link.name, file, target, properties)

    def _copy_whole(self, item: Item, parent: Any, name: bytes, path: str, properties: Any) -> bool:
        """Leave an object and all below it to H5Ocopy; tell whether it did not fail."""
        try:
            h5o.copy(self._source, encode_text(item.path), parent, name, None, properties)
        except HDF5_ERRORS:
            if not item.is_group:
                raise
            return False  # once more, piece by piece, to find the object that is to blame
        self._record_all(item, path)
        return True

    def _create(self, item: Item, parent: Any, name: bytes, path: str, properties: Any) -> Any:
        """Create an object on its own; return it if it is a group, which is to be filled."""
        source = h5o.open(self._source, encode_text(item.path))
        if item.is_group:
            self._record(item, path)
            form = group_properties(source, h5p.create(h5p.GROUP_CREATE))
            return h5g.create(parent, name, properties, form)
        if item.own_data:
            created = self._create_dataset(item, source, parent, name, properties)
        elif item.address in self._types.made:
            created = self._types.made[item.address]
            h5o.link(created, parent, name, properties)
        else:
            h5o.copy(source, b".", parent, name, self._bare, properties)
            created = h5o.open(parent, name)
            if item.is_type:
                self._types.made[item.address] = created
        self._copy_attributes(item, source, created)
        self._record(item, path)
        return None

    def _create_dataset(
        self, item: Item, source: Any, parent: Any, name: bytes, properties: Any
    ) -> Any:
        moved = self._transfer.relocation.moves_data(source)
        plist = self._transfer.relocation.storage(source) if moved else source.get_create_plist()
        type_, space = source.get_type(), source.get_space()
        created = h5d.create(parent, name, self._types.of(type_), space, plist, properties)
        elsewhere = plist.get_layout() == h5d.VIRTUAL or plist.get_external_count()
        if elsewhere or None in item.references:
            return created  # references are written when it is known what to
        form = Format.of(type_)
        if plist.get_layout() == h5d.CHUNKED and not form.variable:
            for offset in stored_chunks(source):
                mask, data = read_stored(source, offset)
                write_stored(created, offset, data, mask)
                check_write()
        else:
            form.copy(source, created)
        return created

    def _copy_attributes(self, item: Item, source: Any, target: Any) -> None:
        for name, charset in attributes_of(source):
            with self._errors(item.path, name):
                attribute = h5a.open(source, name)
                type_ = attribute.get_type()
                created = create_like(attribute, target, name, self._types.of(type_))
                if name not in item.references:
                    Format.of(type_).copy(attribute, created)
                if charset != h5t.CSET_ASCII:
                    self.notes.append(
                        f"{Place(item.path, decode_text(name))}: the name of this attribute is no "
                        "longer marked as UTF-8"
                    )
