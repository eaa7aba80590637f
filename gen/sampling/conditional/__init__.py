"""Images that a prior or a flow makes of given ones: a part anew, twice the size, the next frames; another per seed.

Images are [n h w c]; given ones are float32 in [0, 1], results uint8.
"""

from gen.sampling.conditional.inputs import inpaint_files, predict_frames_files, upscale_files
from gen.sampling.conditional.outputs import write
from gen.sampling.conditional.requests import (
    SETTINGS,
    Request,
    check_settings,
    halved,
    inpaint,
    predict_frames,
    predictor,
    upscale,
)
from gen.sampling.conditional.sampling import Programs, bits, sample

__all__ = [
    "SETTINGS",
    "Programs",
    "Request",
    "bits",
    "check_settings",
    "halved",
    "inpaint",
    "inpaint_files",
    "predict_frames",
    "predict_frames_files",
    "predictor",
    "sample",
    "upscale",
    "upscale_files",
    "write",
]
