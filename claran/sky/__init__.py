"""Images of the sky and measurements on them; NumPy only."""
