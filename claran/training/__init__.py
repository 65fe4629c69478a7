"""Training: joint training of both stages, recipes, checkpoints, several devices."""
