"""A page that runs a model in the browser of whoever visits: index.html, page.json, scripts and onnxruntime-web.

The page is the same for every model: what differs is page.json, which it shows as text alone. It asks no other host for
anything. Its scripts draw the random numbers of jax, so that a seed is the image that it is for gen, up to rounding.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from gen import __version__
from gen.errors import InputError
from gen.files import printable, read_regular
from gen.provenance import PREFIX, record
from gen.provenance.xmp import packet
from gen.publishing import flow_steps, onnx_export, onnxruntime_web
from gen.publishing.sampler import of_run
from gen.runs.trained_run import TrainedRun
from gen.tasks import Task
from gen.tasks.autoencoder import Autoencoder
from gen.tasks.flow import Flow
from gen.tasks.gan import Gan

PAGE = ("index.html", "page.css", "page.js", "generator.js", "flow.js", "random.js", "png.js")
FILES = (*PAGE, "page.json", *onnxruntime_web.FILES)
LARGEST = 20_000_000  # bytes of model.onnx
TOLERANCE = 1e-3  # levels of 255
_OF_AN_IMAGE = {PREFIX + name for name in ("date", "seed", "label", "truncation", "steps", "guidance")}  # of a record
_TEMPLATES = Path(__file__).parent / "templates"
_ALLOWED = "allowed: generators, decoders of normal latents, and flows of pixels"


def files(run: TrainedRun, runtime: Path) -> dict[str, bytes]:
    """Returns the files of the page of a run, but model.onnx. runtime: where onnxruntime-web is.

    Raises InputError for a model that has no page, and for files that are not those of onnxruntime-web.
    """
    reason = onnx_export.refusal(run.task)
    if reason is None and not (isinstance(run.task, Gan | Autoencoder | Flow) and run.task.can_sample):
        reason = "this model draws no images by itself"
    if reason:
        raise InputError(f"no page: {reason}; {_ALLOWED}")
    page = {name: (_TEMPLATES / name).read_bytes() for name in PAGE}
    return page | {"page.json": json.dumps(about(run)).encode()} | onnxruntime_web.read(runtime)


def about(run: TrainedRun) -> dict[str, Any]:
    """Returns what the page must know of a model, as page.json holds it. Texts are printable."""
    made = run.record(software=f"gen {__version__}, onnxruntime-web {onnxruntime_web.VERSION}, wasm")
    made = {name: value for name, value in made.items() if name not in _OF_AN_IMAGE}
    dated = made | {f"{PREFIX}date": "@date@"}
    inputs = of_run(run).inputs
    label = lambda name: record(config_digest="", step=0, label=name)[f"{PREFIX}label"]  # noqa: E731
    return {
        "name": printable(run.name or "A generator"),
        "shape": run.task.shape if isinstance(run.task, Flow) else run.data_metadata["image_shape"],
        "latent": math.prod(inputs["latent"].shape or ()),
        "classes": [label(name) for name in run.class_names] if "label" in inputs else [],
        "truncation": "truncation" in inputs,
        "flow": _flow(run.task) if isinstance(run.task, Flow) else None,
        "record": made,
        "packet": packet(dated).decode().replace(_json(dated), "@record@"),
        "note": _note(run),
    }


def _flow(task: Flow) -> dict[str, Any]:
    """Returns what the steps of a flow need, see flow.js. guidance: None where it has none."""
    return {
        "steps": task.steps,
        "last": task.last_step,
        "shift": task.time_shift,
        "guidance": flow_steps.guidance(task),
        "guidance_times": task.guidance_times,
        "unknown": task.num_classes,
    }


def model_beside(run: TrainedRun, folder: Path) -> bytes | None:
    """Returns the model.onnx of an exported folder, where it was made of the weights of this run; else None.

    Raises InputError for one that is too large for a page.
    """
    path = folder / "model.onnx"
    if not path.is_file():
        return None
    _check_size(path.stat().st_size)
    content = read_regular(path, most=LARGEST)
    return content if onnx_export.metadata(content).get("weights_digest") == run.weights_digest else None


def tolerance(task: Task) -> float:
    """Returns how far images may be from jax, in levels of 255. Guidance multiplies what velocities are rounded by."""
    guidance = flow_steps.guidance(task) if isinstance(task, Flow) else None
    return TOLERANCE * max(1.0, guidance or 1.0)


def check(content: bytes, task: Task) -> None:
    """Raises InputError for a model.onnx that is too large for a page, or was too far from jax when it was made."""
    _check_size(len(content))
    try:
        levels = 255 * float(onnx_export.metadata(content)["difference"])
    except (KeyError, ValueError):
        raise InputError("no page: model.onnx does not say how far it is from jax; make it anew with --onnx") from None
    most = tolerance(task)
    if not 0 <= levels <= most:
        raise InputError(f"no page: model.onnx differs from jax by {levels:.1e} of 255 levels; allowed: {most:g}")


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise InputError(f"no page: model.onnx is {size / 1e6:,.1f} MB; allowed: {LARGEST / 1e6:.0f} MB")


def _json(made: dict[str, Any]) -> str:
    """Returns a record as it stands in its packet."""
    return json.dumps(made).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _note(run: TrainedRun) -> str:
    halved = onnx_export.in_float32(run).task != run.task
    unlike = "up to rounding" + (", which is coarser in gen: there it computes in bfloat16" if halved else "")
    refined = run.config.refine not in ("", "none")
    return (
        f"Checkpoint {run.step:,}. Your browser makes every image; nothing is sent anywhere. A seed is the same image "
        f"here as in gen{', before its refinement' if refined else ''}, {unlike}. Saved files carry the record of how "
        "they were made; they are neither marked nor signed."
    )
