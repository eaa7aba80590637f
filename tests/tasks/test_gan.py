"""The adversarial task: schedules, what a step changes, gradients and penalties computed directly, sampling."""

from __future__ import annotations

import dataclasses

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from gen.config import build
from gen.errors import InputError
from gen.models import layers
from gen.tasks import gan, schedule
from gen.tasks.draws import draw_latents

BATCH = 8
START = jnp.float32(0.0)  # progress


def make(**changes) -> gan.Gan:
    facts = {"image_shape": tiny.IMAGE_SHAPE, "num_classes": tiny.NUM_CLASSES, "batch_size": BATCH}
    return build(tiny.task_spec(**changes), "task", **facts)


@pytest.fixture(scope="module")
def task():
    return make()


@pytest.fixture(scope="module")
def state(task):
    """A state away from its start, where blocks are no identity; Adam has seen nothing."""
    rng = np.random.default_rng(0)
    fresh = jax.jit(task.init)(jax.random.key(0))
    params = jax.tree.map(lambda leaf: 0.3 * rng.normal(size=leaf.shape).astype(np.float32), fresh.params)
    return fresh.replace(params=params)


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(1)
    images = rng.uniform(size=(2 * BATCH, *tiny.IMAGE_SHAPE)).astype(np.float32)
    return {"image": images, "label": rng.integers(0, tiny.NUM_CLASSES, 2 * BATCH, np.int32)}


@pytest.fixture(scope="module")
def after(task, state, batch):
    """State and metrics after one step."""
    return jax.jit(task.step)(state, batch, jax.random.key(5))


@pytest.fixture(scope="module")
def pair():
    """Real images, generated images, labels, in the range of the networks."""
    rng = np.random.default_rng(2)
    real, fake = rng.normal(size=(2, BATCH, *tiny.IMAGE_SHAPE)).astype(np.float32)
    return real, fake, rng.integers(0, tiny.NUM_CLASSES, BATCH, np.int32)


def direct_penalties(task, d_params, images, label, before=lambda image: image) -> np.ndarray:
    """The squared norm of d logit / d image, image by image: [n]."""

    def logit(image, label):
        return task.discriminator.apply(d_params, before(image)[None], label[None])[0]

    gradients = jax.jit(jax.vmap(jax.grad(logit)))(images, label)
    return np.square(np.asarray(gradients, np.float64)).sum((1, 2, 3))


@jax.jit
def judge(d_params, images, label):
    return make().discriminator.apply(d_params, images, label)


def far(tree, other) -> list[float]:
    return [
        float(np.abs(np.asarray(a) - np.asarray(b)).max())
        for a, b in zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True)
    ]


# -- Schedules


def test_cosine_has_its_ends_its_middle_and_is_constant_after():
    ends = (2.0, 0.5)
    for progress, value in ((0, 2.0), (0.5, 1.25), (1, 0.5), (7, 0.5), (1 / 3, 0.5 + 1.5 * 0.75)):
        assert float(schedule.cosine(ends, progress)) == pytest.approx(value)
    assert float(schedule.cosine((0.0, 0.55), 0)) == 0.0


def test_schedules_are_followed_by_one_compiled_step(state, batch):
    task = make(
        augmentation=(0.0, 0.4), operation_weights={"flip": 1.0}, beta2=(0.9, 0.99), ema_half_life=(0.0, 1_000.0)
    )
    traced = []
    step = jax.jit(lambda *arguments: traced.append(1) or task.step(*arguments))
    ends = {"gamma": (0.5, 0.1), "augmentation": (0.0, 0.4), "learning_rate": (2e-3, 1e-3), "ema_half_life": (0, 1_000)}
    now = state
    for n in range(3):
        now, metrics = step(now, batch, jax.random.key(n))
        for name, (first, second) in ends.items():
            at = n * BATCH / 400
            value = second + (first - second) * (1 + np.cos(np.pi * at)) / 2
            assert float(metrics[name]) == pytest.approx(value, abs=1e-6 * max(first, second)), name
        for role in ("generator", "discriminator"):  # Adam counts for itself
            used = now.opt_state[role].hyperparams
            assert float(used["learning_rate"]) == pytest.approx(float(metrics["learning_rate"]))
            assert float(used["b2"]) == pytest.approx(0.99 - 0.09 * (1 + np.cos(np.pi * at)) / 2)
    late = now.replace(step=jnp.int32(10_000))
    _, metrics = step(late, batch, jax.random.key(0))
    assert float(metrics["gamma"]) == pytest.approx(0.1)
    assert float(metrics["augmentation"]) == pytest.approx(0.4)
    assert len(traced) == 1


# -- One step


def test_a_step_moves_both_networks_and_the_average(task, state, after):
    new, metrics = after
    assert int(new.step) == 1
    for role in ("generator", "discriminator"):
        moved = far(new.params[role], state.params[role])
        assert min(moved) > 0
        assert max(moved) <= 2.1e-3  # Adam's first step is at most the learning rate
    np.testing.assert_array_equal(far(new.ema_params["generator"], new.params["generator"]), 0)  # half-life 0: a copy
    assert jax.tree.structure(new) == jax.tree.structure(state)
    assert all(
        a.shape == b.shape and a.dtype == b.dtype for a, b in zip(*map(jax.tree.leaves, (new, state)), strict=True)
    )
    assert all(np.isfinite(value) and value.shape == () for value in metrics.values())
    wanted = {"d_loss", "g_loss", "r1", "r2", "logit_real", "logit_fake", "d_accuracy", "gamma", "learning_rate"}
    assert wanted <= metrics.keys()


def test_the_first_state_averages_what_it_has_and_owns_its_arrays(task):
    fresh = jax.jit(task.init)(jax.random.key(3))
    assert int(fresh.step) == 0
    np.testing.assert_array_equal(far(fresh.ema_params["generator"], fresh.params["generator"]), 0)
    assert fresh.params.keys() == {"generator", "discriminator"} == fresh.opt_state.keys()
    again = jax.jit(task.init)(jax.random.key(3))
    other = jax.jit(task.init)(jax.random.key(4))
    assert max(far(fresh, again)) == 0
    assert max(far(fresh, other)) > 0


def test_the_discriminator_sees_the_first_of_each_two_images(task, state, batch, after):
    real, label = 2 * batch["image"][::2] - 1, batch["label"][::2]
    direct = direct_penalties(task, state.params["discriminator"], real, label)
    assert float(after[1]["r1"]) == pytest.approx(direct.mean(), rel=1e-4)
    logits = judge(state.params["discriminator"], real, label)
    assert float(after[1]["logit_real"]) == pytest.approx(float(logits.mean()), rel=1e-4)


def test_loss_and_penalties_are_those_of_the_formula(task, state, pair):
    real, fake, label = pair
    d_params = state.params["discriminator"]
    loss, metrics = jax.jit(task._discriminator_loss)(d_params, jax.random.key(0), real, fake, [label], START)
    r1, r2 = (direct_penalties(task, d_params, images, label).mean() for images in (real, fake))
    assert float(metrics["r1"]) == pytest.approx(r1, rel=1e-4)
    assert float(metrics["r2"]) == pytest.approx(r2, rel=1e-4)
    on_real, on_fake = (np.asarray(judge(d_params, x, label), np.float64) for x in (real, fake))
    relativistic = np.log1p(np.exp(on_fake - on_real)).mean()
    assert float(metrics["d_loss"]) == pytest.approx(relativistic, rel=1e-4)
    assert float(loss) == pytest.approx(relativistic + 0.5 / 2 * (r1 + r2), rel=1e-4)
    assert float(metrics["d_accuracy"]) == (on_real > on_fake).mean()


def test_penalties_go_through_the_augmentation(state, pair, monkeypatch):
    task = make(augmentation=(1.0, 1.0))

    def darker_and_flipped(key, images, probability, *, operation_weights):
        return 0.5 * images[:, :, ::-1]

    monkeypatch.setattr(gan, "augment", darker_and_flipped)
    real, fake, label = pair
    d_params = state.params["discriminator"]
    _, metrics = jax.jit(task._discriminator_loss)(d_params, jax.random.key(0), real, fake, [label], START)
    through = direct_penalties(task, d_params, real, label, lambda image: 0.5 * image[:, ::-1])
    assert float(metrics["r1"]) == pytest.approx(through.mean(), rel=1e-4)
    logits = judge(d_params, 0.5 * fake[:, :, ::-1], label)
    assert float(metrics["logit_fake"]) == pytest.approx(float(logits.mean()), rel=1e-4)


@pytest.mark.parametrize("every", [2, 4])
def test_penalizing_every_kth_image(task, state, pair, every):
    some = make(penalty_stride=every)
    key, d_params = jax.random.key(0), state.params["discriminator"]
    full_loss, some_loss = (jax.jit(jax.value_and_grad(t._discriminator_loss, has_aux=True)) for t in (task, some))
    real, fake, label = pair
    (_, metrics), _ = some_loss(d_params, key, real, fake, [label], START)
    (_, full), _ = full_loss(d_params, key, real, fake, [label], START)
    for name, images in (("r1", real), ("r2", fake)):
        direct = direct_penalties(task, d_params, images, label)
        assert float(metrics[name]) == pytest.approx(direct[::every].mean(), rel=1e-4)  # exactly these images
    for name in ("d_loss", "logit_real", "logit_fake", "d_accuracy"):  # the loss is that of all images
        assert float(metrics[name]) == pytest.approx(float(full[name]), rel=1e-4)
    *alike, alike_label = [np.broadcast_to(a[:1], a.shape) for a in (real, fake, label)]
    (one, _), one_grad = some_loss(d_params, key, *alike, [alike_label], START)
    (other, _), other_grad = full_loss(d_params, key, *alike, [alike_label], START)
    assert float(one) == pytest.approx(float(other), rel=1e-4)
    for a, b in zip(jax.tree.leaves(one_grad), jax.tree.leaves(other_grad), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * float(jnp.abs(b).max()))


@pytest.mark.parametrize("every", [1, 2])
def test_penalties_by_finite_differences_are_the_exact_ones_in_the_mean(state, pair, every):
    task, exact = make(penalty="finite_difference", penalty_stride=every), make(penalty_stride=every)
    real, fake, label = pair
    d_params = state.params["discriminator"]
    loss = jax.jit(lambda key: task._discriminator_loss(d_params, key, real, fake, [label], START))
    found = [loss(jax.random.key(n)) for n in range(300)]
    _, wanted = jax.jit(exact._discriminator_loss)(d_params, jax.random.key(0), real, fake, [label], START)
    for name in ("r1", "r2"):
        each = np.array([float(metrics[name]) for _, metrics in found])
        assert abs(each.mean() - float(wanted[name])) < 4 * each.std() / np.sqrt(len(each)), name
        assert each.std() > 0.05 * each.mean()  # other noise for each key
    for total, metrics in found[:3]:
        assert float(metrics["d_loss"]) == pytest.approx(float(wanted["d_loss"]), rel=1e-4)
        penalties = float(metrics["r1"]) + float(metrics["r2"])
        assert float(total) == pytest.approx(float(metrics["d_loss"]) + 0.5 / 2 * penalties, rel=1e-4)


# -- Gradients


@pytest.fixture
def smooth(monkeypatch):
    """An activation with a second derivative: at the kinks of a leaky ReLU a penalty jumps, which no gradient shows."""
    monkeypatch.setattr(layers, "leaky_relu", lambda x: 0.6 * x + 0.4 * jnp.sqrt(jnp.square(x) + 1))


def check_slope(loss, params, seed: int) -> None:
    """d loss along a random direction: the gradient's against central differences of float32 losses."""
    rng = np.random.default_rng(seed)
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    value = jax.jit(lambda flat: loss(unravel(flat)))
    gradient = np.asarray(jax.jit(jax.grad(lambda flat: loss(unravel(flat))))(flat))
    direction = rng.normal(size=flat.shape)
    direction = direction / np.linalg.norm(direction) + gradient / np.linalg.norm(gradient)  # not across the slope

    def along(t: float) -> float:
        return float(value(np.asarray(flat + t * direction, np.float32)))

    step = 2e-2
    # Richardson's extrapolation: errors of order step^4.
    coarse, fine = ((along(h) - along(-h)) / (2 * h) for h in (step, step / 2))
    assert (4 * fine - coarse) / 3 == pytest.approx(float(gradient @ direction), rel=5e-3)


@pytest.mark.parametrize("every", [1, 2])
def test_gradient_of_the_discriminator_by_finite_differences(state, pair, smooth, every):
    task = make(penalty_stride=every)
    params = jax.tree.map(lambda leaf: 0.5 * np.asarray(leaf), state.params["discriminator"])
    check_slope(
        lambda p: task._discriminator_loss(p, jax.random.key(0), pair[0], pair[1], [pair[2]], START)[0], params, seed=3
    )


def test_gradient_of_the_generator_by_finite_differences(task, state, pair, smooth):
    real, _, label = pair
    z = np.random.default_rng(4).normal(size=(BATCH, 8)).astype(np.float32)
    params, d_params = (
        jax.tree.map(lambda leaf: 0.5 * np.asarray(leaf), state.params[r]) for r in ("generator", "discriminator")
    )
    key = jax.random.key(0)
    check_slope(lambda p: task._generator_loss(p, d_params, key, z, real, [label], START), params, seed=5)


def test_real_images_reach_the_generator_only_as_numbers(task, state, pair):
    real, other, label = pair
    z = np.random.default_rng(4).normal(size=(BATCH, 8)).astype(np.float32)
    g_params, d_params = state.params["generator"], state.params["discriminator"]
    judged = np.asarray(judge(d_params, real, label))

    def with_constants(g_params):
        fake = task.discriminator.apply(d_params, task.generator.apply(g_params, z, label), label)
        return jnp.mean(jax.nn.softplus(judged - fake))

    key = jax.random.key(0)
    gradient = jax.jit(jax.grad(task._generator_loss))(g_params, d_params, key, z, real, [label], START)
    for a, b in zip(
        jax.tree.leaves(gradient), jax.tree.leaves(jax.jit(jax.grad(with_constants))(g_params)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5 * float(jnp.abs(b).max()))
    unpaired = jax.jit(jax.grad(make(loss="hinge")._generator_loss))
    one, two = (unpaired(g_params, d_params, key, z, images, [label], START) for images in (real, other))
    assert max(far(one, two)) == 0


# -- Sampling


@pytest.fixture(scope="module")
def sample(task, state):
    ema_params = {"generator": state.params["generator"]}
    return jax.jit(lambda keys, conditions: task.sample(ema_params, keys, conditions))


def keys(*seeds: int) -> jax.Array:
    return jax.vmap(jax.random.key)(np.array(seeds, np.uint32))


def test_a_key_is_the_same_image_in_any_batch(sample):
    images = sample(keys(*range(8)), {})
    assert images.shape == (8, *tiny.IMAGE_SHAPE)
    assert images.dtype == jnp.float32
    assert 0 <= float(images.min()) < float(images.max()) <= 1
    assert float(jnp.std(images, axis=0).mean()) > 0.05
    for chosen in ([3], [7, 0, 3]):
        np.testing.assert_allclose(sample(keys(*chosen), {}), images[np.array(chosen)], atol=1e-5)


def test_the_label_and_the_latent_are_drawn_from_the_key(task, sample):
    seeds = keys(*range(8))
    drawn = jax.vmap(lambda key: jax.random.randint(jax.random.fold_in(key, 1), (), 0, tiny.NUM_CLASSES))(seeds)
    assert len(np.unique(drawn)) > 2
    alone = sample(seeds, {})
    np.testing.assert_allclose(sample(seeds, {"label": drawn}), alone, atol=1e-5)
    assert float(jnp.abs(sample(seeds, {"label": (drawn + 1) % tiny.NUM_CLASSES}) - alone).max()) > 0.05
    latent = draw_latents(seeds, task.latent_shape)
    assert latent.shape == (8, 8)
    assert 0.7 < float(jnp.std(latent)) < 1.3
    np.testing.assert_allclose(sample(keys(*range(8)), {"latent": latent}), alone, atol=1e-5)
    np.testing.assert_allclose(
        sample(keys(*range(8)), {"latent": latent[::-1], "label": drawn[::-1]}), alone[::-1], atol=1e-5
    )


def test_truncation(sample):
    seeds, label = keys(*range(8)), np.array([0, 0, 1, 1, 2, 2, 3, 3], np.int32)
    images = {t: sample(seeds, {"label": label, "truncation": np.float32(t)}) for t in (0, 0.5, 1)}
    np.testing.assert_allclose(images[0][::2], images[0][1::2], atol=1e-6)  # one image for each class
    assert float(jnp.abs(images[0][0] - images[0][2]).max()) > 0.01
    np.testing.assert_allclose(images[1], sample(seeds, {"label": label}), atol=1e-6)
    spread = [float(jnp.abs(images[t][::2] - images[t][1::2]).mean()) for t in (0, 0.5, 1)]
    assert spread[0] < spread[1] < spread[2]


# -- Settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"penalty_stride": 3}, "task.penalty_stride=3 must divide batch_size=8"),
        ({"penalty_stride": 0}, "task.penalty_stride=0"),
        ({"gamma": (-1.0, -1.0)}, "task.gamma=(-1.0, -1.0); allowed: 0 to 1e+06"),
        ({"learning_rate": (1e-3, -1e-4)}, "task.learning_rate=(0.001, -0.0001); allowed: 0 to 10"),
        ({"beta2": (0.9, 1.0)}, "task.beta2=(0.9, 1.0); allowed: 0 to 0.999999"),
        ({"ema_half_life": (0.0, -1.0)}, "task.ema_half_life=(0.0, -1.0); allowed: 0 to 1e+12"),
        ({"augmentation": (0.0, 2.0)}, "task.augmentation=(0.0, 2.0); allowed: 0 to 1"),
        ({"operation_weights": {"flip": -1.0}}, "task.operation_weights={'flip': -1.0}; allowed: 0 to 1e+06"),
        ({"schedule_images": 0}, "task.schedule_images=0; allowed: 1 to 1e+12"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(InputError) as error:
        make(**changes)
    assert message in str(error.value)


def test_conditional_needs_labels_and_can_be_turned_off():
    facts = {"image_shape": tiny.IMAGE_SHAPE, "batch_size": BATCH}
    with pytest.raises(InputError, match=r"task\.conditional is True, but the data has no labels"):
        build(tiny.task_spec(conditional=True), "task", num_classes=0, **facts)
    for changes, classes, used in (
        ({}, 8, 8),
        ({}, 0, 0),
        ({"conditional": False}, 8, 0),
        ({"conditional": True}, 8, 8),
    ):
        task = build(tiny.task_spec(**changes), "task", num_classes=classes, **facts)
        assert (task.num_classes, task.generator.num_classes, task.discriminator.num_classes) == (used, used, used)


def test_a_network_for_other_images_is_refused():
    with pytest.raises(
        InputError, match=r"task\.generator\.widths=\(16, 8\) with patch=2 makes square images of 8, 16 pixels a side"
    ):
        build(tiny.task_spec(), "task", image_shape=(32, 32, 3), num_classes=0, batch_size=BATCH)


def test_settings_are_frozen(task):
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.loss = "hinge"
