"""Muon: gradients of matrices are orthogonalized before each step, so that every direction of them moves equally far.

Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks". optax.contrib.muon does the same in
five steps; here three, of products with the smaller side of a matrix alone, take less time on a CPU
(benchmarks/optimizers.py).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from gen.tasks.state import Tree

_MOMENTUM = 0.9
_ADAM = 3.0  # times the learning rate of Muon is that of Adam
_SMALLEST = 16  # rows and columns of a matrix that is orthogonalized
# The first steps of the polynomials a x + b x^3 + c x^5 that bring singular values of at least 0.001 nearest to 1
# (Amsel et al. 2025, "The Polar Express").
_POLYNOMIALS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
)


def muon(learning_rate: optax.Schedule) -> optax.GradientTransformation:
    """Makes the optimizer of a network: Muon for the kernels of its layers, and for everything else Adam, with three
    times the learning rate.

    A step of Muon has about the root mean square `learning_rate`, whatever the gradient. Kernels [... columns] with
    fewer than 16 rows (all axes but the last) or columns, such as that which makes an image, have Adam.
    """
    matrices = optax.chain(
        optax.trace(_MOMENTUM, nesterov=True),
        optax.stateless_with_tree_map(lambda step, _: orthogonalize(step)),
        optax.scale_by_learning_rate(learning_rate),
    )
    adam = optax.adam(lambda step: _ADAM * learning_rate(step), b1=0.9, b2=0.99)
    return optax.multi_transform({"muon": matrices, "adam": adam}, kinds)


def orthogonalize(x: jax.Array) -> jax.Array:
    """Brings the singular values of x [... columns], as a matrix of that many columns, near to each other, and the root
    mean square of its elements to about 1 (0.7 to 1.6). Zeros stay zeros."""
    matrix = x.reshape(-1, x.shape[-1]).astype(jnp.float32)
    tall = matrix.shape[0] > matrix.shape[1]
    wide = matrix.T if tall else matrix
    wide /= jnp.linalg.norm(wide) * 1.01 + 1e-20
    gram, product = wide @ wide.T, None  # the polynomials of `wide` are those of `gram`, times `wide`
    for a, b, c in _POLYNOMIALS:
        factor = a * jnp.eye(len(gram)) + b * gram + c * (gram @ gram)
        product = factor if product is None else factor @ product
        gram = factor @ (gram @ factor)
    wide = product @ wide * max(matrix.shape) ** 0.5
    return (wide.T if tall else wide).reshape(x.shape).astype(x.dtype)


def kinds(params: Tree) -> Tree:
    """Says of each parameter whether it has "muon" or "adam"."""

    def kind(path: tuple[object, ...], leaf: jax.Array) -> str:
        is_kernel = isinstance(path[-1], jax.tree_util.DictKey) and path[-1].key == "kernel"
        columns = leaf.shape[-1] if leaf.ndim else 1
        return "muon" if is_kernel and min(leaf.size // columns, columns) >= _SMALLEST else "adam"

    return jax.tree_util.tree_map_with_path(kind, params)
