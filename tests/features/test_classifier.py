"""Classifiers learn what can be told; what they see in training stays an image of its class."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.data import DatasetSplits, Examples
from gen.errors import InputError
from gen.features.classifier import jittered, train_classifier, train_judge
from gen.features.network_training import Training
from gen.models.classifier import Classifier

COLORS = ("red", "green", "blue")


def source(count: int = 48, *, classes: tuple[str, ...] = COLORS) -> DatasetSplits:
    """Noise, in the color of its class."""
    labels = np.arange(count + 9, dtype=np.int32) % 3
    images = np.random.default_rng(0).integers(0, 128, (len(labels), 8, 8, 3))
    images = (images + 127 * np.eye(3)[labels].astype(int)[:, None, None]).astype(np.uint8)
    labels = labels if classes else np.zeros_like(labels)
    parts = (Examples(images[at], labels[at]) for at in (slice(count), slice(count, None)))
    return DatasetSplits("colors", *parts, classes, {})


def test_a_classifier_learns_what_can_be_told():
    made = train_classifier(source(), training=Training(0, 12, 24))
    assert made.accuracy == 1.0
    with pytest.raises(InputError, match="colors: no classes, and so no classifier"):
        train_classifier(source(classes=()), training=Training(2, 2, 8))


def test_a_judge_learns_what_can_be_told():
    data = source()
    made = train_judge(data, steps=8, mirror=True)
    assert made.accuracy == 1.0
    assert made.logits(data.held_out.images).shape == (9, 3)
    with pytest.raises(InputError, match="colors: no classes, and so no classifier"):
        train_judge(source(classes=()), steps=2)


def test_images_are_shifted_each_by_itself_and_half_of_them_mirrored():
    image = np.random.default_rng(1).uniform(size=(1, 16, 16, 2)).astype(np.float32)
    many = jnp.asarray(np.repeat(image, 64, axis=0))
    padded = np.pad(image[0], ((3, 3), (3, 3), (0, 0)), mode="reflect")
    shifts = [padded[y : y + 16, x : x + 16] for y in range(7) for x in range(7)]
    exchanged = [shift[:, ::-1] for shift in shifts]
    moved = np.asarray(jittered(jax.random.key(0), many, mirror=False))
    assert all(any((made == shift).all() for shift in shifts) for made in moved)
    assert len({made.tobytes() for made in moved}) > 20
    both = np.asarray(jittered(jax.random.key(0), many, mirror=True))
    straight = [any((made == shift).all() for shift in shifts) for made in both]
    assert all(any((made == shift).all() for shift in shifts + exchanged) for made in both)
    assert 16 < sum(straight) < 48


@pytest.mark.parametrize("side", [4, 16])
def test_logits_of_each_image_alone(side):
    network = Classifier(5, width=8)
    images = jax.random.uniform(jax.random.key(0), (3, side, side, 1), minval=-1)
    params = network.init(jax.random.key(1), images)
    together = network.apply(params, images)
    assert together.shape == (3, 5)
    alone = jnp.concatenate([network.apply(params, image[None]) for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-5)
