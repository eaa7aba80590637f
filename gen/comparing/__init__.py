"""Compares runs: reads what their folders hold, and shows side by side how they differ and what came of it."""
