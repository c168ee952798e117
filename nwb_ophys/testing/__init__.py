"""Make NWB files to test with, and judge what was written: for this package and any other."""
