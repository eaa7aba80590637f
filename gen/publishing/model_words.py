"""The words and figures of the model card. What others wrote stands in code spans, see gen/publishing/markdown.py."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gen import __version__
from gen.files import printable
from gen.provenance import audited
from gen.publishing import figures
from gen.publishing.facts import Facts
from gen.publishing.front_matter import front_matter
from gen.publishing.markdown import Markdown, cell, code
from gen.publishing.sampler import Input
from gen.publishing.wording import data_name, num_classes, pixels, shape_of
from gen.report.page import duration
from gen.tasks.autoencoder import Autoencoder
from gen.tasks.flow import Flow
from gen.tasks.gan import Gan
from gen.tasks.prior import Prior

_PUBLIC = ("gen.data.tfds:tfds", "gen.data.celeba:celeba")  # data with a name that others know


def of_model(facts: Facts, folder: str, picture: str | None, inputs: Mapping[str, Input]) -> dict[str, Any]:
    """Returns what the template of the model card takes."""
    results = facts.results
    of = {metric.metric: figures.description(metric) for metric in results}
    return {
        "front_matter": Markdown(front_matter(_model_front(facts))),
        "name": facts.name,
        "what": Markdown(f"{_what(facts)} Made with gen {__version__}."),
        "picture": Markdown(picture) if picture else None,
        "shown": "Samples" if facts.task.can_sample else "Held-out images, each above its reconstruction",
        "preview_step": f"{int(facts.preview.stem):,}" if facts.preview else "",
        "model_rows": list(_model_rows(facts)),
        "folder": Markdown(json.dumps(printable(folder), ensure_ascii=False)),
        "example": Markdown(_example(facts)),
        "inputs": [(name, _kind(given), given.meaning) for name, given in inputs.items()],
        "arguments": [Markdown(f'"{name}": {_drawn(name, given)},') for name, given in inputs.items()],
        "shape": Markdown(", ".join(map(str, shape_of(facts)))),
        "training_rows": list(_training_rows(facts)),
        "results": [figures.row(result) for result in results],
        "described": [(name, description) for name, description in of.items() if description],
        "measured": figures.measured(facts),
        "memorization": figures.memorization(results),
        "limits": list(_limits(facts)),
        "intended": _intended(facts),
    }


def _family(task: Any) -> str:
    if isinstance(task, Gan):
        return "generative adversarial network"
    if isinstance(task, Autoencoder):
        kind = "variational autoencoder" if task.can_sample else "autoencoder"
        return f"{kind} ({type(task.network.bottleneck).__name__} codes)"
    if isinstance(task, Prior):
        of = "the tokens of an autoencoder" if task.tokenizer is not None else "pixels"
        return f"autoregressive model of {of}"
    if isinstance(task, Flow):
        of = "the latents of an autoencoder" if task.autoencoder is not None else "pixels"
        return f"flow-matching model of {of}"
    return "model"


def _does(task: Any) -> str:
    """What the model does, as a verb phrase."""
    if isinstance(task, Prior | Flow) and task.context == "half_size":
        return "enlarges images to twice their size, and makes new ones"
    if isinstance(task, Prior | Flow) and task.context == "previous_frame":
        return "makes the frame that follows another one"
    if isinstance(task, Prior | Flow):
        if not task.has_likelihood:
            return "makes images and completes parts of them"
        return "makes images, completes parts of them, and tells how unusual they are"
    return "makes images" if task.can_sample else "turns images into codes and back"


def _what(facts: Facts) -> str:
    task, classes = facts.task, num_classes(facts)
    family = _family(task)
    article = "An" if family[0] in "aeiou" else "A"
    by_class = f", of {classes:,} classes by name" if classes else ""
    return (
        f"{article} {family} that {_does(task)}: {pixels(shape_of(facts))}{by_class}. It learned from "
        f"{code(data_name(facts))}, {facts.data.get('num_train', 0):,} images."
    )


def _tag(task: Any) -> str:
    """The task of the Hub that fits best."""
    if isinstance(task, Prior | Flow) and task.context != "none":
        return {"half_size": "image-to-image", "previous_frame": "image-to-video"}[task.context]
    return "unconditional-image-generation" if task.can_sample else "image-feature-extraction"


def _model_front(facts: Facts) -> dict[str, Any]:
    kind = {Gan: "gan", Autoencoder: "autoencoder", Prior: "autoregressive", Flow: "flow-matching"}.get(
        type(facts.task), "other"
    )
    name, tag = data_name(facts), _tag(facts.task)
    of_step = facts.evaluated == facts.step
    metrics = [figures.model_index_entry(result) for result in facts.results if math.isfinite(result.value) and of_step]
    dataset = {"type": re.sub(r"[^\w.-]+", "-", name).strip("-.") or "data", "name": name, "split": _split(facts)}
    result = {"task": {"type": tag}, "dataset": dataset, "metrics": metrics}
    return {
        "library_name": "gen",
        "pipeline_tag": tag,
        "tags": ["gen", "jax", "flax", kind, "image-generation", "synthetic-media"],
        "datasets": [name] if facts.config.data["call"] in _PUBLIC else [],
        "model-index": [{"name": facts.name, "results": [result]}] if metrics else [],
    }


def _split(facts: Facts) -> str:
    return facts.results[0].split if facts.results else ""


def _model_rows(facts: Facts) -> Iterator[tuple[str, Any]]:
    yield "Step", f"{facts.step:,} of {facts.config.total_steps:,}"
    yield "Run", cell(facts.name)
    if facts.config.experiment:
        yield "Experiment", cell(facts.config.experiment)
    yield "Images", pixels(shape_of(facts))
    if classes := num_classes(facts):
        yield "Classes", f"{classes:,}, listed in the data card"
    if facts.task.latent_shape:
        yield "Latent", f"{math.prod(facts.task.latent_shape):,} numbers"
    trained = facts.parameters.items()
    for role, count in sorted(trained, key=lambda entry: entry[0] == "discriminator"):
        if count > 100:  # not the two averages of a regularizer
            yield f"Parameters, {role}", f"{count:,}"
    yield "Config digest", cell(facts.config_digest)
    yield "Weights digest", cell(facts.weights_digest or "unknown")


def _example(facts: Facts) -> str:
    task = facts.task
    names = list(facts.data.get("class_names", ()))
    label = f", label={json.dumps(printable(names[0]), ensure_ascii=False)}" if num_classes(facts) and names else ""
    if isinstance(task, Prior | Flow) and task.context == "half_size":
        return "images = model.upscale(small)  # float32 [n seeds h w c] in [0, 1]"
    if isinstance(task, Prior | Flow) and task.context == "previous_frame":
        return "films = model.predict_frames(images)  # float32 [n seeds frames h w c] in [0, 1]"
    if not task.can_sample:
        return "show(model.reconstruct(images))  # float32 [n h w c] in [0, 1]"
    return f"show(model.sample(seeds=range(16){label}))  # seed 7 is always the same image"


def _drawn(name: str, given: Input) -> str:
    """Writes the code that makes an input for 16 images."""
    if given.shape is None:
        return f"np.{given.dtype}({given.neutral:g})"
    size = f"({', '.join(map(str, (16, *given.shape)))})" if given.shape else "16"
    draw = {"latent": "normal", "noise": "gumbel"}.get(name)
    return f"rng.{draw}(size={size}).astype(np.{given.dtype})" if draw else f"np.zeros({size}, np.{given.dtype})"


def _kind(given: Input) -> str:
    if given.shape is None:
        return f"{given.dtype}, {given.neutral:g} changes nothing"
    return f"{given.dtype} [{', '.join(['b', *map(str, given.shape)])}]"


def _training_rows(facts: Facts) -> Iterator[tuple[str, Any]]:
    sessions = facts.sessions
    yield "Data", cell(data_name(facts))
    yield "Data digest", cell(facts.data.get("digest", "unknown"))
    yield "Audit of the data", audited(facts.data)
    yield "Images shown", f"{facts.step * facts.config.batch_size:,} in {facts.step:,} steps"
    yield "Time", "not recorded" if facts.seconds is None else duration(facts.seconds)
    for title, values in (
        ("Command", [session.command for session in sessions]),
        ("Hardware", [session.devices for session in sessions]),
        ("Software", [session.software for session in sessions]),
        ("Date", [session.ended[:10] for session in sessions[-1:]]),
    ):
        told = [cell(value) for value in dict.fromkeys(filter(None, values))]
        yield title, Markdown(", then ".join(told)) if told else "not recorded"
    yield "Seed", str(facts.config.seed)


def _limits(facts: Facts) -> Iterator[str]:
    yield f"Its images have {pixels(shape_of(facts))}; it makes no others."
    if classes := num_classes(facts):
        yield f"It knows {classes:,} classes, and makes nothing else."
    if not facts.task.can_sample:
        yield "It has no distribution to draw from: it makes images of codes alone."
    yield "What the data lack, show wrongly or show too often, its images do as well; the data were not audited."
    if facts.step < facts.config.total_steps:
        yield f"Training was planned for {facts.config.total_steps:,} steps, and this is step {facts.step:,}."
    if not facts.results:
        yield "Nobody has measured its quality, its variety, or whether it copies training images."
    elif facts.evaluated != facts.step:
        yield "The figures above are of another checkpoint."
    yield "An image of a seed is the same to the bit only with the same versions on the same kind of device."


def _intended(facts: Facts) -> str:
    return (
        f"Whoever trained it has not stated a use. It {_does(facts.task)}, of the kind that it learned from; that "
        "suits study, teaching and comparison with other methods."
    )
