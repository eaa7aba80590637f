"""Questions about images that a prior answers: what is in the hidden part, what would it be larger, what comes next.

Every seed is another answer. Images are [n h w c]; what is asked about is float32 in [0, 1], answers are uint8.
"""

from gen.sampling.conditional.background import background_bits
from gen.sampling.conditional.inputs import named_files, prior, read, read_named, record
from gen.sampling.conditional.outputs import write
from gen.sampling.conditional.requests import REGIONS, Request, complete, enlarge, follow
from gen.sampling.conditional.sampling import Settings, bits, draw_answers

__all__ = [
    "REGIONS",
    "Request",
    "Settings",
    "background_bits",
    "bits",
    "complete",
    "draw_answers",
    "enlarge",
    "follow",
    "named_files",
    "prior",
    "read",
    "read_named",
    "record",
    "write",
]
