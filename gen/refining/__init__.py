"""What gen.refine does: where results go, many files one after the other, one file, and transparency kept apart."""

from gen.refining.batch import LeftOut, Recipe, RefineResult, refine_all
from gen.refining.original import Original, encode, mask, named_arrays, open_original, reference, refine
from gen.refining.targets import PROGRAM, Job, jobs_of, preview_path

__all__ = [
    "PROGRAM",
    "Job",
    "LeftOut",
    "Original",
    "Recipe",
    "RefineResult",
    "encode",
    "jobs_of",
    "mask",
    "named_arrays",
    "open_original",
    "preview_path",
    "reference",
    "refine",
    "refine_all",
]
