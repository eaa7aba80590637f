"""A run as a folder for others: its averaged weights, what loading needs, its card, and samplers that need no gen.

See docs/export.md for what is in the folder, and gen/runs/exported.py for how it is opened.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gen.config import digest, to_json
from gen.errors import InputError
from gen.files import expand, printable
from gen.publishing import cards, facts, jax_export, onnx_export, page, whole_folder
from gen.publishing.sampler import Input, of_run
from gen.runs import exported, run_folder, trained_run
from gen.runs.best import Step
from gen.runs.run_folder import RunFolder
from gen.runs.trained_run import TrainedRun

_PRIVATE = ("skipped", "classes_left_out")  # of data.json: names of files and folders
_CARDS = ("README.md", "DATA_CARD.md", "samples.png")
_KNOWN = (
    *("config.json", "data.json", "model.safetensors", exported.DISCRIMINATOR, "model.jaxexport", "model.onnx"),
    *_CARDS,
    *page.FILES,
)


class ExportResult(NamedTuple):
    """What was written."""

    files: list[Path]
    step: int  # of the checkpoint
    missing: dict[str, str]  # what could not be exported, and why


def export(
    workdir: str | Path, out: str | Path, *, step: Step = "best", onnx: bool = False, page_by: Path | None = None
) -> ExportResult:
    """Exports a checkpoint of a run, or of an exported model. step: as in `trained_run.load`. onnx: with model.onnx.

    page_by: with a page that runs it, and model.onnx; where onnxruntime-web is, see `onnxruntime_web.read`.
    Raises InputError for bad input, what is in the way, and where model.onnx cannot be made; then nothing is written.
    """
    source, folder = RunFolder(expand(workdir)), expand(out)
    if folder.resolve().is_relative_to(source.path.resolve()):
        raise InputError(f"{printable(out)} is the folder of the run, or lies in it; name another place")
    whole_folder.check(folder, _KNOWN)
    run = trained_run.load(workdir, step=step)
    shown = {} if page_by is None else page.files(run, page_by)  # what is refused is refused before the work
    content = _weights(run, workdir) | _described(run)
    missing = dict[str, str]()
    try:
        content["model.jaxexport"] = jax_export.serialize(run)
        inputs = of_run(run).inputs
    except InputError as error:
        missing["model.jaxexport"], inputs = str(error), {}
    content |= _cards(source, run, inputs, name=folder.resolve().name)
    if onnx or shown:
        model = None if onnx else page.model_beside(run, source.path)
        content["model.onnx"] = model or onnx_export.serialize(run, asked="--onnx" if onnx else "--page")
    if shown:
        page.check(content["model.onnx"], run.task)
        content |= shown
    whole_folder.write(folder, content, known=_KNOWN)
    return ExportResult([folder / name for name in content], run.step, missing)


def _weights(run: TrainedRun, workdir: str | Path) -> dict[str, bytes]:
    about: dict[str, Any] = {"step": run.step, "run": run.name, "config_digest": digest(run.config)}
    files = {"model.safetensors": exported.pack(run.ema_params, **about)}
    role = exported.DISCRIMINATOR.partition(".")[0]
    if role in trained_run.abstract(run.task).params:
        adversary = trained_run.load_role(f"{workdir}:{role}", step=run.step)
        files[exported.DISCRIMINATOR] = exported.pack({role: adversary}, **about)
    return files


def _described(run: TrainedRun) -> dict[str, bytes]:
    """Returns config.json, and data.json without the names of files."""
    facts = {
        name: value
        for name, value in run.data_metadata.items()
        if name not in ("skipped", "classes_left_out", "facts_digest")
    }
    data = run_folder.to_text(run_folder.signed(facts))
    return {"config.json": to_json(run.config).encode(), "data.json": data.encode()}


def _cards(source: RunFolder, run: TrainedRun, inputs: Mapping[str, Input], *, name: str) -> dict[str, bytes]:
    """Returns the cards: those of the source where a person changed them, or where it is an exported model."""
    if source.is_exported:
        return {file: path.read_bytes() for file in _CARDS if (path := source.path / file).is_file()}
    found = facts.read(source, step=run.step)
    shown = found.preview if run.task.can_sample else None  # others show images of the data
    pictures = {} if shown is None else {"samples.png": shown.read_bytes()}
    picture = next(iter(pictures), None)
    texts = {"README.md": cards.model_card(found, folder=name, picture=picture, inputs=inputs)}
    texts["DATA_CARD.md"] = cards.data_card(found)
    made = {file: text.encode() for file, text in texts.items()}
    for file, theirs in (("README.md", cards.MODEL), ("DATA_CARD.md", cards.DATA)):
        path = source.path / theirs
        if path.is_file() and not cards.is_own(path):
            made[file] = path.read_bytes()
            if pictures:
                made[file] = re.sub(rb"\]\(previews/\d+\.png\)", b"](samples.png)", made[file])
    return made | pictures
