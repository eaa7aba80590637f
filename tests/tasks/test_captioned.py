"""Learning by captions: the three tasks read them, drop them, and say where there are none."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.errors import InputError
from gen.models.r3gan import Discriminator, Generator
from gen.models.recurrent import Recurrent
from gen.models.unet import UNet
from gen.tasks.flow import Flow
from gen.tasks.gan import Gan
from gen.tasks.networks import drop_captions
from gen.tasks.prior import Prior
from gen.text import tokens_of

LENGTH, B = 16, 4
WIDE = {"widths": (8, 8), "blocks": 1, "group_size": None, "expansion": 1.0, "text_width": 8}
SHARED = {"image_shape": (8, 8, 1), "num_classes": 3, "batch_size": B, "schedule_images": 100}
TEXTS = [b"a star in red", b"stars of blue", b"", None]


def make(kind, **changes):
    settings = {**SHARED, "caption_length": LENGTH, **changes}
    if kind == "gan":
        return Gan(generator=Generator(latent=4, **WIDE), discriminator=Discriminator(**WIDE), **settings)
    if kind == "flow":
        return Flow(network=UNet(widths=(8, 8), blocks=1, embedding=8, text_width=8), steps=2, **settings)
    return Prior(network=Recurrent(width=8, layers=1), **settings)


def stirred(state):
    """The averages, moved by noise, so that every input counts."""
    noise = jax.random.normal(jax.random.key(9), (64,))
    params = jax.tree.map(lambda leaf: leaf + 0.2 * jnp.resize(noise, leaf.shape), state.ema_params)
    return state.replace(ema_params=params)


@pytest.fixture(scope="module", params=["gan", "flow", "prior"])
def learned(request):
    """A task, and its state after some steps, so that what starts at zero is not."""
    task = make(request.param)
    state = jax.jit(task.init)(jax.random.key(0))
    rng = np.random.default_rng(0)
    n = B * task.real_images_per_sample
    batch = {
        "image": jnp.asarray(rng.random((n, 8, 8, 1)), jnp.float32),
        "label": jnp.zeros(n, jnp.int32),
        "caption": jnp.asarray(tokens_of((TEXTS * 2)[:n], LENGTH)),
    }
    step = jax.jit(task.step)
    for i in range(3):
        state, metrics = step(state, batch, jax.random.key(i))
    assert all(np.isfinite(value).all() for value in jax.tree.leaves((state, metrics)))
    return task, stirred(state), batch, metrics


def sample(task, state, keys, **conditions):
    return np.asarray(jax.jit(lambda p, k, c: task.sample(p, k, c))(state.ema_params, keys, conditions))


def test_another_caption_is_another_image_and_none_another_still(learned):
    task, state, _, _ = learned
    keys = jax.vmap(jax.random.key)(np.zeros(4, np.uint32))  # the same for all
    made = sample(task, state, keys, caption=tokens_of(TEXTS, LENGTH))
    assert min(np.abs(made[i] - made[j]).max() for i in range(4) for j in range(i)) > 1e-6
    without = sample(task, state, keys)
    np.testing.assert_allclose(made[3], without[3], atol=1e-5)


def test_the_image_of_a_key_and_a_caption_is_the_same_in_any_batch(learned):
    task, state, _, _ = learned
    keys = jax.vmap(jax.random.key)(np.arange(4, dtype=np.uint32))
    tokens = tokens_of(TEXTS, LENGTH)
    made = sample(task, state, keys, caption=tokens)
    for i in (0, 2):
        alone = sample(task, state, keys[i : i + 1], caption=tokens[i : i + 1])
        np.testing.assert_allclose(alone[0], made[i], atol=1e-5)


def test_classes_are_learned_beside_captions_only_if_asked_for(learned):
    task, *_ = learned
    assert (task.num_classes, task.caption_length) == (0, LENGTH)
    both = dataclasses.replace(task, num_classes=3, conditional=True)
    assert (both.num_classes, both.caption_length) == (3, LENGTH)
    neither = dataclasses.replace(task, num_classes=3, captioned=False)
    assert (neither.num_classes, neither.caption_length) == (3, 0)
    with pytest.raises(InputError, match=r"task\.captioned is True, but the data has no captions"):
        dataclasses.replace(task, caption_length=0, captioned=True)


@pytest.mark.parametrize("kind", ["flow", "prior"])
def test_guidance_leads_to_the_caption_and_away_from_the_negative_one(kind):
    task = make(kind)
    state = jax.jit(task.init)(jax.random.key(0))
    state = stirred(state)
    keys = jax.vmap(jax.random.key)(np.zeros(2, np.uint32))
    one, other = tokens_of([TEXTS[0]] * 2, LENGTH), tokens_of([TEXTS[1]] * 2, LENGTH)
    plain = sample(task, state, keys, caption=one)
    once = sample(task, state, keys, caption=one, guidance=jnp.float32(1.0))
    np.testing.assert_allclose(once, plain, atol=1e-4)
    alike = sample(task, state, keys, caption=one, negative=one, guidance=jnp.float32(3.0))
    np.testing.assert_allclose(alike, plain, atol=1e-4)
    led = [sample(task, state, keys, caption=one, guidance=jnp.float32(3.0), **k) for k in ({}, {"negative": other})]
    assert np.abs(led[0] - plain).max() > 1e-4
    assert np.abs(led[0] - led[1]).max() > 1e-4


def test_guidance_without_what_was_dropped_is_refused():
    task = make("prior", drop_captions_probability=0.0)
    state = jax.jit(task.init)(jax.random.key(0))
    with pytest.raises(InputError, match=r"captions and drop_captions_probability"):
        sample(task, state, jax.random.key(0)[None], guidance=jnp.float32(2.0))


def test_bits_of_an_image_depend_on_its_caption_and_are_those_of_the_loss():
    task = make("prior", drop_captions_probability=0.0)
    params = jax.jit(task.init)(jax.random.key(0)).ema_params
    params = jax.tree.map(
        lambda leaf: leaf + 0.1 * jnp.sin(jnp.arange(leaf.size, dtype=jnp.float32)).reshape(leaf.shape), params
    )
    images, tokens = np.random.default_rng(1).random((3, 8, 8, 1)), tokens_of(TEXTS[:3], LENGTH)
    found = np.asarray(task.surprisal(params, images, None, caption=tokens)).sum((1, 2))
    other = np.asarray(task.surprisal(params, images, None, caption=tokens[::-1])).sum((1, 2))
    assert np.abs(found - other)[[0, 2]].min() > 1e-3
    assert found[1] == pytest.approx(other[1], rel=1e-5)
    batch = {"label": jnp.zeros(3, jnp.int32), "caption": jnp.asarray(tokens)}
    cells = task._example(params, jnp.asarray(images, jnp.float32))
    _, metrics = task._loss(params["prior"], jax.random.key(0), cells, batch, jnp.float32(0))
    assert float(metrics["bits"]) == pytest.approx(found.mean() / 64, rel=1e-4)


def test_a_share_of_the_captions_is_dropped():
    tokens = jnp.asarray(tokens_of([b"x"] * 4000, 8))
    left = np.asarray(drop_captions(jax.random.key(0), tokens, probability=0.3))
    assert set(map(tuple, left)) == {tuple(np.asarray(tokens[0])), (0,) * 8}
    assert abs((left[:, 0] == 0).mean() - 0.3) < 0.03


def test_the_discriminator_learns_to_tell_captions_apart():
    """Images whose brightness is the caption: the loss of mismatched captions falls far below chance, log 2."""
    task = make("gan", num_classes=0, mismatch=4.0, learning_rate=(5e-3, 5e-3), drop_captions_probability=0.0)
    state = jax.jit(task.init)(jax.random.key(0))
    bright = np.resize([0.1, 0.9], (2 * B, 1, 1, 1))
    batch = {
        "image": jnp.asarray(np.broadcast_to(bright, (2 * B, 8, 8, 1)), jnp.float32),
        "label": jnp.zeros(2 * B, jnp.int32),
        "caption": jnp.asarray(tokens_of([b"dark", b"light"] * B, LENGTH)),
    }
    order = np.array([0, 2, 1, 3, 4, 6, 5, 7])  # of the first of each pair, dark and light take turns
    batch = {name: value[order] for name, value in batch.items()}
    step = jax.jit(task.step)
    for i in range(60):
        state, metrics = step(state, batch, jax.random.key(i))
    assert float(metrics["caption_loss"]) < 0.3 < np.log(2)
