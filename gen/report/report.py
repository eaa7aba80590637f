"""The files of a run that show its training: metrics.jsonl, previews, TensorBoard events, report.html.

Images are [n h w c] with c = 1 or 3, float in [0, 1] or uint8. Only one process of a run writes.
"""

from __future__ import annotations

import datetime
import json
import logging
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gen import provenance
from gen.files import atomic_write, printable, read_regular, set_aside
from gen.report import history, page
from gen.report.contact_sheet import grid
from gen.report.events import Events
from gen.report.pictures import embedded, save_png

MAX_PREVIEWS = 12  # pictures over time inside report.html
EVALUATION = "evaluation/section.html"  # in the run folder, by gen.evaluate
_MAX_PICTURE_BYTES = 250_000  # of each of them, so that the file stays below 5 MB
_MOST_BYTES = 2**26  # of a section of the page
_STEP = re.compile(r"[0-9]{1,18}")  # the name of a preview

_log = logging.getLogger(__name__)


class Report:
    """Writes log, previews and page of a run. Every file can be read at any moment."""

    def __init__(
        self, workdir: str | Path, *, config_json: str, data_metadata: Mapping[str, Any], tensorboard: bool = False
    ) -> None:
        """Continues what `workdir` holds already. Raises InputError when TensorBoard is wanted and missing."""
        self._workdir = Path(workdir)
        self._metrics = self._workdir / "metrics.jsonl"
        self._previews = self._workdir / "previews"
        self._config = json.loads(config_json)
        self._data = data_metadata
        self._events = Events(self._workdir / "tensorboard") if tensorboard else None
        self._pictures: dict[Path, page.Picture] = {}  # those of the last page, encoded once; the others are forgotten
        self._captions: tuple[str, ...] = ()
        self._unshown: set[Path] = set()  # what the page leaves out, as was said
        self._history, self._fault = history.read(self._metrics)
        self._behind = True  # may metrics.jsonl differ from the history?

    @property
    def seconds(self) -> float:
        """Seconds that the run has trained so far, over all its processes."""
        return self._history[-1].get("seconds", 0.0) if self._history else 0.0

    def rewind(self, step: int) -> None:
        """Forgets what was logged and shown after `step`: a run that was killed goes on from its last checkpoint.

        Whatever the folder holds in the places of the files of a report is put aside, with one warning each.
        """
        self._make_room()
        damaged = bool(self._fault)
        self._forget(step)
        reached = self._history[-1]["step"] if self._history else 0
        if reached < step and not damaged:  # there is a line for every checkpoint
            _log.warning(
                "%s has nothing after step %d: what was logged up to step %d is lost", self._metrics, reached, step
            )

    def _make_room(self) -> None:
        for name in ("report.html", "real.png", "refined.png"):
            if (path := self._workdir / name).is_dir():
                _put_aside(path, "it is no file")
        if os.path.lexists(self._previews) and not self._previews.is_dir():
            _put_aside(self._previews, "it is no folder")

    def _forget(self, step: int) -> None:
        self._history = [line for line in self._history if line["step"] <= step]
        self._rewrite()
        for path in self._found_previews():
            if _step_of(path) > step:
                path.unlink() if path.is_file() else _put_aside(path, "it is no file")
                self._pictures.pop(path, None)
        if self._events:
            self._events.rewind(step)

    def _rewrite(self) -> None:
        """Rewrites metrics.jsonl from the history. A damaged one stays beside it."""
        if self._fault:
            _put_aside(self._metrics, self._fault, f"; {len(self._history):,} lines of it go on")
        atomic_write(self._metrics, "".join(map(_to_line, self._history)))
        self._fault, self._behind = "", False

    def _found_previews(self) -> list[Path]:
        return sorted((path for path in self._previews.glob("*.png") if _STEP.fullmatch(path.stem)), key=_step_of)

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Appends one line of scalars; a step that was logged before replaces it and all later ones."""
        if self._history and self._history[-1]["step"] >= step:
            self._forget(step - 1)
        line = {"step": int(step)} | {name: _plain(value) for name, value in metrics.items() if name != "step"}
        self._history.append(line)
        self._append(line)
        if self._events:
            self._events.scalars(step, line)

    def _append(self, line: Mapping[str, Any]) -> None:
        """Adds a line to metrics.jsonl; after one that could not be written, or where the file is gone, writes all."""
        if self._behind or not self._metrics.exists():
            self._rewrite()
            return
        self._behind = True  # until the whole line is there
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(_to_line(line))
        self._behind = False

    def preview(self, images: np.ndarray, step: int, *, columns: int | None = None, **about: Any) -> Path:
        """Stores the grid of samples [n h w c] that the model makes at `step`, and returns its path.

        about: what else its record says, see `gen.provenance.record`.
        """
        self._previews.mkdir(parents=True, exist_ok=True)
        path = self._store(f"previews/{step:09d}.png", images, columns, self._record(step, about))
        if self._events:
            self._events.image(step, path.read_bytes())
        return path

    def real(self, images: np.ndarray, *, columns: int | None = None) -> Path:
        """Stores the grid of real images [n h w c] to compare with, real.png; give as many as previews show."""
        record = provenance.picture("grid", data_digest=self._data.get("digest"))
        return self._store("real.png", images, columns, record)

    def captions(self, texts: Sequence[str]) -> None:
        """Shows what the previews are made by, and what the real images are of, in their order."""
        self._captions = tuple(map(printable, texts))

    def refined(self, images: np.ndarray, step: int, *, columns: int | None = None, **about: Any) -> Path:
        """Stores the grid of the newest samples after refinement, refined.png; the config says by which chain."""
        about = {"refine": self._config.get("refine")} | about
        return self._store("refined.png", images, columns, self._record(step, about))

    def _record(self, step: int, about: Mapping[str, Any]) -> provenance.Record:
        """Makes the record of a grid of what this run makes, by weights that may be in no checkpoint."""
        run = {"run": self._workdir.resolve().name, "experiment": self._config.get("experiment") or None}
        data = {"data_digest": self._data.get("digest"), "audit": provenance.audited(self._data)}
        of = {"config_digest": self._config.get("digest", ""), "step": step, "shows": "grid"}
        return provenance.record(**(of | run | data | dict(about)))

    def _store(self, name: str, images: np.ndarray, columns: int | None, record: provenance.Record) -> Path:
        path = self._workdir / name
        save_png(path, grid(images, columns=columns), record=record)
        self._pictures.pop(path, None)
        return path

    def write_html(self, status: str, *, pictures: bool = True) -> Path:
        """Writes report.html. status: "running" (the page reloads itself), "finished", "interrupted", "stopped ...".

        pictures: False makes a small page, for a disk that is full.
        """
        paths = _thinned(self._found_previews(), MAX_PREVIEWS) if pictures else []
        real, refined = self._workdir / "real.png", self._workdir / "refined.png"
        self._pictures = {path: self._pictures[path] for path in (*paths, real, refined) if path in self._pictures}
        summary = page.RunSummary(
            workdir=str(self._workdir),
            status=status,
            config=self._config,
            data=self._data,
            history=self._history,
            previews=[shown for path in paths if (shown := self._picture(path, _step_of(path)))],
            real=self._picture(real, 0) if pictures and real.exists() else None,
            refined=self._picture(refined, 0) if paths and refined.exists() and self._config.get("refine") else None,
            now=datetime.datetime.now(),
            evaluation=self._evaluation(),
            captions=self._captions,
        )
        path = self._workdir / "report.html"
        atomic_write(path, page.render(summary))
        return path

    @property
    def status(self) -> str:
        """Returns how the run ended: "finished" when it has shown all its images, else "interrupted"."""
        shown = self._history[-1].get("images", 0) if self._history else 0
        return "finished" if shown >= self._config["total_images"] else "interrupted"

    def _picture(self, path: Path, step: int) -> page.Picture | None:
        """Returns the picture for the page; None, with one warning, where the file is damaged."""
        if path not in self._pictures:
            try:
                self._pictures[path] = _embed(path, step)
            except Exception as error:  # whatever a decoder raises
                self._leave_out(path, error)
        return self._pictures.get(path)

    def _evaluation(self) -> str:
        path = self._workdir / EVALUATION
        try:
            return read_regular(path, most=_MOST_BYTES).decode("utf-8") if path.is_file() else ""
        except (OSError, ValueError) as error:
            self._leave_out(path, error)
            return ""

    def _leave_out(self, path: Path, error: Exception) -> None:
        if path not in self._unshown:
            _log.warning("%s is left out of the report: it cannot be read (%s)", path, printable(error))
        self._unshown.add(path)

    def close(self) -> None:
        """Ends the TensorBoard file, if there is one."""
        if self._events:
            self._events.close()


def _plain(value: Any) -> float | int | None:
    """Converts to a number that JSON can hold: what is not finite becomes null."""
    number = np.asarray(value).item()
    return number if math.isfinite(number) else None


def _to_line(line: Mapping[str, Any]) -> str:
    return json.dumps(line) + "\n"


def _step_of(path: Path) -> int:
    return int(path.stem)


def _put_aside(path: Path, why: str, more: str = "") -> None:
    """Renames what is damaged or in the way, with a warning."""
    _log.warning("%s is damaged (%s): kept as %s%s", path, why, set_aside(path).name, more)


def _thinned(paths: list[Path], limit: int) -> list[Path]:
    """Chooses at most `limit` of the paths: every 1st, 2nd, 4th, 8th, ... and the last.

    As a list grows, only its last path is new in the choice: evenly spaced places would all move, and each picture
    would be encoded, or kept in memory, at some time.
    """
    stride = 1
    while len(paths[:-1:stride]) >= limit:
        stride *= 2
    return paths[:-1:stride] + paths[-1:]


def _embed(path: Path, step: int) -> page.Picture:
    return page.Picture(*embedded(path, most=_MAX_PICTURE_BYTES), step)
