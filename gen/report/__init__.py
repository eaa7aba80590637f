"""What a run tells about itself while it trains: a log, pictures, a progress line, one page that explains it."""

from gen.report.before_after import before_and_after
from gen.report.contact_sheet import grid
from gen.report.pictures import enlarged, enlargement, save_png
from gen.report.progress import Progress
from gen.report.report import Report

__all__ = ["Progress", "Report", "before_and_after", "enlarged", "enlargement", "grid", "save_png"]
