"""Atomic writes, names of files, resuming, parallel work."""
