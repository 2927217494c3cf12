"""The networks: one file each, one line each in the registry; the only Keras."""
