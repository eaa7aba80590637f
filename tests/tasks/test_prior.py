"""The prior: exact bits, frequencies of what it draws, completion, context, orders, training.

Where a closed form is wanted, the network is a table of the next token by class and token before.
"""

from __future__ import annotations

import dataclasses
import itertools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from gen.config import build, spec
from gen.errors import InputError
from gen.models.autoencoder import Autoencoder
from gen.models.bottleneck import FSQ, Identity
from gen.models.recurrent import Recurrent
from gen.sampling import by_seed
from gen.tasks import token_orders
from gen.tasks.prior import Prior
from gen.tasks.tokens import Tokenizer

# -- Stand-ins with known truth


class Bigram(nn.Module):
    """p(token | token before, class); row -1 is for none before."""

    vocabulary: int = 2
    grid: tuple[int, int, int] = (1, 1, 1)
    context: tuple[int, int, int] | None = None
    num_classes: int = 0

    def check(self, place):
        pass

    def setup(self):
        shape = (self.num_classes + 1, self.vocabulary + 1, self.vocabulary)
        self.table = self.param("table", nn.initializers.normal(1.0), shape)

    def __call__(self, tokens, positions, label):
        before = jnp.pad(tokens[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
        return self.table[jnp.zeros(len(tokens), jnp.int32) if label is None else label][
            jnp.arange(len(tokens))[:, None], before
        ]

    def initialize_carry(self, batch):
        return jnp.zeros((batch, 1))

    def step(self, carry, canvas, token, position, target, label):
        return self.table[0 if label is None else label, token], carry


class Greys(nn.Module):
    """Black, gray, white: the mean of each 2 x 2 pixels of one channel."""

    image_shape: tuple[int, int, int] = (2, 2, 1)
    factor = 2
    vocabulary = 3

    def check(self, place):
        pass

    def __call__(self, images):
        return self.from_tokens(self.tokens(images))

    def tokens(self, images):
        b, h, w, _ = images.shape
        means = images.reshape(b, h // 2, 2, w // 2, 2).mean((2, 4))
        return jnp.round(means).astype(jnp.int32) + 1

    def from_tokens(self, tokens):
        return (tokens - 1.0).repeat(2, axis=1).repeat(2, axis=2)[..., None]


def as_tokens(images: np.ndarray) -> np.ndarray:
    """Images of 2 x 2 blocks in 0, 0.5, 1 as tokens [n cells]."""
    blocks = np.asarray(images)[:, ::2, ::2, 0] * 2
    np.testing.assert_array_equal(blocks, np.round(blocks))
    return np.round(blocks).astype(int).reshape(len(blocks), -1)


def as_images(tokens: np.ndarray, side: int) -> np.ndarray:
    return (np.asarray(tokens).reshape(-1, side, side, 1) / 2).repeat(2, 1).repeat(2, 2).astype(np.float32)


def keys(*seeds: int) -> jax.Array:
    return jax.vmap(jax.random.key)(np.array(seeds, np.uint32))


def make(network=None, **changes) -> Prior:
    fields = {
        "network": network or Bigram(),
        "tokenizer": Greys(),
        "schedule_images": 1000,
        "image_shape": (4, 4, 1),
        "num_classes": 3,
        "batch_size": 8,
    }
    return Prior(**{**fields, **changes})


def small(**changes) -> Prior:
    """The real networks, tiny: 8 x 8 images of 3 channels in 4 x 4 tokens of 6, enlarged from 2 x 2."""
    fields = {
        "network": Recurrent(width=16, layers=1),
        "tokenizer": Autoencoder(widths=(4, 4), blocks=1, patch=1, bottleneck=FSQ((3, 2))),
        "image_shape": (8, 8, 3),
        "context": "half_size",
        "learning_rate": (1e-2, 1e-2),
        "random_order": (0.5, 0.0),
        "region_first_probability": 0.3,
        "schedule_images": 300,
    }
    return make(**{**fields, **changes})


def stirred(params, seed: int = 0):
    """Away from the start, where much is zero."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: leaf + 0.3 * rng.normal(size=leaf.shape).astype(np.float32), params)


def sample(task: Prior, params, seeds, conditions) -> jax.Array:
    return jax.jit(lambda *arguments: task.sample(*arguments))(params, seeds, conditions)


def draw_orders(
    seed: int, count: int, rows: int, columns: int, random: float, region_first_probability: float
) -> token_orders.Orders:
    def draw(key):
        return token_orders.draw(
            key, count, rows, columns, random=random, region_first_probability=region_first_probability
        )

    return jax.jit(draw)(jax.random.key(seed))


def ready(task: Prior) -> dict:
    return stirred(jax.jit(task.init)(jax.random.key(0)).ema_params)


def softmax(logits):
    e = np.exp(np.asarray(logits, np.float64) - np.max(logits, -1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def chains(table: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """All sequences [m length] of a table of probabilities [v+1 v], and the probability of each."""
    every = np.array(list(itertools.product(range(table.shape[1]), repeat=length)))
    before = np.pad(every[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
    return every, table[before, every].prod(1)


def check_counts(tokens: np.ndarray, every: np.ndarray, p: np.ndarray) -> None:
    """Pearson's chi-square of sequences against their probabilities: below its mean + 4.5 standard deviations."""
    places = {tuple(sequence): i for i, sequence in enumerate(every)}
    found = np.bincount([places[tuple(sequence)] for sequence in tokens], minlength=len(every))
    expected, often = p * len(tokens), p * len(tokens) >= 5
    found, expected = (np.append(a[often], a[~often].sum()) for a in (found, expected))
    freedom = len(found) - 1
    assert freedom > 3
    assert (np.square(found - expected) / np.maximum(expected, 1e-9)).sum() < freedom + 4.5 * math.sqrt(2 * freedom)


@pytest.fixture(scope="module")
def bigram():
    """The task, its weights and the probabilities [class, before, token]; class 3 is the unknown one."""
    task = make()
    params = ready(task)
    return task, params, softmax(params["prior"]["params"]["table"])


@pytest.fixture(scope="module")
def real():
    task = small()
    return task, ready(task)


# -- Exact bits


def test_bits_are_those_of_the_closed_form(bigram):
    task, params, p = bigram
    tokens = np.random.default_rng(0).integers(0, 3, (6, 4))
    before = np.pad(tokens[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
    label = np.array([0, 1, 2, 3, 1, 0])
    bits = np.asarray(jax.jit(task.surprisal)(params, as_images(tokens, 2), label))
    assert bits.shape == (6, 4, 4)
    truth = -np.log2(p[label[:, None], before, tokens])
    np.testing.assert_allclose(bits, as_images(truth / 4 * 2, 2)[..., 0], rtol=1e-5)  # over the 4 pixels of a cell
    np.testing.assert_allclose(bits.sum((1, 2)), truth.sum(1), rtol=1e-5)
    unknown = task.surprisal(params, as_images(tokens, 2), None)  # jit = eager
    np.testing.assert_allclose(unknown.sum((1, 2)), -np.log2(p[3, before, tokens]).sum(1), rtol=1e-5)


def test_bits_of_pixels_are_exact_and_per_channel():
    task = make(tokenizer=None, image_shape=(2, 3, 3), num_classes=0)
    assert (task.network.grid, task.network.vocabulary) == ((2, 3, 3), 256)
    params = ready(task)
    values = np.random.default_rng(0).integers(0, 256, (5, 2, 3, 3))
    before = np.pad(values.reshape(5, -1)[:, :-1], ((0, 0), (1, 0)), constant_values=-1).reshape(values.shape)
    truth = -np.log2(softmax(params["prior"]["params"]["table"])[0, before, values])
    images = (values / 255).astype(np.float32)
    np.testing.assert_allclose(jax.jit(task.surprisal)(params, images, None), truth.sum(-1), rtol=1e-5)
    np.testing.assert_allclose(jax.jit(task.reconstruct)(params, images), images, rtol=1e-6)
    made = sample(task, params, keys(1, 2), {})
    assert made.shape == (2, 2, 3, 3)
    np.testing.assert_allclose(np.round(made * 255) / 255, made, rtol=1e-6)


@pytest.mark.parametrize("label", [None, 1])
def test_probabilities_of_all_images_sum_to_one(label):
    task = make(Recurrent(width=8, layers=1))
    params = ready(task)
    every = np.array(list(itertools.product(range(3), repeat=4)))
    labels = None if label is None else np.full(len(every), label)
    bits = np.asarray(jax.jit(task.surprisal)(params, as_images(every, 2), labels), np.float64).sum((1, 2))
    assert np.exp2(-bits).sum() == pytest.approx(1, abs=1e-5)
    assert bits.std() > 0.5


def test_bits_given_the_context_and_without(real):
    task, params = real
    images = np.random.default_rng(0).uniform(size=(4, 8, 8, 3)).astype(np.float32)
    context = images.reshape(4, 4, 2, 4, 2, 3).mean((2, 4))
    surprisal = jax.jit(task.surprisal)
    without, given, of_another = (surprisal(params, images, None, context=c) for c in (None, context, context[::-1]))
    assert without.shape == (4, 8, 8)
    assert np.isfinite(without).all()
    assert float(jnp.abs(without - given).max()) > 1e-3
    assert float(jnp.abs(of_another - given).max()) > 1e-3


# -- Sampling


def test_frequencies_of_images_are_their_probabilities(bigram):
    task, params, p = bigram
    label = np.repeat([1, 3], 3000)
    made = sample(task, params, keys(*range(6000)), {"label": label})
    assert made.shape == (6000, 4, 4, 1)
    for c in (1, 3):
        check_counts(as_tokens(made)[label == c], *chains(p[c], 4))


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        ({"temperature": 0.5}, lambda p: p**2),
        ({"truncation": 0.5}, lambda p: p**2),
        ({"temperature": 2.0, "truncation": 0.1}, np.sqrt),
        ({"top_k": 2}, lambda p: p * (p > p.min(-1, keepdims=True))),
        ({"top_p": 0.3}, lambda p: p == p.max(-1, keepdims=True)),  # of three the largest has more
    ],
    ids=["temperature", "truncation", "both", "top_k", "top_p"],
)
def test_settings_of_sampling(bigram, settings, change):
    task, params, p = bigram
    p = change(p[2])
    p = p / p.sum(-1, keepdims=True)
    made = sample(task, params, keys(*range(2000)), {"label": np.full(2000, 2), **settings})
    every, chance = chains(p, 4)
    assert (chance[[list(map(list, every)).index(list(t)) for t in as_tokens(made)]] > 0).all()
    if chance.max() < 1:
        check_counts(as_tokens(made), every, chance)


def test_guidance_moves_away_from_the_unknown_class(bigram):
    task, params, p = bigram
    p = softmax(np.log(p[3]) + 2.0 * (np.log(p[0]) - np.log(p[3])))
    conditions = {"label": np.zeros(4000, int), "guidance": np.float32(2)}
    made = sample(task, params, keys(*range(4000)), conditions)
    check_counts(as_tokens(made), *chains(p, 4))
    alone = sample(task, params, keys(5, 6), {"label": np.zeros(2, int), "guidance": 1.0})
    np.testing.assert_array_equal(
        alone, sample(task, params, keys(5, 6), {"label": np.zeros(2, int), "guidance": None})
    )


def test_without_guidance_a_step_is_done_once(bigram, monkeypatch):
    task, params, _ = bigram
    seen = []
    monkeypatch.setattr(Bigram, "initialize_carry", lambda self, batch: seen.append(batch) or jnp.zeros((batch, 1)))
    for conditions in ({}, {"guidance": None}, {"guidance": 2.0}):
        jax.eval_shape(task.sample, params, keys(1, 2, 3), conditions)
    assert seen == [3, 3, 6]


def test_a_key_is_the_same_image_in_any_batch(real):
    task, params = real
    rng = np.random.default_rng(0)
    conditions = {
        "label": np.array([0, 1, 2, 3, 0, 1, 2, 3]),
        "context": rng.uniform(size=(8, 4, 4, 3)).astype(np.float32),
        "given": rng.uniform(size=(8, 8, 8, 3)).astype(np.float32),
        "known": np.arange(64).reshape(1, 8, 8, 1).repeat(8, 0) < 24,
    }
    images = sample(task, params, keys(*range(8)), {**conditions, "guidance": np.float32(1.5)})
    assert images.shape == (8, 8, 8, 3)
    assert 0 <= float(images.min()) < float(images.max()) <= 1
    assert float(jnp.std(images, axis=0).mean()) > 0.01
    for chosen in ([3], [7, 0, 3]):
        some = {name: value[np.array(chosen)] for name, value in conditions.items()}
        again = sample(task, params, keys(*chosen), {**some, "guidance": np.float32(1.5)})
        np.testing.assert_allclose(again, images[np.array(chosen)], atol=1e-5)


def test_what_is_drawn_follows_whole_sequences():
    """Greedy drawing step by step, with context, given cells and guidance, against the network on whole sequences."""
    task = make(Recurrent(width=16, layers=1), image_shape=(8, 8, 1), context="half_size")
    params, rng = ready(task), np.random.default_rng(1)
    before, tokens = rng.integers(0, 3, (3, 4)), rng.integers(0, 3, (3, 16))
    known = np.zeros((3, 8, 8, 1), bool)
    known[0, 4:], known[1, :, 2:6] = True, True  # the lower half, two columns of cells, nothing
    label = np.array([0, 2, 1])
    conditions = {"label": label, "context": as_images(before, 2), "given": as_images(tokens, 4), "known": known}
    made = as_tokens(sample(task, params, keys(1, 2, 3), {**conditions, "temperature": 0.0, "guidance": 3.0}))
    inside = known[:, ::2, ::2].reshape(3, 16)
    np.testing.assert_array_equal(made[inside], tokens[inside])
    cells = np.argsort(~inside, axis=1, kind="stable")
    positions = np.concatenate([np.tile(16 + np.arange(4), (3, 1)), cells], axis=1)
    image = np.take_along_axis(made, cells, axis=1)
    logits = jax.jit(lambda context, label: task.network.apply(params["prior"], context, positions, label))
    c, u = (
        np.asarray(logits(np.concatenate([context, image], axis=1), which))[:, 4:]
        for context, which in ((before, label), (np.full((3, 4), -1), np.full(3, 3)))
    )
    assert np.abs(c - u).max() > 0.3
    guided = u + 3 * (c - u)
    sure = np.diff(np.sort(guided, axis=-1)[..., -2:])[..., 0] > 1e-3
    drawn = ~np.take_along_axis(inside, cells, axis=1)
    assert sure.mean() > 0.9
    np.testing.assert_array_equal(guided.argmax(-1)[sure & drawn], image[sure & drawn])
    assert (guided.argmax(-1) != u.argmax(-1))[drawn].any()


def test_labels_are_drawn_from_keys_or_unknown_where_something_is_given(bigram):
    task, params, _ = bigram
    seeds = keys(*range(64))
    label = task.label(seeds)
    assert set(np.asarray(label)) == {0, 1, 2}
    alone = sample(task, params, seeds, {})
    np.testing.assert_array_equal(sample(task, params, seeds, {"label": label}), alone)
    given = {"given": np.zeros((64, 4, 4, 1), np.float32), "known": np.zeros((64, 4, 4, 1), bool)}
    unknown = sample(task, params, seeds, {"label": np.full(64, 3)})
    np.testing.assert_array_equal(sample(task, params, seeds, given), unknown)
    assert (np.asarray(alone) != np.asarray(unknown)).any()
    sure = make(drop_labels_probability=0.0)
    np.testing.assert_array_equal(sample(sure, params, seeds, given), alone)
    assert make(num_classes=0).label(seeds) is None


# -- Completion


def test_completion_keeps_whole_cells_and_draws_the_others_after_them(bigram):
    task, params, p = bigram
    n = 4000
    given = as_images(np.tile([1, 2, 0, 2], (n, 1)), 2)
    known = np.zeros((n, 4, 4, 1), bool)
    known[:, 2:] = True  # the lower two cells
    known[:, 0, 0] = True  # a quarter of another, which does not count
    tokens = as_tokens(sample(task, params, keys(*range(n)), {"given": given, "known": known, "label": np.full(n, 1)}))
    np.testing.assert_array_equal(tokens[:, 2:], np.tile([0, 2], (n, 1)))
    every, chance = chains(np.concatenate([p[1, :3], p[1, 2:3]]), 2)  # they come after a 2
    check_counts(tokens[:, :2], every, chance)


def test_with_nothing_given_it_is_sampling_and_with_all_given_nothing_is_drawn(real):
    task, params = real
    seeds, label = keys(*range(4)), np.arange(4)
    given = np.random.default_rng(0).uniform(size=(4, 8, 8, 3)).astype(np.float32)
    known = np.zeros((4, 8, 8, 1), bool)
    plain = sample(task, params, seeds, {"label": label})
    np.testing.assert_allclose(
        sample(task, params, seeds, {"label": label, "given": given, "known": known}), plain, atol=1e-6
    )
    full = sample(task, params, seeds, {"given": given, "known": ~known})
    np.testing.assert_allclose(full, jax.jit(task.reconstruct)(params, given), atol=1e-6)


def test_what_is_not_known_tells_nothing(real):
    """Although the encoder sees beyond a cell."""
    task, params = real
    rng = np.random.default_rng(0)
    one, other = rng.uniform(size=(2, 4, 8, 8, 3)).astype(np.float32)
    known = np.zeros((4, 8, 8, 1), bool)
    known[:, :4] = True
    other = np.where(known, one, other)
    first, second = (sample(task, params, keys(*range(4)), {"given": g, "known": known}) for g in (one, other))
    np.testing.assert_array_equal(first, second)
    tokens = [np.asarray(task._tokens.encode(params, images)) for images in (one, other)]
    assert (tokens[0][:, :8] != tokens[1][:, :8]).any()


# -- Context


def test_context_of_half_size_is_the_mean_of_four_pixels():
    task = make(Recurrent(width=8, layers=1), tokenizer=None, image_shape=(4, 6, 1), context="half_size")
    assert (task.network.grid, task.network.context) == ((4, 6, 1), (2, 3, 1))
    values = np.random.default_rng(0).integers(0, 64, (2, 4, 6, 1)) * 4
    tokens = np.asarray(task._example({}, (values / 255).astype(np.float32)))
    np.testing.assert_array_equal(tokens[:, :24], values.reshape(2, -1))
    np.testing.assert_array_equal(tokens[:, 24:], values.reshape(2, 2, 2, 3, 2).mean((2, 4)).reshape(2, -1))


def test_what_stays_between_frames_keeps_its_pixels():
    alphabet = Tokenizer(build(tiny.tokenizer()))
    params = {"autoencoder": jax.jit(alphabet.tokenizer.init)(jax.random.key(0), jnp.zeros((1, *tiny.IMAGE_SHAPE)))}
    decode, follow = (jax.jit(method, static_argnums=at) for method, at in ((alphabet.decode, 2), (alphabet.follow, 4)))
    frame = jax.random.uniform(jax.random.key(1), (2, *tiny.IMAGE_SHAPE))
    before = jax.jit(alphabet.encode)(params, frame)
    again = follow(params, before, frame, before, tiny.IMAGE_SHAPE)
    np.testing.assert_allclose(again, frame, atol=1e-6)
    tokens = before.at[0, 5].set((before[0, 5] + 1) % alphabet.vocabulary)  # row 1, column 1 of 4 x 4 pixels
    made = follow(params, tokens, frame, before, tiny.IMAGE_SHAPE)
    plain, old = (decode(params, t, tiny.IMAGE_SHAPE) for t in (tokens, before))
    np.testing.assert_allclose(made[0, 4:8, 4:8], plain[0, 4:8, 4:8], atol=1e-6)
    np.testing.assert_allclose(made[0, 8:], jnp.clip(plain + frame - old, 0, 1)[0, 8:], atol=1e-6)
    np.testing.assert_allclose(made[1], frame[1], atol=1e-6)


def test_context_of_the_previous_frame_is_the_upper_half_of_the_data():
    task = make(image_shape=(8, 4, 1), context="previous_frame", num_classes=0)
    assert (task.shape, task.network.grid, task.network.context) == ((4, 4, 1), (2, 2, 1), (2, 2, 1))
    rng = np.random.default_rng(0)
    upper, lower = rng.integers(0, 3, (2, 5, 4))
    pairs = np.concatenate([as_images(upper, 2), as_images(lower, 2)], axis=1)
    np.testing.assert_array_equal(task._example({"autoencoder": {}}, pairs), np.concatenate([lower, upper], axis=1))
    params = ready(task)
    p = softmax(params["prior"]["params"]["table"])[0]
    frames = as_images(np.tile([0, 0, 0, 1], (3000, 1)), 2)
    made = sample(task, params, keys(*range(3000)), {"context": frames})
    assert made.shape == (3000, 4, 4, 1)
    check_counts(as_tokens(made), *chains(np.concatenate([p[:3], p[1:2]]), 4))  # they come after a 1
    check_counts(as_tokens(sample(task, params, keys(*range(3000)), {})), *chains(p, 4))
    away = softmax(np.log(p[3]) + 2 * (np.log(p[1]) - np.log(p[3])))  # guidance is away from no context
    made = sample(task, params, keys(*range(3000)), {"context": frames, "guidance": 2.0})
    check_counts(as_tokens(made), *chains(np.concatenate([p[:3], away[None]]), 4))


# -- Orders


def test_orders_are_permutations_with_the_context_first():
    drawn = draw_orders(0, 300, 3, 5, random=0.4, region_first_probability=0.5)
    cells = np.asarray(drawn.cells)
    np.testing.assert_array_equal(np.sort(cells, axis=1), np.tile(np.arange(15), (300, 1)))
    random, region = np.asarray(drawn.random), np.asarray(drawn.region)
    assert abs(random.mean() - 0.4) < 4.5 * math.sqrt(0.24 / 300)
    assert abs(region.mean() - 0.3) < 4.5 * math.sqrt(0.21 / 300)
    assert not (random & region).any()
    np.testing.assert_array_equal(cells[~random & ~region], np.tile(np.arange(15), ((~random & ~region).sum(), 1)))
    assert len(np.unique(cells[random], axis=0)) == random.sum()
    places = np.asarray(token_orders.positions(drawn.cells, 3, 4))
    assert places.shape == (300, 49)
    np.testing.assert_array_equal(places[:, :4], np.tile(45 + np.arange(4), (300, 1)))
    np.testing.assert_array_equal(places[:, 4:] // 3, cells.repeat(3, axis=1))
    np.testing.assert_array_equal(places[:, 4:] % 3, np.tile([0, 1, 2], (300, 15)))


def test_any_permutation_is_as_likely():
    drawn = draw_orders(1, 6000, 2, 2, random=1.0, region_first_probability=1.0)
    every = np.array(list(itertools.permutations(range(4))))
    check_counts(np.asarray(drawn.cells), every, np.full(24, 1 / 24))
    assert not drawn.given.any()


def test_a_region_first_is_raster_inside_and_outside():
    drawn = draw_orders(2, 400, 4, 4, random=0.0, region_first_probability=1.0)
    cells, given = np.asarray(drawn.cells), np.asarray(drawn.given)
    assert (np.diff(given.astype(int), axis=1) <= 0).all()  # first given, then not
    for order, inside in zip(cells, given, strict=True):
        assert (np.diff(order[inside]) > 0).all()
        assert (np.diff(order[~inside]) > 0).all()
    share = given.mean(1)
    assert 0.4 < share.mean() < 0.6
    assert (share < 0.2).any()
    assert (share > 0.8).any()


def test_regions_hold_half_planes_boxes_their_complements_and_scattered_cells():
    inside = np.asarray(jax.jit(token_orders.regions, static_argnums=(1, 2, 3))(jax.random.key(0), 3000, 6, 6)).reshape(
        -1, 6, 6
    )
    found = {picture.tobytes() for picture in inside}
    upper = np.arange(6)[:, None] < 3
    box = np.zeros((6, 6), bool)
    box[2:4, 1:4] = True
    for picture in (upper, ~upper, upper.T, ~upper.T, box, ~box):
        assert np.broadcast_to(picture, (6, 6)).tobytes() in found
    corner = np.add.outer(np.arange(6), np.arange(6)) < 5
    assert corner.tobytes() in found
    assert 0.45 < inside.mean() < 0.55
    assert (np.abs(inside.mean(0) - 0.5) < 0.06).all()


# -- Training


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(1)
    columns = np.linspace(0, 1, 8, dtype=np.float32)[None, None, :, None]
    shade = rng.uniform(size=(8, 1, 1, 3)).astype(np.float32)
    return {"image": np.broadcast_to(columns * shade, (8, 8, 8, 3)), "label": rng.integers(0, 3, 8, np.int32)}


@pytest.fixture(scope="module")
def state(real):
    return jax.jit(real[0].init)(jax.random.key(0))


@pytest.fixture(scope="module")
def step(real):
    return jax.jit(real[0].step)


def test_a_step_moves_the_prior_alone(state, step, batch):
    new, metrics = step(state, batch, jax.random.key(5))
    assert int(new.step) == 1
    assert state.params.keys() == state.opt_state.keys() == {"prior"}
    assert state.ema_params.keys() == {"prior", "autoencoder"}
    for old, now in zip(*(jax.tree.leaves(s.ema_params["autoencoder"]) for s in (state, new)), strict=True):
        np.testing.assert_array_equal(old, now)
    for old, now in zip(*(jax.tree.leaves(s.params["prior"]) for s in (state, new)), strict=True):
        assert np.isfinite(now).all()
        assert float(np.abs(old - now).max()) <= 1e-2 * (1.01 + 0.05 * float(np.abs(old).max()))  # AdamW's first step
    assert max(float(np.abs(a - b).max()) for a, b in zip(*map(jax.tree.leaves, (state, new)), strict=True)) > 0
    for now, average in zip(*map(jax.tree.leaves, (new.params["prior"], new.ema_params["prior"])), strict=True):
        np.testing.assert_array_equal(now, average)  # half-life 0 at first
    wanted = {"bits", "accuracy", "learning_rate", "grad_norm", "random_order", "region_first_probability"}
    assert metrics.keys() == wanted
    assert all(value.shape == () and np.isfinite(value) for value in metrics.values())


def test_the_state_is_arrays_and_a_step_is_pure(state, step, batch):
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
    one, two, other = (step(state, batch, jax.random.key(k)) for k in (5, 5, 6))
    assert jax.tree.structure(one[0]) == jax.tree.structure(state)
    for a, b, c in zip(*map(jax.tree.leaves, (one, two, state)), strict=False):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == c.dtype
    assert float(one[1]["bits"]) != float(other[1]["bits"])


def test_some_steps_lower_the_bits(real, state, step, batch):
    bits = []
    for n in range(60):
        state, metrics = step(state, batch, jax.random.key(n))
        bits.append(float(metrics["bits"]))
    assert 1.5 < np.mean(bits[:2]) < 6
    assert np.mean(bits[-5:]) < 0.5 * np.mean(bits[:2])
    exact = (
        float(jnp.mean(jax.jit(real[0].surprisal)(state.ema_params, batch["image"], batch["label"]).sum((1, 2)))) / 16
    )
    assert exact < 0.6 * np.mean(bits[:2])  # without context


def test_the_learning_rate_rises_and_falls(bigram):
    task = make(warmup_images=80, learning_rate=(1e-2, 1e-3))
    state, step_fn = jax.jit(task.init)(jax.random.key(0)), jax.jit(task.step)
    batch = {"image": as_images(np.zeros((8, 4)), 2), "label": np.zeros(8, np.int32)}
    for step, share in ((0, 0.1), (4, 0.5), (9, 1.0), (100, 1.0)):
        at = min(step * 8 / 1000, 1)
        wanted = share * (1e-3 + 9e-3 * (1 + math.cos(math.pi * at)) / 2)
        _, metrics = step_fn(state.replace(step=jnp.int32(step)), batch, jax.random.key(0))
        assert float(metrics["learning_rate"]) == pytest.approx(wanted, rel=1e-5)
    new, _ = step_fn(state, batch, jax.random.key(0))
    moved = jnp.abs(new.params["prior"]["params"]["table"] - state.params["prior"]["params"]["table"]).max()
    assert float(moved) == pytest.approx(1e-3, rel=0.2)  # the optimizer follows it


def test_matrices_decay_and_gradients_are_clipped(batch):
    task = small(weight_decay=0.5, learning_rate=(1e-2, 1e-2))
    state = jax.jit(task.init)(jax.random.key(0))
    params, update = state.params["prior"], jax.jit(task._optimizer.update)
    huge, large = (jax.tree.map(lambda leaf, size=size: size * jnp.ones_like(leaf), params) for size in (1e6, 1e3))
    one, two = (update(g, state.opt_state["prior"], params) for g in (huge, large))
    for a, b in zip(*map(jax.tree.leaves, (one[1], two[1])), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)  # of both the norm is 1 when Adam sees them
    still, _ = update(jax.tree.map(jnp.zeros_like, params), state.opt_state["prior"], params)
    for update, leaf in zip(*map(jax.tree.leaves, (still, params)), strict=True):
        np.testing.assert_allclose(update, (leaf.ndim > 1) * -5e-3 * leaf, atol=1e-8)


def test_the_loss_counts_what_is_not_given(bigram):
    task, params, p = bigram
    task = dataclasses.replace(task, region_first_probability=0.6, random_order=(0.3, 0.3), drop_labels_probability=0.0)
    rng = np.random.default_rng(0)
    tokens, label = rng.integers(0, 3, (50, 4)), rng.integers(0, 3, 50)
    key = jax.random.key(3)
    loss, metrics = jax.jit(task._loss)(params["prior"], key, jnp.asarray(tokens), {"label": label}, jnp.float32(0))
    drawn = token_orders.draw(jax.random.split(key, 3)[0], 50, 2, 2, random=0.3, region_first_probability=0.6)
    cells, given = np.asarray(drawn.cells), np.asarray(drawn.given)
    assert 0.1 < given.mean() < 0.5
    sequence = np.take_along_axis(tokens, cells, axis=1)
    before = np.pad(sequence[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
    chance = p[label[:, None], before]
    nats = -np.log(np.take_along_axis(chance, sequence[..., None], -1)[..., 0])
    assert float(loss) == pytest.approx(nats[~given].mean(), rel=1e-5)
    assert float(metrics["bits"]) == pytest.approx(nats[~given].mean() / math.log(2), rel=1e-5)
    assert float(metrics["accuracy"]) == pytest.approx((chance.argmax(-1) == sequence)[~given].mean(), rel=1e-5)
    assert float(metrics["random_order"]) == pytest.approx(np.mean(drawn.random))
    assert float(metrics["region_first_probability"]) == pytest.approx(np.mean(drawn.region))


@pytest.mark.parametrize("kind", ["class", "context"])
def test_dropout_has_its_share(kind):
    """Without its condition an image of zeros costs nothing, with it log2(3) bits a token."""
    n, share = 3000, 0.3
    if kind == "class":
        task, tokens = make(drop_labels_probability=share), np.zeros((n, 4), np.int32)
        table = np.zeros((4, 4, 3), np.float32)
        table[3, :, 0] = 50
    else:  # of the one token after the context
        task = make(image_shape=(4, 2, 1), context="previous_frame", num_classes=0, drop_context_probability=share)
        tokens, table = np.tile([0, 1], (n, 1)), np.zeros((1, 4, 3), np.float32)
        table[0, -1, 0] = 50
    label = np.zeros(n, np.int32)
    params = {"params": {"table": table}}
    _, metrics = jax.jit(task._loss)(params, jax.random.key(0), jnp.asarray(tokens), {"label": label}, jnp.float32(0))
    found = 1 - float(metrics["bits"]) / math.log2(3)
    assert abs(found - share) < 4.5 * math.sqrt(share * (1 - share) / n)


# -- Settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"drop_labels_probability": 1.5}, "task.drop_labels_probability=1.5; allowed: 0 to 1"),
        ({"region_first_probability": -0.1}, "task.region_first_probability=-0.1; allowed: 0 to 1"),
        ({"random_order": (1.0, 2.0)}, "task.random_order=(1.0, 2.0); allowed: 0 to 1"),
        (
            {"context": "half_size", "drop_context_probability": 0.0},
            "task.drop_context_probability=0.0; allowed with a context: more",
        ),
        ({"schedule_images": 0}, "task.schedule_images=0; allowed: 1 to 1e+12"),
        ({"warmup_images": -1}, "task.warmup_images=-1; allowed: 0 to 1e+12"),
        ({"conditional": True, "num_classes": 0}, "task.conditional is True, but the data has no labels"),
        ({"context": "previous_frame", "image_shape": (5, 4, 1)}, "the data is 5 pixels high, and allowed is an even"),
        ({"context": "half_size", "image_shape": (6, 4, 1)}, "half of 6 x 4 pixels is no whole number of cells of 2 x"),
        (
            {"tokenizer": Autoencoder(bottleneck=Identity()), "image_shape": (8, 8, 3)},
            "task.tokenizer has continuous codes",
        ),
        ({"tokenizer": Autoencoder(), "image_shape": (10, 8, 3)}, "task.tokenizer.widths="),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(InputError) as error:
        make(**changes)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "conditions", "message"),
    [
        ({"num_classes": 0}, {"guidance": 2.0}, "guidance needs a prior learned with"),
        ({"drop_labels_probability": 0.0}, {"guidance": 2.0}, "guidance needs a prior learned with"),
        ({}, {"context": np.zeros((2, 2, 2, 1))}, "learned without context images"),
        (
            {"context": "half_size"},
            {"context": np.zeros((2, 4, 4, 1))},
            "context images of [4, 4, 1]; this model allows [2",
        ),
        (
            {},
            {"given": np.zeros((2, 8, 8, 1)), "known": np.zeros((2, 8, 8, 1))},
            "given images of [8, 8, 1]; this model",
        ),
    ],
)
def test_conditions_that_were_not_learned_are_refused(changes, conditions, message):
    task = make(**changes)
    with pytest.raises(InputError) as error:
        task.sample(ready(task), keys(1, 2), conditions)
    assert message in str(error.value)


def test_questions_that_were_not_learned_are_refused(bigram):
    task, params, _ = bigram
    with pytest.raises(InputError, match="it has no latents"):
        by_seed.drawn_latents(task, [1])
    with pytest.raises(InputError, match="learned without drop_labels_probability"):
        make(drop_labels_probability=0.0).surprisal(params, np.zeros((1, 4, 4, 1), np.float32), None)
    with pytest.raises(InputError, match=r"images of \[8, 8, 1\]; this model allows \[4, 4, 1\]"):
        task.surprisal(params, np.zeros((1, 8, 8, 1), np.float32), None)


def test_classes_can_be_left_out():
    for changes, classes, used in (
        ({}, 8, 8),
        ({}, 0, 0),
        ({"conditional": False}, 8, 0),
        ({"conditional": True}, 8, 8),
    ):
        task = make(num_classes=classes, **changes)
        assert (task.num_classes, task.network.num_classes) == (used, used)


def test_it_is_built_from_a_spec_and_frozen():
    tokenizer = spec(Autoencoder, widths=(4, 4), patch=2, bottleneck=spec(FSQ, levels=(4, 4)))
    named = spec(Prior, network=spec(Recurrent, width=8, layers=1), tokenizer=tokenizer, schedule_images=100)
    task = build(named, "task", image_shape=(16, 12, 1), num_classes=0, batch_size=4)
    assert (task.network.vocabulary, task.network.grid, task.network.context) == (16, (4, 3, 1), None)
    assert task.tokenizer.image_shape == (16, 12, 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.context = "none"
