"""How good detections are: average precision, association, calibration, reports."""
