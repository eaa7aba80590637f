"""gen.features.text_image on colors with their names."""

import jax
import numpy as np
import pytest

from gen.data import DatasetSplits, Examples
from gen.data.captions import Captions, described
from gen.errors import InputError
from gen.features.text_image import TextImageModel, text_image_model
from gen.losses import image_text_contrastive

COLORS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 220), "white": (240, 240, 240)}


def colors(count: int, *, digest: str = "") -> DatasetSplits:
    """Images of one color each, with a caption that names it."""
    rng = np.random.default_rng(0)
    names = rng.choice(list(COLORS), count)
    images = np.array([np.broadcast_to(COLORS[name], (16, 16, 3)) for name in names]) + rng.integers(
        -15, 16, (count, 16, 16, 3)
    )
    captions = Captions.packed([[f"a {name} ground".encode(), name.encode()] for name in names])
    examples = Examples(np.clip(images, 0, 255).astype(np.uint8), np.zeros(count, np.int32), captions)
    return DatasetSplits("colors", examples, examples, metadata={"digest": digest, "captions": described(captions)})


@pytest.fixture(scope="module")
def model() -> TextImageModel:
    return text_image_model(colors(64), steps=40, batch_size=16)


def test_an_image_is_nearest_to_the_caption_that_describes_it(model: TextImageModel) -> None:
    splits = colors(64)
    shown = model.images(splits.train.images)
    for form in ("a {} ground", "{}"):
        read = model.texts([form.format(name) for name in COLORS])
        wanted = [list(COLORS).index(splits.train.captions.of(i)[1]) for i in range(64)]
        assert ((shown @ read.T).argmax(1) == wanted).mean() > 0.9
    np.testing.assert_allclose(np.linalg.norm(shown, axis=1), 1.0, rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(read, axis=1), 1.0, rtol=1e-4)


def test_a_text_is_the_same_among_others_and_may_be_long_or_strange(model: TextImageModel) -> None:
    texts = ["red", "", "💡" * 300, "blue"]
    np.testing.assert_allclose(model.texts(texts)[3], model.texts(["blue"])[0], atol=1e-5)
    assert np.isfinite(model.texts(texts)).all()


def test_data_without_captions_has_none() -> None:
    plain = DatasetSplits("plain", *[Examples(np.zeros((2, 16, 16, 3), np.uint8), np.zeros(2, np.int32))] * 2)
    with pytest.raises(InputError, match="plain: no captions, and so no text-image model"):
        text_image_model(plain)


def test_it_is_kept_under_the_digest_of_the_data(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = text_image_model(colors(16, digest="a"), steps=1, batch_size=8)
    monkeypatch.setattr("gen.features.text_image._trained", None)
    again = text_image_model(colors(16, digest="a"), steps=1, batch_size=8)
    assert first.digest == again.digest
    np.testing.assert_array_equal(first.texts(["red"]), again.texts(["red"]))


def test_loss_is_that_of_a_softmax_over_each_side() -> None:
    a, b = (np.asarray(jax.random.normal(jax.random.key(i), (5, 3))) for i in (0, 1))
    found = image_text_contrastive(a, b, 2.0, same=np.eye(5, dtype=bool))
    p = np.exp(2.0 * a @ b.T)
    wanted = -(np.log(np.diag(p) / p.sum(0)) + np.log(np.diag(p) / p.sum(1))).mean() / 2
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    twins = image_text_contrastive(
        a[[0, 0, 1]], b[[0, 0, 1]], 2.0, same=np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], bool)
    )
    q = np.exp(2.0 * a[:2] @ b[:2].T)
    terms = -np.log(np.diag(q) / q.sum(0)) - np.log(np.diag(q) / q.sum(1))
    # Of the column and the row of image 1 the twins are two competitors; of their own they are none to each other.
    third = -np.log(q[1, 1] / (q[1, 1] + 2 * q[0, 1])) - np.log(q[1, 1] / (q[1, 1] + 2 * q[1, 0]))
    np.testing.assert_allclose(twins, (2 * terms[0] + third) / 6, rtol=1e-5)
