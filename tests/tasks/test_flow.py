"""The flow: its likelihood and its samples where the truth is known, what can be given, and training.

Where a closed form is wanted, the network is that of independent normal pixels, a mean for each class.
"""

from __future__ import annotations

import dataclasses
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from gen.config import build, spec
from gen.config.fields import meanings
from gen.errors import InputError
from gen.models.autoencoder import Autoencoder
from gen.models.bottleneck import FSQ, DiagonalGaussian
from gen.models.unet import UNet
from gen.sampling import by_seed
from gen.tasks import flow
from gen.tasks.flow import Flow

MEANS, DEVIATION = np.array([-0.4, 0.3, 0.0], np.float32), 0.3  # of the classes, and of pixels in [-1, 1]


class Normal(nn.Module):
    """E[x | z], or what the linear guess of E[e - x | z] lacks, of pixels of N(mean of the class, deviation).

    A context adds a tenth of itself to the mean.
    """

    makes: str = "image"
    image_shape: tuple[int, int, int] = (4, 4, 1)
    num_classes: int = 0

    def check(self, place):
        pass

    @nn.compact
    def __call__(self, z, time, label, context=None):
        self.param("unused", nn.initializers.zeros, (1,))
        t = time[:, None, None, None]
        mean = jnp.asarray(MEANS)[label][:, None, None, None]
        if context is not None:
            mean += 0.1 * context[..., :1]
        off = (z - (1 - t) * mean) / ((1 - t) ** 2 * DEVIATION**2 + t**2)
        x = mean + (1 - t) * DEVIATION**2 * off
        if self.makes == "image":
            return x
        variance = (1 - t) ** 2 * 0.25 + t**2  # of z of normal data of deviation 0.5
        return (t * off - x - (t - (1 - t) * 0.25) / variance * z) * jnp.sqrt(variance) / 0.5


def keys(count, first=0):
    return jax.vmap(jax.random.key)(np.arange(first, first + count, dtype=np.uint32))


def make(makes="image", **changes) -> Flow:
    fields = {"network": Normal(makes), "prediction": makes, "schedule_images": 1000, "batch_size": 8}
    return Flow(**{**fields, "image_shape": (4, 4, 1), "num_classes": 2, "steps": 16, "last_time": 0.0, **changes})


def small(**changes) -> Flow:
    """The real network, tiny: 8 x 8 images of 3 channels."""
    network = UNet(widths=(8, 12), blocks=1, embedding=16, pixel_width=4)
    fields = {"network": network, "image_shape": (8, 8, 3), "learning_rate": (1e-2, 1e-3), "schedule_images": 400}
    return make(**{**fields, "steps": 4, **changes})


def stirred(task) -> dict:
    """Parameters of roles, away from the start."""
    state, rng = jax.eval_shape(task.init, jax.random.key(0)), np.random.default_rng(0)
    return jax.tree.map(lambda leaf: 0.1 * rng.normal(size=leaf.shape).astype(np.float32), state.ema_params)


def params_of(task) -> dict:
    return jax.jit(task.init)(jax.random.key(0)).ema_params


def sample(task, params, count=4, **conditions):
    return jax.jit(lambda p, k, c: task.sample(p, k, c))(params, keys(count), conditions)


def test_every_field_says_what_it_means_where_they_are_listed():
    found = meanings(Flow)
    assert {field.name for field in dataclasses.fields(Flow)} <= found.keys()
    assert f" {flow._SHORTEST:g}," in found["last_time"]


# -- Known truth


@pytest.mark.parametrize("makes", ["image", "velocity"])
def test_samples_are_distributed_as_the_data(makes):
    task = make(makes)
    label = np.arange(2000, dtype=np.int32) % 3  # the last is the unknown class
    images = 2 * np.asarray(sample(task, params_of(task), 2000, label=label, steps=40)) - 1
    for k, mean in enumerate(MEANS):
        found = images[label == k]
        np.testing.assert_allclose((found.mean(), found.std()), (mean, DEVIATION), atol=0.02)


@pytest.mark.parametrize("makes", ["image", "velocity"])
def test_bits_are_those_of_the_normal_distribution(makes):
    """A bin of 1/255 in [0, 1] is 2/255 wide in [-1, 1]."""
    task, rng = make(makes), np.random.default_rng(0)
    x = MEANS[1] + DEVIATION * rng.normal(size=(50, 4, 4, 1)).astype(np.float32)
    bits = jax.jit(task.surprisal)(params_of(task), (x + 1) / 2, jnp.ones(50, jnp.int32))
    assert bits.shape == (50, 4, 4)
    density = -0.5 * ((x - MEANS[1]) / DEVIATION) ** 2 - math.log(DEVIATION * math.sqrt(2 * math.pi))
    wanted = -(density + math.log(2 / 255))[..., 0] / math.log(2)
    # What the model of images makes lacks the shortest times: its images are smoothed by a hundredth.
    np.testing.assert_allclose(bits.mean((1, 2)), wanted.mean((1, 2)), atol=0.05 if makes == "image" else 0.02)
    np.testing.assert_allclose(bits.mean(), wanted.mean(), atol=0.02 if makes == "image" else 0.005)


@pytest.mark.parametrize(("side", "logits"), [(4, (0.0, 1.0)), (4, (1.0, 0.5)), (64, (0.0, 1.0)), (64, (0.5, 0.8))])
def test_the_loss_of_the_truth_is_the_variance_that_is_left(side, logits):
    """E |v - E[v | z]|^2 over logit-normal times, by quadrature."""
    count = 4096 if side == 4 else 256
    mean, deviation = (logits[0] + math.log(2), 1.25 * logits[1]) if side == 64 else logits
    for makes in ("image", "velocity"):
        fields = {"image_shape": (side, side, 1), "time_logits": logits, "batch_size": count}
        task = make(makes, drop_labels_probability=0.0, **fields)
        state = jax.jit(task.init)(jax.random.key(0))
        x = MEANS[0] + DEVIATION * np.random.default_rng(1).normal(size=(count, side, side, 1)).astype(np.float32)
        batch = {"image": (x + 1) / 2, "label": np.zeros(count, np.int32)}
        _, metrics = jax.jit(task.step)(state, batch, jax.random.key(2))
        t = 1 / (1 + np.exp(-np.random.default_rng(0).normal(mean, deviation, 100_000)))
        left = np.mean(DEVIATION**2 / ((1 - t) ** 2 * DEVIATION**2 + t**2))
        assert abs(float(metrics["loss"]) - left) < 0.02 * left, (makes, float(metrics["loss"]), left)


def test_times_are_nearer_to_noise_where_images_are_larger_or_it_is_asked_for():
    task = make(image_shape=(128, 32, 1))
    assert [make(image_shape=(side, side, 1)).time_shift for side in (4, 32, 128)] == [1, 1, 4]
    assert task.time_shift == 2
    assert make(image_shape=(64, 64, 1), time_logits=(1.0, 1.0)).time_shift == pytest.approx(2 * math.e)
    autoencoder = Autoencoder(widths=(4, 8), blocks=1, patch=1, bottleneck=DiagonalGaussian(size=3))
    assert make(image_shape=(64, 64, 1), autoencoder=autoencoder).time_shift == 1


def test_guidance_moves_away_from_the_unknown_class_within_its_times():
    """Of unit vectors the mean of a guided normal goes from that of the class on, away from the unknown one's."""
    params = params_of(make())
    label, means = np.zeros(200, np.int32), []
    for guidance, times in ((1.0, (0.0, 1.0)), (2.0, (0.0, 1.0)), (2.0, (0.4, 0.6)), (2.0, (0.0, 0.0))):
        task = make(guidance_times=times)
        means.append(float((2 * sample(task, params, 200, label=label, guidance=guidance) - 1).mean()))
    plain, full, part, never = means
    assert full < part - 0.05 < plain - 0.1, means
    assert never == pytest.approx(plain, abs=1e-5)
    default = make(guidance=2.0)
    assert float((2 * sample(default, params, 200, label=label) - 1).mean()) == pytest.approx(full, abs=1e-5)


# -- What is given


def test_known_pixels_are_kept_and_the_others_differ_by_seed():
    task = small()
    given = np.random.default_rng(0).uniform(size=(3, 8, 8, 3)).astype(np.float32)
    known = np.zeros((3, 8, 8, 1), bool)
    known[:, :4] = True
    made = np.asarray(sample(task, stirred(task), 3, given=given, known=known))
    np.testing.assert_allclose(made[:, :4], given[:, :4], atol=1e-5)
    assert np.ptp(made[:, 4:], axis=0).max() > 0.01


def test_enlarged_images_have_the_given_average_without_having_learned_it():
    task = make()
    small_images = np.random.default_rng(0).uniform(0.2, 0.6, (3, 2, 2, 1)).astype(np.float32)
    made = np.asarray(sample(task, params_of(task), 3, context=small_images, steps=64))
    inside = (made > 0) & (made < 1)
    average = made.reshape(3, 2, 2, 2, 2, 1).mean((2, 4))
    whole = inside.reshape(3, 2, 2, 2, 2, 1).all((2, 4))
    np.testing.assert_allclose(average[whole], small_images[whole], atol=1e-5)
    assert whole.mean() > 0.5


@pytest.mark.parametrize(("context", "shape"), [("half_size", (4, 4, 3)), ("previous_frame", (8, 8, 3))])
def test_a_learned_context_counts_and_none_is_another_one(context, shape):
    task = small(context=context, image_shape=(16, 8, 3) if context == "previous_frame" else (8, 8, 3))
    assert (task.shape, task.context_shape) == ((8, 8, 3), shape)
    params, dark = stirred(task), np.zeros((2, *shape), np.float32)
    label = np.zeros(2, np.int32)
    made = [np.asarray(sample(task, params, 2, label=label, context=c)) for c in (dark, dark + 0.5, None)]
    assert min(np.abs(a - b).max() for a, b in zip(made, made[1:] + made[:1], strict=True)) > 1e-3


def test_the_upper_frame_is_the_context():
    task = make(context="previous_frame", image_shape=(8, 4, 1), batch_size=512, drop_context_probability=1e-6)
    state, rng = jax.jit(task.init)(jax.random.key(0)), np.random.default_rng(0)
    before = rng.uniform(size=(512, 4, 4, 1)).astype(np.float32)
    after = MEANS[0] + 0.1 * (2 * before - 1) + DEVIATION * rng.normal(size=before.shape).astype(np.float32)
    label = np.zeros(512, np.int32)
    right = np.concatenate([before, (after + 1) / 2], axis=1)
    step = jax.jit(task.step)
    losses = [
        float(step(state, {"image": x, "label": label}, jax.random.key(1))[1]["loss"]) for x in (right, right[:, ::-1])
    ]
    assert losses[0] < losses[1]


def test_latents_of_an_autoencoder_are_learned_and_decoded():
    autoencoder = Autoencoder(widths=(4, 8), blocks=1, patch=1, bottleneck=DiagonalGaussian(size=3))
    task = small(autoencoder=autoencoder, latent_scale=2.0, network=UNet(widths=(8,), blocks=1, patch=1))
    assert (task.latent_shape, task.can_reconstruct) == ((4, 4, 3), True)
    params = stirred(task)
    assert set(params) == {"flow", "autoencoder"}
    made = sample(task, params, 2)
    assert made.shape == (2, 8, 8, 3)
    known = np.ones((2, 8, 8, 1), bool)  # with everything known nothing is left but the autoencoder
    given = np.random.default_rng(0).uniform(size=(2, 8, 8, 3)).astype(np.float32)
    kept = sample(task, params, 2, given=given, known=known)
    np.testing.assert_allclose(kept, jax.jit(task.reconstruct)(params, given), atol=1e-4)
    with pytest.raises(InputError, match="no likelihood"):
        task.surprisal(params, given, None)


# -- Samples by seed


def test_an_image_is_that_of_its_key_whatever_it_is_drawn_with():
    task = small()
    params = stirred(task)
    one, four = (np.asarray(sample(task, params, n, label=np.zeros(n, np.int32))) for n in (1, 4))
    np.testing.assert_allclose(one[0], four[0], atol=1e-4)
    latents = by_seed.drawn_latents(task, range(4)).reshape(4, -1)
    given = sample(task, params, 4, label=np.zeros(4, np.int32), latent=latents)
    np.testing.assert_allclose(given, four, atol=1e-4)
    assert np.abs(four[1:] - four[:-1]).max() > 0.01


def test_less_noise_gives_more_alike_images():
    task = make()
    spread = [
        float(sample(task, params_of(task), 64, label=np.zeros(64, np.int32), **c).std())
        for c in ({}, {"truncation": 0.5}, {"temperature": 0.5}, {"temperature": 0.0})
    ]
    assert spread[0] > 1.5 * spread[1] > 0
    assert spread[1:3] == pytest.approx([spread[1]] * 2)
    assert spread[3] < 1e-3


# -- Training


def test_steps_lower_the_loss_and_stay_finite():
    task = small()
    state = jax.jit(task.init)(jax.random.key(0))
    batch = {
        "image": np.random.default_rng(0).uniform(size=(8, 8, 8, 3)).astype(np.float32),
        "label": np.arange(8, dtype=np.int32) % 2,
    }
    step = jax.jit(task.step)
    losses = []
    for i in range(40):
        state, metrics = step(state, batch, jax.random.key(i))
        assert all(np.isfinite(value) for value in metrics.values()), metrics
        losses.append(float(metrics["loss"]))
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10]), losses
    assert set(state.params) == set(state.ema_params) == {"flow"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"guidance": 1.5, "num_classes": 0}, "guidance needs a flow learned with"),
        ({"steps": 0}, "task.steps=0"),
        ({"guidance_times": (0.0, 2.0)}, "task.guidance_times"),
        ({"context": "half_size", "drop_context_probability": 0.0}, "drop_context_probability=0.0"),
        ({"context": "half_size", "image_shape": (5, 4, 1)}, "needs even sides; the data is 5 x 4"),
        ({"context": "previous_frame", "image_shape": (5, 4, 1)}, "two frames"),
        ({"conditional": True, "num_classes": 0}, "no labels"),
        ({"autoencoder": Autoencoder(widths=(4,), blocks=1, patch=1, bottleneck=FSQ((3, 2)))}, "has tokens"),
    ],
)
def test_it_refuses_what_does_not_fit(changes, message):
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        make(**changes)


@pytest.mark.parametrize(
    ("changes", "conditions", "message"),
    [
        ({}, {"top_k": 3}, "top_k is of priors"),
        ({"num_classes": 0}, {"guidance": 2.0}, "guidance needs a flow learned with"),
        ({}, {"context": np.zeros((1, 3, 3, 1), np.float32)}, r"context images of \[3, 3, 1\]"),
        ({}, {"given": np.zeros((1, 3, 3, 1), np.float32), "known": np.ones((1, 3, 3, 1), bool)}, "given images of"),
    ],
)
def test_it_refuses_to_sample_what_it_has_not_learned(changes, conditions, message):
    task = make(**changes)
    with pytest.raises(InputError, match=message):
        task.sample(params_of(task), keys(1), conditions)


def test_a_config_names_it():
    task = build(
        spec(Flow, network=spec(UNet, widths=(8,), blocks=1), schedule_images=10),
        "task",
        image_shape=tiny.IMAGE_SHAPE,
        num_classes=0,
        batch_size=2,
    )
    assert (task.latent_shape, task.can_sample, task.can_reconstruct) == (tiny.IMAGE_SHAPE, True, False)
