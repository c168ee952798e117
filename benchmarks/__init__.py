"""How fast nwb_ophys is, next to pynwb and h5py: ``python -m benchmarks``."""
