"""The mechanics of HDF5: handles, nodes, arrays, copies. Nothing here knows a model."""
