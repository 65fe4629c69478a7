"""Files written whole, names of outputs, resuming, parallel work."""
