"""From fields to detections: the engine, and what it is made of."""
