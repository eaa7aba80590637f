"""Does on arrays what the programs do on files, for notebooks and scripts. See docs/python.md.

    from gen.api import load, show
    model = load("runs/shapes")
    show(model.sample(seeds=range(16), label="heart"))

Images are float32 [n h w c] in [0, 1]; those that are given may be uint8, too. What is wrong with an argument raises
`gen.errors.InputError` with one line.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jax.sharding import Mesh
from PIL import Image

from gen import devices
from gen.auditing import auditor, items
from gen.auditing.items import Collection
from gen.auditing.results import Audit
from gen.config import Config, validate
from gen.config.experiment import load as experiment
from gen.data import DatasetSplits
from gen.errors import InputError
from gen.evaluation.evaluate_folders import evaluate_images
from gen.evaluation.evaluate_run import Evaluation
from gen.evaluation.feature_sets import random_subset
from gen.evaluation.metric_suite import parse_groups
from gen.files import expand
from gen.image_io import find_images
from gen.image_io.pixels import image_array, to_float, to_uint8
from gen.imaging.chain import chain
from gen.outputs import image_writer
from gen.outputs.image_writer import Still
from gen.outputs.output_path import parse_output
from gen.provenance import read as read_record
from gen.provenance.key import known_key
from gen.provenance.policy import Policy, policy
from gen.provenance.trust_list import load_trust
from gen.report import grid
from gen.runs import identity, trained_run
from gen.runs.best import Step
from gen.runs.run_data import load_data
from gen.runs.run_folder import RunFolder
from gen.sampling import by_seed, conditional, latent_space
from gen.sampling.arguments import Label, Prompt, Seeds, label_of, labels_of, seeds_of, settings_of
from gen.sampling.latent_space import Latents
from gen.sampling.prompts import captions_for, check_negative, check_prompts
from gen.sampling.settings import seeds_text
from gen.tasks.flow import Flow
from gen.tasks.prior import Prior
from gen.verification.parse import Parser
from gen.verification.verify_files import Verification, verify_files

__all__ = [
    "Data",
    "Model",
    "audit",
    "chain",
    "evaluate",
    "experiment",
    "load",
    "policy",
    "read_record",
    "show",
    "train",
    "verify",
]


def load(workdir: str | Path, *, step: Step = "best") -> Model:
    """Loads the model of a run folder. step: of a checkpoint; "best": by what training measured; "newest"."""
    mesh = devices.mesh(-1, 1)
    return Model(trained_run.load(workdir, step=step, mesh=mesh), expand(workdir), mesh)


@dataclass(frozen=True, repr=False)
class Model:
    """A trained model. Where `sampling` stands, it takes what the flags of gen.sample take: truncation; of a prior
    temperature, top_k, top_p and guidance, of a flow temperature, guidance and steps; and batch_size, how many images
    are on their way at once."""

    run: trained_run.TrainedRun
    workdir: Path
    mesh: Mesh

    def __repr__(self) -> str:
        height, width, channels = self.image_shape
        classes = f", {len(self.class_names)} classes" if self.class_names else ""
        kind = type(self.run.task).__name__
        return f"<{kind} {self.workdir}: {width}x{height}x{channels}{classes}, step {self.run.step}>"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of its images."""
        task = self.run.task
        height, width, channels = (
            task.shape if isinstance(task, Prior | Flow) else self.run.data_metadata["image_shape"]
        )
        return height, width, channels

    @property
    def class_names(self) -> list[str]:
        """The classes that the model knows."""
        return self.run.class_names

    def sample(
        self,
        seeds: Seeds = range(16),
        *,
        label: Label = None,
        prompt: Prompt = None,
        negative: str | None = None,
        refine: str | None = None,
        latents: np.ndarray | None = None,
        **sampling: float,
    ) -> np.ndarray:
        """Samples an image for each seed, as gen.sample does: [n h w c]; of several prompts or classes, all seeds.

        label: None: drawn from the seed. prompt: of a model that learned captions; None: without. negative: what
        guidance leads away from. refine: a chain; None: that of the run; "none": none. latents: [m d], see
        gen.sampling.by_seed.drawn_latents, in place of those of one seed, which decides all else.
        """
        settings = settings_of(self.run, seeds, label, sampling, prompt=prompt, negative=negative, mesh=self.mesh)
        text = self.run.config.refine if refine is None else refine
        post = None if text in ("", "none") else chain(text)
        numbers, labels, prompts = settings.each
        if latents is not None:
            shape = self.run.task.latent_shape
            if len(numbers) > 1 or shape is None or np.shape(latents)[1:] != (math.prod(shape),):
                allowed = "none of this model" if shape is None else f"[m {math.prod(shape)}], and one seed"
                raise InputError(f"latents have shape {list(np.shape(latents))}; allowed: {allowed}")
            numbers, labels, prompts = (
                numbers * len(latents),
                labels and labels * len(latents),
                prompts and prompts * len(latents),
            )
        captions = captions_for(self.run, prompts, settings.negative, len(numbers))
        batches = by_seed.images(
            self.run.task,
            self.run.ema_params,
            numbers,
            labels=labels,
            latents=latents,
            captions=captions,
            program=self.programs["sample"],
            **settings.drawing,
        )
        made = np.concatenate([*batches])
        return np.clip(made if post is None else by_seed.refine(post, made, numbers), 0, 1)

    def inpaint(
        self,
        images: np.ndarray,
        region: str | np.ndarray,
        *,
        seeds: Seeds = range(5),
        label: Label = None,
        prompt: str | None = None,
        negative: str | None = None,
        **sampling: float,
    ) -> np.ndarray:
        """Makes a part of images anew by a prior or a flow, for each seed in another way: [n seeds h w c].

        region: "bottom_half", ..., see gen.sample, or a mask [h w] or [n h w], true where it is to be made.
        """
        known = prompt is not None or label is not None  # no class is drawn
        check_negative(self.run, negative, sampling.get("guidance"), known=known, name="negative")
        request = conditional.inpaint(self.run, self._given(images), region)
        return self._conditional(request, seeds, label, sampling, prompt=prompt, negative=negative)[:, :, 0]

    def upscale(
        self, images: np.ndarray, *, seeds: Seeds = range(5), label: Label = None, **sampling: float
    ) -> np.ndarray:
        """Makes images of twice the size [n seeds 2h 2w c]; those of the size of the run are halved before."""
        height, width, channels = self.image_shape
        full = np.shape(images)[-3:] == self.image_shape
        small = images if full else to_float(images, shape=(height // 2, width // 2, channels))
        small = conditional.halved(self._given(images)) if full else small
        return self._conditional(conditional.upscale(self.run, small), seeds, label, sampling)[:, :, 0]

    def predict_frames(
        self, images: np.ndarray, *, frames: int = 24, seeds: Seeds = range(5), label: Label = None, **sampling: float
    ) -> np.ndarray:
        """Predicts the frames that follow images, the last ones of films: [n seeds frames h w c]."""
        films = list(self._given(images)[:, None])
        return self._conditional(conditional.predict_frames(self.run, films, frames), seeds, label, sampling)

    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        """Reconstructs images by an autoencoder, or by that of a prior or a flow."""
        task, given = self.run.task, self._given(images)
        if not task.can_reconstruct:
            needed = "reconstruct needs an autoencoder, or a prior of its tokens"
            raise InputError(f"{needed}, and this run is of {self.run.config.task['call']}; try project")
        return np.concatenate([*devices.batched(task.reconstruct, self.mesh)(self.run.ema_params, given)])

    def encode(self, images: np.ndarray, *, label: Label = None, steps: int = 300, seed: int = 0) -> Latents:
        """Encodes images as latents; a GAN finds them by gradient descent in `steps`, see gen.latents."""
        return self.space(steps=steps, seed=seed).encode(self._given(images), label=label_of(label, self.class_names))

    def decode(self, latents: Latents) -> np.ndarray:
        """Decodes latents to images."""
        return self.space().decode(latents)

    def project(self, images: np.ndarray, *, label: Label = None, steps: int = 300, seed: int = 0) -> np.ndarray:
        """Finds the nearest images that the model can make."""
        space = self.space(steps=steps, seed=seed)
        return space.decode(space.encode(self._given(images), label=label_of(label, self.class_names)))

    def nll(
        self, images: np.ndarray, *, label: Label = None, prompt: str | None = None, batch_size: int = 64
    ) -> np.ndarray:
        """Returns the negative log2 likelihood of each image by a prior or a flow [n], in bits, as gen.score does."""
        prompt = None if prompt is None else check_prompts(self.run, [prompt], name="prompt")[0]
        task, given, number = (
            conditional.predictor(self.run, "nll"),
            self._given(images),
            label_of(label, self.class_names),
        )
        bits = conditional.bits(
            self.run, task, given, label=number, prompt=prompt, batch_size=batch_size, mesh=self.mesh
        )
        return bits.sum((1, 2), dtype=np.float64)

    def save(
        self,
        path: str | Path,
        images: np.ndarray,
        *,
        seeds: Seeds | None = None,
        label: Label = None,
        provenance: str | Policy | None = None,
        key: str | Path | None = None,
        **fields: Any,
    ) -> list[Path]:
        """Writes images, with the record of this run, into a folder, or as one grid into a .png or .jpg file.

        seeds: of the images; they are in the names and records. provenance: "off", "record", "mark", "sign", or what
        `policy` returns; None: as gen.sample. key: file of the watermark's secret. label, fields: what else the records
        say; of images that hold parts of photographs, as `inpaint` makes them, also that
        digital_source_type="compositeWithTrainedAlgorithmicMedia".
        """
        rules = provenance if isinstance(provenance, Policy) else policy(provenance, key=key)
        output, pixels = parse_output(str(path), None, False), to_uint8(image_array(images))
        numbers = seeds_of(seeds) if seeds is not None else None
        labels = labels_of(label, self.class_names)
        fields |= {"label": ", ".join(self.class_names[index] for index in labels) if labels else None}
        if output.file:
            text = None if numbers is None else seeds_text(numbers)
            shows = None if len(pixels) == 1 else "grid"
            picture = pixels[0] if shows is None else grid(pixels)
            record = self.run.record(seed=text, shows=shows, **fields)
            image_writer.save(output.file, [picture], format=output.format, record=record, policy=rules)
            return [output.file]
        if numbers is not None and len(numbers) != len(pixels):
            raise InputError(f"save: {len(pixels)} images, and {len(numbers)} seeds; give one for each")
        names = [f"image{i:04d}" for i in range(len(pixels))] if numbers is None else [f"seed{s:04d}" for s in numbers]
        paths = [output.folder / f"{name}{output.suffix}" for name in names]
        image_writer.check(paths, rules)
        each = zip(paths, pixels, numbers or itertools.repeat(None), strict=False)
        stills = (Still(file, image, self.run.record(seed=seed, **fields)) for file, image, seed in each)
        image_writer.save_all(stills, format=output.format, policy=rules)
        return paths

    def data(self, **moved: str) -> Data:
        """Loads the data that the model learned from. moved: arguments that changed since, such as path=..."""
        return Data(load_data(self.run, moved=moved))

    @functools.cached_property
    def programs(self) -> conditional.Programs:
        """What samples and predicts, compiled once for all calls alike."""
        return {"sample": by_seed.compiled(self.run.task, self.mesh)}

    def _given(self, images: np.ndarray) -> np.ndarray:
        return to_float(images, shape=self.image_shape)

    def space(self, **options: Any) -> latent_space.Space:
        """Returns the latent space, see gen.sampling.latent_space. options: steps and seed of a projection."""
        return latent_space.of_run(self.run, self.workdir, mesh=self.mesh, **options)

    def _conditional(
        self, request: conditional.Request, seeds: Seeds, label: Label, sampling: dict[str, float], **texts: Any
    ) -> np.ndarray:
        settings = settings_of(self.run, seeds, label, sampling, mesh=self.mesh, **texts)
        return conditional.sample(self.run, request, settings, programs=self.programs) / np.float32(255)


@dataclass(frozen=True, repr=False)
class Data:
    """The data of a run, in its two splits."""

    splits: DatasetSplits

    def train(self, count: int) -> np.ndarray:
        """Returns at most `count` random images of those trained on, always the same."""
        return to_float(random_subset(self.splits.train, count).images[:])

    def held_out(self, count: int) -> np.ndarray:
        """Returns at most `count` random images that were not trained on, always the same."""
        return to_float(random_subset(self.splits.held_out, count).images[:])

    def __repr__(self) -> str:
        counts = f"{len(self.splits.train.images):,} to train on, {len(self.splits.held_out.images):,} held out"
        return f"<{self.splits.name}: {counts}>"


def evaluate(
    images: np.ndarray, reference: np.ndarray, *, extractor: str | None = None, metrics: str = "fast", seed: int = 0
) -> Evaluation:
    """Compares images with real ones, as gen.evaluate compares two folders: evaluate(...)["recall"] is a number.

    extractor: "own" (None), "random", "pixels", "fid:WEIGHTS", or "package.module:function". metrics: "fast", "all" or
    groups of them with commas, see docs/metrics.md. seed: of the intervals.
    """
    both = (to_uint8(image_array(given)) for given in (images, reference))
    colored = (np.broadcast_to(x, (*x.shape[:3], 3)) for x in both)  # as files are read
    return evaluate_images(
        *colored, extractor=extractor, groups=parse_groups(metrics), seed=seed, say=lambda text: None
    )


def train(config: Config, workdir: str | Path) -> Model:
    """Trains a config in a run folder, or resumes it; returns the model.

    Raises InputError for a bad config; RuntimeError when training ends before, KeyboardInterrupt after Ctrl-C: in both
    cases the last checkpoint is there, and the same call goes on from it.
    """
    from gen.training import compile_cache, loop

    validate(config)
    identity.check_folder(RunFolder(expand(workdir)), config)
    compile_cache.enable(None)
    code = loop.train(config, expand(workdir))
    if code == 130:
        raise KeyboardInterrupt
    if code:
        raise RuntimeError(f"training ended early with exit code {code}; the lines above say why")
    return load(workdir)


def verify(
    files: str | Path | Sequence[str | Path],
    *,
    key: str | Path | None = None,
    trust: str | Path | Sequence[str | Path] = (),
    search: Literal["aligned", "full"] = "full",
) -> Verification:
    """Tells where image files come from, as gen.verify does: verify("made").verdicts has a line for each.

    files: images, and folders of them. key: file of the mark's secret; None: as gen.verify. trust: PEM files of the
    authorities whose signatures count. search: where the mark is looked for; "aligned": as written.
    """
    found, secret = find_images(_listed(files)), known_key(key)
    with Parser(load_trust(_listed(trust))) as parser:
        return verify_files(found.files, parser, key=secret, search=search)


def audit(
    images: np.ndarray | str | Path | Data,
    *,
    fast: bool = False,
    reference: np.ndarray | str | Path | Data | None = None,
    key: str | Path | None = None,
) -> Audit:
    """Looks for what is wrong with a set of images, as gen.audit does, and writes nothing.

    images: [n h w c], a folder, a zip of one, an .npz file, or the data of a run. `findings` is a table, a list of
    dataclasses; `exclude(kinds)` lists the images to leave out. reference: another set, from which `drift` tells
    how this one differs.
    """
    other = None if reference is None else _collection(reference)
    return auditor.audit(_collection(images), fast=fast, reference=other, key=known_key(key)).audit


def _collection(given: np.ndarray | str | Path | Data) -> Collection:
    if isinstance(given, Data):
        return items.of_splits(given.splits, name=given.splits.name)
    return items.of_path(given) if isinstance(given, str | Path) else items.of_arrays(to_uint8(image_array(given)))


def _listed(paths: str | Path | Sequence[str | Path]) -> Sequence[str | Path]:
    return [paths] if isinstance(paths, str | Path) else paths


def show(images: np.ndarray, *, columns: int | None = None) -> Image.Image:
    """Puts all images in one picture, which a notebook shows. columns: images in a row; None: about square.

    Of results [n seeds h w c], a row shows the seeds of one input.
    """
    images = np.asarray(images)
    if images.ndim > 4:
        columns = columns or int(np.prod(images.shape[1:-3]))
        images = images.reshape(-1, *images.shape[-3:])
    return Image.fromarray(grid(image_array(images), columns=columns))
