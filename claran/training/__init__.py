"""Training: one step of both stages, recipes, checkpoints, several devices."""
