"""Refines image files: where results go, one file after the other, and transparency kept apart."""

from gen.refining.batch import Recipe, RefineResult, refine_all
from gen.refining.original import mask, named_arrays, reference
from gen.refining.targets import jobs_of, preview_path

__all__ = ["Recipe", "RefineResult", "jobs_of", "mask", "named_arrays", "preview_path", "reference", "refine_all"]
