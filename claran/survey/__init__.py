"""From detections in pixels to catalogues on the sky."""
