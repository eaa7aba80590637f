"""Looks at a set of images before a model learns from it: python -m gen.audit --images DIR

  python -m gen.audit --images photos                              a folder, a zip of one, or an .npz file
  python -m gen.audit --config experiments/x.py --config.data.path=photos
  python -m gen.audit --images new --reference old                 also: how the two differ

OUT gets audit.html, a page with pictures of every kind of finding; audit.json, the findings; manifest.jsonl, a line for
each image. --config.data.exclude=OUT/audit.json then trains without the faults (exclude_kinds chooses others). Nothing
is written into the audited folder. An audit that was interrupted goes on where it was.

What you have looked at and want to keep, write into OUT/audit_allow.txt: a name a line, or a kind and a name with a tab
between. --fast leaves out what takes minutes: networks that judge labels and find outliers, parts of other images, the
mark of gen, lines that many images share. docs/data.md tells what is looked for, and how well it is found.

The exit code is 0 when nothing was found that should be left out, 1 when something was, 2 for bad input.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gen import cli
from gen.cli import Options, option, parse
from gen.config import experiment
from gen.errors import InputError, nearest
from gen.files import expand, parse_json, printable, read_regular
from gen.outputs import manifest
from gen.outputs.output_path import check_writable

if TYPE_CHECKING:
    from gen.auditing.findings import Finding
    from gen.auditing.items import Collection
    from gen.auditing.results import Audit

_NAMES = ("audit.html", "audit.json", "manifest.jsonl")
_ALLOW = "audit_allow.txt"


@dataclass(frozen=True, kw_only=True)
class AuditOptions(Options):
    """What to audit, how, and where the results go."""

    images: str | Path | None = option(None, "Folder of images, a zip of one, or an .npz file.", group="Images")
    config: str | Path | None = option(None, "Experiment file, path/to/file.py[:variant], whose data to audit.")
    overrides: Sequence[experiment.Override] = ()  # fields of the Config that the command line sets: (path, text)
    reference: str | Path | None = option(None, "Another set, as --images, to compare with.")
    fast: bool = option(False, "Only what takes a look at each image.", group="Audit")
    key: str | Path | None = option(None, "File with the secret of the mark to look for.")
    allow: str | Path | None = option(None, f"File of findings to let pass; default {_ALLOW} in OUT.")
    out: str | Path | None = option(None, "Folder for the results; default audits/NAME.", group="Results")


def audit(options: AuditOptions) -> Audit:
    """Audits a set of images and writes the results. Raises InputError for bad input."""
    from gen.auditing import auditor, page, remembered

    collection = _collection(options)
    out = Path(expand(options.out)) if options.out else Path("audits") / _plain(collection.name)
    _check_outside(out, collection)
    if options.out is None:
        _check_same(out, collection)
    targets = [out / name for name in _NAMES]
    check_writable(out)
    manifest.check(targets, what=f"--out={printable(out)}")
    from gen.auditing.items import of_path
    from gen.provenance.key import known_key

    outcome = auditor.audit(
        collection,
        fast=options.fast,
        reference=of_path(options.reference) if options.reference is not None else None,
        key=known_key(options.key),
        allowed=_allowed(Path(expand(options.allow)) if options.allow else out / _ALLOW, named=bool(options.allow)),
        device=_device(),
    )
    page.write(out, outcome, collection)
    remembered.remember(outcome.audit)
    return outcome.audit


def _collection(options: AuditOptions) -> Collection:
    from gen.auditing.items import of_config, of_path

    if (options.images is None) == (options.config is None):
        raise InputError("name what to audit, either --images=DIR or --config=experiments/x.py")
    if options.images is not None:
        if options.overrides:
            raise InputError(f"--config.{options.overrides[0][0]} needs --config")
        return of_path(options.images)
    return of_config(experiment.load(str(options.config), options.overrides))


def _plain(name: str) -> str:
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".-")
    return kept[:80] or "images"


def _check_outside(out: Path, collection: Collection) -> None:
    """Raises InputError when results would lie in the audited folder, where the next audit would find them."""
    if collection.root is not None and out.resolve().is_relative_to(collection.root.resolve()):
        raise InputError(f"--out={printable(out)} lies in the audited folder, where nothing is written; name another")


def _check_same(out: Path, collection: Collection) -> None:
    """Raises InputError where the folder that nobody named holds the audit of another set of the same name."""
    place = collection.place_digest
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        place = parse_json((out / "audit.json").read_bytes())["place"]
    if place != collection.place_digest:
        raise InputError(f"{printable(out)} holds the audit of another set of this name; name a folder by --out")


def _allowed(file: Path, *, named: bool) -> Callable[[Finding], bool]:
    """Reads what somebody looked at. Raises InputError."""
    from gen.audit_checks.checks import KINDS

    if not file.is_file():
        if named:
            raise InputError(f"--allow={printable(file)}: there is no such file")
        return lambda finding: False
    try:
        text = read_regular(file, most=2**28).decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise InputError(f"{printable(file)}: {error.strerror}") from None
    names, pairs = set[str](), set[tuple[str, str]]()
    for number, line in enumerate(text.splitlines(), 1):
        kind, tab, name = line.partition("\t")
        if line.startswith("#") or not line.strip():
            continue
        if not tab:
            names.add(line)
        elif kind not in KINDS:
            raise InputError(f"{printable(file)}: line {number}: no kind '{printable(kind)}'{nearest(kind, KINDS)}")
        else:
            pairs.add((kind, name))
    return lambda finding: finding.file in names or (finding.kind, finding.file) in pairs


def _device() -> str:
    import jax

    device = jax.devices()[0]
    return "cpu" if device.platform == "cpu" else str(device.device_kind)


def main(options: AuditOptions) -> int:
    """Audits and prints what was found; returns the exit code."""
    found = audit(options)
    for line in found.summary():
        print(line)
    return 1 if found.of("fault") else 0


def parse_command(argv: Sequence[str]) -> AuditOptions:
    """The options of a command line, program name first, with its overrides. Raises InputError."""
    arguments, overrides = experiment.split_overrides(argv)
    return replace(parse(arguments, AuditOptions), overrides=overrides)


if __name__ == "__main__":
    cli.guard(lambda: main(parse_command(sys.argv)))
