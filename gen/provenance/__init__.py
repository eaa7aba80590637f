"""Where images come from: the record inside each file, and signatures (gen.provenance.c2pa)."""

from gen.provenance.places import About, exif, png_text, save_options, with_xmp
from gen.provenance.reading import chosen, disagreements, read, read_all, warn_of_disagreements
from gen.provenance.record import (
    COMPOSITE,
    DATA,
    FIGURE,
    NOT_AUDITED,
    PREFIX,
    TRAINED,
    Record,
    SourceType,
    changed,
    picture,
    pixels_digest,
    record,
    refined,
    run_tag,
    software,
)

__all__ = [
    "COMPOSITE",
    "DATA",
    "FIGURE",
    "NOT_AUDITED",
    "PREFIX",
    "TRAINED",
    "About",
    "Record",
    "SourceType",
    "changed",
    "chosen",
    "disagreements",
    "exif",
    "picture",
    "pixels_digest",
    "png_text",
    "read",
    "read_all",
    "record",
    "refined",
    "run_tag",
    "save_options",
    "software",
    "warn_of_disagreements",
    "with_xmp",
]
