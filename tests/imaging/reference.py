"""Values of other libraries to compare with: computed if they are installed, else read from goldens/."""

from __future__ import annotations

import importlib.util
import pathlib
from collections.abc import Callable

import numpy as np

GOLDENS = pathlib.Path(__file__).parent / "goldens"


def photo(height: int = 40, width: int = 48) -> np.ndarray:
    """A photograph [height width 3] float32 in [0, 1], at most [64 64 3]: NASA's portrait of Eileen Collins."""
    stored = np.load(GOLDENS / "photo.npy")
    return stored[:height, :width].astype(np.float32) / np.float32(255)


def reference(name: str, module: str, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """compute() if the library `module` is installed, else goldens/<name>.npy, which is what compute() gave before.

    Where both are there they must agree. A missing golden is written: run the test once with the library installed.
    """
    path = GOLDENS / f"{name}.npy"
    if importlib.util.find_spec(module) is None:
        return np.load(path)
    value = np.asarray(compute())
    if not path.exists():
        np.save(path, value)
    np.testing.assert_allclose(value, np.load(path), atol=1e-5, err_msg=f"{path.name} is out of date")
    return value
