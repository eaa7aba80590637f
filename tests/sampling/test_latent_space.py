"""Latent spaces: projection finds what is there, directions are numpy's, ways begin and end where they should."""

from __future__ import annotations

import dataclasses
import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from tqdm import tqdm

from gen import devices
from gen.cli import progress_bar
from gen.config import build, spec
from gen.errors import InputError
from gen.models.autoencoder import Autoencoder as Network
from gen.models.bottleneck import DiagonalGaussian
from gen.sampling import latent_space
from gen.sampling.latent_space import directions, figures, projection
from gen.sampling.latent_space.adapters import activations, first_map
from gen.sampling.latent_space.codes import Latents
from gen.sampling.latent_space.projection import Projector
from gen.tasks.autoencoder import Autoencoder
from gen.tasks.draws import draw_latents

RNG = np.random.default_rng(0)
SHAPE = (4, 4, 3)


# -- Directions


def aligned(found: np.ndarray, wanted: np.ndarray) -> None:
    """Rows of length one that agree up to their sign."""
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.abs((found * wanted).sum(1)), 1, rtol=1e-4)


def eigenvectors(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of a symmetric matrix, as rows, the largest eigenvalue first."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors.T[::-1], values[::-1]


def test_closed_form_is_the_eigenvectors_of_the_map():
    kernel = RNG.normal(size=(6, 10))
    found = directions.closed_form(kernel, 4)
    aligned(found, eigenvectors(kernel @ kernel.T)[0][:4])
    assert found.shape == (4, 6)
    lengths = np.linalg.norm(found @ kernel, axis=1)
    assert (np.diff(lengths) < 0).all()
    assert len(directions.closed_form(kernel, 99)) == 6


def test_principal_components_are_those_of_the_covariance():
    points = RNG.normal(size=(50, 5)) @ RNG.normal(size=(5, 5)) + 3
    found = directions.principal(points, 3)
    vectors, values = eigenvectors(np.cov(points.T))
    aligned(found.vectors, vectors[:3])
    np.testing.assert_allclose(found.sigma, np.sqrt(values[:3]), rtol=1e-5)
    assert len(directions.principal(points[:3], 8).sigma) == 2


def test_principal_components_of_linear_answers_are_the_closed_form():
    white = np.linalg.qr(RNG.normal(size=(40, 6)) - 0.0)[0]
    white = np.linalg.qr(white - white.mean(0))[0] * np.sqrt(40)  # mean 0, covariance 1, exactly
    kernel = RNG.normal(size=(6, 12))
    aligned(directions.principal_by_answer(white, white @ kernel + 5, 6), directions.closed_form(kernel, 6))


def test_moved_goes_by_standard_deviations():
    found = directions.Directions(np.eye(3, dtype=np.float32), np.array([1, 2, 3], np.float32))
    codes = latent_space.Latents(np.zeros((2, 3), np.float32), None)
    assert latent_space.moved(codes, found, 1, -1.5).z.tolist() == [[0, -3, 0]] * 2


# -- Ways


@pytest.mark.parametrize("spherical", [True, False])
def test_ways_pass_through_their_ends(spherical):
    codes = latent_space.Latents(RNG.normal(size=(3, 5)).astype(np.float32), np.array([2, 0, 0], np.int32))
    way = latent_space.interpolation(codes, 4, spherical=spherical, classes=3)
    assert way.z.shape == (9, 5)
    np.testing.assert_allclose(way.z[::4], codes.z, atol=1e-6)
    np.testing.assert_allclose(way.label[::4], np.eye(3)[codes.label], atol=1e-6)
    np.testing.assert_allclose(way.label[1], [0.25, 0, 0.75], atol=1e-6)
    straight = 0.75 * codes.z[0] + 0.25 * codes.z[1]
    assert np.allclose(way.z[1], straight, atol=1e-5) != spherical


# -- Projection


@dataclasses.dataclass(frozen=True)
class Linear:
    """A generator whose images are a linear function of latents, and of the class an offset."""

    num_classes: int = 0
    generator: SimpleNamespace = dataclasses.field(default_factory=lambda: SimpleNamespace(latent=6))

    def decode(self, params, latents, labels, *, clipped=True):
        images = 0.5 + 0.03 * latents @ params["kernel"]
        if labels is not None:
            images += params["offset"][labels]
        return images.reshape(-1, *SHAPE)

    def features(self, params, images):
        return (images.mean((1, 2), keepdims=True), images[:, ::2, ::2])


def linear_params() -> dict[str, jax.Array]:
    kernel = np.random.default_rng(1).normal(size=(6, np.prod(SHAPE)))
    offset = 0.05 * np.random.default_rng(2).normal(size=(3, np.prod(SHAPE)))
    return {"kernel": jnp.asarray(kernel, jnp.float32), "offset": jnp.asarray(offset, jnp.float32)}


def on_shell(count: int) -> np.ndarray:
    z = np.random.default_rng(3).normal(size=(count, 6))
    return (z / np.sqrt(np.square(z).mean(1, keepdims=True))).astype(np.float32)


@pytest.mark.parametrize("classes", [0, 3])
def test_a_linear_generator_is_inverted(classes, monkeypatch):
    monkeypatch.setattr(projection, "CANDIDATES", 64)
    task, params, z = Linear(classes), linear_params(), on_shell(5)
    labels = np.array([0, 1, 2, 1, 0], np.int32) if classes else None
    images = np.asarray(task.decode(params, z, labels))
    bars: list[tqdm] = []
    monkeypatch.setattr(projection, "progress_bar", lambda *given: bars.append(progress_bar(*given)) or bars[-1])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    projector = Projector(task=task, params=params, mesh=devices.mesh(-1, 1), steps=200)
    found = projector(images)
    np.testing.assert_allclose(found.z, z, atol=0.02)
    assert found.label is None if labels is None else (found.label == labels).all()
    assert bars[0].n == bars[0].total  # all steps are counted
    if classes:
        assert (projector(images, label=1).label == 1).all()


def test_a_better_start_overtakes(monkeypatch):
    monkeypatch.setattr(projection, "CANDIDATES", 64)
    best = projection._best
    monkeypatch.setattr(projection, "_best", lambda *arguments: best(*arguments)[:, ::-1])  # the worst class first
    task, params, z = Linear(3), linear_params(), on_shell(5)
    labels = np.array([0, 1, 2, 1, 0], np.int32)
    projector = Projector(task=task, params=params, mesh=devices.mesh(-1, 1), steps=200)
    found = projector(np.asarray(task.decode(params, z, labels)))
    assert (found.label == labels).all()


def test_the_nearest_of_each_label_are_the_starts():
    distances = np.array([[5.0, 1, 2, 3, 4, 0]])
    labels = np.array([0, 1, 1, 1, 0, 0])
    assert projection._best(distances, labels, 4).tolist() == [[5, 1, 2, 4]]
    assert projection._best(distances, None, 3).tolist() == [[5, 1, 2]]


@pytest.fixture(scope="module")
def gan():
    """A tiny generator that was stirred, for at its start the classes hardly differ, and its critic."""
    task = build(tiny.task_spec(), "task", image_shape=tiny.IMAGE_SHAPE, num_classes=8, batch_size=8)
    state = jax.jit(task.init)(jax.random.key(0))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape).astype(np.float32), state.params)
    return task, params


@pytest.fixture(scope="module")
def projector(gan):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(projection, "CANDIDATES", 256)
        yield Projector(task=gan[0], params=gan[1], mesh=devices.mesh(-1, 1), steps=100)


def test_a_generated_image_is_found_again(gan, projector):
    task, params = gan
    keys = jax.vmap(jax.random.key)(np.arange(6, dtype=np.uint32))
    images = np.asarray(task.decode(params, draw_latents(keys, task.latent_shape), task.label(keys)))
    found = projector(images)
    psnr = figures.psnr(images, np.asarray(task.decode(params, found.z, found.label)))
    assert psnr.min() > 35
    assert (found.label == task.label(keys)).all()
    np.testing.assert_allclose(found.z, draw_latents(keys, task.latent_shape), atol=0.3)


def test_an_image_is_projected_alike_in_any_company(gan, projector):
    images = np.random.default_rng(5).uniform(size=(9, *tiny.IMAGE_SHAPE)).astype(np.float32)
    short = dataclasses.replace(projector, steps=10)
    every, alone = short(images), dataclasses.replace(projector, steps=10, batch_size=8)(images[8:])
    np.testing.assert_allclose(alone.z, every.z[8:], atol=2e-3)
    assert (alone.label == every.label[8:]).all()


# -- What the GAN's task adds


def test_mixed_classes_have_mixed_embeddings(gan):
    task, params = gan
    z = jax.random.normal(jax.random.key(1), (2, 8))
    plain = task.decode(params, z, jnp.array([3, 5]))
    np.testing.assert_allclose(task.decode(params, z, jnp.eye(8)[jnp.array([3, 5])]), plain, atol=1e-5)
    mixed = task.decode(params, z, jnp.zeros((2, 8)).at[:, jnp.array([3, 5])].set(0.5))
    table = params["generator"]["params"]["Embed_0"]["embedding"]
    half = table.at[0].set((table[3] + table[5]) / 2)
    changed = {"params": {**params["generator"]["params"], "Embed_0": {"embedding": half}}}
    np.testing.assert_allclose(mixed, task.decode({"generator": changed}, z, jnp.zeros(2, jnp.int32)), atol=1e-5)
    assert float(jnp.abs(mixed - plain).max()) > 1e-3


def test_the_first_map_and_the_first_stage(gan):
    task, _ = gan
    params = jax.jit(task.init)(jax.random.key(0)).params  # blocks are still their skip connections
    z, label = jax.random.normal(jax.random.key(1), (3, 8)), jnp.array([1, 2, 3])
    kernel = first_map(task, params)
    assert kernel.shape == (8, 16)
    basis = params["generator"]["params"]["basis"]
    there, origin = (activations(task, params, Latents(x, label)).reshape(3, 4, 4, 16) for x in (z, 0 * z))
    np.testing.assert_allclose(there - origin, basis * (z @ kernel)[:, None, None], atol=1e-4)


# -- Families


def test_an_autoencoder_measures_its_directions():
    network = spec(Network, **tiny.AUTOENCODER, bottleneck=spec(DiagonalGaussian, size=4))
    task = build(
        spec(Autoencoder, network=network, schedule_images=1),
        "task",
        image_shape=tiny.IMAGE_SHAPE,
        num_classes=0,
        batch_size=8,
    )
    params = jax.jit(task.init)(jax.random.key(0)).ema_params
    space = latent_space.adapters.CodeSpace(task=task, params=params, mesh=devices.mesh(-1, 1), batch_size=8)
    codes = space.encode(RNG.uniform(size=(10, *tiny.IMAGE_SHAPE)).astype(np.float32))
    found = space.directions("closed_form", 9, codes=codes)
    assert found.vectors.shape == (4, 64)  # as many as channels; the same at all 16 positions
    kernel = np.asarray(params["autoencoder"]["params"]["decoder"]["code"]["kernel"]).sum((0, 1))
    cells = found.vectors.reshape(4, 16, 4)
    assert (cells == cells[:, :1]).all()
    aligned(cells[:, 0] * 4, eigenvectors(kernel @ kernel.T)[0])
    np.testing.assert_allclose(found.sigma, (codes.z @ found.vectors.T).std(0), rtol=1e-5)
    np.testing.assert_allclose(space.directions("pca", 3, codes=codes).sigma, directions.principal(codes.z, 3).sigma)
    assert space.directions("pca", 3).vectors.shape == (3, 64)  # of its normal distribution
    with pytest.raises(InputError, match="at least 2 images"):
        space.directions("pca", 3, codes=codes.take(slice(1)))
