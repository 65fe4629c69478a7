"""Catalogs of detections: tables with units and positions on the sky."""
