"""Image files that gen writes: names, formats, whole writes, and which files it may replace."""
