"""Keras layers: thin wrappers around `claran.ops`."""
