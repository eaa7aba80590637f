"""Autoencoders: shapes and sizes, what a step changes, the losses against their formulas, tokens there and back."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from gen.config import build, spec
from gen.errors import InputError
from gen.models.autoencoder import Autoencoder as Network
from gen.models.bottleneck import FSQ, LFQ, DiagonalGaussian, Identity, VectorQuantizer
from gen.models.r3gan import Discriminator
from gen.tasks.autoencoder import Autoencoder
from gen.tasks.draws import draw_latents

BATCH = 8
FACTS = {"image_shape": tiny.IMAGE_SHAPE, "num_classes": tiny.NUM_CLASSES, "batch_size": BATCH}
BARE = {"discriminator": None, "perceptual": 0.0, "adversarial": 0.0, "lecam": 0.0}
BOTTLENECKS = [
    spec(Identity),
    spec(DiagonalGaussian),
    spec(FSQ, levels=(4, 4)),
    spec(LFQ, bits=4),
    spec(VectorQuantizer, codes=16),
]
kinds = pytest.mark.parametrize("bottleneck", BOTTLENECKS, ids=lambda s: s.call.rpartition(":")[2])


def make(**changes) -> Autoencoder:
    return build(tiny.autoencoder_spec(**changes), "task", **FACTS)


def bare(bottleneck, **changes) -> Autoencoder:
    return make(network=spec(Network, **tiny.AUTOENCODER, bottleneck=bottleneck), **{**BARE, **changes})


def start(task: Autoencoder):
    return jax.jit(task.init)(jax.random.key(0))


@pytest.fixture(scope="module")
def images():
    """Smooth images, which a few numbers can hold."""
    waves = np.random.default_rng(0).uniform(0, 3, (BATCH, 1, 1, 3))
    across = np.linspace(0, 1, 16)[None, None, :, None]
    return (0.5 + 0.4 * np.sin(waves + 4 * across) * np.ones((1, 16, 1, 1))).astype(np.float32)


@pytest.fixture(scope="module")
def batch(images):
    return {"image": images, "label": np.zeros(BATCH, np.int32)}


@kinds
def test_learns_to_give_a_batch_back(bottleneck, batch):
    task = bare(bottleneck, learning_rate=(1e-2, 1e-2))
    step = jax.jit(task.step)
    state, psnr = start(task), []
    for n in range(60):
        state, metrics = step(state, batch, jax.random.key(n))
        psnr.append(float(metrics["psnr"]))
    assert np.isfinite(psnr).all()
    assert psnr[-1] > psnr[0] + 5
    given_back = jax.jit(task.reconstruct)(state.params, batch["image"])
    assert given_back.shape == batch["image"].shape
    error = np.square(given_back - batch["image"]).mean((1, 2, 3))
    assert -10 * np.log10(error).mean() > psnr[0] + 5


@pytest.mark.parametrize("side", [8, 16, 24])
def test_any_size_that_the_factor_divides(side):
    network = build(tiny.tokenizer())
    assert (network.factor, network.vocabulary, network.latent_shape) == (4, 8, (8, 8, 3))
    params = jax.jit(network.init)(jax.random.key(0), jnp.zeros((1, 16, 16, 3)))
    to_tokens, from_tokens = (jax.jit(functools.partial(network.apply, method=m)) for m in ("tokens", "from_tokens"))
    x = jax.random.uniform(jax.random.key(1), (2, side, side, 3), minval=-1)
    tokens = to_tokens(params, x)
    assert tokens.shape == (2, side // 4, side // 4)
    there_and_back = from_tokens(params, tokens)
    np.testing.assert_allclose(there_and_back, jax.jit(network.apply)(params, x)[0], atol=1e-5)
    single = from_tokens(params, to_tokens(params, x[1:]))
    np.testing.assert_allclose(single, there_and_back[1:], atol=1e-5)


def test_latents_there_and_back(images):
    task = bare(BOTTLENECKS[1])
    average = start(task).ema_params
    latents = jax.jit(task.encode)(average, images)
    assert latents.shape == (BATCH, 4 * 4 * 4)
    decoded, reconstructed = jax.jit(task.decode)(average, latents), jax.jit(task.reconstruct)(average, images)
    np.testing.assert_allclose(decoded, reconstructed, atol=1e-6)


def test_only_a_gaussian_bottleneck_can_be_drawn_from():
    keys = jax.vmap(jax.random.key)(np.arange(3))
    vae = bare(BOTTLENECKS[1])
    average, sample = start(vae).ema_params, jax.jit(vae.sample)
    drawn = sample(average, keys, {})
    assert drawn.shape == (3, *tiny.IMAGE_SHAPE)
    np.testing.assert_allclose(sample(average, keys[1:2], {}), drawn[1:2], atol=1e-5)
    latents = draw_latents(keys, vae.latent_shape)
    np.testing.assert_allclose(sample(average, keys, {"latent": latents}), drawn, atol=1e-6)
    assert vae.can_sample
    tokens = bare(BOTTLENECKS[2])
    assert not tokens.can_sample
    with pytest.raises(InputError, match="FSQ codes has no distribution to draw from; train a prior"):
        tokens.sample(start(tokens).ema_params, keys, {})


def test_the_reconstruction_loss_is_its_formula(batch):
    task = bare(BOTTLENECKS[0], l1=0.3, l2=2.0)
    state = start(task)
    _, metrics = jax.jit(task.step)(state, batch, jax.random.key(1))
    real = 2 * batch["image"] - 1
    fake = np.asarray(jax.jit(task.network.apply)(state.params["autoencoder"], real)[0])
    wanted = 0.3 * np.abs(fake - real).mean() + 2 * np.square(fake - real).mean()
    assert float(metrics["loss"]) == pytest.approx(wanted, rel=1e-5)
    psnr = -10 * np.log10(np.square((fake - real) / 2).mean((1, 2, 3))).mean()
    assert float(metrics["psnr"]) == pytest.approx(psnr, rel=1e-5)


def test_adversary_and_features_join_the_loss_from_the_first_step(batch):
    """Each weight adds its term: the loss is linear in it."""

    def loss(**weights) -> dict[str, float]:
        task = make(network=spec(Network, **tiny.AUTOENCODER, bottleneck=BOTTLENECKS[0]), **weights)
        _, metrics = jax.jit(task.step)(start(task), batch, jax.random.key(1))
        return {name: float(value) for name, value in metrics.items()}

    one, two = loss(adversarial=1.0, perceptual=1.0), loss(adversarial=2.0, perceptual=3.0)
    assert one["feature_distance"] > 0
    assert two["loss"] - one["loss"] == pytest.approx(one["g_loss"] + 2 * one["feature_distance"], rel=1e-4)
    only_features = loss(adversarial=0.0, perceptual=1.0)
    assert only_features["loss"] == pytest.approx(one["loss"] - one["g_loss"], rel=1e-4)


def test_a_step_moves_every_role_and_keeps_frozen_features(batch):
    features = spec(Discriminator, **tiny.NETWORK)
    task = make(features=features)
    state = start(task)
    new, _ = jax.jit(task.step)(state, batch, jax.random.key(1))
    changed = {role: _differs(state.params[role], new.params[role]) for role in state.params}
    assert changed == {"autoencoder": True, "discriminator": True, "lecam": True}
    assert _differs(state.ema_params["autoencoder"], new.ema_params["autoencoder"])
    assert not _differs(state.ema_params["features"], new.ema_params["features"])
    assert "features" not in new.opt_state


def test_optimizers_leave_a_codebook_to_its_running_mean(batch):
    task = bare(spec(VectorQuantizer, codes=16, size=4, decay=1 - 1e-9, revive_below=0.0))
    state = start(task)
    new, _ = jax.jit(task.step)(state, batch, jax.random.key(1))
    before, after = (s.params["autoencoder"]["params"]["bottleneck"] for s in (state, new))
    np.testing.assert_allclose(after["sums"], before["sums"], atol=1e-6)
    assert _differs(state.params["autoencoder"]["params"]["encoder"], new.params["autoencoder"]["params"]["encoder"])


def _differs(a, b) -> bool:
    return any(
        (np.asarray(x) != np.asarray(y)).any() for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule_images": 0}, "task.schedule_images=0; allowed: 1 to 1e+12"),
        ({"discriminator": None, "perceptual": 0.0}, "task.adversarial=0.1 needs a task.discriminator"),
        (
            {"discriminator": None, "adversarial": 0.0},
            "task.perceptual=0.1 needs a task.discriminator or task.features",
        ),
        ({"adversarial": 0.0, "perceptual": 0.0}, "task.discriminator is of no use while"),
        (
            {"network": spec(Network, widths=(8, 8, 8, 8), patch=4, bottleneck=spec(Identity))},
            "task.network.widths=(8, 8, 8, 8) with patch=4 makes one code of 32 x 32 pixels, which does not divide",
        ),
        (
            {"network": spec(Network, **tiny.AUTOENCODER, bottleneck=spec(LFQ, bits=0))},
            "task.network.bottleneck.bits=0 cannot be used",
        ),
    ],
)
def test_settings_that_do_not_fit(changes, message):
    with pytest.raises(InputError) as error:
        make(**changes)
    assert message in str(error.value)
