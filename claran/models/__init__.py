"""Networks of Keras layers, and their weights."""
