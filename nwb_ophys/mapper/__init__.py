"""The one mapper between models and HDF5: it follows layouts and knows no type by name."""
