"""What others get of a run: its cards, and its model as files that need no gen."""
