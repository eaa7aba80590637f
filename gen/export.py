"""Exports a trained model for others: python -m gen.export RUN OUT

OUT is a folder that every program opens in place of the run, with the same images to the bit, and that the Hugging Face
Hub takes as it is:

    model.safetensors          the averaged weights          config.json, data.json   what loading needs
    discriminator.safetensors  of a GAN, for gen.latents     README.md, DATA_CARD.md  the cards of the run
    model.jaxexport            the sampler for any jax       model.onnx               with --onnx, for ONNX Runtime
    index.html ...             with --page: the model in the browser of whoever visits

model.jaxexport and model.onnx need no gen: they take the noise as an input. RUN may be such a folder itself. Nothing is
written unless all is there; files of OUT that gen did not write, or that were changed since, are never replaced.
docs/export.md shows how each file is used, the environment that --onnx needs, and where the page's runtime is from.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gen import cli
from gen.cli import Options, option, run_main
from gen.errors import InputError
from gen.files import expand, printable
from gen.outputs.output_path import check_writable
from gen.publishing import onnxruntime_web
from gen.runs.best import Step

if TYPE_CHECKING:
    from gen.publishing.export import ExportResult


@dataclass(frozen=True, kw_only=True)
class ExportOptions(Options):
    """Which model to export, and where it goes."""

    folders: Sequence[str | Path] = option(
        (), "Folder of the run, and folder for the results", group="Export", positional="RUN OUT"
    )
    step: Step = option("best", "Checkpoint to export; best: of those that training measured", at_least=0)
    onnx: bool = option(False, "Also write model.onnx, for generators, decoders and flows of pixels")
    page: bool = option(False, "Also write index.html, which runs the model in a browser")
    onnxruntime_web: str | Path = option(onnxruntime_web.PACKAGE, "For --page: the file of npm pack, or its folder")


def export(options: ExportOptions) -> ExportResult:
    """Exports a model. Raises InputError for bad input; then nothing is written."""
    if len(options.folders) != 2:
        raise InputError(
            f"export takes a run and a folder, python -m gen.export RUN OUT; given: {len(options.folders)}"
        )
    workdir, out = options.folders
    check_writable(Path(out), "OUT")
    from gen.publishing import export as publishing

    page_by = expand(options.onnxruntime_web) if options.page else None
    return publishing.export(workdir, out, step=options.step, onnx=options.onnx, page_by=page_by)


def main(options: ExportOptions) -> None:
    """Exports a model, and prints what was written."""
    began = time.monotonic()
    result = export(options)
    for name, why in result.missing.items():
        cli.say(f"no {name}: {why}")
    names = ", ".join(f"{path.name} ({path.stat().st_size:,} bytes)" for path in result.files)
    print(f"checkpoint {result.step:,} in {time.monotonic() - began:.1f} s: {printable(options.folders[1])}: {names}")


if __name__ == "__main__":
    run_main(main, ExportOptions)
