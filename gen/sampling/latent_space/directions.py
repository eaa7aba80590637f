"""Paths through a latent space: from one image to another, and along directions that change something.

Latents are [n d]; directions are rows [k d] of length one, the one that changes most first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gen.sampling.by_seed import slerp
from gen.sampling.latent_space.codes import Latents


class Directions(NamedTuple):
    """Where to move, and how far images differ along it."""

    vectors: np.ndarray  # float32 [k d], of length one
    sigma: np.ndarray  # float32 [k]: the standard deviation of latents along each


def moved(codes: Latents, directions: Directions, index: int, strength: float) -> Latents:
    """Moves latents along a direction by `strength` standard deviations."""
    step = strength * directions.sigma[index] * directions.vectors[index]
    return codes._replace(z=(codes.z + step).astype(np.float32))


def interpolation(codes: Latents, frames: int, *, spherical: bool, classes: int = 0) -> Latents:
    """Interpolates from each image to the next, `frames` latents for each pair, and the last image.

    spherical: along great arcs (gen.sampling.by_seed.slerp), else along straight lines. The class turns gradually from
    one into the other; classes: how many there are.
    """
    at = np.arange((len(codes.z) - 1) * frames + 1) / frames
    before = np.minimum(at.astype(int), len(codes.z) - 2)
    share = (at - before)[:, None]
    if spherical:
        z = np.stack([slerp(codes.z[i], codes.z[i + 1], float(t)) for i, t in zip(before, share[:, 0], strict=True)])
    else:
        z = (1 - share) * codes.z[before] + share * codes.z[before + 1]
    label = codes.label
    if label is not None:
        shares = np.eye(classes)[label] if label.ndim == 1 else label
        label = ((1 - share) * shares[before] + share * shares[before + 1]).astype(np.float32)
    return Latents(z.astype(np.float32), label)


def closed_form(kernel: np.ndarray, count: int) -> np.ndarray:
    """Finds the directions [count d] of latents that a linear map [d m] responds to most, where there are so many.

    SeFa, Shen and Zhou 2021, equation 4.
    """
    vectors, _, _ = np.linalg.svd(np.asarray(kernel, np.float64), full_matrices=False)
    return _first(vectors.T, count)


def principal(points: np.ndarray, count: int) -> Directions:
    """Finds the principal components of points [n d], at most n - 1."""
    points = np.asarray(points, np.float64)
    _, lengths, vectors = np.linalg.svd(points - points.mean(0), full_matrices=False)
    count = min(count, len(points) - 1, len(vectors))
    return Directions(_first(vectors, count), (lengths[:count] / np.sqrt(len(points) - 1)).astype(np.float32))


def principal_by_answer(latents: np.ndarray, answers: np.ndarray, count: int) -> np.ndarray:
    """Finds directions [count d] of latents [n d] along which the principal components of answers [n m] grow (GANSpace,
    Härkönen et al. 2020, section 3.2: regression of the latents on the components); at most d."""
    answers = np.asarray(answers, np.float64)
    answers = answers - answers.mean(0)
    # Of n points in many more dimensions: the components' coordinates are the eigenvectors of their products.
    _, coordinates = np.linalg.eigh(answers @ answers.T)
    count = min(count, len(answers) - 1, latents.shape[1])
    vectors = coordinates[:, ::-1][:, :count].T @ (latents - latents.mean(0))
    return _first(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), count)


def _first(vectors: np.ndarray, count: int) -> np.ndarray:
    """Takes the first `count` rows, float32, turned so that the largest number of each is positive."""
    vectors = vectors[:count]
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, None], 1)
    return (vectors * np.sign(largest)).astype(np.float32)
