"""Fields on their way to a network: images, measurements, objects; NumPy alone."""
