"""Keras layers: thin coats on `claran.ops`."""
