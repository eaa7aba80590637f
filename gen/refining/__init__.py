"""What gen.refine does: where results go, many files one after the other, one file, and transparency kept apart."""

from gen.refining.batch import Done, LeftOut, Recipe, refine_all
from gen.refining.original import Original, encode, mask, open_original, reference, refine
from gen.refining.targets import PROGRAM, Job, jobs_of, preview_path

__all__ = [
    "PROGRAM",
    "Done",
    "Job",
    "LeftOut",
    "Original",
    "Recipe",
    "encode",
    "jobs_of",
    "mask",
    "open_original",
    "preview_path",
    "reference",
    "refine",
    "refine_all",
]
