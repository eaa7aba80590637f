"""Layers that the networks share: convolutions that are fast to differentiate twice, and FIR resampling.

Arrays are [b h w c]. A convolution has odd kernels [k k c_in/groups c_out], stride 1 and zero padding ("SAME").

A convolution is one trilinear form  T(x, w, y) = sum_{b,p,k} x[b, p+k] w[k] y[b, p]:  its output and the gradients of
its input and of its kernel are T's three partial derivatives, and derivatives of any order are again one of these
three. `conv` therefore declares functions that are each other's gradients, and each may use the formulation that is
fastest for it on the backend at hand. XLA:CPU by itself derives a kernel gradient that is up to 3 times slower than
the one here, and XLA's grouped convolutions are slow to differentiate and make SPMD gather the batch
(openxla/xla#47945): not used here.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

Formulation = Literal["lax", "rows", "patches", "shifts"]
_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def formulation(groups: int, backend: str | None = None) -> Formulation:
    """How a k x k convolution is computed on `backend` (None: the default backend). The one place that chooses.

    "lax": `lax.conv_general_dilated` and the kernel gradient that XLA derives from it.
    "rows": the same, but the kernel gradient is k matrix products; what is fast on a CPU.
    "patches": k*k shifted copies side by side, then one matrix product per group.
    "shifts": k*k matrix products per group, added up; no copies, for accelerators, where memory runs out first.
    """
    cpu = (backend or jax.default_backend()) == "cpu"
    if groups == 1:
        return "rows" if cpu else "lax"
    return "patches" if cpu else "shifts"


def conv(x: jax.Array, kernel: jax.Array, *, groups: int = 1, how: Formulation | None = None) -> jax.Array:
    """Convolves [b h w c_in] with [k k c_in/groups c_out] to [b h w c_out]; a 1 x 1 kernel becomes one `dot_general`.

    Output channel o belongs to group o // (c_out / groups), as in `lax.conv_general_dilated`.
    """
    if kernel.shape[0] == kernel.shape[1] == 1 and groups == 1:
        return jax.lax.dot_general(x, kernel[0, 0], (((3,), (0,)), ((), ())))
    how = how or formulation(groups)
    if how in ("lax", "rows"):
        if groups != 1:
            raise ValueError(f"how={how!r} is for groups=1, got groups={groups}; allowed: 'patches', 'shifts'")
        return _dense(x, kernel) if how == "rows" else _output(x, kernel)
    return _grouped(x, kernel, groups, how)


def _output(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=_DIMENSIONS)


def _transposed(kernel: jax.Array) -> jax.Array:
    """The kernel of the adjoint: T(x, w, y) = T'(y, transposed(w), x)."""
    return kernel[::-1, ::-1].swapaxes(2, 3)


def _kernel_gradient_rows(x: jax.Array, y: jax.Array, size: int) -> jax.Array:
    """sum_{b,p} x[b, p+k] y[b, p] as [k k c_in c_out]: columns of the window side by side, then one product per row."""
    b, h, w, c = x.shape
    pad = size // 2
    x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    columns = jnp.concatenate([x[:, :, j : j + w] for j in range(size)], axis=-1)  # [b h+2p w k*c]
    y = y.reshape(b * h * w, -1)
    rows = [
        jax.lax.dot_general(columns[:, i : i + h].reshape(b * h * w, -1), y, (((0,), (0,)), ((), ())))
        for i in range(size)
    ]
    return jnp.stack(rows).reshape(size, size, c, y.shape[-1])


@jax.custom_vjp
def _dense(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return _output(x, kernel)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _kernel_gradient(x: jax.Array, y: jax.Array, size: int) -> jax.Array:
    return _kernel_gradient_rows(x, y, size)


_dense.defvjp(
    lambda x, kernel: (_dense(x, kernel), (x, kernel)),
    lambda saved, y: (_dense(y, _transposed(saved[1])), _kernel_gradient(saved[0], y, saved[1].shape[0])),
)
_kernel_gradient.defvjp(
    lambda x, y, size: (_kernel_gradient(x, y, size), (x, y)),
    lambda size, saved, kernel: (_dense(saved[1], _transposed(kernel)), _dense(saved[0], kernel)),
)


def _grouped(x: jax.Array, kernel: jax.Array, groups: int, how: Formulation) -> jax.Array:
    """Grouped convolution with the group as a batch dimension of `dot_general`."""
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
    """Leaky ReLU of slope 0.2."""
    return jax.nn.leaky_relu(x, 0.2)


LEAKY_RELU_GAIN = math.sqrt(2 / (1 + 0.2**2))  # keeps the variance (He et al. 2015, eq. 15)


def _pad_edges(x: jax.Array, axis: int) -> jax.Array:
    return jnp.pad(x, [(1, 1) if i == axis else (0, 0) for i in range(x.ndim)], mode="edge")


def upsample(x: jax.Array) -> jax.Array:
    """[b h w c] to [b 2h 2w c] by the FIR filter [1 3 3 1]/4 along each axis, edges repeated.

    Each sample becomes two, a quarter of a pixel to either side of it.
    """
    for axis in (1, 2):
        n = x.shape[axis]
        before, middle, after = (jax.lax.slice_in_dim(_pad_edges(x, axis), i, i + n, axis=axis) for i in range(3))
        pair = jnp.stack([0.25 * before + 0.75 * middle, 0.75 * middle + 0.25 * after], axis=axis + 1)
        x = pair.reshape([2 * n if i == axis else size for i, size in enumerate(x.shape)])
    return x


def downsample(x: jax.Array) -> jax.Array:
    """[b 2h 2w c] to [b h w c] by the antialiasing FIR filter [1 3 3 1]/8 along each axis, edges repeated."""
    for axis in (1, 2):
        n = x.shape[axis] // 2
        padded = _pad_edges(x, axis)
        pairs = padded.reshape([*padded.shape[:axis], n + 1, 2, *padded.shape[axis + 1 :]])
        even, odd = (jax.lax.index_in_dim(pairs, i, axis=axis + 1, keepdims=False) for i in (0, 1))
        taps = [(even, 0, 1), (odd, 0, 3), (even, 1, 3), (odd, 1, 1)]  # output i sees padded 2i, 2i+1, 2i+2, 2i+3
        parts = (weight * jax.lax.slice_in_dim(a, start, start + n, axis=axis) for a, start, weight in taps)
        x = functools.reduce(jnp.add, parts) / 8
    return x


def space_to_depth(x: jax.Array, factor: int) -> jax.Array:
    """[b h*f w*f c] to [b h w f*f*c]."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h // factor, w // factor, factor * factor * c)


def depth_to_space(x: jax.Array, factor: int) -> jax.Array:
    """[b h w f*f*c] to [b h*f w*f c], the inverse of `space_to_depth`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, factor, factor, c // factor**2)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h * factor, w * factor, c // factor**2)


def scaled_normal(gain: float, fan_in: int) -> Callable[..., jax.Array]:
    """Initialiser N(0, (gain / sqrt(fan_in))^2); a gain of 0 gives zeros."""
    return nn.initializers.normal(gain / math.sqrt(fan_in)) if gain else nn.initializers.zeros


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
    """Matrix product with optional bias: [b c] to [b features]."""

    features: int
    gain: float = 1.0
    use_bias: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", scaled_normal(self.gain, x.shape[-1]), (x.shape[-1], self.features), jnp.float32)
        x = x @ kernel.astype(x.dtype)
        return (
            x + self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32).astype(x.dtype)
            if self.use_bias
            else x
        )


class BiasLeakyReLU(nn.Module):
    """Adds a learned bias per channel and applies the leaky ReLU of slope 0.2."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],), jnp.float32)
        return leaky_relu(x + bias.astype(x.dtype))
