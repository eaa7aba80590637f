"""Verifies run folders by all digests in them: python -m gen.checkpoint verify DIR...

  python -m gen.checkpoint verify runs/shapes                     one line for each artefact that does not hold
  python -m gen.checkpoint verify runs/shapes --write_manifest    also writes manifest.json, for later and for copies
  python -m gen.checkpoint verify runs/sweep --json               all runs of a sweep, as one JSON document

What is checked: all files and leaves of every checkpoint, its step, run, config and data; config.json, data.json,
metrics.jsonl, best.json and training.json; previews, and files in whose folder gen keeps a list of what it wrote;
exported weights; cards. A line says damaged, foreign (whole, but of another run, or changed by a person), missing or
added. It runs on the CPU, holds 1 GiB of leaves at a time, may run beside a training, and changes nothing.

--write_manifest enters path, size and sha256 of every file in manifest.json, once nothing is damaged; a later verify
then finds any change, also files that were added or removed. It is for a run that is done: write it again after
training on, sampling into the folder or evaluating. A card that a person edited holds once it is in the manifest.

--json prints one document: "runs", "checked", "findings" (each with "run", "name", "kind" and "what"), "manifests",
"summary", "exit_code"; for wrong input "error" and no findings. Exit codes:

    0  all holds
    1  something is damaged, foreign, missing or added
    2  wrong input: no run folder, or with --write_manifest one that trains just now
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gen.cli import Options, option, run_main
from gen.errors import InputError
from gen.files import printable

if TYPE_CHECKING:
    from gen.integrity.findings import Verdict

_PARTS = ("config.json", "data.json", "checkpoints", "manifest.json", "model.safetensors")  # of a run, however damaged


@dataclass(frozen=True, kw_only=True)
class CheckpointOptions(Options):
    """Which runs to verify."""

    command: Literal["verify"] = option("verify", "What to do: verify.", positional="COMMAND")
    runs: Sequence[str | Path] = option((), "Run folders, exported models, or folders of runs.", positional="DIR...")
    write_manifest: bool = option(False, "Write manifest.json, by which a later verify finds any change.")
    json: bool = option(False, "Print one JSON document instead of lines.")


def verify(options: CheckpointOptions, *, tell: Callable[[str], None] = lambda line: None) -> Verdict:
    """Verifies run folders. tell: called with the line of each finding. Raises InputError for what is no run folder."""
    from gen.integrity.verify_runs import verify_runs
    from gen.runs.folders import run_folders

    runs = run_folders(options.runs, "checkpoint verify", by=_PARTS)
    return verify_runs(runs, write_manifest=options.write_manifest, seen=lambda finding: tell(finding.line))


def main(options: CheckpointOptions) -> int:
    """Prints a line for each finding and a sentence, or the JSON document; returns the exit code."""
    import jax

    jax.config.update("jax_platforms", "cpu")  # an accelerator has nothing to do here, and may be busy
    if not options.json:
        verdict = verify(options, tell=lambda line: print(line, flush=True))
        for path in verdict.manifests:
            print(f"written: {printable(path)}")
        if len(verdict.manifests) < len(verdict.runs) * options.write_manifest:
            print("no manifest.json is written where something is damaged or missing")
        print(verdict.summary)
        return verdict.exit_code
    try:
        verdict = verify(options)
    except InputError as error:
        print(json.dumps({"error": printable(error, longest=1000), "exit_code": 2, "findings": []}, indent=2))
        raise
    print(json.dumps(verdict.data(), indent=2))
    return verdict.exit_code


if __name__ == "__main__":
    run_main(main, CheckpointOptions)
