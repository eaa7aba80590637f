"""Networks of the user's own: the documented example trains, and whatever breaks its contract is one line."""

from __future__ import annotations

import importlib
import pathlib
import sys

import jax
import jax.numpy as jnp
import pytest
import tiny

from gen.config import build_task, experiment, validate
from gen.config.components import KINDS
from gen.config.spec import check
from gen.errors import InputError
from gen.runs.trained_run import abstract
from gen.sampling.latent_space.adapters import first_map

DOCS = pathlib.Path(__file__).parents[2] / "docs"
EXAMPLE = (DOCS / "own_generator.py").read_text()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a package of the user's own and allows it: text -> its name."""

    def write(text: str, name: str = "h_own_networks") -> str:
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setenv("GEN_PACKAGES", name)
        monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()
        return name

    return write


def task_of(name: str, role: str = "generator"):
    config = tiny.config()
    config.task[role] = {"call": f"{name}:Generator"}
    check(config.task, "task", provided=("image_shape", "num_classes", "batch_size"))
    return build_task(config, tiny.IMAGE_SHAPE, tiny.NUM_CLASSES)


def test_the_documented_example_makes_a_step(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    monkeypatch.setenv("GEN_PACKAGES", "own_generator")
    config = experiment.load(str(DOCS / "own_generator.py"))
    experiment.override(config, "task.generator.width", "24")
    validate(config)
    assert config.task.generator == {"call": "own_generator:Generator", "width": 24}
    task = build_task(config, (32, 32, 3), 8)
    state = abstract(task)
    b = config.batch_size * task.real_images_per_sample
    batch = {
        "image": jax.ShapeDtypeStruct((b, 32, 32, 3), jnp.float32),
        "label": jax.ShapeDtypeStruct((b,), jnp.int32),
    }
    after, metrics = jax.eval_shape(task.step, state, batch, jax.random.key(0))
    assert jax.tree.map(jnp.shape, after.params) == jax.tree.map(jnp.shape, state.params)
    assert {"d_loss", "g_loss"} <= metrics.keys()
    keys = jax.eval_shape(lambda: jax.vmap(jax.random.key)(jnp.arange(3)))
    images = jax.eval_shape(lambda p, k: task.sample(p, k, {}), state.ema_params, keys)
    assert images.shape == (3, 32, 32, 3)
    with pytest.raises(InputError, match="and this generator is own_generator"):
        first_map(task, state.ema_params)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("latent: int = 32", "hidden: int = 32", "task.generator names 'X:Generator', which is no generator: it must"),
        (
            "def check(",
            "def verify(",
            "it must have latent, check and lacks check; docs/own_networks.md has an example",
        ),
        ("image_shape: tuple", "shape: tuple", "it must take image_shape, num_classes and lacks image_shape"),
        ("num_classes: int", "classes: int", "it must take image_shape, num_classes and lacks num_classes"),
        ("(nn.Module)", "", "is no generator: subclass flax.linen.module.Module"),
        (
            "return nn.Dense(",
            "return 1 / 0 * nn.Dense(",
            "(X:Generator) fails: ZeroDivisionError: division by zero (X.py:41)",
        ),
        (
            "nn.Dense(self.width)(z)",
            "nn.Dropout(0.5, deterministic=False)(z)",
            "task.generator (X:Generator) fails: Inv",
        ),
        (
            "nn.Dense(self.width)(z)",
            "nn.BatchNorm(False)(z)",
            "task.generator (X:Generator) keeps batch_stats; allowed",
        ),
        (
            ".reshape(-1, *self.image_shape)",
            "",
            "makes [1, 768] of [1, 32] and [1]; it must make floats [1, 16, 16, 3]",
        ),
        ("return nn.Dense", "return None and nn.Dense", "makes NoneType of [1, 32] and [1]; it must make floats"),
        ("z: jax.Array, label: jax.Array) -> jax.Array:", "z):", "TypeError: Generator.__call__() takes 2 positional"),
        ("latent: int = 32", "latent: str = 'a'", "task fails: TypeError: "),
        (
            "import math",
            "import math, absent_package",
            "needs X, and that the package 'absent_package', which is missing",
        ),
        ("import math", "import math, 3", "task.generator needs X, which fails: SyntaxError: invalid syntax"),
        ("import math", "raise SystemError('no')", "task.generator needs X, which fails: SystemError: no (X.py:"),
        ("self.width < 1", "self.wide < 1", "AttributeError"),
        ("self.width < 1", "True", "task.generator.width=256; allowed: 1 or more"),
    ],
)
def test_what_breaks_the_contract_is_one_line(module, old, new, message):
    assert EXAMPLE.count(old)
    name = module(EXAMPLE.replace(old, new))
    with pytest.raises(InputError) as caught:
        abstract(task_of(name))
    assert message.replace("X", name, 1).replace("X", name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_discriminator_must_give_a_number_for_each_image(module):
    name = module(EXAMPLE)
    with pytest.raises(
        InputError, match=r"^task\.discriminator \(.*:Generator\) fails: TypeError: .* \(h_own_networks\.py:39\)"
    ):
        abstract(task_of(name, "discriminator"))


def test_the_document_lists_what_each_kind_must_have():
    text = (DOCS / "own_networks.md").read_text()
    for name, kind in KINDS.items():
        for word in (*kind.members, *kind.given):
            assert f"`{word}`" in text, f"{name}: {word}"
