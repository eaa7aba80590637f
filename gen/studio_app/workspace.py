"""What a studio has open: runs, the models of which the newest stay loaded, images handed over, where results go."""

from __future__ import annotations

import dataclasses
import functools
import io
import secrets
from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gen import api
from gen import config as configs
from gen.errors import InputError
from gen.image_io.load import load_images, padding_of
from gen.provenance.key import known_key
from gen.provenance.policy import Policy
from gen.report.html import data_uri
from gen.runs import digests
from gen.runs.run_data import load_data
from gen.runs.run_folder import RunFolder
from gen.sampling.latent_space.directions import Directions
from gen.studio_app.fields import Fields
from gen.studio_app.uploads import Uploads
from gen.verification.parse import Parser

_LOADED = 3  # models that stay in memory
_MOST_SEARCHED, _MOST_BYTES = 60_000, 2**30  # training images among which the nearest are looked for


@dataclasses.dataclass(frozen=True)
class Opened:
    """A checkpoint of a run, with what is computed of it once."""

    model: api.Model

    @functools.cached_property
    def space(self) -> Any:
        """The latent space. Raises InputError where there is none."""
        return self.model.space()

    @functools.cached_property
    def directions(self) -> Directions:
        """What changes most, see gen.latents."""
        if self.space.measured:
            raise InputError("directions of an autoencoder are measured on images: see gen.latents directions IN...")
        return self.space.directions("closed_form", 8)

    @functools.cached_property
    def training_images(self) -> np.ndarray:
        """Images that it learned from, uint8 [n h w c]; of very many sets the first. Raises InputError."""
        images = load_data(self.model.run).train.images
        fitting = _MOST_BYTES // int(np.prod(images.shape[1:]))
        return np.asarray(images[: max(1, min(len(images), _MOST_SEARCHED, fitting))])


class Workspace:
    """All that requests work with. Only the thread of the jobs uses it."""

    def __init__(self, runs: list[Path], out: Path, policy: Policy) -> None:
        self.runs, self.out, self.policy = runs, out, policy
        self.key = policy.key or known_key(None)
        self.parser = Parser()
        self.uploads = Uploads(self.parser)
        self.pages = dict[str, Path]()  # by a number that nobody can guess
        self._loaded = OrderedDict[tuple[int, int], Opened]()
        self._best = dict[int, int]()  # the step of each run that was the best when it was opened
        try:
            for index in range(len(runs)):  # a folder that is no run is refused before the page is there
                self.opened(index, "best")
        except BaseException:
            self.close()
            raise

    def place(self, stem: str, *, suffix: str = ".png", taken: Collection[Path] = ()) -> Path:
        """Returns a place in OUT that no file has: names of ours alone, numbered where they are taken. InputError."""
        letters = (letter if letter.isalnum() or letter in "-_,." else "_" for letter in stem)
        safe = "".join(letters)[:120].strip(".") or "image"
        for number in range(1, 10_000):
            path = self.out / f"{safe}{'' if number == 1 else f'-{number}'}{suffix}"
            if path not in taken and not path.exists() and not path.is_symlink():
                return path
        raise InputError(f"{self.out} has too many files of this name")

    def opened(self, index: int, step: Any) -> Opened:
        """Loads a checkpoint, "best", "newest" or a step, of a run. Raises InputError."""
        number = self._best.get(index, step) if step == "best" else step
        known = self._loaded.get((index, number)) if isinstance(number, int) else None
        if known is None:
            model = api.load(self.runs[index], step=step)
            known = self._loaded.get((index, model.run.step)) or Opened(model)
            self._loaded[index, model.run.step] = known
        if step == "best":
            self._best[index] = known.model.run.step
        self._loaded.move_to_end((index, known.model.run.step))
        while len(self._loaded) > max(_LOADED, len(self.runs)):
            self._loaded.popitem(last=False)
        return known

    def steps(self, index: int) -> list[int]:
        """Lists the checkpoints of a run."""
        folder = RunFolder(self.runs[index])
        return [self.opened(index, "best").model.run.step] if folder.is_exported else digests.steps(folder.checkpoints)

    def run_of(self, fields: Fields) -> tuple[int, Opened]:
        """Takes `run` and `step`. Raises InputError."""
        index = fields.whole("run", 0, len(self.runs) - 1, 0)
        step = fields.whole("step", 0, 2**53, "best")
        return index, self.opened(index, step)

    def given(self, opened: Opened, number: str, shape: tuple[int, int, int] | None = None) -> np.ndarray:
        """Returns an image that was handed over as the model takes it: float32 [1 h w c]. Raises InputError."""
        upload, run = self.uploads.find(number), opened.model.run
        try:
            return load_images([upload.path], shape or opened.model.image_shape, padding=padding_of(run.data_metadata))
        except InputError as error:
            raise InputError(str(error).replace(str(upload.path), upload.name)) from None

    def digests(self) -> list[str]:
        """The digest of the config of each run."""
        return [configs.digest(self.opened(index, "best").model.run.config) for index in range(len(self.runs))]

    def page(self, path: Path) -> str:
        """Returns the address of a page of a run."""
        for number, known in self.pages.items():
            if known == path:
                return f"/pages/{number}"
        number = secrets.token_urlsafe(16)
        self.pages[number] = path
        return f"/pages/{number}"

    def close(self) -> None:
        """Ends the parser, and deletes what was handed over."""
        self.parser.__exit__(None, None, None)
        self.uploads.close()


def encoded(image: np.ndarray) -> str:
    """Returns an image, uint8 [h w c], as a data URI of a PNG without a record, to be shown."""
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, format="PNG")
    return data_uri(buffer.getvalue())
