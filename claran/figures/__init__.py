"""What all figures share: their style, their names, and where labels go."""
