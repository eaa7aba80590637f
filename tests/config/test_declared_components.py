"""Nothing but declared components (gen/config/components.py) can be named, imported or called by a config."""

from __future__ import annotations

import importlib
import inspect
import json
import pathlib
import pkgutil
import subprocess
import sys

import pytest
import stub_components as stub
import tiny

import gen
from gen.config import experiment, to_json, validate
from gen.config.components import KINDS, KNOWN, PLACES, own_packages
from gen.config.config import PROVIDED
from gen.config.resolve import arguments, resolve
from gen.config.spec import build, check
from gen.config.values import Spec, component_classes
from gen.errors import InputError
from gen.runs import trained_run
from gen.runs.run_folder import write_json

FACTS = {"name": "x", "image_shape": list(tiny.IMAGE_SHAPE), "num_classes": tiny.NUM_CLASSES}


def names_of_gen() -> tuple[list[str], list[str], list[str]]:
    """What gen defines and could be called, what it imports from elsewhere, and what lies inside of either."""
    own, borrowed, inside = set(), set(), set()
    for module in pkgutil.walk_packages(gen.__path__, "gen."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if callable(value):
                (own if getattr(value, "__module__", "") == module.name else borrowed).add(f"{module.name}:{name}")
            if inspect.ismodule(value) or inspect.isclass(value):
                called = [inner for inner, v in vars(value).items() if callable(v) and not inner.startswith("__")]
                inside.update(f"{module.name}:{name}.{inner}" for inner in called[:5])
    return sorted(own - KNOWN), sorted(borrowed), sorted(inside)


NAMES = names_of_gen()


@pytest.fixture
def nothing_is_imported(monkeypatch):
    """Importing fails the test: a name is judged before it leads anywhere."""

    def refuse(name: str, *_) -> None:
        if name not in {known.partition(":")[0] for known in KNOWN}:
            raise AssertionError(f"{name} is imported")
        return sys.modules[name]

    monkeypatch.setattr(importlib, "import_module", refuse)


@pytest.mark.usefixtures("nothing_is_imported")
def test_no_other_callable_of_gen_can_be_named_anywhere(monkeypatch):
    monkeypatch.setattr(
        sys.modules["gen.config.resolve"], "nearest", lambda name, known: ""
    )  # the search for a name that was meant is slow
    monkeypatch.setenv("GEN_PACKAGES", "gen,os,gen.report,numpy,jax")
    own, borrowed, inside = NAMES
    assert len([name for name in own if not name.partition(":")[2].startswith("_")]) > 583
    for name in (*own, *borrowed, *inside):
        for place in ("data", "task", "elsewhere"):
            with pytest.raises(InputError, match=r"which is no|a component is named"):
                check({"call": name, "path": "x"}, place)
    task = tiny.task_spec()
    for name in (*own, *borrowed[::20], *inside[::100]):
        with pytest.raises(InputError, match=r"task\.generator names"):
            check(task | {"generator": {"call": name}}, "task", provided=PROVIDED["task"])


def test_every_component_stands_only_in_its_own_place():
    for kind, (known, *_) in KINDS.items():
        for name in known:
            for other in KINDS:
                if name in KINDS[other].known:
                    assert callable(resolve(name, "x", other))
                else:
                    with pytest.raises(InputError, match=f"which is no {other} component of gen"):
                        resolve(name, "x", other)
        assert kind in ("extractor", "tracker") or known


def test_the_table_is_complete():
    """Every argument of a component that takes an object has its kind, and every entry exists."""
    for name in KNOWN:
        takes = arguments(resolve(name, "x")).types
        objects = {a for a, kind in takes.items() if component_classes(kind)}
        paths = {a for a in objects if "PathLike" in str(takes[a])}
        assert objects - paths == PLACES.get(name, {}).keys(), name
    assert set(PLACES) - {""} <= KNOWN
    assert {kind for places in PLACES.values() for kind in places.values()} <= KINDS.keys()


@pytest.mark.parametrize(
    "value",
    [
        Spec(call="gen.models.r3gan:Generator", widths=(16, 8)),
        (Spec(call="gen.data.shapes:shapes"),),
        {"x": Spec(call="gen.data.shapes:shapes")},
        {"x": {"y": [{"call": "gen.data.shapes:shapes"}]}},
    ],
)
@pytest.mark.parametrize("name", ["gamma", "operation_weights", "loss", "conditional", "schedule_images", "generator"])
def test_a_component_where_none_belongs_is_refused(name, value):
    if name == "generator" and isinstance(value, Spec):
        value = Spec(call="gen.models.r3gan:Discriminator", widths=(16, 8))
    with pytest.raises(InputError, match=rf"^task\.{name}"):
        build(tiny.task_spec() | {name: value}, "task", image_shape=(16, 16, 3), num_classes=8, batch_size=8)


def test_a_component_is_no_path():
    for component in ("gen.models.r3gan:Generator", "gen.data.shapes:shapes", "gen.tasks.gan:Gan"):
        with pytest.raises(InputError, match=r"^data\.path names 'gen\..*'; allowed there: no component"):
            check({"call": "gen.data.npz:npz", "path": {"call": component, "widths": [8]}}, "data")


def a_run(folder: pathlib.Path, config: dict, facts: dict | None = None) -> pathlib.Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    write_json(folder / "data.json", facts or FACTS)
    return folder


ATTACKS = [
    {"call": "gen.config.experiment:sweep", "name": "TMP/x.py"},
    {"call": "gen.config.experiment:load", "name": "TMP/x.py"},
    {"call": "gen.files:atomic_write", "path": "TMP/OWNED", "content": "x"},
    {"call": "gen.runs.run_folder:write_json", "path": "TMP/OWNED", "value": {"a": 1}},
    {"call": "gen.report.pictures:atomic_write", "path": "TMP/OWNED", "content": "x"},
    {"call": "os:system", "command": "touch TMP/OWNED"},
    {"call": "gen.cli:os.system", "command": "touch TMP/OWNED"},
    {"call": "gen.main:subprocess.run", "args": "touch TMP/OWNED"},
    {"call": "gen.data.shapes:shapes"},
]


@pytest.mark.parametrize("place", ["data", "task", "task.generator", "task.operation_weights.x", "task.gamma"])
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack["call"])
def test_a_run_folder_runs_no_code(tmp_path, attack, place):
    """A run folder whose config.json names a function, opened as gen.sample does, and as init_from does."""
    (tmp_path / "x.py").write_text(f"open({str(tmp_path / 'OWNED')!r}, 'w')\ndef sweep(): return []\n")
    config = json.loads(to_json(tiny.config()))
    del config["digest"]
    holder, *names = config, *place.split(".")
    for name in names[:-1]:
        holder = holder.setdefault(name, {})
    holder[names[-1]] = json.loads(json.dumps(attack).replace("TMP", str(tmp_path)))
    folder = a_run(tmp_path / "run", config)
    if (place, attack["call"]) == ("data", "gen.data.shapes:shapes"):
        return
    before = sorted(tmp_path.rglob("*"))
    for opened in (lambda: trained_run.load(folder), lambda: trained_run.load_role(f"{folder}:generator")):
        with pytest.raises(InputError, match=f"{place.partition('.')[0]}.* (names|is) ") as caught:
            opened()
        assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def overridden(config, path: str, text: str) -> None:
    experiment.override(config, path, text)
    validate(config)
    for given in config.init_from.values():
        trained_run.load_role(f"{given}:generator")


def test_overrides_open_nothing(tmp_path):
    for path, text in [
        ("task.call", "gen.config.experiment:sweep"),
        ("task.features", f"{{'call': 'gen.config.experiment:sweep', 'name': '{tmp_path}/x.py'}}"),
        ("task.operation_weights", "{'call': 'gen.config.experiment:sweep', 'name': 'x'}"),
        ("init_from.generator", "gen.config.experiment:sweep"),
    ]:
        config = tiny.config(task=tiny.autoencoder_spec() if "features" in path else tiny.task_spec())
        with pytest.raises(InputError):
            overridden(config, path, text)


def test_only_packages_of_the_user_can_be_added(monkeypatch, tmp_path):
    monkeypatch.setenv("GEN_PACKAGES", "os, gen, numpy, gen.report, stub_components,stub, json.decoder, a..b, .., *, ")
    assert own_packages() == ["stub_components", "stub"]
    for name in (
        "os:system",
        "numpy:load",
        "json.decoder:JSONDecoder",
        "stub_components2:Net",
        "stub_:x",
        "subprocess:run",
    ):
        with pytest.raises(InputError, match="outside the packages that a run may use"):
            resolve(name, "task")
    assert resolve("stub_components:Net", "task.net") is stub.Net
    for name in (
        "stub_components:borrowed",
        "stub_components:functools.wraps",
        "stub_components:_hidden",
        "stub_components:os",
    ):
        with pytest.raises(InputError):
            resolve(name, "task.net")


def test_a_component_of_ones_own_must_be_what_its_place_wants(monkeypatch):
    monkeypatch.setenv("GEN_PACKAGES", "stub_components")
    with pytest.raises(InputError, match=r"no data: annotate it '-> DatasetSplits' \(gen.data.dataset.DatasetSplits\)"):
        check({"call": "stub_components:anything"}, "data")
    with pytest.raises(InputError, match="is no task: it must have init"):
        check({"call": "stub_components:Net"}, "task")
    task = {"call": "stub_components:Task", "image_shape": [1, 1, 1]}
    check(task | {"net": {"call": "stub_components:Net"}}, "task")
    with pytest.raises(
        InputError, match=r"task\.net names 'stub_components:Task'; allowed there: stub_components\.Net"
    ):
        check(task | {"net": task}, "task")
    with pytest.raises(InputError, match=r"task\.net names 'gen.data.shapes:shapes'; allowed there: stub_comp"):
        check(task | {"net": {"call": "gen.data.shapes:shapes"}}, "task")
    with pytest.raises(InputError, match=r"task\.net names 'gen\.cli:run', which is no component of gen"):
        check(task | {"net": {"call": "gen.cli:run"}}, "task")


def test_components_are_judged_without_jax():
    code = (
        "import sys\nfrom gen.config.spec import check\nfrom gen.errors import InputError\nbefore = set(sys.modules)\n"
        "try:\n    check({'call': 'gen.config.experiment:sweep', 'name': 'x'}, 'task')\nexcept InputError: pass\n"
        "sys.exit(bool(set(sys.modules) - before - {'difflib'}))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
