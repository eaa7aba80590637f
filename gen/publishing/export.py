"""A run as a folder for others: its averaged weights, what loading needs, its card, and samplers that need no gen.

See docs/export.md for what is in the folder, and gen/runs/exported.py for how it is opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from gen.config import digest, to_json
from gen.errors import InputError
from gen.files import expand, printable
from gen.publishing import jax_export, onnx_export, whole_folder
from gen.runs import exported, run_folder, trained_run
from gen.runs.run_folder import RunFolder
from gen.runs.trained_run import TrainedRun

_KNOWN = (
    *("config.json", "data.json", "model.safetensors", exported.DISCRIMINATOR, "model.jaxexport", "model.onnx"),
    *("README.md", "DATA_CARD.md", "samples.png"),
)


class ExportResult(NamedTuple):
    """What was written."""

    files: list[Path]
    step: int  # of the checkpoint
    missing: dict[str, str]  # what could not be exported, and why


def export(workdir: str | Path, out: str | Path, *, step: int | None = None, onnx: bool = False) -> ExportResult:
    """Exports a checkpoint of a run, or of an exported model; None: the newest. onnx: with model.onnx.

    Raises InputError for bad input, what is in the way, and where model.onnx cannot be made; then nothing is written.
    """
    source, folder = RunFolder(expand(workdir)), expand(out)
    if folder.resolve() == source.path.resolve():
        raise InputError(f"{printable(out)} is the folder of the run itself; name another place")
    whole_folder.check(folder, _KNOWN)
    run = trained_run.load(workdir, step=step)
    content = _weights(run, workdir) | _described(run)
    missing = dict[str, str]()
    try:
        content["model.jaxexport"] = jax_export.serialize(run)
    except InputError as error:
        missing["model.jaxexport"] = str(error)
    if onnx:
        content["model.onnx"] = onnx_export.serialize(run)
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
    facts = {name: value for name, value in run.data_metadata.items() if name not in ("skipped", "facts_digest")}
    data = run_folder.to_text(run_folder.signed(facts))
    return {"config.json": to_json(run.config).encode(), "data.json": data.encode()}
