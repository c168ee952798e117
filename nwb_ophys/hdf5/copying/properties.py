"""How files, groups and links of a copy are created: with the properties of those of the source."""

from __future__ import annotations

from typing import Any

from h5py import h5f, h5g, h5p

__all__ = ["access_properties", "creation_properties", "group_properties", "link_properties"]


def creation_properties(source: Any) -> Any:
    """Give the property list to create a file with that is to become a copy of `source`.

    What it holds can only be set when a file is created: size of the user block, creation order of
    the root group, sizes of addresses, handling of free space.
    """
    return group_properties(h5g.open(source, b"/"), source.get_create_plist())


def access_properties(source: Any) -> Any:
    """Give the property list to open a copy of `source` with, for the same formats of objects.

    The version of a file's first block, the superblock, tells which formats its writer allowed.
    With an older bound, new groups would lose the order of their attributes and the choice of
    keeping no times; with a newer one, older programs could not read what they can in `source`.
    """
    version = source.get_create_plist().get_version()[0]
    oldest = {0: h5f.LIBVER_EARLIEST, 1: h5f.LIBVER_EARLIEST, 2: h5f.LIBVER_V18}
    properties = h5p.create(h5p.FILE_ACCESS)
    properties.set_libver_bounds(oldest.get(version, h5f.LIBVER_V110), h5f.LIBVER_LATEST)
    return properties


def group_properties(group: Any, new: Any) -> Any:
    """Set how a group was created in another property list, and return that.

    The group's own list will not do: it also holds where its links are stored in its own file, and
    a group that is created with it looks for them there.
    """
    old = group.get_create_plist()
    new.set_link_creation_order(old.get_link_creation_order())
    new.set_attr_creation_order(old.get_attr_creation_order())
    new.set_attr_phase_change(*old.get_attr_phase_change())
    new.set_obj_track_times(old.get_obj_track_times())
    return new


def link_properties(charset: int) -> Any:
    """Give the property list to create a link with whose name is in a character set."""
    properties = h5p.create(h5p.LINK_CREATE)
    properties.set_char_encoding(charset)
    return properties
