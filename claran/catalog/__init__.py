"""Detections as catalogs: tables with units and positions on the sky."""
