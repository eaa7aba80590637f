"""Exported folders: opened in place of the run with the same bits, and samplers that need no gen."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import safetensors.numpy
import tiny
from untrained import untrained

from gen import api, export, latents
from gen.config import spec
from gen.errors import InputError
from gen.publishing import onnx_export, sampler
from gen.runs import trained_run
from gen.runs.identity import check_folder
from gen.runs.run_folder import RunFolder
from gen.sampling import by_seed
from gen.tasks.autoencoder import Autoencoder

pytest.importorskip("flatbuffers")  # which jax.export needs

TASKS = {
    "gan": tiny.task_spec(),
    "autoencoder": spec(Autoencoder, network=tiny.tokenizer(), schedule_images=1),
    "flow": tiny.flow_spec(),
    "prior": tiny.prior_spec(),
}


def exported(workdir: Path, out: Path, **options):
    return export.export(export.ExportOptions(folders=(workdir, out), **options))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs, and what is exported of them, by family."""
    folder = tmp_path_factory.mktemp("export")
    for name, task in TASKS.items():
        untrained(folder / "runs" / name, task, steps=(3, 5))
        exported(folder / "runs" / name, folder / "out" / name)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_exported_model_is_opened_in_place_of_its_run(runs):
    run, model = api.load(runs / "runs" / "gan"), api.load(runs / "out" / "gan")
    assert (model.sample(range(3), truncation=0.8) == run.sample(range(3), truncation=0.8)).all()
    assert model.run.record(seed=1) == run.run.record(seed=1)
    assert model.run.weights_digest == run.run.weights_digest
    assert (model.run.step, model.run.name, model.class_names) == (5, "gan", run.class_names)
    assert model.data().splits.num_classes == tiny.NUM_CLASSES


@pytest.mark.parametrize("family", TASKS)
def test_the_exported_sampler_makes_the_images_of_gen(runs, family):
    out = runs / "out" / family
    program = jax.export.deserialize(bytearray((out / "model.jaxexport").read_bytes()))
    assert program.platforms == ("cpu", "cuda", "tpu")
    weights = safetensors.numpy.load_file(out / "model.safetensors")
    run = trained_run.load(out)
    for seeds in ([7], [0, 7, 2**32 - 1])[family == "prior" :]:  # which takes long to compile
        inputs = sampler.of_run(run).draw(seeds)
        made = program.call(weights, inputs)
        if family == "autoencoder":
            wanted = run.task.decode(run.ema_params, inputs["latent"])
        else:
            wanted = run.task.sample(run.ema_params, by_seed.keys(seeds), {})
        assert made.shape == (len(seeds), *tiny.IMAGE_SHAPE)
        np.testing.assert_allclose(made, wanted, atol=1e-5)
        assert np.ptp(made) > 0.01


def test_the_exported_sampler_names_no_files_of_this_machine(runs):
    for family in TASKS:
        assert b".py" not in (runs / "out" / family / "model.jaxexport").read_bytes()


@pytest.mark.parametrize("family", TASKS)
def test_the_code_in_the_card_runs(runs, family, monkeypatch):
    monkeypatch.chdir(runs / "out" / family)
    _, with_gen, *_, without = re.split("```python\n", Path("README.md").read_text())
    compile(with_gen.split("```")[0], "README.md", "exec")
    names: dict[str, Any] = {}
    exec(without.split("```")[0], names)
    assert names["images"].shape == (16, *tiny.IMAGE_SHAPE)


def test_cards_that_a_person_wrote_are_those_of_the_export(runs, tmp_path):
    run = untrained(tmp_path / "run", TASKS["gan"])
    (run / "MODEL_CARD.md").write_text("# Mine\n\n![x](previews/000000003.png)")
    (run / "previews").mkdir()
    for step in (1, 3, 5):
        (run / "previews" / f"{step:09d}.png").write_bytes(f"picture {step}".encode())
    exported(run, tmp_path / "out")
    assert (tmp_path / "out" / "README.md").read_text() == "# Mine\n\n![x](samples.png)"
    assert (tmp_path / "out" / "samples.png").read_text() == "picture 3"
    assert "# Data: shapes" in (tmp_path / "out" / "DATA_CARD.md").read_text()


def test_a_step_is_chosen_and_the_newest_by_default(runs, tmp_path):
    result = exported(runs / "runs" / "gan", tmp_path / "old", step=3)
    assert (result.step, result.missing) == (3, {})
    assert trained_run.load(tmp_path / "old", step=3).step == 3
    with pytest.raises(InputError, match=r"no checkpoint 5 in .*; this exported model is of 3"):
        trained_run.load(tmp_path / "old", step=5)
    with pytest.raises(InputError, match="no checkpoint 4"):
        exported(runs / "runs" / "gan", tmp_path / "none", step=4)
    assert not (tmp_path / "none").exists()


def test_what_was_exported_is_replaced_and_what_is_not_ours_never(runs, tmp_path):
    out = tmp_path / "out"
    exported(runs / "runs" / "gan", out, step=3)
    (out / "notes.txt").write_text("mine")
    before = content(out)
    exported(runs / "runs" / "autoencoder", out)
    after = content(out)
    assert after["notes.txt"] == b"mine"
    assert "discriminator.safetensors" in before
    assert "discriminator.safetensors" not in after  # of the model that was there before
    assert trained_run.load(out).task == trained_run.load(runs / "runs" / "autoencoder").task
    (out / "config.json").write_text("changed")
    before = content(out)
    with pytest.raises(InputError, match=r"config.json is there, not written by gen or changed since"):
        exported(runs / "runs" / "gan", out)
    assert content(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_export_that_fails_leaves_nothing(runs, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    out = tmp_path / "out"
    exported(runs / "runs" / "gan", out, step=3)
    before = content(out)
    monkeypatch.setattr("gen.files.os.fsync", full)
    for place in (out, tmp_path / "new"):
        with pytest.raises(InputError, match=r"cannot write .*No space left"):
            exported(runs / "runs" / "gan", place)
    assert content(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_images_of_the_data_are_not_exported(runs, tmp_path):
    """Previews of a model that only reconstructs show held-out images."""
    run = untrained(tmp_path / "run", TASKS["autoencoder"])
    (run / "previews").mkdir()
    (run / "previews" / "000000003.png").write_bytes(b"a real image")
    exported(run, tmp_path / "out")
    assert "samples.png" not in content(tmp_path / "out")
    assert "![" not in (tmp_path / "out" / "README.md").read_text()


def test_places_that_cannot_be_exported_to(runs, tmp_path):
    run = runs / "runs" / "gan"
    (tmp_path / "file").write_text("")
    inside = "is the folder of the run, or lies in it"
    for out, said in ((run, inside), (run / "checkpoints", inside), (tmp_path / "file", "is a file")):
        with pytest.raises(InputError, match=said):
            exported(run, out)
    with pytest.raises(InputError, match="takes a run and a folder"):
        export.export(export.ExportOptions(folders=(run,)))


def test_an_exported_model_is_exported_again(runs, tmp_path):
    exported(runs / "out" / "gan", tmp_path / "again")
    assert content(tmp_path / "again") == content(runs / "out" / "gan")


def test_weights_of_an_exported_model_start_another_run_and_project(runs, tmp_path):
    out = runs / "out" / "gan"
    for role in ("generator", "discriminator"):
        mine, theirs = (trained_run.load_role(f"{runs / place / 'gan'}:{role}") for place in ("runs", "out"))
        assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), mine, theirs))
    exported(out, tmp_path / "alone")
    (tmp_path / "alone" / "discriminator.safetensors").unlink()
    with pytest.raises(InputError, match="an exported model without the weights of 'discriminator'; use its run"):
        latents.latents(
            latents.LatentsOptions(command="encode", inputs=("x.png",), workdir=tmp_path / "alone", out="x.npz")
        )


def test_no_training_begins_in_an_exported_model(runs):
    with pytest.raises(InputError, match="is an exported model, which cannot be trained on"):
        check_folder(RunFolder(runs / "out" / "gan"), tiny.config())


def test_an_exported_model_with_another_config_is_refused(runs, tmp_path):
    exported(runs / "out" / "gan", tmp_path / "mixed")
    (tmp_path / "mixed" / "config.json").write_bytes((runs / "out" / "prior" / "config.json").read_bytes())
    with pytest.raises(InputError, match=r"absent|another config.json"):
        trained_run.load(tmp_path / "mixed")


def test_names_of_files_that_were_skipped_stay_in_the_run(tmp_path):
    run = untrained(tmp_path / "run", TASKS["autoencoder"])
    facts = json.loads((run / "data.json").read_text())
    trained_run.write_json(run / "data.json", facts | {"skipped": {"private name.jpg": "damaged"}})
    exported(run, tmp_path / "out")
    assert "private" not in (tmp_path / "out" / "data.json").read_text()
    assert trained_run.load(tmp_path / "out").data_metadata["digest"] == facts["digest"]


def test_a_family_without_a_sampler_is_exported_without_one(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(sampler, "_FAMILIES", {})
    result = exported(runs / "runs" / "gan", tmp_path / "out")
    assert "Gan has no sampler that can be exported" in result.missing["model.jaxexport"]
    assert not (tmp_path / "out" / "model.jaxexport").exists()
    assert trained_run.load(tmp_path / "out").step == 5


def test_a_prior_has_no_onnx(runs, tmp_path):
    with pytest.raises(InputError, match=r"one after the other; model.onnx is for generators, decoders and flows"):
        exported(runs / "runs" / "prior", tmp_path / "out", onnx=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(importlib.util.find_spec("jax2onnx") is not None, reason="jax2onnx is installed")
def test_onnx_without_its_packages_is_one_line(runs, tmp_path):
    with pytest.raises(InputError, match="--onnx needs jax2onnx and onnxruntime"):
        exported(runs / "runs" / "gan", tmp_path / "out", onnx=True)


@pytest.mark.skipif(importlib.util.find_spec("jax2onnx") is None, reason="no jax2onnx in this environment")
@pytest.mark.parametrize("family", ["gan", "flow"])
def test_onnx_makes_the_images_of_jax(runs, monkeypatch, family):
    run = trained_run.load(runs / "runs" / family)
    assert len(onnx_export.serialize(run)) > 1000
    monkeypatch.setattr(onnx_export, "TOLERANCE", -1.0)
    with pytest.raises(InputError, match="would differ"):
        onnx_export.serialize(run)


def test_networks_are_convertedin_float32(runs):
    run = trained_run.load(runs / "runs" / "gan")
    halved = dataclasses.replace(run.task, generator=run.task.generator.clone(bfloat16_from=4))
    float32 = onnx_export.in_float32(dataclasses.replace(run, task=halved))
    assert float32.task == run.task
