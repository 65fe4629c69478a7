"""Catalogs of mosaics of any size."""
