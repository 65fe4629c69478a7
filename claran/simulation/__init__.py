"""Simulated fields with labels, made with NumPy, SciPy, OpenCV and Astropy only."""
