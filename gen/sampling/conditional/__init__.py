"""Images that a prior makes of given images: a part anew, twice the size, the next frames; another one for each seed.

Images are [n h w c]; given ones are float32 in [0, 1], results uint8.
"""

from gen.sampling.conditional.inputs import inpaint_files, predict_frames_files, upscale_files
from gen.sampling.conditional.outputs import write
from gen.sampling.conditional.requests import Request, halved, inpaint, predict_frames, prior, upscale
from gen.sampling.conditional.sampling import bits, sample

__all__ = [
    "Request",
    "bits",
    "halved",
    "inpaint",
    "inpaint_files",
    "predict_frames",
    "predict_frames_files",
    "prior",
    "sample",
    "upscale",
    "upscale_files",
    "write",
]
