"""Damaged inputs for claran, and what may come of them; see `scripts/fuzz.py`."""
