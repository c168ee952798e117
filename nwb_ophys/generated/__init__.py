"""Classes of neurodata types that are made at run time, from their specifications."""
