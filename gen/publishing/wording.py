"""The words and figures that both cards share."""

from __future__ import annotations

from collections.abc import Sequence

from gen.publishing.facts import Facts
from gen.tasks.flow import Flow
from gen.tasks.gan import Gan
from gen.tasks.prior import Prior


def shape_of(facts: Facts) -> tuple[int, int, int]:
    """Returns height, width and channels of the images of a model."""
    height, width, channels = facts.task.shape if isinstance(facts.task, Prior | Flow) else facts.data["image_shape"]
    return height, width, channels


def pixels(shape: Sequence[int]) -> str:
    """Describes images of this height, width and channels."""
    height, width, channels = shape
    return f"{width} × {height} pixels, {'gray' if channels == 1 else 'color'}"


def num_classes(facts: Facts) -> int:
    """Returns how many classes a model makes images of; 0: it knows none."""
    return int(getattr(facts.task, "num_classes", 0)) if isinstance(facts.task, Gan | Prior | Flow) else 0


def data_name(facts: Facts) -> str:
    """Returns the name of the data, as others wrote it: of a folder or file its own, else that of the set."""
    options = facts.data.get("options", {})
    named = (options.get("folder"), options.get("file"), facts.data.get("name"))
    return next((name for name in named if isinstance(name, str) and name), "unnamed data")
