"""Verifies run folders: one artefact after the other, then the manifest of the run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gen import cli
from gen.errors import InputError
from gen.integrity import run_manifest
from gen.integrity.artefacts import Artefacts
from gen.integrity.findings import Finding, Verdict
from gen.integrity.listing import MANIFEST, Listing, list_files
from gen.publishing import cards
from gen.runs.lock import RunLock
from gen.runs.run_folder import RunFolder


def verify_runs(
    runs: Sequence[Path], *, write_manifest: bool = False, seen: Callable[[Finding], None] = lambda finding: None
) -> Verdict:
    """Verifies run folders; nothing in them is changed, but by `write_manifest`. seen: called with each finding.

    write_manifest: writes the manifest of each run in which nothing is damaged, in place of its old one, which then
    is not looked at. Raises InputError for a run that trains just now.
    """
    findings, manifests, checked = list[Finding](), list[Path](), 0
    for run in runs:
        with RunLock(run) if write_manifest else contextlib.nullcontext():
            listing, here = list_files(run), list[Finding]()
            for finding in verify_run(run, listing, by_manifest=not write_manifest):
                seen(finding)
                here.append(finding)
            if write_manifest and not any(finding.kind in ("damaged", "missing") for finding in here):
                manifests.append(run_manifest.write(run, listing))
        findings += here
        checked += _count(run, listing)
    return Verdict(runs, checked, findings, manifests)


def verify_run(run: Path, listing: Listing, *, by_manifest: bool = True) -> Iterator[Finding]:
    """Yields what does not hold in a run folder, one finding for each artefact. by_manifest: also what it tells."""
    files = None
    if by_manifest:
        try:
            files = run_manifest.read(run)
        except InputError as error:
            yield Finding(run, MANIFEST, "damaged", str(error))
    missing = list(_missing(run, listing))
    yield from missing
    yield from (Finding(run, name, "foreign", why) for name, why in listing.others.items())
    artefacts = Artefacts(RunFolder(run), listing)
    with cli.progress_bar(sum(listing.sizes.values()), "B", doing=f"verify {run.name}") as bar:
        differ = {} if files is None else {f.name: f for f in run_manifest.compare(run, listing, files)}
        for name, size in listing.artefacts().items():
            found = artefacts.find(name)
            if found and name in (cards.MODEL, cards.DATA) and files and name in files and name not in differ:
                found = None  # a person edited it, before the manifest was written
            if found := found or differ.get(name):
                yield found
            bar.update(size)
    told = {*listing.artefacts(), *(finding.name for finding in missing)}
    yield from (found for name, found in differ.items() if name not in told)


def _missing(run: Path, listing: Listing) -> Iterator[Finding]:
    """Yields what every run has, and this one lacks."""
    trained = RunFolder(run).checkpoints.is_dir()
    for name in ("config.json", "data.json", *(["metrics.jsonl"] if trained else [])):
        if name not in listing.sizes and name not in listing.others:
            yield Finding(run, name, "missing", "every run has one")


def _count(run: Path, listing: Listing) -> int:
    """Counts the artefacts that something vouches for."""
    artefacts, whole = Artefacts(RunFolder(run), listing), (run / MANIFEST).is_file()
    return sum(whole or artefacts.check_for(name) is not None for name in listing.artefacts())
