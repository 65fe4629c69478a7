"""FITS and pictures in, network inputs out: NumPy, Astropy and OpenCV only."""
