"""Photometry: from islands of emission to fluxes, positions, sizes and their errors."""
