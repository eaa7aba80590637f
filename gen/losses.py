"""Adversarial losses and discriminator penalties.

Losses take logits [b], one per image, higher meaning more real, and return one float32 per image [b]: the caller takes
the mean, and weighs and adds the terms. Shapes that would broadcast are refused. `critic` is a function from images
[b ...] to logits [b]; it holds whatever lies between the two, augmentation included, so that a penalty measures the
gradient at the images as they were given. It must judge each image by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

STEP = 0.01  # of finite differences, images being in [-1, 1] (Lin et al. 2025)

Critic = Callable[[jax.Array], jax.Array]
PairLoss = Callable[[jax.Array, jax.Array], jax.Array]


Adversarial = Literal["relativistic", "non_saturating", "hinge", "least_squares"]


class AdversarialLoss(NamedTuple):
    """The losses of both players: (real_logits [b], fake_logits [b]) -> loss [b]. A ValueError names unequal shapes."""

    discriminator: PairLoss
    generator: PairLoss


def _checked(loss: PairLoss) -> PairLoss:
    """Makes `loss` check its inputs: equal shapes [b], float32 inside."""

    def checked(real_logits: jax.Array, fake_logits: jax.Array) -> jax.Array:
        return loss(*_vectors(real_logits=real_logits, fake_logits=fake_logits))

    return checked


def _vectors(**arrays: jax.Array) -> list[jax.Array]:
    shapes = {name: jnp.shape(array) for name, array in arrays.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        given = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise ValueError(f"one logit per image, shape [b] alike, is wanted for {' and '.join(shapes)}; got {given}")
    return [jnp.asarray(array, jnp.promote_types(jnp.result_type(array), jnp.float32)) for array in arrays.values()]


def _adversarial(discriminator: PairLoss, generator: PairLoss) -> AdversarialLoss:
    return AdversarialLoss(_checked(discriminator), _checked(generator))


# softplus(-x) is -log(sigmoid(x)), written so that neither it nor its derivatives overflow.
ADVERSARIAL: dict[Adversarial, AdversarialLoss] = {
    # Each real image is paired with one generated one (Jolicoeur-Martineau 2018; Huang et al. 2024, RpGAN).
    "relativistic": _adversarial(
        lambda real, fake: jax.nn.softplus(-(real - fake)),
        lambda real, fake: jax.nn.softplus(-(fake - real)),
    ),
    # Goodfellow et al. 2014, section 3: the generator maximizes log D instead of minimizing log(1 - D).
    "non_saturating": _adversarial(
        lambda real, fake: jax.nn.softplus(-real) + jax.nn.softplus(fake),
        lambda real, fake: jax.nn.softplus(-fake),
    ),
    # Lim and Ye 2017; Miyato et al. 2018, equations 16 and 17.
    "hinge": _adversarial(
        lambda real, fake: jax.nn.relu(1 - real) + jax.nn.relu(1 + fake),
        lambda real, fake: -fake,
    ),
    # Mao et al. 2017, equation 9: labels 0 and 1.
    "least_squares": _adversarial(
        lambda real, fake: (jnp.square(real - 1) + jnp.square(fake)) / 2,
        lambda real, fake: jnp.square(fake - 1) / 2,
    ),
}


def squared_gradient_norm(critic: Critic, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Computes logits [b] and the squared norm [b] of each logit's gradient at its image, by one forward pass.

    On real images this is R1, on generated ones R2 (Mescheder et al. 2018, equation 9; usually weighted by gamma / 2).
    Use the logits in the loss too: the forward pass is then paid once.
    """
    logits, pullback = jax.vjp(critic, images)
    if logits.shape != images.shape[:1]:
        raise ValueError(f"critic must give one logit per image, shape {[len(images)]}; got {list(logits.shape)}")
    (gradient,) = pullback(jnp.ones_like(logits))
    gradient = gradient.astype(jnp.promote_types(gradient.dtype, jnp.float32))
    return logits, jnp.sum(jnp.square(gradient), axis=tuple(range(1, images.ndim)))


def finite_difference_norm(
    key: jax.Array, critic: Critic, images: jax.Array, *, step: float = STEP
) -> tuple[jax.Array, jax.Array]:
    """Computes logits [b] and estimates what `squared_gradient_norm` computes, by two passes and no second derivative.

    (D(x + step n) - D(x))^2 / step^2 for Gaussian n, drawn from `key` for each image: its mean over n is the squared
    norm up to O(step^2), its variance twice the squared norm's square (Lin et al. 2025, Adversarial Flow Models). The
    critic must compute in float32: in bfloat16 the difference drowns in rounding.
    """
    logits = critic(images)
    if logits.shape != images.shape[:1]:
        raise ValueError(f"critic must give one logit per image, shape {[len(images)]}; got {list(logits.shape)}")
    moved = critic(images + step * jax.random.normal(key, images.shape, images.dtype))
    return logits, jnp.square((moved - logits).astype(jnp.promote_types(logits.dtype, jnp.float32)) / step)


def lecam(
    real_logits: jax.Array, fake_logits: jax.Array, real_average: jax.Array | float, fake_average: jax.Array | float
) -> jax.Array:
    """Computes [b]: squared distances of each side's logits from the running average, a scalar, of the other's.

    The regularizer R_LC of Tseng et al. 2021: it keeps the two sides from drifting apart when data are few.
    """
    real, fake = _vectors(real_logits=real_logits, fake_logits=fake_logits)
    for name, average in (("real_average", real_average), ("fake_average", fake_average)):
        if jnp.shape(average) != ():
            raise ValueError(f"{name} must be a scalar; got shape {list(jnp.shape(average))}")
    return jnp.square(real - fake_average) + jnp.square(fake - real_average)


def contrastive(a: jax.Array, b: jax.Array, *, temperature: float) -> jax.Array:
    """Computes NT-Xent (Chen et al. 2020, equation 1): the mean over 2 n views of -log p(its partner | all others).

    a, b: [n d], two views of each of n images; compared by their cosines. temperature: of the softmax, above 0.
    """
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(f"views must be [n d] twice; got {list(a.shape)} and {list(b.shape)}")
    views = jnp.concatenate([a, b]).astype(jnp.float32)
    views = views * jax.lax.rsqrt(jnp.maximum(jnp.square(views).sum(axis=1, keepdims=True), 1e-24))
    count = len(views)
    logits = jnp.where(jnp.eye(count, dtype=bool), -jnp.inf, views @ views.T / temperature)
    partner = (jnp.arange(count) + count // 2) % count
    return (jax.nn.logsumexp(logits, axis=1) - logits[jnp.arange(count), partner]).mean()


def image_text_contrastive(images: jax.Array, texts: jax.Array, scale: jax.Array, *, same: jax.Array) -> jax.Array:
    """Computes the symmetric cross-entropy of CLIP (Radford et al. 2021, figure 3): -log p(its partner | all others).

    images, texts: [n d], unit vectors of n pairs. scale: of their products, a scalar. same: bool [n n], pairs whose
    texts are equal, which are not told apart.
    """
    if images.ndim != 2 or images.shape != texts.shape:
        raise ValueError(f"images and texts must be [n d]; got {list(images.shape)} and {list(texts.shape)}")
    pairs = jnp.eye(len(images), dtype=bool)
    logits = jnp.where(same & ~pairs, -jnp.inf, scale * images.astype(jnp.float32) @ texts.astype(jnp.float32).T)
    right = jnp.diagonal(logits)
    return (jax.nn.logsumexp(logits, axis=0) + jax.nn.logsumexp(logits, axis=1) - 2 * right).mean() / 2
