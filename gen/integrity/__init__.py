"""Whether a run folder holds what gen wrote there: every digest in it, and a manifest of all its files."""
