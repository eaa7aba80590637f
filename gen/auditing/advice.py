"""What to expect of training on a set, from what was measured on others."""

from __future__ import annotations

import math
from typing import NamedTuple

FEW, MANY = 1000, 10_000


class Run(NamedTuple):
    """A training that was measured."""

    side: int  # pixels
    rate: float  # images a second, on one core
    images: int  # that it needed
    what: str


# Of experiments/folder.py:cpu, a flow, and experiments/emoji.py; one core of an AMD EPYC with AVX-512, November 2026.
RUNS = (
    Run(32, 160, 400_000, "CIFAR-10 and emoji at 32 x 32, docs/benchmarks.md"),
    Run(64, 78, 300_000, "emoji at 64 x 64, docs/words.md"),
)


def advice(count: int, *, side: int | None, classes: int, device: str, smallest: int | None = None) -> list[str]:
    """Returns lines. count: images to learn from. side: to train at; None: what suits `smallest`, the least of them."""
    if not count:
        return []
    if side is None:
        side = 64 if smallest is not None and smallest >= 64 and count >= MANY else 32
    side = max(16, 2 ** math.ceil(math.log2(side)))
    run = min(RUNS, key=lambda run: abs(run.side - side))
    seconds = run.images / (run.rate * (run.side / side) ** 2)
    time = f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
    lines = [
        f"{_images(count)} at {side} x {side}: experiments/folder.py:cpu --config.data.resolution={side} takes about "
        f"{time} of one core ({run.rate:.0f} images/s were measured with {run.what}"
        + ("" if run.side == side else f"; reckoned from {run.side} x {run.side}")
        + ")"
    ]
    if device != "cpu":
        lines.append(f"on {device} it is far quicker; how much was not measured")
    if count < FEW:
        lines.append(
            f"fewer than {FEW:,} images: expect copies of them; gen.evaluate says how many, and for the GAN "
            "--config.task.augmentation=0,0.5 delays it"
        )
    elif count < MANY:
        lines.append(f"fewer than {MANY:,} images: look at the copies that gen.evaluate finds")
    if classes > 1 and count / classes < 100:
        lines.append(f"{_images(round(count / classes))} a class are few; data.labeled=False learns from all together")
    return lines


def _images(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"
