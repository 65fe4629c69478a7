"""A small simulated field, radio and infrared, for the demo and the tests."""
