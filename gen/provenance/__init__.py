"""Where images come from: the record inside each file. C2PA and watermark will join it."""

from gen.provenance.record import (
    PREFIX,
    Record,
    exif,
    png_text,
    read,
    read_all,
    record,
    refined,
    save_options,
)

__all__ = ["PREFIX", "Record", "exif", "png_text", "read", "read_all", "record", "refined", "save_options"]
