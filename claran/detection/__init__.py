"""Detection: the engine, its models, and the detector."""
