"""A small trained run, of which random files are corrupted 200 times: every time it is found, and said in one line."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny

from gen.errors import InputError
from gen.integrity import run_manifest
from gen.integrity.artefacts import Artefacts
from gen.integrity.findings import Finding
from gen.integrity.listing import MANIFEST, artefact, list_files
from gen.integrity.verify_runs import verify_runs
from gen.runs.run_folder import RunFolder
from gen.training.loop import train

COUNT = 200
WAYS = ("flip", "truncate", "empty", "swap", "remove")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("trained") / "run"
    train(tiny.config(task=tiny.flow_spec(), total_images=32, checkpoint_every=2, preview_every=2), path)
    verdict = verify_runs([path], write_manifest=True)
    assert (verdict.findings, verdict.manifests) == ([], [path / MANIFEST])
    return path


def corrupted(run: Path, rng: random.Random) -> tuple[str, dict[Path, bytes]]:
    """Corrupts one file, or two; returns how, and what they held."""
    way = rng.choice(WAYS)
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and (way != "remove" or path.name != MANIFEST)]
    path = rng.choice(files)
    before = {path: path.read_bytes()}
    content = before[path]
    if way == "flip":
        at = rng.randrange(len(content))
        path.write_bytes(content[:at] + bytes([content[at] ^ rng.randrange(1, 256)]) + content[at + 1 :])
    elif way == "truncate":
        path.write_bytes(content[: rng.randrange(len(content))])
    elif way == "empty":
        path.write_bytes(b"")
    elif way == "remove":
        path.unlink()
    else:
        other = rng.choice([each for each in files if each.read_bytes() != content])
        before[other] = other.read_bytes()
        path.write_bytes(before[other])
        other.write_bytes(content)
    return way, before


def by_manifest(run: Path) -> Iterator[Finding]:
    """What the program finds by the manifest."""
    try:
        files = run_manifest.read(run)
    except InputError as error:
        yield Finding(run, MANIFEST, "damaged", str(error))
    else:
        assert files is not None
        yield from run_manifest.compare(run, list_files(run), files)


def test_every_corruption_is_found_and_those_of_checkpoints_without_the_manifest_too(run):
    rng, missed, inside = random.Random(0), list[str](), 0
    for _ in range(COUNT):
        way, before = corrupted(run, rng)
        touched = {artefact(path.relative_to(run).as_posix()) for path in before}
        found = list(by_manifest(run))
        names = {finding.name for finding in found}
        if not (touched <= names or MANIFEST in touched & names):
            missed.append(f"{way} {touched}: only {names}")
        artefacts = Artefacts(RunFolder(run), list_files(run))
        alone = [artefacts.find(name) for name in sorted(touched)]
        assert all(each.line.isprintable() for each in [*found, *alone] if each)
        for name, each in zip(sorted(touched), alone, strict=True):
            inside += name.startswith("checkpoints/")
            if name.startswith("checkpoints/") and each is None:
                missed.append(f"{way} {name}: not without the manifest")
        for path, content in before.items():
            path.write_bytes(content)
    assert missed == []
    assert inside > COUNT // 2
    assert verify_runs([run]).exit_code == 0  # all is undone, and nothing was changed
