"""What vouches for each artefact of a run folder: its digest, or the form that it must have.

A check raises InputError or CorruptError for what is damaged and ForeignError for what belongs elsewhere or was changed
by a person. Nothing that is read is run, and nothing is changed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from gen.config import Config, digest
from gen.config.values import strict_json
from gen.errors import InputError
from gen.files import parse_json, printable, read_regular, sha256
from gen.image_io import SUFFIXES, Unreadable, open_image
from gen.integrity.findings import Finding
from gen.integrity.listing import Listing
from gen.outputs import manifest
from gen.outputs.image_writer import PIXELS
from gen.provenance import pixels_digest, read_all
from gen.publishing import cards
from gen.report import history
from gen.runs import best, digests, exported, identity, sessions
from gen.runs.checkpoint import Checkpoints
from gen.runs.digests import CorruptError, ForeignError
from gen.runs.run_folder import RunFolder, read_text

Check = Callable[[str], None]  # of the artefact of this name
_MOST = 2**28  # bytes of a text that is parsed
_PICTURES = re.compile(r"real\.png|refined\.png|previews/[0-9]{1,18}\.png")  # of training: with a digest, never marked


class Artefacts:
    """The artefacts of one run folder, and their checks."""

    def __init__(self, run: RunFolder, listing: Listing) -> None:
        """Opens a run as `list_files` listed it."""
        self._run, self._sizes = run, listing.sizes
        self._written = functools.lru_cache(8)(lambda folder: manifest.written(run.path / folder))

    @functools.cached_property
    def identity(self) -> dict[str, str]:
        """What checkpoints must be of: by config.json and data.json, and where these cannot be read, by the newest."""
        marks = digests.newest_marks(self._run.checkpoints)
        known = {name: mark for name, mark in marks.items() if name != "data"}
        if self._config is not None:
            known["config"] = digest(self._config)
        if self._facts is not None:
            known |= {"run": str(self._facts["run"])} if "run" in self._facts else {}
            known |= {} if "changes" in self._facts else {"data": identity.data_digest(self._facts)}
        return known

    def check_for(self, name: str) -> Check | None:
        """Returns what checks an artefact; None where nothing vouches for it."""
        checks: dict[str, Check] = {
            **{"config.json": self._check_config, "data.json": self._check_data},
            **{"metrics.jsonl": self._check_metrics, "best.json": self._check_best},
            **{"training.json": self._check_sessions, cards.MODEL: self._check_card, cards.DATA: self._check_card},
        }
        path = PurePosixPath(name)
        if name in checks:
            return checks[name]
        if name.startswith("checkpoints/"):
            return self._check_checkpoint
        if path.name in self._written(path.parent):
            return self._check_written
        if path.suffix == ".safetensors":
            return self._check_weights
        if _PICTURES.fullmatch(name):
            return self._check_picture
        if path.suffix.lower() in SUFFIXES:
            return self._check_image
        return {".json": self._check_json, ".jsonl": self._check_lines}.get(path.suffix)

    def find(self, name: str) -> Finding | None:
        """Checks one artefact; None where it holds, or where nothing vouches for it."""
        check, run = self.check_for(name), self._run.path
        try:
            if check is not None:
                check(name)
        except ForeignError as error:
            return Finding(run, name, "foreign", str(error))
        except (InputError, CorruptError, Unreadable, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            place = re.escape(printable(run / name))
            return Finding(run, name, "damaged", re.sub(rf"^{place}(: | is damaged: )", "", reason or str(error)))
        return None

    @functools.cached_property
    def _config(self) -> Config | None:
        return _or_none(self._run.read_config)

    @functools.cached_property
    def _facts(self) -> dict[str, Any] | None:
        return _or_none(self._run.read_metadata)

    def _check_config(self, name: str) -> None:
        found = self._run.read_config()
        if strict_json(read_text(self._run.config), "it").get("digest") is None:
            raise InputError("it has no digest, so that nothing tells whether it was changed")
        known = (self._facts or {}).get("config_digest", digest(found))
        if known != digest(found):
            raise ForeignError(f"data.json is of another config: {printable(known)[:12]}, not {digest(found)[:12]}")

    def _check_data(self, name: str) -> None:
        if "facts_digest" not in self._run.read_metadata():
            raise InputError("it has no digest, so that nothing tells whether it was changed")

    def _check_metrics(self, name: str) -> None:
        path = self._run.path / name
        lines, fault = history.read(path)
        if fault:
            raise InputError(fault)
        with path.open("rb") as file:
            file.seek(max(0, self._sizes[name] - 1))
            if file.read(1) not in (b"", b"\n"):
                raise InputError("its last line is cut")
        steps = digests.steps(self._run.checkpoints)
        if steps and (last := lines[-1]["step"] if lines else 0) < steps[-1]:
            raise InputError(f"it ends at step {last:,}, before checkpoint {steps[-1]:,}")

    def _check_best(self, name: str) -> None:
        best.read(self._run.best)

    def _check_sessions(self, name: str) -> None:
        sessions.read(self._run)

    def _check_card(self, name: str) -> None:
        if not cards.is_own(self._run.path / name):
            raise ForeignError("it was changed since gen wrote it")

    def _check_checkpoint(self, name: str) -> None:
        folder, step = self._run.checkpoints, name.removeprefix("checkpoints/")
        if step not in map(str, digests.steps(folder)):
            if step.startswith("corrupt-"):
                raise CorruptError("training set it aside as corrupt")
            raise ForeignError("it is no checkpoint")
        try:
            with Checkpoints(folder, identity=self.identity) as checkpoints:
                checkpoints.verify(int(step))
        except CorruptError:
            if int(step) in digests.steps(folder):  # else training has removed it meanwhile, as an old one
                raise
            return
        table, inside = digests.read(folder / step, int(step)), f"{name}/"
        known = {digests.NAME, *table.files}
        for path in self._sizes:
            if path.startswith(inside) and (extra := path.removeprefix(inside)) not in known:
                raise ForeignError(f"{extra} is no file of this checkpoint")

    def _check_written(self, name: str) -> None:
        path = self._run.path / name
        if sha256(path) not in self._written(PurePosixPath(name).parent)[path.name]:
            raise InputError("it was changed since gen wrote it")
        if path.suffix == ".safetensors":
            self._check_weights(name)

    def _check_weights(self, name: str) -> None:
        known = digest(self._config) if self._config is not None and "/" not in name else None
        exported.verify(self._run.path / name, config_digest=known)

    def _check_picture(self, name: str) -> None:
        path = self._run.path / name
        pixels = np.asarray(open_image(path, grayscale=(self._facts or {}).get("image_shape", [3])[-1] == 1))
        told = {record[PIXELS] for record in read_all(path).values() if PIXELS in record}
        if told - {pixels_digest(pixels if pixels.ndim == 3 else pixels[..., None])}:
            raise InputError("its pixels are not those of its record")

    def _check_image(self, name: str) -> None:
        open_image(self._run.path / name)

    def _check_json(self, name: str) -> None:
        try:
            parse_json(read_regular(self._run.path / name, most=_MOST))
        except ValueError as error:
            raise InputError(f"it is not JSON: {printable(error)}") from None

    def _check_lines(self, name: str) -> None:
        for number, line in enumerate(read_regular(self._run.path / name, most=_MOST).splitlines(), 1):
            try:
                parse_json(line)
            except ValueError as error:
                raise InputError(f"line {number:,} is not JSON: {printable(error)}") from None


def _or_none(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except InputError:
        return None
