"""Exported weights: the same leaves and digest as in the run, and one line for a file that is damaged or hostile."""

from __future__ import annotations

import json
import re
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from gen.errors import InputError
from gen.runs import exported, leaves

CONFIG = "c" * 64
TREE = {
    "generator": {"params": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "scale": np.float32(0.5)}},
    "tokens": {"book": np.arange(4, dtype=np.int32), "half": np.ones(3, jnp.bfloat16)},
}
NAME = "generator/params/kernel"


def packed(tree=TREE, **about) -> bytes:
    return exported.pack(tree, **{"step": 12, "run": "шапка | run", "config_digest": CONFIG} | about)


def abstract(tree=TREE):
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(np.shape(leaf), leaf.dtype), tree)


def read(tmp_path, content: bytes, like=TREE):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    return exported.read(path, abstract(like), config_digest=CONFIG)


def with_header(content: bytes, change) -> bytes:
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def test_weights_come_back_with_step_and_run(tmp_path):
    found = read(tmp_path, packed())
    assert (found.step, found.run) == (12, "шапка | run")
    for mine, theirs in zip(jax.tree.leaves(TREE), jax.tree.leaves(found.tree), strict=True):
        assert (mine.dtype, np.shape(mine)) == (theirs.dtype, theirs.shape)
        assert (np.asarray(mine) == np.asarray(theirs)).all()
    assert leaves.weights_digest(found.tree) == leaves.weights_digest(TREE)


def test_other_libraries_read_the_file_by_the_names_of_its_leaves(tmp_path):
    plain = {"a": {"b": np.arange(3, dtype=np.float32)}, "c": np.zeros((), np.float32)}
    found = safetensors.numpy.load(packed(plain))
    assert {name: array.shape for name, array in found.items()} == {"a/b": (3,), "c": ()}


def test_every_cut_and_every_kind_of_flip_is_one_line(tmp_path):
    content = packed()
    cuts = [content[:n] for n in (0, 1, 7, 8, 9, 60, len(content) - 1)]
    flips = [content[:n] + bytes([content[n] ^ 1]) + content[n + 1 :] for n in range(0, len(content), 3)]
    refused = 0
    for damaged in [*cuts, *flips, content + b"x", b"\xff" * 8 + content, b"PK\x03\x04" + content]:
        found, said = None, ""
        try:
            found = read(tmp_path, damaged)
        except InputError as error:
            said = str(error)
        if found:  # a flip in what is told alone: the version, or a letter of the run's name
            assert leaves.weights_digest(found.tree) == leaves.weights_digest(TREE)
        else:
            assert re.fullmatch(rf"{tmp_path}/model.safetensors: [^\n]+", said)
            refused += 1
    assert refused > 100


def test_equal_weights_are_equal_files():
    assert len({packed() for _ in range(8)}) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda h: h["__metadata__"].update(format="pt"), "not those of a model that gen exported"),
        (lambda h: h.pop("__metadata__"), "not those of a model that gen exported"),
        (lambda h: h["__metadata__"].update(step="-1"), "its step is '-1'"),
        (lambda h: h["__metadata__"].update(step="9" * 40), "its step is"),
        (lambda h: h["__metadata__"].update(run="a\nb"), "its run is"),
        (lambda h: h["__metadata__"].pop("weights_digest"), "its weights_digest is None"),
        (lambda h: h["__metadata__"].update(weights_digest="0" * 64), "changed after they were exported"),
        (lambda h: h["__metadata__"].update(config_digest="d" * 64), "another config.json"),
        (lambda h: h.update({"x" * 5000: h.pop(NAME)}), f"{NAME} is absent there"),
        (lambda h: h[NAME].update(shape=[3, 2]), f"{NAME} is float32[3, 2] there, but float32[2, 3]"),
        (lambda h: h[NAME].update(dtype="I32"), f"{NAME} is int32[2, 3] there, but float32[2, 3]"),
        (lambda h: h[NAME].update(dtype="F8_E4M3"), "damaged"),
        (lambda h: h[NAME].update(shape=[2**62, 2**62]), "damaged"),
        (lambda h: h[NAME].update(data_offsets=[0, 2**60]), "damaged"),
        (lambda h: h["tokens/book"].update(data_offsets=h[NAME]["data_offsets"]), "damaged"),
    ],
)
def test_a_header_that_gen_does_not_write_is_refused(tmp_path, change, said):
    with pytest.raises(InputError, match=said.replace("[", r"\[")) as error:
        read(tmp_path, with_header(packed(), change))
    assert len(str(error.value)) < 1000


def test_leaves_that_the_model_lacks_are_refused(tmp_path):
    more = TREE | {"extra": {"kernel": np.zeros(1, np.float32)}}
    with pytest.raises(InputError, match=r"extra/kernel is float32\[1\] there, but absent in the model of config.json"):
        read(tmp_path, packed(more))


def test_a_file_larger_than_the_model_is_not_read(tmp_path):
    with pytest.raises(InputError, match="too large; allowed"):
        read(tmp_path, packed() + bytes(2**21))


def test_no_file_and_a_folder_in_its_place(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(InputError, match="cannot be read: No such file"):
        exported.read(path, abstract(), config_digest=CONFIG)
    path.mkdir()
    with pytest.raises(InputError, match="not a regular file"):
        exported.read(path, abstract(), config_digest=CONFIG)
