"""Fields and their measurements, up to the input of a network; NumPy only."""
