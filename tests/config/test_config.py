"""gen/config/config.py: validation, JSON, digest, resuming."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import typing

import pytest
import stub_components as stub
import tiny

from gen.config import (
    Config,
    EvaluationConfig,
    MeshConfig,
    build,
    check_resumable,
    digest,
    from_json,
    spec,
    to_json,
    validate,
    variant,
)
from gen.data import folder, npz, tfds
from gen.errors import InputError
from gen.losses import ADVERSARIAL, Adversarial
from gen.models.recurrent import Recurrent
from gen.models.recurrent_cells import CELLS, Cell


@pytest.fixture(autouse=True)
def _allow_stub(monkeypatch):
    monkeypatch.setenv("GEN_PACKAGES", "stub_components")


def config(**changes) -> Config:
    return Config(
        **{
            "data": spec(stub.files, path="here", background=[1, 2, 3]),
            "task": spec(stub.Task, net=spec(stub.Net, width=4), gamma=0.5),
            **changes,
        }
    )


def test_imports_no_jax():
    code = "import sys, gen.config, gen.cli, gen.main; sys.exit('jax' in sys.modules or 'flax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_good_config_validates_and_builds():
    validate(config())
    assert build(config().data, "data").options["background"] == (1, 2, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (lambda: {"batch_size": 0}, "batch_size is 0; it must be from 1 to 1048576"),
        (
            lambda: {"evaluation": EvaluationConfig(every=0, best_metric="FID")},
            "evaluation.best_metric is 'FID', but nothing is measured: evaluation.every is 0; add",
        ),
        (lambda: {"evaluation": EvaluationConfig(every=-2)}, "evaluation.every is -2; it must be at least -1"),
        (lambda: {"evaluation": EvaluationConfig(num_samples=1)}, "evaluation.num_samples is 1; it must be at least 2"),
        (lambda: {"evaluation": {"every": 1}}, "evaluation is {'every': 1}; it must be of class EvaluationConfig"),
        (lambda: {"total_images": -1}, "total_images is -1; it must be at least 1"),
        (lambda: {"log_every": 0}, "log_every is 0; it must be at least 1"),
        (lambda: {"keep_checkpoints": 0}, "keep_checkpoints is 0; it must be at least 1"),
        (lambda: {"preview_images": 0}, "preview_images is 0; it must be from 1 to 16384"),
        (lambda: {"batch_size": 10**9}, "batch_size is 1000000000; it must be from 1 to 1048576"),
        (lambda: {"preview_images": 10**8}, "preview_images is 100000000; it must be from 1 to 16384"),
        (lambda: {"batch_size": 1.5}, "batch_size is 1.5; it must be a whole number"),
        (lambda: {"mirror": 1}, "mirror is 1; it must be true or false"),
        (lambda: {"seed": -1}, "seed is -1; it must be from 0 to 4294967295"),
        (lambda: {"seed": 2**32}, "seed is 4294967296; it must be from 0 to 4294967295"),
        (
            lambda: {"mesh": MeshConfig(data=0)},
            "mesh.data is 0; it must be at least 1, or -1 for all devices that are left",
        ),
        (lambda: {"mesh": MeshConfig(fsdp=0)}, "mesh.fsdp is 0; it must be at least 1"),
        (lambda: {"mesh": 3}, "mesh is 3; it must be of class MeshConfig"),
        (lambda: {"data": {"path": 1}}, "data is {'path': 1}; it must be a spec(component, ...)"),
        (
            lambda: {"data": spec(stub.files)},
            "data.path is missing: stub_components:files needs it (a path)",
        ),
        (
            lambda: {"data": spec(stub.files, path="a", small="drop")},
            "data.small is 'drop'; it must be one of 'refuse', 'skip'",
        ),
        (
            lambda: {"task": spec(stub.Task, net=spec(stub.Net, wide=1))},
            "unknown argument task.net.wide; did you mean 'width'?",
        ),
    ],
)
def test_validate_names_field_value_and_what_is_allowed(changes, message):
    with pytest.raises(InputError) as caught:
        validate(config(**changes()))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("component", "message"),
    [
        (
            lambda: spec(folder, path="x", resolution=8, small="skipp"),
            "data.small is 'skipp'; did you mean 'skip'?; it must be one of 'skip', 'enlarge', 'refuse'",
        ),
        (lambda: spec(npz, path="x", padding="edges"), "data.padding is 'edges'; did you mean 'edge'?; it must be one"),
        (
            lambda: spec(tfds, name="mnist", padding="zeros"),
            "data.padding is 'zeros'; did you mean 'zero'?; it must",
        ),
        (
            lambda: tiny.task_spec(loss="relativistik"),
            "task.loss is 'relativistik'; did you mean 'relativistic'?; it must be one of 'relativistic', 'non_",
        ),
        (lambda: tiny.autoencoder_spec(loss="hing"), "task.loss is 'hing'; did you mean 'hinge'?; it must be one of"),
        (
            lambda: tiny.prior_spec(context="half_sized"),
            "task.context is 'half_sized'; did you mean 'half_size'?; it must be one of 'none', 'half_size', 'previous",
        ),
        (
            lambda: tiny.prior_spec(network=spec(Recurrent, width=8, layers=1, cell="lsmt")),
            "task.network.cell is 'lsmt'; did you mean 'lstm'?; it must be one of 'rglru', 'mingru', 'gru', 'lstm'",
        ),
    ],
)
def test_texts_that_a_component_allows_are_named_with_the_nearest(component, message):
    with pytest.raises(InputError) as caught:
        validate(tiny.config(**{message.partition(".")[0]: component()}))
    assert str(caught.value).startswith(message)


def test_what_an_annotation_allows_is_what_there_is():
    for annotation, table in ((Adversarial, ADVERSARIAL), (Cell, CELLS)):
        assert list(typing.get_args(annotation)) == list(table)


def test_json_round_trip_and_digest():
    given = config(mesh=MeshConfig(data=4), seed=7)
    again = from_json(to_json(given))
    assert again == given
    assert type(again.task.net) is type(given.task.net)
    assert to_json(again) == to_json(given)
    assert digest(again) == digest(given)
    assert digest(config()) != digest(config(seed=1))
    reordered = json.loads(to_json(given))
    assert digest(from_json(json.dumps(dict(reversed(reordered.items()))))) == digest(given)


def test_digest_is_the_same_in_every_process_and_version():
    """Only a new field of Config may change it: images that were published carry it."""
    fixed = config(total_images=1000, mesh=MeshConfig())
    assert digest(fixed) == "268d5a673d0e5af040f7b27010b59e2bca9cd8cf57f26a8c566dbc5241b60ef0"


def test_missing_fields_get_their_defaults():
    stored = json.loads(to_json(config()))
    del stored["mirror"], stored["mesh"]["fsdp"]
    assert from_json(json.dumps(stored)) == config()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda stored: "{", "the config is not JSON: Expecting property name"),
        (lambda stored: [], "the config is []; it must be a JSON object"),
        (lambda stored: stored | {"sead": 1}, "unknown field 'sead' in the stored config; did you mean 'seed'?"),
        (lambda stored: stored | {"seed": "a"}, "seed is 'a'; it must be a whole number"),
        (lambda stored: stored | {"mesh": {"data": 1.5}}, "mesh.data is 1.5; it must be a whole number"),
        (lambda stored: stored | {"mesh": 3}, "mesh is 3; it must be a JSON object"),
        (lambda stored: {"seed": 1}, "the stored config lacks 'data'"),
    ],
)
def test_from_json_says_what_is_wrong(edit, message):
    edited = edit(json.loads(to_json(config())))
    with pytest.raises(InputError) as caught:
        from_json(edited if isinstance(edited, str) else json.dumps(edited))
    assert str(caught.value).startswith(message)


def test_a_stored_config_that_was_edited_is_noticed():
    stored = json.loads(to_json(config()))
    assert stored["digest"] == digest(config())
    assert from_json(json.dumps(stored | {"total_images": 7})).total_images == 7  # as a resumed run may have it
    for change in ({"seed": 1}, {"mirror": True}, {"digest": "0" * 64}, {"digest": [1]}):
        with pytest.raises(InputError) as caught:
            from_json(json.dumps(stored | change))
        assert str(caught.value).startswith("the config was changed after it was written: its digest is ")
    del stored["digest"]
    assert from_json(json.dumps(stored)) == config()


def test_fields_of_later_versions_count_in_the_digest_only_where_they_are_set():
    assert digest(config(init_from={})) == digest(config())
    assert digest(config(init_from={"net": "run"})) != digest(config())


def test_resuming_may_change_how_long_and_how_often_but_not_what():
    changed = config(
        total_images=5,
        log_every=1,
        preview_every=1,
        checkpoint_every=1,
        keep_checkpoints=9,
        evaluation=EvaluationConfig(every=1, metrics=("kernel",), num_samples=2, best_metric="KD-own"),
        preview_images=1,
        tensorboard=True,
        refine="invert",
        experiment="shapes:other",
        mesh=MeshConfig(fsdp=2),
        accumulate=2,
        max_skipped=0,
        max_step_seconds=1,
    )
    check_resumable(config(), changed)
    assert digest(changed) == digest(config())  # pictures of before still match their run
    fields = {field.name for field in dataclasses.fields(Config)}
    fixed = {name for name in fields if getattr(changed, name) == getattr(config(), name)}
    assert fixed == {"data", "task", "seed", "batch_size", "mirror", "init_from"}


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        (lambda: {"seed": 1, "batch_size": 2}, "seed is 0 there, 1 here"),
        (
            lambda: {"data": spec(stub.files, path="there", background=[1, 2, 3])},
            'data.path is "here" there, "there" here',
        ),
        (
            lambda: {"task": spec(stub.Task, net=spec(stub.Net, width=8), gamma=0.5)},
            "task.net.width is 4 there, 8 here",
        ),
        (lambda: {"task": spec(stub.Task, net=spec(stub.Net, width=4))}, "task.gamma is 0.5 there, not set here"),
        (
            lambda: {"task": spec(stub.anything)},
            'task.call is "stub_components:Task" there, "stub_components:anything" here',
        ),
    ],
)
def test_resuming_another_experiment_names_the_first_difference(changes, difference):
    with pytest.raises(InputError) as caught:
        check_resumable(config(), config(**changes()))
    assert str(caught.value) == f"the run folder holds another experiment: {difference}; use another --workdir"


def test_variant():
    assert variant("smoke", ["smoke"]) == "smoke"
    assert variant("", ["smoke"]) == ""
    with pytest.raises(InputError, match="no variant 'smok'; did you mean 'smoke'\\?; variants: smoke, large"):
        variant("smok", ["smoke", "large"])
