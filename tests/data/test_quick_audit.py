"""gen/data/quick_audit.py: what is in both splits is counted by held-out images, equal and nearly equal ones apart."""

from __future__ import annotations

import numpy as np

from gen.data import quick_audit


def picture(seed: int, side: int = 40) -> np.ndarray:
    """Disks in color on waves, unlike those of any other seed."""
    rng = np.random.default_rng((seed, 7))
    y, x = np.mgrid[:side, :side]
    image = 120 + 60 * np.sin(x[..., None] / rng.uniform(3, 9, 3) + y[..., None] / rng.uniform(3, 9, 3))
    for _ in range(6):
        image[np.hypot(x - rng.uniform(0, side), y - rng.uniform(0, side)) < rng.uniform(3, side / 4)] = rng.integers(
            0, 255, 3
        )
    return np.clip(image, 0, 255).astype(np.uint8)


def looked_at(train: list[np.ndarray], held_out: list[np.ndarray]) -> dict[str, int]:
    quick = quick_audit.QuickAudit()
    quick.add(np.stack(train), "train")
    quick.add(np.stack(held_out), "held_out")
    found = quick.result()
    assert found is not None
    return found


def test_held_out_images_are_counted_not_those_to_learn_from():
    many = [picture(i) for i in range(40)]
    found = looked_at([*many, many[3], many[3], many[3][:, ::-1]], [many[3], *(picture(i) for i in range(100, 110))])
    assert found == {"duplicates": 2, "leakage": 1, "leaked_exactly": 1, "leaked_nearly": 0}
    found = looked_at(many, [many[3], many[3], many[5]])
    assert found == {"duplicates": 1, "leakage": 3, "leaked_exactly": 3, "leaked_nearly": 0}


def test_equal_and_turned_copies_are_told_apart_and_called_what_they_are():
    many, others = [picture(i) for i in range(40)], [picture(i) for i in range(100, 110)]
    found = looked_at([*many, many[7]], [many[3], many[5][:, ::-1], many[7].swapaxes(0, 1), *others])
    assert found == {"duplicates": 1, "leakage": 3, "leaked_exactly": 1, "leaked_nearly": 2}
    assert quick_audit.line({"quick_audit": found}, "folder") == (
        "these images were never audited; a quick look found 1 exact duplicates, 1 held-out images equal to one to "
        "learn from, 2 held-out images nearly equal to one to learn from, perhaps turned; python -m gen.audit tells "
        "what is wrong with them"
    )


def test_a_split_alone_leaks_nothing():
    quick = quick_audit.QuickAudit()
    quick.add(np.stack([picture(i) for i in range(4)]), "train")
    assert quick.result() == {"duplicates": 0, "leakage": 0, "leaked_exactly": 0, "leaked_nearly": 0}
