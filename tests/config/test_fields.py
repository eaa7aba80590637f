"""What --list shows: each field with its value and its meaning, from the source."""

from __future__ import annotations

import tiny

from gen.config.fields import listing, meanings
from gen.tasks.gan import Gan


def test_every_field_is_listed_with_its_value_and_its_meaning():
    lines = listing(tiny.config()).splitlines()
    for name, value, meaning in (
        ("batch_size", "8", "images per step, over all devices and processes (from 1 to 1048576)"),
        ("task.gamma", "0.5,0.1", "weight of the penalties: gamma / 2 * (R1 + R2)"),
        ("task.conditional", "none", "by class; None: if the data has labels, and captions are not learned"),
        ("task.generator.latent", "8", "size of the latent vector"),
        ("mesh.fsdp", "1", "each holds a share of the batch and of the parameters (at least 1)"),
        ("data.num_train", "64", "a whole number"),
    ):
        (line,) = (line for line in lines if line.startswith(f"{name} ="))
        assert line.split(maxsplit=2)[2].split(maxsplit=1) == [value, meaning]
    assert not any("image_shape (needed)" in line for line in lines)


def test_without_an_experiment_the_fields_of_all_are_listed():
    assert "total_images = 1000000" in listing(None)
    assert "task" not in listing(None).partition("--config=FILE.py")[0]


def test_meanings_come_from_the_comments_of_classes_and_signatures():
    assert meanings(Gan)["image_shape"].startswith("height, width, channels")
    assert meanings(int) == {}
