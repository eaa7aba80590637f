"""Run folders: what lies in one, which run it is, its checkpoints, its model without its data."""
