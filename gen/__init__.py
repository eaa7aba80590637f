"""gen: generative models of images in JAX and Flax, trained by one loop, sampled reproducibly, refined and signed."""

import os
import signal
import sys
from types import FrameType

__version__ = "0.1.0"


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, b"gen: stopped by Ctrl-C\n")
    os._exit(128 + number)


# `python -m gen.NAME` imports this first: Ctrl-C while a program imports the rest ends it with a line, no traceback.
if (
    sys.argv[:1] == ["-m"]
    and any(word.startswith("gen.") for word in sys.orig_argv)
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler
):
    signal.signal(signal.SIGINT, _end)
