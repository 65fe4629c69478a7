"""Networks built of Keras layers, and the weights that go into them."""
