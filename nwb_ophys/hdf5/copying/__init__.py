"""Copy HDF5 objects from one file to another without losing anything.

HDF5's own ``H5Ocopy`` carries stored chunks over without decompressing them and keeps creation
orders, attribute types and fill values. But it drops references, knows only one subtree at a time
(so it doubles what is linked from several places), doubles committed datatypes, and cannot fill a
root group. So a copy is made in steps, each in its module:

1. `survey` looks at an object and all below it, and tells what ``H5Ocopy`` would not do right;
2. `copier` leaves to ``H5Ocopy`` the largest subtrees that it copies faithfully, and builds the
   rest piece by piece, with `elements` carried over as they are stored;
3. `references` writes the references, when it is known where every object went.

What they share is a `Transfer`: the two files, and what went where. Names of other files that the
source holds are changed by a `relocation`.
"""

from nwb_ophys.hdf5.copying.attributes import copy_attribute_within
from nwb_ophys.hdf5.copying.copier import TreeCopier
from nwb_ophys.hdf5.copying.properties import access_properties, creation_properties
from nwb_ophys.hdf5.copying.references import Outside
from nwb_ophys.hdf5.copying.relocation import relocation_between
from nwb_ophys.hdf5.copying.transfer import Transfer

__all__ = [
    "Outside",
    "Transfer",
    "TreeCopier",
    "access_properties",
    "copy_attribute_within",
    "creation_properties",
    "relocation_between",
]
