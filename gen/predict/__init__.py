"""Questions about images that a prior answers: what is in the hidden part, what would it be larger, what comes next.

Every seed is another answer. Images are [n h w c]; what is asked about is float32 in [0, 1], answers are uint8.
"""

from gen.predict.answers import Settings, bits, draw_answers
from gen.predict.background import background_bits
from gen.predict.files import write
from gen.predict.inputs import named_files, prior, read, read_named, record
from gen.predict.questions import REGIONS, Question, complete, enlarge, follow

__all__ = [
    "REGIONS",
    "Question",
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
