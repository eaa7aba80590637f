"""The reader of scenes: what its outputs mean, by hand; and the fit of the renderer, from a guess that is off."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.data.outlines import KINDS
from gen.data.scene_world import COLORS
from gen.data.scenes import HELD_OUT_START, MOST_THINGS, pack, paint, scene
from gen.errors import InputError
from gen.features import scene_reader
from gen.features.scene_fit import fit
from gen.metrics.composition import Found, Group, Wanted, atoms


def truth_of(one):
    return [
        Found(thing.kind, thing.color, thing.size, thing.x, thing.y, thing.radius)
        for thing in sorted(one.things, key=lambda thing: thing.radius)
    ]


@pytest.fixture(scope="module")
def scenes():
    return [scene(HELD_OUT_START + n) for n in range(4)]  # one of each class


def test_what_the_network_should_say_is_read_as_the_objects(scenes):
    packed = pack(scenes)
    names = [[list(COLORS).index(thing.color) for thing in one.things] for one in scenes]
    heat, geometry = scene_reader._targets(packed, names)
    for one, *outputs in zip(scenes, heat, geometry, strict=True):
        found = sorted(scene_reader._things(*outputs, MOST_THINGS), key=lambda thing: (thing.radius, thing.x, thing.y))
        wanted = sorted(truth_of(one), key=lambda thing: (thing.radius, thing.x, thing.y))
        assert len(found) == len(wanted)
        for thing, true in zip(found, wanted, strict=True):
            assert (thing.kind, thing.color, thing.size) == (true.kind, true.color, true.size)
            np.testing.assert_allclose((thing.x, thing.y, thing.radius), (true.x, true.y, true.radius), atol=1e-5)


def test_one_more_is_read_than_scenes_have_where_it_is_asked_for(monkeypatch):
    heat = np.zeros((8, 8, len(KINDS), len(COLORS)), np.float32)
    heat[[1, 1, 4, 6, 6], [1, 6, 4, 1, 6], KINDS.index("star"), 0] = [0.9, 0.8, 0.7, 0.6, 0.5]
    outputs = heat[None], np.full((1, 8, 8, len(KINDS), 3), 1.2, np.float32)
    monkeypatch.setattr(scene_reader, "_outputs", lambda params, images: outputs)
    read, image = scene_reader.Reader(None).read, np.zeros((1, 32, 32, 3), np.float32)
    four = Wanted((Group("star", number=4),))
    assert [len(read(image, most=most, batch_size=1)[0]) for most in (MOST_THINGS, MOST_THINGS + 1)] == [4, 5]
    assert not all(right for _, right in atoms(four, read(image, most=MOST_THINGS + 1, batch_size=1)[0]))


def test_a_reader_learns_and_reads_any_number_of_images():
    reader = scene_reader.train_reader(steps=2, batch_size=4)
    images = np.random.default_rng(0).random((3, 32, 32, 3), np.float32)
    assert len(reader.read(images, batch_size=2)) == 3
    probability, geometry = scene_reader._outputs(reader.params, jnp.asarray(images))
    assert probability.shape == (3, 8, 8, len(KINDS), len(COLORS))
    assert geometry.shape == (3, 8, 8, len(KINDS), 3)
    assert float(probability.sum(-1).max()) < 1
    with pytest.raises(InputError, match=r"shape \(3, 16, 16, 3\); allowed: \[n 32 32 3\]"):
        reader.read(images[:, ::2, ::2])


def test_a_fit_moves_what_is_off_to_where_it_is():
    single = [scene(HELD_OUT_START + 4 * n) for n in range(2)]
    images = np.asarray(paint(jax.tree.map(jnp.asarray, pack(single)), resolution=32)[0])
    true = [truth_of(one) for one in single]
    off = [[thing._replace(x=thing.x + 0.03, y=thing.y - 0.03, radius=thing.radius * 0.9) for thing in t] for t in true]
    fitted, error = fit(images, off, steps=60, batch_size=2)
    _, before = fit(images, off, steps=1, batch_size=2)
    assert (error < before / 2).all()
    for found, wanted in zip(fitted, true, strict=True):
        assert (found[0].kind, found[0].color) == (wanted[0].kind, wanted[0].color)
        np.testing.assert_allclose((found[0].x, found[0].y), (wanted[0].x, wanted[0].y), atol=0.012)
        assert found[0].radius == pytest.approx(wanted[0].radius, rel=0.08)
