"""Images that a prior makes of given images: a part anew, twice the size, the next frames; another one for each seed.

Images are [n h w c]; given ones are float32 in [0, 1], results uint8.
"""

from gen.sampling.conditional.background import background_bits
from gen.sampling.conditional.inputs import (
    inpaint_files,
    named_files,
    predict_frames_files,
    read,
    read_named,
    upscale_files,
)
from gen.sampling.conditional.outputs import write
from gen.sampling.conditional.requests import (
    REGIONS,
    Request,
    halved,
    inpaint,
    predict_frames,
    prior,
    upscale,
)
from gen.sampling.conditional.sampling import bits, sample

__all__ = [
    "REGIONS",
    "Request",
    "background_bits",
    "bits",
    "halved",
    "inpaint",
    "inpaint_files",
    "named_files",
    "predict_frames",
    "predict_frames_files",
    "prior",
    "read",
    "read_named",
    "sample",
    "upscale",
    "upscale_files",
    "write",
]
