"""Reading of labelled data, with NumPy, Astropy and OpenCV only."""
