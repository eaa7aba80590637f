"""Layers that the networks share: convolutions that are fast to differentiate twice, and FIR resampling.

Arrays are [b h w c]. A convolution has odd kernels [k k c_in/groups c_out], stride 1 and zero padding ("SAME").
XLA's own grouped convolutions are slow to differentiate and make SPMD gather the batch (openxla/xla#47945): not used.
On a CPU a dense one is fast only with `devices.compiler_options`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Literal, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp

Implementation = Literal["lax", "patches", "shifts"]
M = TypeVar("M", bound=nn.Module)
_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def implementation(groups: int, backend: str | None = None) -> Implementation:
    """Chooses how a k x k convolution is computed on `backend` (None: the default backend).

    "lax": `lax.conv_general_dilated`, for groups=1.
    "patches": k*k shifted copies side by side, then one matrix product per group.
    "shifts": k*k matrix products per group, added up; no copies, for accelerators, where memory runs out first.
    """
    if groups == 1:
        return "lax"
    return "patches" if (backend or jax.default_backend()) == "cpu" else "shifts"


def conv(x: jax.Array, kernel: jax.Array, *, groups: int = 1, how: Implementation | None = None) -> jax.Array:
    """Convolves [b h w c_in] with [k k c_in/groups c_out] to [b h w c_out]; a 1 x 1 kernel becomes one matrix product.

    Output channel o belongs to group o // (c_out / groups), as in `lax.conv_general_dilated`.
    """
    if kernel.shape[0] == kernel.shape[1] == 1 and groups == 1:  # flat: its gradient then needs no transposed copies
        return (x.reshape(-1, x.shape[-1]) @ kernel[0, 0]).reshape(*x.shape[:-1], -1)
    how = how or implementation(groups)
    if how == "lax":
        if groups != 1:
            raise ValueError(f"how='lax' is for groups=1, got groups={groups}; allowed: 'patches', 'shifts'")
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=_DIMENSIONS)
    return _grouped(x, kernel, groups, how)


def _grouped(x: jax.Array, kernel: jax.Array, groups: int, how: Implementation) -> jax.Array:
    """Convolves in groups, with the group as a batch dimension of `dot_general`."""
    b, h, w, _ = x.shape
    size, _, per_group, out = kernel.shape
    pad = size // 2
    x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0))).reshape(b, h + 2 * pad, w + 2 * pad, groups, per_group)
    kernel = kernel.reshape(size, size, per_group, groups, out // groups)
    shifted = [(i, j, x[:, i : i + h, j : j + w]) for i in range(size) for j in range(size)]
    if how == "patches":
        patches = jnp.concatenate([s for _, _, s in shifted], axis=-1)  # [b h w g k*k*c]
        flat = kernel.transpose(3, 0, 1, 2, 4).reshape(groups, size * size * per_group, out // groups)
        return jnp.einsum("bhwgc,gco->bhwgo", patches, flat).reshape(b, h, w, out)
    products = (jnp.einsum("bhwgc,cgo->bhwgo", s, kernel[i, j]) for i, j, s in shifted)
    return functools.reduce(jnp.add, products).reshape(b, h, w, out)


def leaky_relu(x: jax.Array) -> jax.Array:
    """Applies the leaky ReLU of slope 0.2."""
    return jax.nn.leaky_relu(x, 0.2)


LEAKY_RELU_GAIN = math.sqrt(2 / (1 + 0.2**2))  # keeps the variance (He et al. 2015, eq. 15)


def _pad_edges(x: jax.Array, axis: int) -> jax.Array:
    """Repeats the edges along an axis: what jnp.pad does, in operations that also convert to ONNX."""
    first, last = (jax.lax.slice_in_dim(x, i, i + 1, axis=axis) for i in (0, x.shape[axis] - 1))
    return jnp.concatenate([first, x, last], axis=axis)


# With repeated edges the two filters are each other's adjoint up to a factor. Declared, because the transpose that JAX
# derives from the slices is five times slower on a CPU.


@jax.custom_vjp
def upsample(x: jax.Array) -> jax.Array:
    """Upsamples [b h w c] to [b 2h 2w c] by the FIR filter [1 3 3 1]/4 along each axis, edges repeated.

    Each sample becomes two, a quarter of a pixel to either side of it.
    """
    for axis in (1, 2):
        n = x.shape[axis]
        before, middle, after = (jax.lax.slice_in_dim(_pad_edges(x, axis), i, i + n, axis=axis) for i in range(3))
        pair = jnp.stack([0.25 * before + 0.75 * middle, 0.75 * middle + 0.25 * after], axis=axis + 1)
        x = pair.reshape([2 * n if i == axis else size for i, size in enumerate(x.shape)])
    return x


@jax.custom_vjp
def downsample(x: jax.Array) -> jax.Array:
    """Downsamples [b 2h 2w c] to [b h w c] by the FIR filter [1 3 3 1]/8 along each axis, edges repeated."""
    for axis in (1, 2):
        n = x.shape[axis] // 2
        padded = _pad_edges(x, axis)
        pairs = padded.reshape([*padded.shape[:axis], n + 1, 2, *padded.shape[axis + 1 :]])
        even, odd = (jax.lax.index_in_dim(pairs, i, axis=axis + 1, keepdims=False) for i in (0, 1))
        taps = [(even, 0, 1), (odd, 0, 3), (even, 1, 3), (odd, 1, 1)]  # output i sees padded 2i, 2i+1, 2i+2, 2i+3
        parts = (weight * jax.lax.slice_in_dim(a, start, start + n, axis=axis) for a, start, weight in taps)
        x = functools.reduce(jnp.add, parts) / 8
    return x


upsample.defvjp(lambda x: (upsample(x), None), lambda _, y: (4 * downsample(y),))
downsample.defvjp(lambda x: (downsample(x), None), lambda _, y: (upsample(y) / 4,))


def space_to_depth(x: jax.Array, factor: int) -> jax.Array:
    """Rearranges [b h*f w*f c] to [b h w f*f*c]."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h // factor, w // factor, factor * factor * c)


def depth_to_space(x: jax.Array, factor: int) -> jax.Array:
    """Rearranges [b h w f*f*c] to [b h*f w*f c], the inverse of `space_to_depth`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, factor, factor, c // factor**2)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h * factor, w * factor, c // factor**2)


def scaled_normal(gain: float, fan_in: int) -> Callable[..., jax.Array]:
    """Makes the initializer N(0, (gain / sqrt(fan_in))^2); a gain of 0 gives zeros."""
    return nn.initializers.normal(gain / math.sqrt(fan_in)) if gain else nn.initializers.zeros


def rematerialized(block: type[M], on: bool) -> type[M]:
    """Makes a block forget what it computed, and compute it again for its gradient: less memory, more time.

    The values stay the same, and so do the names of parameters, which go by that of the class.
    """
    if not on:
        return block
    made: type[M] = nn.remat(block)
    made.__name__ = block.__name__
    return made


class Conv(nn.Module):
    """Convolution without bias, computed in the dtype of its input: [b h w c_in] to [b h w features]."""

    features: int
    size: int = 1
    groups: int = 1
    gain: float = 1.0

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        fan_in = x.shape[-1] // self.groups
        init = scaled_normal(self.gain, fan_in * self.size**2)
        kernel = self.param("kernel", init, (self.size, self.size, fan_in, self.features), jnp.float32)
        return conv(x, kernel.astype(x.dtype), groups=self.groups)


class Linear(nn.Module):
    """Matrix product with optional bias, computed in the dtype of its input: [... c] to [... features]."""

    features: int
    gain: float = 1.0
    use_bias: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        c = x.shape[-1]
        kernel = self.param("kernel", scaled_normal(self.gain, c), (c, self.features), jnp.float32)
        y = (x.reshape(-1, c) @ kernel.astype(x.dtype)).reshape(*x.shape[:-1], self.features)
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
            y += self.spread(bias.astype(x.dtype), y.shape)
        return y

    def spread(self, bias: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Returns a bias that can be broadcast to this shape."""
        return bias


class BiasLeakyReLU(nn.Module):
    """Adds a learned bias per channel and applies the leaky ReLU of slope 0.2."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],), jnp.float32)
        return leaky_relu(x + bias.astype(x.dtype))
