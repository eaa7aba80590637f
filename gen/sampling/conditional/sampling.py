"""Sampling of requests by a prior or a flow, and how unusual it finds images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from gen import cli
from gen.devices import batched
from gen.errors import InputError
from gen.image_io.pixels import to_uint8
from gen.imaging.filters import inpaint, resize
from gen.imaging.masking import apply_masked
from gen.runs.trained_run import TrainedRun
from gen.sampling import by_seed
from gen.sampling.conditional.requests import Predictor, Request, predictor
from gen.sampling.prompts import captions_for
from gen.sampling.settings import Settings

_FRAME = 0xF2A3  # what separates the random numbers of frames from those of their tokens


class _Inpainting(NamedTuple):
    """Draws what is hidden of "given" images, and puts it in."""

    task: Predictor

    def sample(self, ema_params: Any, keys: jax.Array, conditions: Mapping[str, Any]) -> jax.Array:
        made = self.task.sample(ema_params, keys, conditions)
        return blend_known(made, conditions["given"], conditions["known"])


class _Upscaling(NamedTuple):
    """Draws images of twice the size of "context", whose average they then are."""

    task: Predictor

    def sample(self, ema_params: Any, keys: jax.Array, conditions: Mapping[str, Any]) -> jax.Array:
        return back_project(self.task.sample(ema_params, keys, conditions), conditions["context"])


class _PredictingFrames(NamedTuple):
    """Draws one frame after the other: [n frames h w c]."""

    task: Predictor
    frames: int

    def sample(self, ema_params: Any, keys: jax.Array, conditions: Mapping[str, Any]) -> jax.Array:
        def step(context: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
            of_frame = jax.vmap(lambda key: jax.random.fold_in(jax.random.fold_in(key, _FRAME), t))(keys)
            frame = self.task.sample(ema_params, of_frame, {**conditions, "context": context})
            frame = jnp.round(frame * 255) / 255  # as in a file
            return frame, frame

        _, film = jax.lax.scan(step, conditions["context"], jnp.arange(self.frames))
        return film.swapaxes(0, 1)


def blend_known(made: jax.Array, given: jax.Array, known: jax.Array) -> jax.Array:
    """Images [n h w c] in [0, 1] with the given pixels where `known`, bool [n h w 1], and what was made elsewhere.

    What was made may be off at the seam, where a tokenizer gives back the known only about: that difference is carried
    on into the hidden part by Laplace's equation (Perez et al. 2003, equation 2) and fades out within an eighth of the
    picture. Of a prior of pixels it is 0.
    """
    longest = max(made.shape[1:3])
    hidden = 1.0 - known
    carried = made + inpaint(jnp.where(known, given - made, 0.0), hidden, iterations=longest)
    blended = apply_masked(carried, hidden, lambda _: made, feather=max(1, longest // 8), follow=False)
    return jnp.where(known, given, jnp.clip(blended, 0.0, 1.0))


def back_project(made: jax.Array, small: jax.Array, *, rounds: int = 8) -> jax.Array:
    """Images [n 2h 2w c] in [0, 1] that area-averaged to half their size are `small` [n h w c], very nearly.

    A model does not promise that. What the average of its answer lacks is enlarged and added, again and again (Irani
    and Peleg 1991, iterative back-projection); the detail that no average shows stays the answer's.
    """
    height, width = made.shape[1:3]

    def step(_: int, image: jax.Array) -> jax.Array:
        lacking = small - resize(image, height // 2, width // 2)
        return jnp.clip(image + resize(lacking, height, width, method="cubic"), 0.0, 1.0)

    return jax.lax.fori_loop(0, rounds, step, made)


Programs = dict[Any, by_seed.Program]  # of one run and mesh


def sample(
    run: TrainedRun,
    request: Request,
    settings: Settings,
    *,
    programs: Programs | None = None,
    seen: Callable[[float], None] = lambda share: None,
) -> np.ndarray:
    """What a predictor makes of a request: uint8 [n m t h w c], n inputs, m seeds, t frames, 1 where it is no film.

    programs: for who samples several times; what is compiled is looked up and kept there. seen: is told the share that
    is done, and ends it by an error of its own. Raises InputError.
    """
    task, label = predictor(run, "a request"), label_of(settings)
    if label is None and task.num_classes and not task.drop_labels_probability:
        raise InputError("this model was learned without drop_labels_probability: it needs the class, --label")
    n, m = len(request.names), len(settings.seeds)
    sampler: by_seed.Sampler = task
    if "given" in request.conditions:
        sampler = _Inpainting(task)
    elif request.frames:
        sampler = _PredictingFrames(task, request.frames)
    elif "context" in request.conditions:
        sampler = _Upscaling(task)
    key = (type(sampler), request.frames)
    program = ({} if programs is None else programs).setdefault(key, by_seed.compiled(sampler, settings.mesh))
    drawing = settings.drawing | {"program": program}
    drawing["conditions"] = {k: v.repeat(m, axis=0) for k, v in request.conditions.items()} | drawing["conditions"]
    seeds, labels = [*settings.seeds] * n, _labels(label, n * m)
    prompt = prompt_of(settings)
    captions = captions_for(run, [] if prompt is None else [prompt] * (n * m), settings.negative, n * m)
    batches = by_seed.images(sampler, run.ema_params, seeds, labels=labels, captions=captions, **drawing)
    made = list[np.ndarray]()
    for images in cli.progress(batches, n * m, size=len):
        made.append(to_uint8(images))
        seen(sum(map(len, made)) / (n * m))
    return np.concatenate(made).reshape(n, m, request.frames or 1, *task.shape)


def label_of(settings: Settings) -> int | None:
    """The class of all results; None: unknown. Raises InputError where several are asked for."""
    if settings.labels and len(settings.labels) > 1:
        raise InputError("--label: results are of one class; name one")
    return settings.labels[0] if settings.labels else None


def prompt_of(settings: Settings) -> str | None:
    """The prompt of all results; None: none. Raises InputError where several are asked for."""
    if len(settings.prompts) > 1:
        raise InputError("--prompt: results are of one prompt; give one")
    return settings.prompts[0] if settings.prompts else None


def bits(
    run: TrainedRun,
    task: Predictor,
    images: np.ndarray,
    *,
    label: int | None,
    prompt: str | None = None,
    contexts: np.ndarray | None = None,
    batch_size: int,
    mesh: Mesh,
) -> np.ndarray:
    """Bits of each pixel, float32 [n h w], of images [n h w c], uint8 or float in [0, 1]. See the task's surprisal.

    label, prompt: of all; None: unknown. contexts: what comes before each image, [n h' w' c]; None: unknown.
    """
    arrays = {"image": images, "label": _labels(label, len(images)), "context": contexts}
    arrays |= captions_for(run, [] if prompt is None else [prompt] * len(images), None, len(images))
    given = {name: np.asarray(array) for name, array in arrays.items() if array is not None}

    def surprisal(params: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
        context = _unit(batch["context"]) if "context" in batch else None
        caption = batch.get("caption")
        return task.surprisal(params, _unit(batch["image"]), batch.get("label"), context=context, caption=caption)

    batches = batched(surprisal, mesh)(run.ema_params, given, at_once=batch_size)
    return np.concatenate(list(cli.progress(batches, len(images), size=len)))


def bits_of_results(run: TrainedRun, request: Request, made: np.ndarray, settings: Settings) -> np.ndarray:
    """Bits of each pixel of results [n m t h w c], each frame given the one before, as the mean over m: [n t h w]."""
    n, m, t, height, width, _ = made.shape
    task, contexts = predictor(run, "a request"), request.conditions.get("context")
    contexts = None if task.context == "none" else contexts  # it was not learned
    if contexts is not None:
        first = to_uint8(contexts) if request.frames else contexts
        contexts = np.broadcast_to(first[:, None, None], (n, m, 1, *first.shape[1:]))
        contexts = np.concatenate([contexts, made[:, :, :-1]], axis=2) if request.frames else contexts
        contexts = contexts.reshape(n * m * t, *first.shape[1:])
    flat = made.reshape(n * m * t, *made.shape[3:])
    given: dict[str, Any] = {"batch_size": settings.batch_size, "mesh": settings.mesh}
    given |= {"label": label_of(settings), "prompt": prompt_of(settings)}
    return bits(run, task, flat, contexts=contexts, **given).reshape(n, m, t, height, width).mean(1)


def _labels(label: int | None, count: int) -> list[int] | None:
    return None if label is None else [label] * count


def _unit(images: jax.Array) -> jax.Array:
    """uint8 as float in [0, 1]; floats as they are."""
    return images.astype(jnp.float32) / 255 if images.dtype == jnp.uint8 else images
