"""Bottlenecks of autoencoders: what lies between encoder and decoder, as small parts that can be exchanged.

Each takes the encoder's features [b h w inputs] and gives a Code. `inputs` and `channels` say how many channels it
takes from the encoder and gives to the decoder; `vocabulary` how many tokens there are, 0 for continuous codes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen.errors import InputError
from gen.models.bounds import WIDTH, check_bounds

_CODES = 2**20  # at most


class Code(NamedTuple):
    """An encoded batch."""

    z: jax.Array  # [b h w channels], for the decoder; gradients reach the encoder through it
    tokens: jax.Array | None  # int32 [b h w] in 0..vocabulary-1; None where codes are continuous
    penalty: jax.Array  # [b], to be added to the loss, weighted
    statistics: dict[str, jax.Array]  # scalars to log
    features: jax.Array  # [b h w inputs], what the codebook learns from


class Bottleneck(nn.Module):
    """The interface of all bottlenecks."""

    @property
    def inputs(self) -> int:
        return self.channels

    @property
    def channels(self) -> int:
        raise NotImplementedError

    @property
    def vocabulary(self) -> int:
        return 0

    @property
    def latents_are_normal(self) -> bool:
        """Whether the decoder is made for latents drawn from the standard normal distribution."""
        return False

    def check(self, place: str) -> None:
        """Raises InputError for fields that do not make sense. place: the field to blame."""

    def lookup(self, tokens: jax.Array) -> jax.Array:
        """Looks up the code [b h w channels] of tokens int32 [b h w]. Raises InputError where codes are continuous."""
        raise InputError(f"{type(self).__name__} codes are continuous: they have no tokens")

    def update(self, key: jax.Array, params: Mapping[str, Any], code: Code) -> Mapping[str, Any]:
        """Updates, after a step, the parameters that are not learned by gradients."""
        return params


class Identity(Bottleneck):
    """No constraint but the number of channels."""

    size: int = 4  # channels

    channels = property(lambda self: self.size)

    def check(self, place: str) -> None:
        check_bounds(self, place, size=WIDTH)

    @nn.compact
    def __call__(self, features: jax.Array, *, key: jax.Array | None = None) -> Code:
        statistics = {"latent_rms": jnp.sqrt(jnp.square(features).mean())}
        return Code(features, None, jnp.zeros(features.shape[:1]), statistics, features)


class DiagonalGaussian(Bottleneck):
    """A normal distribution for each number, held near the standard normal (Kingma and Welling 2014, appendix B).

    The penalty is `beta` times the divergence in nats per latent number (Higgins et al. 2017). Without a key the code
    is the mean. The rate is what the code would cost to send, in bits per image.
    """

    size: int = 4  # channels
    beta: float = 1e-3

    inputs = property(lambda self: 2 * self.size)
    channels = property(lambda self: self.size)
    latents_are_normal = property(lambda self: True)

    def check(self, place: str) -> None:
        check_bounds(self, place, size=WIDTH)

    @nn.compact
    def __call__(self, features: jax.Array, *, key: jax.Array | None = None) -> Code:
        mean, log_variance = jnp.split(features, 2, axis=-1)
        log_variance = jnp.clip(log_variance, -20.0, 10.0)
        z = mean
        if key is not None:
            z = mean + jnp.exp(log_variance / 2) * jax.random.normal(key, mean.shape, mean.dtype)
        divergence = (jnp.square(mean) + jnp.exp(log_variance) - 1 - log_variance) / 2
        active = (divergence.mean((0, 1, 2)) > 0.01).mean()
        rate = divergence.sum((1, 2, 3)).mean() / math.log(2)
        return Code(
            z, None, self.beta * divergence.mean((1, 2, 3)), {"rate_bits": rate, "channels_used": active}, features
        )


class FSQ(Bottleneck):
    """Each channel is rounded to a few levels (FSQ, Mentzer et al. 2023): no codebook, so nothing can collapse."""

    levels: tuple[int, ...] = (8, 5, 5, 5)  # of each channel

    channels = property(lambda self: len(self.levels))
    vocabulary = property(lambda self: math.prod(self.levels))

    def check(self, place: str) -> None:
        check_bounds(self, place, levels=(2, _CODES))
        if self.vocabulary > _CODES:
            raise InputError(f"{place}.levels={self.levels} cannot be used; allowed: at most {_CODES:,} codes in all")

    @nn.compact
    def __call__(self, features: jax.Array, *, key: jax.Array | None = None) -> Code:
        levels = jnp.asarray(self.levels, features.dtype)
        # Section 3: bounded so that rounding gives exactly L values, with a shift by half where L is even.
        half = (levels - 1) * (1 + 1e-3) / 2
        offset = jnp.where(levels % 2 == 1, 0.0, 0.5)
        bounded = jnp.tanh(features + jnp.arctanh(offset / half)) * half - offset
        rounded = bounded + jax.lax.stop_gradient(jnp.round(bounded) - bounded)
        middle = levels // 2
        digits = jnp.round(jax.lax.stop_gradient(rounded)).astype(jnp.int32) + middle.astype(jnp.int32)
        tokens = (digits * jnp.asarray(self._bases)).sum(-1)
        return Code(rounded / middle, tokens, jnp.zeros(features.shape[:1]), _used(tokens, self.vocabulary), features)

    def lookup(self, tokens: jax.Array) -> jax.Array:
        levels = jnp.asarray(self.levels)
        digits = tokens[..., None] // jnp.asarray(self._bases) % levels
        return (digits - levels // 2).astype(jnp.float32) / (levels // 2)

    @property
    def _bases(self) -> tuple[int, ...]:
        return tuple(math.prod(self.levels[:i]) for i in range(len(self.levels)))


class LFQ(Bottleneck):
    """The sign of each channel (LFQ, Yu et al. 2024, section 3.1): `bits` channels make 2^bits tokens.

    The penalty pulls features to +-1, and rewards codes that are certain for each position and varied over the batch
    (equation 6, the entropy of the batch taken bit by bit).
    """

    bits: int = 10
    commitment: float = 0.25
    entropy: float = 0.1
    temperature: float = 1.0

    channels = property(lambda self: self.bits)
    vocabulary = property(lambda self: 2**self.bits)

    def check(self, place: str) -> None:
        check_bounds(self, place, bits=(1, 20))

    @nn.compact
    def __call__(self, features: jax.Array, *, key: jax.Array | None = None) -> Code:
        sign = jnp.where(features > 0, 1.0, -1.0).astype(features.dtype)
        z = features + jax.lax.stop_gradient(sign - features)
        tokens = ((features > 0) * 2 ** jnp.arange(self.bits)).sum(-1).astype(jnp.int32)
        logits = 4 * features / self.temperature  # soft assignment by the distances to +1 and -1
        certain = _binary_entropy(logits).mean((1, 2, 3))
        share = jnp.clip(jax.nn.sigmoid(logits).mean((0, 1, 2)), 1e-6, 1 - 1e-6)
        varied = _binary_entropy(jax.scipy.special.logit(share)).mean()
        pull = jnp.square(features - jax.lax.stop_gradient(sign)).mean((1, 2, 3))
        penalty = self.commitment * pull + self.entropy * (certain - varied)
        return Code(z, tokens, penalty, _used(tokens, self.vocabulary), features)

    def lookup(self, tokens: jax.Array) -> jax.Array:
        return ((tokens[..., None] >> jnp.arange(self.bits)) & 1).astype(jnp.float32) * 2 - 1


class VectorQuantizer(Bottleneck):
    """The nearest of learned vectors (VQ-VAE, van den Oord et al. 2017), all of length one (Yu et al. 2022, 3.2).

    The codebook is the running mean of what it was chosen for (appendix A.1). A code that is chosen less than
    `revive_below` times a step becomes a feature of the batch.
    """

    codes: int = 512
    size: int = 8  # channels
    commitment: float = 0.25
    decay: float = 0.99  # of the running mean, per step
    revive_below: float = 0.1  # expected choices per step; 0: never

    channels = property(lambda self: self.size)
    vocabulary = property(lambda self: self.codes)

    def check(self, place: str) -> None:
        check_bounds(self, place, size=WIDTH, codes=(2, _CODES), decay=(0.0, 1.0))
        if self.decay == 1:
            raise InputError(f"{place}.decay={self.decay} cannot be used; allowed: 0 up to, not including, 1")

    def setup(self) -> None:
        self.sums = self.param("sums", lambda key: _unit(jax.random.normal(key, (self.codes, self.size))))
        self.counts = self.param("counts", lambda key: jnp.ones((self.codes,)))

    def __call__(self, features: jax.Array, *, key: jax.Array | None = None) -> Code:
        unit = _unit(features)
        codebook = jax.lax.stop_gradient(_unit(self.sums))
        tokens = jnp.argmax(jax.lax.stop_gradient(unit) @ codebook.T.astype(unit.dtype), axis=-1)
        chosen = codebook[tokens]
        penalty = self.commitment * jnp.square(unit - chosen).sum(-1).mean((1, 2))
        z = unit + jax.lax.stop_gradient(chosen - unit)
        return Code(z, tokens.astype(jnp.int32), penalty, _used(tokens, self.codes), jax.lax.stop_gradient(unit))

    def lookup(self, tokens: jax.Array) -> jax.Array:
        return _unit(self.sums)[tokens]

    def update(self, key: jax.Array, params: Mapping[str, Any], code: Code) -> Mapping[str, Any]:
        features, tokens = code.features.reshape(-1, self.size).astype(jnp.float32), code.tokens.reshape(-1)  # type: ignore[union-attr]
        counts = jnp.zeros(self.codes).at[tokens].add(1.0)
        sums = jnp.zeros((self.codes, self.size)).at[tokens].add(features)
        counts = self.decay * params["counts"] + (1 - self.decay) * counts
        sums = self.decay * params["sums"] + (1 - self.decay) * sums
        born = features[jax.random.randint(key, (self.codes,), 0, len(features))]
        dead = counts < self.revive_below
        return {"sums": jnp.where(dead[:, None], born, sums), "counts": jnp.where(dead, 1.0, counts)}


def _unit(x: jax.Array) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.square(x).sum(-1, keepdims=True) + 1e-12)


def _binary_entropy(logits: jax.Array) -> jax.Array:
    """Computes the entropy in nats, with a finite gradient where the outcome is certain."""
    return jax.nn.softplus(logits) - logits * jax.nn.sigmoid(logits)


def _used(tokens: jax.Array, vocabulary: int) -> dict[str, jax.Array]:
    """Computes the share of codes that a batch uses, and the perplexity exp(entropy) of their frequencies."""
    counts = jnp.zeros(vocabulary).at[tokens.reshape(-1)].add(1.0)
    share = counts / tokens.size
    return {
        "usage": (counts > 0).mean(),
        "perplexity": jnp.exp(-jax.scipy.special.xlogy(share, share).sum()),
    }
