"""Image files of our own: names, formats, whole writes, and which files gen may replace."""
