"""Images of the sky and what is measured on them; NumPy alone."""
