"""The digest of weights is what its definition says, and tells every change."""

from __future__ import annotations

import hashlib

import jax.numpy as jnp
import numpy as np
import pytest

from gen.runs import leaves

BIAS, KERNEL = np.arange(3, dtype=np.float32), np.ones((2, 2), np.int8)
TREE = {"generator": {"out": {"kernel": KERNEL, "bias": BIAS}}, "a": {"scale": jnp.bfloat16(1.5)}}


def by_hand(name, dtype, shape, content):
    values = hashlib.blake2b(f"{dtype}{shape}".encode() + content, digest_size=16).hexdigest()
    return f"{name} {dtype}{shape} {values}\n"


def test_it_is_the_sha256_of_the_lines_that_the_docstring_names():
    lines = [
        by_hand("a/scale", "bfloat16", [], b"\xc0\x3f"),
        by_hand("generator/out/bias", "float32", [3], BIAS.tobytes()),
        by_hand("generator/out/kernel", "int8", [2, 2], KERNEL.tobytes()),
    ]
    assert leaves.weights_digest(TREE) == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_the_order_of_a_tree_and_where_its_arrays_are_do_not_matter():
    other = {"a": TREE["a"], "generator": {"out": {"bias": jnp.asarray(BIAS), "kernel": KERNEL.T.T}}}
    assert leaves.weights_digest(other) == leaves.weights_digest(TREE)


@pytest.mark.parametrize(
    "bias", [BIAS[::-1], BIAS.reshape(3, 1), BIAS.astype(np.float16), BIAS.view(np.int32), np.nextafter(BIAS, 9)]
)
def test_another_value_shape_or_type_has_another_digest(bias):
    other = {**TREE, "generator": {"out": {"kernel": KERNEL, "bias": bias}}}
    assert leaves.weights_digest(other) != leaves.weights_digest(TREE)
    renamed = {"generator": {"out": {"kernel": KERNEL, "offset": BIAS}}, "a": TREE["a"]}
    assert leaves.weights_digest(renamed) != leaves.weights_digest(TREE)
