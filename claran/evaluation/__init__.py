"""Evaluation of detections: average precision, association, calibration, reports."""
