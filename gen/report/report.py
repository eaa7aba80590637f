"""The files of a run that tell about its training: metrics.jsonl, previews, TensorBoard events, report.html.

Images are [n h w c] with c = 1 or 3, float in [0, 1] or uint8. Only one process of a run writes.
"""

from __future__ import annotations

import base64
import datetime
import io
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gen.errors import InputError
from gen.files import atomic_write
from gen.report import page
from gen.report.pictures import grid, save_png

MAX_PREVIEWS = 12  # pictures over time inside report.html
EVALUATION = "evaluation/section.html"  # in the run folder, by gen.evaluate
_MAX_PICTURE_BYTES = 250_000  # of each of them, so that the file stays below 5 MB


class Report:
    """Writes what a run folder says about its training. Everything in it can be read at any moment."""

    def __init__(
        self, workdir: str | Path, *, config_json: str, data_facts: Mapping[str, Any], tensorboard: bool = False
    ) -> None:
        """Goes on with what `workdir` holds already. Raises InputError when TensorBoard is asked for and missing."""
        self._workdir = Path(workdir)
        self._metrics = self._workdir / "metrics.jsonl"
        self._previews = self._workdir / "previews"
        self._previews.mkdir(parents=True, exist_ok=True)
        self._config = json.loads(config_json)
        self._data = data_facts
        self._events = _Events(self._workdir / "tensorboard") if tensorboard else None
        self._pictures: dict[Path, page.Picture] = {}  # those of the last page, encoded once; the others are forgotten
        self._history = _read_lines(self._metrics)
        atomic_write(self._metrics, "".join(map(_to_line, self._history)))  # a kill may have left half a line

    @property
    def seconds(self) -> float:
        """How long the run has trained so far, over all its processes."""
        return self._history[-1].get("seconds", 0.0) if self._history else 0.0

    def rewind(self, step: int) -> None:
        """Forgets what was logged and shown after `step`: a run that was killed goes on from its last checkpoint."""
        self._history = [line for line in self._history if line["step"] <= step]
        atomic_write(self._metrics, "".join(map(_to_line, self._history)))
        for path in self._previews.glob("*.png"):
            if path.stem.isdigit() and int(path.stem) > step:
                path.unlink()
                self._pictures.pop(path, None)
        if self._events:
            self._events.rewind(step)

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Appends one line of scalars; a step that was logged before replaces it and all later ones."""
        if self._history and self._history[-1]["step"] >= step:
            self.rewind(step - 1)
        line = {"step": int(step)} | {name: _plain(value) for name, value in metrics.items() if name != "step"}
        self._history.append(line)
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(_to_line(line))
        if self._events:
            self._events.scalars(step, line)

    def preview(self, images: np.ndarray, step: int, *, columns: int | None = None) -> Path:
        """Stores the grid of samples [n h w c] that the model makes at `step`, and returns its path."""
        picture = grid(images, columns=columns)
        path = self._previews / f"{step:09d}.png"
        save_png(path, picture)
        self._pictures.pop(path, None)
        if self._events:
            self._events.image(step, path.read_bytes(), picture.shape)
        return path

    def real(self, images: np.ndarray, *, columns: int | None = None) -> Path:
        """Stores the grid of real images [n h w c] to compare with, real.png; give as many as previews show."""
        path = self._workdir / "real.png"
        save_png(path, grid(images, columns=columns))
        self._pictures.pop(path, None)
        return path

    def refined(self, images: np.ndarray, *, columns: int | None = None) -> Path:
        """Stores the grid of the newest samples after refinement, refined.png; the config says by which chain."""
        path = self._workdir / "refined.png"
        save_png(path, grid(images, columns=columns))
        self._pictures.pop(path, None)
        return path

    def write_html(self, status: str) -> Path:
        """Writes report.html. status: "running" (the page reloads itself), "finished", "interrupted", "stopped ..."."""
        paths = _spread(sorted(path for path in self._previews.glob("*.png") if path.stem.isdigit()), MAX_PREVIEWS)
        real, refined = self._workdir / "real.png", self._workdir / "refined.png"
        evaluation = self._workdir / EVALUATION
        self._pictures = {path: self._pictures[path] for path in (*paths, real, refined) if path in self._pictures}
        facts = page.Facts(
            workdir=str(self._workdir),
            status=status,
            config=self._config,
            data=self._data,
            history=self._history,
            previews=[self._picture(path, int(path.stem)) for path in paths],
            real=self._picture(real, 0) if real.exists() else None,
            refined=self._picture(refined, 0) if refined.exists() and self._config.get("refine") else None,
            now=datetime.datetime.now(),
            evaluation=evaluation.read_text(encoding="utf-8") if evaluation.is_file() else "",
        )
        path = self._workdir / "report.html"
        atomic_write(path, page.render(facts))
        return path

    @property
    def status(self) -> str:
        """How the run ended, or would have by now: "finished" when it has shown all its images, else "interrupted"."""
        shown = self._history[-1].get("images", 0) if self._history else 0
        return "finished" if shown >= self._config["total_images"] else "interrupted"

    def _picture(self, path: Path, step: int) -> page.Picture:
        if path not in self._pictures:
            self._pictures[path] = _embed(path, step)
        return self._pictures[path]

    def close(self) -> None:
        """Ends the TensorBoard file, if there is one."""
        if self._events:
            self._events.close()


class _Events:
    """Scalars and images for TensorBoard, written without TensorFlow."""

    def __init__(self, folder: Path) -> None:
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError as error:
            message = "tensorboard=True needs the package tensorboard: pip install 'gen[tensorboard]'"
            raise InputError(message) from error
        self._event, self._summary = event_pb2, summary_pb2
        self._writer = EventFileWriter(str(folder))

    def _add(self, step: int, **content: Any) -> None:
        self._writer.add_event(self._event.Event(step=step, wall_time=time.time(), **content))
        self._writer.flush()

    def rewind(self, step: int) -> None:
        """TensorBoard hides what earlier files say about later steps."""
        self._add(step + 1, session_log=self._event.SessionLog(status=self._event.SessionLog.START))

    def scalars(self, step: int, line: Mapping[str, Any]) -> None:
        values = [
            self._summary.Summary.Value(tag=name, simple_value=value)
            for name, value in line.items()
            if name != "step" and value is not None
        ]
        self._add(step, summary=self._summary.Summary(value=values))

    def image(self, step: int, png: bytes, shape: tuple[int, ...]) -> None:
        image = self._summary.Summary.Image(height=shape[0], width=shape[1], colorspace=3, encoded_image_string=png)
        value = self._summary.Summary.Value(tag="preview", image=image)
        self._add(step, summary=self._summary.Summary(value=[value]))

    def close(self) -> None:
        self._writer.close()


def _plain(value: Any) -> float | int | None:
    """A number that JSON can hold: what is not finite becomes null."""
    number = np.asarray(value).item()
    return number if math.isfinite(number) else None


def _to_line(line: Mapping[str, Any]) -> str:
    return json.dumps(line) + "\n"


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl; a last line that a kill left half written is dropped."""
    lines: list[dict[str, Any]] = []
    texts = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for number, text in enumerate(texts, 1):
        try:
            lines.append(json.loads(text))
        except ValueError as error:
            if number < len(texts):
                raise InputError(f"{path}: line {number} is not JSON; move the file away to go on") from error
    return lines


def _spread(paths: list[Path], limit: int) -> list[Path]:
    """At most `limit` of the paths: every 1st, 2nd, 4th, 8th, ... and the last.

    As a list grows, only its last path is new in the choice: evenly spaced places would all move, and each picture
    would be encoded, or kept in memory, at some time.
    """
    stride = 1
    while len(paths[:-1:stride]) >= limit:
        stride *= 2
    return paths[:-1:stride] + paths[-1:]


def _embed(path: Path, step: int) -> page.Picture:
    """A picture for the page: the PNG itself, or a JPEG, halved until it is small enough, where that is too large."""
    content, kind = path.read_bytes(), "png"
    with Image.open(io.BytesIO(content)) as image:
        width, smaller = image.width, image.convert("RGB")
    while len(content) > _MAX_PICTURE_BYTES:
        buffer = io.BytesIO()
        smaller.save(buffer, format="JPEG", quality=88, subsampling=0)
        content, kind = buffer.getvalue(), "jpeg"
        smaller = smaller.reduce(2)
    return page.Picture(f"data:image/{kind};base64,{base64.b64encode(content).decode()}", width, step)
