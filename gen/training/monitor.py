"""What a run shows while it trains: the report's files and the progress line. Every process computes, one writes."""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from gen import cli, devices
from gen.config import Config, to_json
from gen.config.resolve import blame, blamed, resolve
from gen.data import DatasetSplits
from gen.errors import InputError
from gen.files import storage_fault
from gen.imaging.chain import chain
from gen.provenance import COMPOSITE, TRAINED, software
from gen.report import Progress, Report
from gen.runs.run_folder import RunFolder
from gen.sampling import by_seed
from gen.sampling.settings import seeds_text
from gen.tasks import Task
from gen.tasks.state import TrainState
from gen.text import cut, tokens_of

GONE = "the run folder was removed, or cannot be reached"


class Monitor:
    """The report of a run: only process 0 writes, every process computes."""

    def __init__(
        self,
        config: Config,
        workdir: Path,
        facts: dict[str, Any],
        source: DatasetSplits,
        task: Task,
        mesh: Mesh,
        start: int,
        *,
        log_to: str = "",
        program: by_seed.Program | None = None,
    ) -> None:
        """program: of the task, compiled for others, too; None: its own."""
        self._writes = jax.process_index() == 0
        self._workdir = workdir
        self._refused: set[str] = set()  # what could not be written, and was said
        self._told: Callable[[int, dict[str, float]], None] | None = None
        self._refine = chain(config.refine) if config.refine else None
        count = config.preview_images
        self._columns = source.num_classes if 1 < source.num_classes <= 16 else None  # a column for each class
        seeds = range(count)
        shown, captions, given_captions = by_class(source, count), list[str](), {}
        if length := getattr(
            task, "caption_length", 0
        ):  # each preview is of the caption of the real image in its place
            of_preview = np.resize(shown, count)
            given = source.train.captions.drawn(of_preview, np.zeros(count)) if source.train.captions else []
            captions = ["" if text is None else text.decode("utf-8", "replace") for text in given]
            given_captions["caption"] = tokens_of((text and cut(text, length - 2) for text in given), length)
        self._show: Callable[[Any], Iterator[np.ndarray]]
        if task.can_sample:
            classes = getattr(task, "num_classes", source.num_classes)
            labels = [seed % classes for seed in seeds] if classes else None
            drawn: dict[str, Any] = {"labels": labels, "captions": given_captions, "mesh": mesh}
            drawn |= {"conditions": by_seed.steps_of(task), "program": program or by_seed.compiled(task, mesh)}
            self._show = lambda params: by_seed.images(task, params, seeds, **drawn)
        else:
            held_out = source.held_out.images[:count] / np.float32(255)
            reconstruct = devices.batched(task.reconstruct, mesh)

            def beside(params: Any) -> Iterator[np.ndarray]:
                made = np.concatenate([held_out[:0], *reconstruct(params, held_out)])
                yield np.concatenate([held_out, made], axis=1)

            self._show = beside
        self._about = {  # what the records of previews say
            "seed": seeds_text([*seeds]) if task.can_sample else None,
            "digital_source_type": TRAINED if task.can_sample else COMPOSITE,  # beside real images
            "software": software(jax.devices()[0].device_kind),
        }
        self._progress = Progress(config.total_steps, config.batch_size)
        if self._writes:
            self._report = Report(
                workdir, config_json=to_json(config), data_metadata=facts, tensorboard=config.tensorboard
            )
            self._report.rewind(start)
            self._progress = Progress(config.total_steps, config.batch_size, seconds=self._report.seconds)
            self._report.real(np.asarray(source.train.images[shown]), columns=self._columns)
            self._report.captions(captions)
            if log_to:
                self._told = tracker(log_to, workdir, config)

    def say(self, text: str) -> None:
        if self._writes:
            cli.say(text)

    def begin(self, state: TrainState, step: int) -> None:
        """Shows what an untrained network makes, and starts the clock."""
        if step == 0:
            self.preview(state, step)
        self._progress.measure(step)

    def log(self, step: int, metrics: dict[str, float], usage: dict[str, float] | None = None) -> None:
        """Logs metrics, and what the steps cost, which is not in the line for a person."""
        metrics = self._progress.measure(step) | metrics
        if self._writes:
            with self._optional("metrics"):
                self._report.log(step, metrics | (usage or {}))
            self._progress.show(step, metrics)
            if self._told is not None:
                try:
                    self._told(step, metrics | (usage or {}))
                except Exception as error:  # a tracker that cannot be reached ends no training
                    self.say(f"--log_to failed ({blame(error)}); it is told nothing more")
                    self._told = None

    def preview(self, state: TrainState, step: int) -> None:
        try:
            images = np.concatenate([*self._show(state.ema_params)])
        except InputError as error:  # what is only shown never ends a training
            self.say(f"no preview: {error}")
            return
        if self._writes:
            with self._optional("previews"):
                self._report.preview(images, step, columns=self._columns, **self._about)
                if self._refine is not None:
                    try:
                        refined = by_seed.refine(self._refine, images, range(len(images)))
                        self._report.refined(refined, step, columns=self._columns, **self._about)
                    except InputError as error:  # what is only shown never ends a training
                        self.say(f"no refined preview: {error}")
                self._report.write_html("running")

    def close(self, status: str) -> None:
        """Shows how the run ended, in the report where that can be written, and as the last line."""
        if not self._writes:
            return
        told = "the report could not be written"
        if not self._gone:
            for pictures in (True, False):
                with contextlib.suppress(OSError):
                    told = f"report: {self._report.write_html(status, pictures=pictures)}"
                    break
        with contextlib.suppress(OSError):
            self._report.close()
        self.say(f"{status}; {told}")

    @property
    def _gone(self) -> bool:
        return not RunFolder(self._workdir).config.exists()

    @contextlib.contextmanager
    def _optional(self, what: str) -> Iterator[None]:
        """Guards the writing of what training does not need: one warning, and the next time is another try.

        Raises FileNotFoundError when the run folder is no more.
        """
        if self._gone:
            raise FileNotFoundError(errno.ENOENT, GONE, str(self._workdir))
        try:
            yield
        except OSError as error:
            if what not in self._refused:
                self.say(f"{storage_fault(error)}; training goes on, and writing {what} is tried again")
            self._refused.add(what)
        else:
            self._refused.discard(what)


def tracker(name: str, workdir: Path, config: Config) -> Callable[[int, dict[str, float]], None]:
    """Makes the function (step, metrics) of "package.module:function", called with the run folder and the config.

    Raises InputError where there is none, or it makes none.
    """
    begin = resolve(name, "--log_to", "tracker")
    with blamed(f"--log_to={name}"):
        told = begin(workdir, json.loads(to_json(config)))
    if not callable(told):
        made = type(told).__name__
        raise InputError(f"--log_to={name} returned {made}; it must return a function of step and metrics")
    return told


def by_class(source: DatasetSplits, count: int) -> np.ndarray:
    """Picks `count` training images in the order of previews, int64 [k]: labels 0, 1, 2 ... repeated; unlabeled in any.

    There are fewer where a class has no image to train on.
    """
    labels, classes = source.train.labels, source.num_classes
    if not classes:
        return np.arange(min(count, len(labels)))
    of_class = [np.flatnonzero(labels == k)[: count // classes + 1] for k in range(classes)]
    found = [of_class[i % classes] for i in range(count)]
    return np.array([each[i // classes % len(each)] for i, each in enumerate(found) if len(each)])
