"""Simulated fields that label themselves: NumPy, SciPy, OpenCV and Astropy only."""
