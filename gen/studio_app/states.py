"""The state of a page: which images it shows; their pixels, and the command and the lines of Python that make them."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gen.cli import SAMPLING
from gen.cli.arguments import parse_labels
from gen.errors import InputError
from gen.image_io.pixels import to_uint8
from gen.imaging.chain import Chain, chain
from gen.provenance import Record
from gen.sampling import by_seed
from gen.sampling.arguments import settings_of
from gen.sampling.conditional.requests import SETTINGS
from gen.sampling.outputs import record_of
from gen.sampling.settings import Settings, seeds_text
from gen.studio_app.fields import Fields
from gen.studio_app.jobs import Job
from gen.studio_app.workspace import Opened, Workspace
from gen.tasks.gan import Gan

LARGEST_SEED, MOST_IMAGES = 2**32 - 1, 64
_AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class State:
    """Images of one checkpoint, by seed."""

    index: int
    opened: Opened
    step: int | None  # None: the best
    seeds: tuple[int, ...]
    label: int | None
    prompt: str | None
    negative: str | None
    sampling: dict[str, float]
    refine: str | None

    @property
    def settings(self) -> Settings:
        """As gen.sample has them. Raises InputError."""
        run = self.opened.model.run
        given = {"batch_size": _AT_ONCE, **self.sampling}
        texts = {"prompt": self.prompt, "negative": self.negative}
        found = settings_of(run, self.seeds, None, given, mesh=self.opened.model.mesh, **texts)
        return found if self.label is None else found._replace(labels=[self.label])

    @property
    def label_text(self) -> str | None:
        """The class as gen.sample reads it: a number is taken for a name, where a class has it."""
        if self.label is None:
            return None
        names = self.opened.model.class_names
        return str(self.label) if parse_labels(str(self.label), names) == [self.label] else names[self.label]

    @property
    def chain(self) -> Chain | None:
        """What refines its images: that which is given, else that of the run. Raises InputError."""
        text = self.opened.model.run.config.refine if self.refine is None else self.refine
        return None if text in ("", "none") else chain(text)

    def record(self, seed: int) -> Record:
        """The record of its image of a seed, as gen.sample writes it."""
        run = self.opened.model.run
        labels = [self.label] if self.label is not None else by_seed.drawn_labels(run.task, [seed])
        names = [run.class_names[label] for label in labels or () if run.class_names]
        return record_of(run, self.settings, self.chain, seed, names, prompts=self.settings.prompts)


def known_settings(opened: Opened) -> list[str]:
    """Names the settings of sampling that a model has."""
    task = opened.model.run.task
    return [
        *(["truncation"] if isinstance(task, Gan) else []),
        *(n for n, t in SETTINGS.items() if isinstance(task, t)),
    ]


def state_of(workspace: Workspace, fields: Fields) -> State:
    """Takes the fields of a state. Raises InputError."""
    step = fields.whole("step", 0, 2**53, None)
    index = fields.whole("run", 0, len(workspace.runs) - 1, 0)
    opened = workspace.opened(index, "best" if step is None else step)
    names = opened.model.class_names
    sampling: dict[str, float] = {}
    for name in known_settings(opened):
        rules = SAMPLING.get(name, {"at_least": 0, "at_most": 2**31 - 1})
        low, high = rules["at_least"], rules["at_most"]
        taken = fields.whole(name, low, high, None) if type(low) is int else fields.number(name, low, high, None)
        if taken is not None:
            sampling[name] = taken
    return State(
        index,
        opened,
        step,
        tuple(fields.wholes("seeds", 0, LARGEST_SEED, MOST_IMAGES)),
        fields.whole("label", 0, max(0, len(names) - 1), None) if names else fields.choice("label", (), None),
        fields.text("prompt", 10_000, None) or None,
        fields.text("negative", 10_000, None) or None,
        sampling,
        fields.text("refine", 10_000, None),
    )


def images_of(state: State, job: Job, *, latents: np.ndarray | None = None) -> np.ndarray:
    """Makes the images of a state: uint8 [n h w c], as gen.sample writes them. latents: as for `Model.sample`."""
    model = state.opened.model
    if not model.run.task.can_sample:
        raise InputError("this model does not sample; drop an image on it, to see what it makes of it")
    given: dict[str, Any] = {"label": state.label_text, "prompt": state.prompt, "negative": state.negative}
    given |= {"refine": state.refine, **state.sampling}
    starts, made = range(0, len(state.seeds if latents is None else latents), _AT_ONCE), list[np.ndarray]()
    for start in job.each(starts, len(starts)):
        part = slice(start, start + _AT_ONCE)
        seeds = state.seeds[part] if latents is None else state.seeds[0]
        made.append(model.sample(seeds, latents=None if latents is None else latents[part], **given))
    return to_uint8(np.concatenate(made))


def command(
    state: State, folder: Path, *, out: str = "samples", more: Sequence[str] = (), inputs: Sequence[str] = ()
) -> str:
    """Returns the command that makes the images of a state."""
    words = ["python", "-m", "gen.sample", *inputs, f"--workdir={folder}"]
    words += [f"--step={state.step}"] * (state.step is not None)
    words += [f"--seeds={seeds_text(state.seeds)}"]
    words += [f"--label={state.label_text}"] * (state.label is not None)
    words += [f"--prompt={state.prompt}"] * bool(state.prompt) + [f"--negative={state.negative}"] * bool(state.negative)
    words += [f"--{name}={value!r}" for name, value in state.sampling.items()]
    words += [f"--refine={state.refine or 'none'}"] * (state.refine is not None)
    return shlex.join([*words, *more, f"--out={out}"])


def head(state: State, folder: Path) -> str:
    """Returns the lines of Python that load the model of a state."""
    at = "" if state.step is None else f", step={state.step}"
    return f"from gen.api import load\n\nmodel = load({str(folder)!r}{at})\n"


def arguments(state: State, *, refined: bool = True) -> str:
    """Returns what a call in Python is given for a state."""
    given = [f"seeds={seeds_text(state.seeds)!r}"]
    texts = {"label": state.label_text, "prompt": state.prompt, "negative": state.negative}
    given += [f"{name}={value!r}" for name, value in texts.items() if value is not None]
    given += [f"{name}={value!r}" for name, value in state.sampling.items()]
    given += [f"refine={state.refine or 'none'!r}"] * (refined and state.refine is not None)
    return ", ".join(given)


def lines(state: State, folder: Path) -> str:
    """Returns the lines of Python that make the images of a state."""
    return f"{head(state, folder)}images = model.sample({arguments(state)})"


def plain(state: State) -> dict[str, Any]:
    """Returns a state as a page keeps it."""
    texts = {"label": state.label, "prompt": state.prompt, "negative": state.negative, "refine": state.refine}
    return {"run": state.index, "step": state.step, "seeds": [*state.seeds], **texts, **state.sampling}
