"""Components named, checked and built (gen/config/spec.py, resolve.py); values that fit annotations (values.py)."""

from __future__ import annotations

import copy
import math
import os
from typing import Any, Literal

import pytest
import stub_components as stub

from gen.config.resolve import arguments
from gen.config.spec import build, check, spec
from gen.config.values import Spec, conform, describe
from gen.errors import InputError
from gen.models.r3gan import Generator


@pytest.fixture(autouse=True)
def _allow_stub(monkeypatch):
    monkeypatch.setenv("GEN_PACKAGES", "elsewhere, stub_components")


def task(**options: Any) -> Spec:
    return spec(stub.Task, **{"net": spec(stub.Net, width=4), **options})


def test_spec_is_json_that_names_the_component():
    named = spec(stub.Net, width=64, widths=[1, 2])
    assert named == {"call": "stub_components:Net", "width": 64, "widths": (1, 2)}
    assert named.width == 64
    named.widths = [3]
    assert named["widths"] == (3,)
    assert copy.deepcopy(named) == named
    assert type(copy.deepcopy(named)) is Spec
    with pytest.raises(AttributeError, match="the spec of stub_components:Net holds no 'widht'; did you mean 'width'"):
        named.widht  # noqa: B018


def test_build_calls_the_inside_first_and_passes_the_context_that_is_taken():
    made = build(task(gamma=2, nets=[spec(stub.Net, width=1)]), "task", image_shape=(8, 8, 3), batch_size=16)
    assert isinstance(made, stub.Task)
    assert made.net == stub.Net(width=4)
    assert made.nets == (stub.Net(width=1),)
    assert made.gamma == 2.0
    assert type(made.gamma) is float
    assert made.image_shape == (8, 8, 3)
    assert build(spec(stub.anything, a={"b": [1]}), c=3) == {"a": {"b": (1,)}, "c": 3}


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            lambda: task(gama=1),
            "unknown argument task.gama; did you mean 'gamma'?; stub_components:Task takes: net, gamma, nets",
        ),
        (
            lambda: task(net=spec(stub.Net, widht=1)),
            "unknown argument task.net.widht; did you mean 'width'?; stub_components:Net",
        ),
        (
            lambda: task(nets=[spec(stub.Net, x=1)]),
            "unknown argument task.nets[0].x; stub_components:Net takes: width, scale",
        ),
        (lambda: task(gamma="abc"), "task.gamma is 'abc'; it must be a number"),
        (lambda: task(net=spec(stub.Net, width=0.5)), "task.net.width is 0.5; it must be a whole number"),
        (lambda: task(net="Net"), "task.net is 'Net'; it must be stub_components.Net"),
        (lambda: spec(stub.Task), "task.net is missing: stub_components:Task needs it (stub_components.Net)"),
        (lambda: task(image_shape=(1, 1, 1)), "task.image_shape is set by the program; leave it out"),
        (lambda: 3, "task is 3; it must be a spec(component, ...)"),
        (lambda: {"call": "stub_components:Tusk"}, "there is no 'Tusk' in stub_components; did you mean 'Task'?"),
        (
            lambda: {"call": "gen.tasks.gam:Gan"},
            "task names 'gen.tasks.gam:Gan', which is no task component of gen; did you mean 'gen.tasks.gan:Gan'?; "
            "allowed: gen.tasks.autoencoder:Autoencoder, gen.tasks.flow:Flow, gen.tasks.gan:Gan, gen.tasks.prior:Prior",
        ),
        (lambda: {"call": "stub_components.deep:Net"}, "task names 'stub_components.deep': there is no such module"),
        (
            lambda: spec(stub.anything, a={"b": spec(stub.Net)}),
            "task names 'stub_components:anything', which is no task",
        ),
        (
            lambda: {"call": "os:system"},
            "task names 'os:system', outside the packages that a run may use (gen, elsewhere, stub",
        ),
        (lambda: {"call": "genuine:Net"}, "outside the packages that a run may use"),
        (lambda: {"call": "elsewhere:Net"}, "task names 'elsewhere': there is no such module"),
        (
            lambda: {"call": "stub_components:borrowed"},
            "'stub_components:borrowed', which comes from pathlib:Path; name",
        ),
        (lambda: {"call": "stub_components:Net.__init__"}, "a component is named 'package.module:Name'"),
        (lambda: {"call": "stub_components:Task.Inner"}, "a component is named 'package.module:Name'"),
        (lambda: {"call": "gen.config:hashlib.sha256"}, "a component is named 'package.module:Name'"),
    ],
)
def test_check_says_what_is_wrong_where(made, message):
    with pytest.raises(InputError) as caught:
        check(made(), "task", provided=("image_shape",))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "arguments", "message"),
    [
        (lambda: 1, {}, "only functions and classes at the top of a module"),
        (3, {}, "only functions and classes at the top of a module"),
        (math.sqrt, {}, "outside the packages"),
        (stub.twin(), {}, "the name 'stub_components:anything' leads to another object"),
        (stub.anything, {"call": 1}, "an argument cannot be named 'call'"),
        (stub.anything, {"x": math.inf}, "x is inf; a config holds only finite numbers"),
        (stub.anything, {"x": [1, {2}]}, "x[1] is {2}; a config holds only"),
        (stub.anything, {"x": stub.Net}, "name an object by spec(...), a dtype by its name"),
    ],
)
def test_spec_refuses_what_json_cannot_hold(target, arguments, message):
    with pytest.raises(InputError) as caught:
        spec(target, **arguments)
    assert message in str(caught.value)


def test_arguments_of_a_flax_module_are_its_own():
    takes = arguments(Generator)
    assert takes.types["blocks"] is int
    assert takes.types["widths"] == tuple[int, ...]
    assert {"parent", "name"}.isdisjoint(takes.types)
    assert takes.types.keys() - takes.defaults == {"widths"}
    assert arguments(stub.untyped).types == {"width": int, "activation": Any}


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (1, float, 1.0),
        (1, int | float, 1),
        ([1, 2], tuple[float, ...], (1.0, 2.0)),
        ([1, "a"], tuple[int, str], (1, "a")),
        ((), tuple[int, ...], ()),
        (None, int | None, None),
        ("a", Literal["a", "b"], "a"),
        ((1, 2), tuple, (1, 2)),
        (Spec(call="a:b"), stub.Net, Spec(call="a:b")),
        ("x", Any, "x"),
    ],
)
def test_conform(value, annotation, expected):
    made = conform(value, annotation)
    assert made == expected
    assert type(made) is type(expected)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (True, int),
        (True, float),
        (1, bool),
        (0.5, int),
        (None, int),
        ("1", float),
        (1, str),
        ((1, 2), tuple[int, int, int]),
        ((1, "a"), tuple[int, ...]),
        ("ab", tuple[str, ...]),
        (1, Literal[True]),
        ("abc", stub.Net),
        (Spec(call="a:b"), int),
        ({}, Spec),
    ],
)
def test_conform_refuses(value, annotation):
    with pytest.raises(TypeError):
        conform(value, annotation)


def test_describe():
    assert describe(Literal["a", "b"] | None) == "one of 'a', 'b' or none"
    assert describe(tuple[int, ...]) == "whole numbers, e.g. 128,64,32"
    assert describe(tuple[float, float]) == "two numbers, e.g. 1e-3,1e-4"
    assert describe(str | os.PathLike[str]) == "a path"
