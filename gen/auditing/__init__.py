"""Audits sets of images: looks at each image once, then at all together, and tells what was found."""
