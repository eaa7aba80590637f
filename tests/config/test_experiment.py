"""gen/config/experiment.py: loading, overriding, sweeping an experiment file."""

from __future__ import annotations

import pathlib

import pytest
import stub_components as stub
import tiny

from gen.config import Config, spec
from gen.config.experiment import as_overrides, experiments, folder_name, load, override, split_overrides, sweep
from gen.errors import InputError

GOOD = """
from gen.config import Config, spec, variant
import stub_components as stub


def get_config(arg=""):
    small = variant(arg, ["smoke"]) == "smoke"
    size = 2 if small else 8
    return Config(data=spec(stub.files, path="x"), task=spec(stub.Task, net=spec(stub.Net)), batch_size=size)
"""


@pytest.fixture(autouse=True)
def _allow_stub(monkeypatch):
    monkeypatch.setenv("GEN_PACKAGES", "stub_components")


def config() -> Config:
    return Config(
        data=spec(stub.files),
        task=spec(stub.Task, net=spec(stub.Net, width=4), nets=[]),
    )


def file(tmp_path, text: str) -> str:
    path = tmp_path / "trial.py"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("argv", "overrides"),
    [
        (["--config.a.b=1"], [("a.b", "1")]),
        (["-config.a=x=y"], [("a", "x=y")]),
        (["--config.a", "-3"], [("a", "-3")]),
        (["--config.a", "--workdir=w"], [("a", None)]),
        (["--config.a"], [("a", None)]),
        (["--noconfig.a", "3"], [("a", "false")]),
        (["--config.a=1", "--config.a", "2"], [("a", "1"), ("a", "2")]),
        (["--config.a=line\nbreak"], [("a", "line\nbreak")]),
        (["--", "--config.a=1"], []),
    ],
)
def test_split_overrides(argv, overrides):
    rest, found = split_overrides(["program", "--config=x.py", *argv])
    assert found == overrides
    assert rest[:2] == ["program", "--config=x.py"]
    assert ("--workdir=w" in rest) == ("--workdir=w" in argv)


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("batch_size", "32", 32),
        ("total_images", "1e6", 1_000_000),
        ("total_images", "1_000", 1000),
        ("mirror", None, True),
        ("mirror", "False", False),
        ("mirror", "1", True),
        ("mesh.data", "-1", -1),
        ("task.gamma", "3", 3.0),
        ("task.gamma", "1e-3", 0.001),
        ("task.net.width", "3", 3),
        ("task.net.widths", "3,4", (3, 4)),
        ("task.net.widths", "(3, 4)", (3, 4)),
        ("task.net.widths", "[3]", (3,)),
        ("task.net.widths", "3", (3,)),
        ("task.net.widths", "", ()),
        ("data.background", "0,0,0", (0, 0, 0)),
        ("data.path", "some/where", "some/where"),
        ("data.path", "2024", "2024"),
        ("data.path", "none", "none"),
        ("data.path", "a,b", "a,b"),
        ("data.names", "a,b", ("a", "b")),
        ("data.names", "a", ("a",)),
        ("data.limit", "5", 5),
        ("data.limit", "none", None),
        ("data.small", "skip", "skip"),
        ("data.grayscale", "true", True),
    ],
)
def test_override_reads_what_the_annotation_says(path, text, value):
    changed = config()
    override(changed, path, text)
    holder = changed
    for name in path.split("."):
        holder = getattr(holder, name)
    assert holder == value
    assert type(holder) is type(value)


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        (
            "batchsize",
            "3",
            "unknown field 'batchsize'; did you mean 'batch_size'?; the config has: data, task, seed, batch_size",
        ),
        ("task.gama", "3", "unknown field 'task.gama'; did you mean 'task.gamma'?; task has: net, gamma, nets"),
        (
            "task.net.widht",
            "3",
            "unknown field 'task.net.widht'; did you mean 'task.net.width'?; task.net has: width, scale, widths",
        ),
        ("gamma", "3", "unknown field 'gamma'; did you mean 'task.gamma'?"),
        ("tsk.gamma", "3", "unknown field 'tsk.gamma'; did you mean 'task.gamma'?"),
        ("seed.x", "3", "unknown field 'seed.x'; did you mean 'seed'?; seed holds no fields"),
        ("task.image_shape", "1,1,1", "unknown field 'task.image_shape'; did you mean"),
        ("task.call", "os:system", "unknown field 'task.call'"),
        ("task.gamma", "abc", "task.gamma is 'abc'; it must be a number"),
        ("task.gamma", "nan", "task.gamma is 'nan'; it must be a number"),
        ("task.gamma", "1e999", "task.gamma is '1e999'; it must be a number"),
        ("task.gamma", None, "task.gamma is 'true'; it must be a number"),
        ("batch_size", "1.5", "batch_size is '1.5'; it must be a whole number"),
        ("batch_size", "none", "batch_size is 'none'; it must be a whole number"),
        ("mirror", "2", "mirror is '2'; it must be true or false"),
        ("data.background", "0,0", "data.background is '0,0'; it must be three whole numbers, e.g. 128,64,32"),
        ("data.limit", "few", "data.limit is 'few'; it must be a whole number or none"),
        (
            "evaluation.metrics",
            "frechet,kernle",
            "evaluation.metrics is 'frechet,kernle'; did you mean 'kernel'?; it must be some of 'frechet', ",
        ),
        ("data.small", "drop", "data.small is 'drop'; it must be one of 'refuse', 'skip'"),
        (
            "task.net",
            "Net",
            "task.net cannot be set as a whole; set one of task.net.width, task.net.scale, task.net.widths",
        ),
        ("mesh", "8", "mesh cannot be set as a whole; set one of mesh.data, mesh.fsdp"),
    ],
)
def test_override_refuses(path, text, message):
    with pytest.raises(InputError) as caught:
        override(config(), path, text)
    assert str(caught.value).startswith(message)


def test_override_reaches_dicts_and_open_and_untyped_components():
    changed = Config(data=spec(stub.anything, deep={"x": 1, "y": None}, z="a"), task=spec(stub.untyped))
    for path, text in [("data.deep.x", "2"), ("data.deep.y", "b"), ("data.z", "3"), ("task.width", "9")]:
        override(changed, path, text)
    assert changed.data == {"call": "stub_components:anything", "deep": {"x": 2, "y": "b"}, "z": "3"}
    assert changed.task.width == 9


def test_a_config_knows_its_experiment(tmp_path):
    (tmp_path / "some.py").write_text(GOOD)
    assert load(f"{tmp_path / 'some.py'}:smoke").experiment == "some:smoke"
    assert load(str(tmp_path / "some.py"), [("experiment", "mine")]).experiment == "mine"


def test_load_passes_the_variant(tmp_path):
    path = file(tmp_path, GOOD)
    assert load(path).batch_size == 8
    assert load(f"{path}:smoke").batch_size == 2


@pytest.mark.parametrize(
    ("text", "arg", "message"),
    [
        (GOOD, ":smok", "{path}:7: no variant 'smok'; did you mean 'smoke'?; variants: smoke"),
        ("x = 1\n", "", "{path} has no get_config()"),
        ("\ndef get_config(:\n", "", "{path}:2: SyntaxError: invalid syntax"),
        ("import nothing_like_this\n", "", "{path}:1: ModuleNotFoundError: No module named 'nothing_like_this'"),
        ("def get_config():\n    return {}['a']\n", "", "{path}:2: KeyError: 'a'"),
        (
            "def get_config():\n    return int('a')\n",
            "",
            "{path}:2: ValueError: invalid literal for int() with base 10: 'a'",
        ),
        ("def get_config():\n    open('/no/file')\n", "", "{path}:2: FileNotFoundError: [Errno 2] No such file"),
        (
            "from gen.config import spec\ndef get_config():\n    return spec(spec, f=1, g=max)\n",
            "",
            "{path}:3: g is <built-in",
        ),
        (
            "from gen.config import spec\ndef net(): ...\ndef get_config():\n    return spec(net)\n",
            "",
            "{path}:4: spec names 'experiment:net', outside",
        ),
        ("def get_config():\n    return 3\n", "", "{path}: get_config() must return a gen.config.Config, not int"),
        (
            "def get_config():\n    return None\n",
            "",
            "{path}: get_config() must return a gen.config.Config, not NoneType",
        ),
        ("def get_config():\n    return 3\n", ":smoke", "{path}: get_config() takes no variant ':smoke'"),
        ("def get_config(arg):\n    return 3\n", "", "{path}: get_config() needs a variant, --config={path}:NAME"),
        ("import json\ndef get_config():\n    json.loads('{')\n", "", "{path}:3: JSONDecodeError: Expecting"),
        ("def f():\n    return 1 // 0\n\ndef get_config():\n    return f()\n", "", "{path}:2: ZeroDivisionError"),
    ],
)
def test_what_is_wrong_in_an_experiment_is_said_with_its_line(tmp_path, text, arg, message):
    path = file(tmp_path, text)
    with pytest.raises(InputError) as caught:
        load(path + arg)
    assert str(caught.value).startswith(message.format(path=path))


def test_an_exception_from_elsewhere_shows_both_places(tmp_path):
    path = file(tmp_path, "import json\ndef get_config():\n    json.loads('{')\n")
    with pytest.raises(InputError, match=r"trial.py:3: .* \(raised at .*decoder.py:\d+\)$"):
        load(path)


def test_a_missing_experiment_names_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^no experiment 'experiments/cifr10.py'; there are: none$"):
        load("experiments/cifr10.py")
    (tmp_path / "experiments").mkdir()
    for name in ("cifar10", "shapes", "_shared"):
        (tmp_path / "experiments" / f"{name}.py").write_text("")
    assert experiments() == ["experiments/cifar10.py", "experiments/shapes.py"]
    for missing in ("experiments/cifr10.py:smoke", "experiment/cifar10.py", "experiments/cifar10"):
        with pytest.raises(InputError) as caught:
            load(missing)
        assert "did you mean 'experiments/cifar10.py'?; there are: experiments/cifar10.py, exp" in str(caught.value)


def test_sweep(tmp_path):
    path = file(tmp_path, "def sweep():\n    for n in (1, 2):\n        yield {'batch_size': n, 'task.gamma': 0.1}\n")
    assert sweep(path + ":smoke") == [{"batch_size": 1, "task.gamma": 0.1}, {"batch_size": 2, "task.gamma": 0.1}]
    with pytest.raises(InputError, match=r"trial.py has no sweep\(\), which would yield override dicts"):
        sweep(file(tmp_path, ""))
    with pytest.raises(InputError, match=r"sweep\(\) yields the run 'seed=1' twice"):
        sweep(file(tmp_path, "def sweep():\n    return [{'seed': 1}, {'seed': 1}]\n"))
    with pytest.raises(InputError, match=r"trial.py: sweep\(\) must yield dicts of overrides such as"):
        sweep(file(tmp_path, "def sweep():\n    yield 'seed'\n"))
    with pytest.raises(InputError, match=r"trial.py:2: ZeroDivisionError"):
        sweep(file(tmp_path, "def sweep():\n    yield 1 // 0\n"))


def test_sweep_values_survive_the_command_line():
    run = {
        "mirror": True,
        "data.limit": None,
        "task.gamma": 0.1,
        "task.net.widths": (3, 4),
        "data.path": "a b",
        "seed": 2,
    }
    changed = config()
    for path, text in as_overrides(run):
        override(changed, path, text)
    assert (changed.mirror, changed.data.limit, changed.task.gamma) == (True, None, 0.1)
    assert (changed.task.net.widths, changed.data.path, changed.seed) == ((3, 4), "a b", 2)


def test_folder_names_are_safe_and_distinct():
    assert folder_name({"batch_size": 32, "task.gamma": 0.1}) == "batch_size=32,task.gamma=0.1"
    assert folder_name({}) == "unchanged"
    names = {folder_name({"data.path": path}) for path in ("a/b", "a b", "a" * 300, "a" * 301, "../..")}
    assert len(names) == 5
    assert all(len(name) < 200 and "/" not in name and " " not in name for name in names)


def test_a_name_of_a_dict_can_be_set_where_the_dict_is_empty_or_none():
    config = tiny.config()
    for role, place in (("generator", "~/runs/a:generator"), ("discriminator", "runs/b")):
        override(config, f"init_from.{role}", place)
    assert config.init_from == {"generator": "~/runs/a:generator", "discriminator": "runs/b"}
    override(config, "task.operation_weights.flip", "0.5")
    assert config.task.operation_weights == {"flip": 0.5}
    for path, text, message in (
        ("init_from", "runs/a", "init_from cannot be set as a whole; set one of init_from.generator"),
        ("task.operation_weights.flip", "much", "task.operation_weights.flip is 'much'; it must be a number"),
        ("init_from.generator.x", "a", "unknown field 'init_from.generator.x'"),
    ):
        with pytest.raises(InputError) as caught:
            override(config, path, text)
        assert str(caught.value).startswith(message)


def test_the_sweep_of_an_experiment_has_folders_that_can_be_read():
    assert folder_name({"task.gamma": (0.5, 0.25), "mirror": True}) == "task.gamma=0.5,0.25,mirror=true"
    runs = sweep(str(pathlib.Path(__file__).parents[2] / "experiments" / "shapes.py"))
    assert len(runs) == 6


def test_a_field_named_without_its_group_is_found():
    with pytest.raises(InputError, match=r"unknown field 'best_metrc'; did you mean 'evaluation\.best_metric'\?"):
        override(config(), "best_metrc", "FD-own")
