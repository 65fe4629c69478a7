"""The galaxies that radio sources belong to: candidates, places and probabilities."""
