"""Digests of what gen computes: of two trees that compute the same to the bit, on one machine, no line differs.

    python benchmarks/goldens.py --out before.json      # of the tree as it is
    python benchmarks/goldens.py --against before.json  # of another tree: prints what differs, and exits with 1
    python benchmarks/goldens.py --smoke                # the smallest form, no claim

What it computes: runs of the smallest variants of experiments, 20 steps each (a GAN, autoencoders with each bottleneck,
priors of tokens, pixels and frames): the state at the end, leaf by leaf, and 64 seeds (of autoencoders 64
reconstructions); every example of the gallery of operators that is a chain, on two pictures; every metric of two sets;
and the decoded images of a folder of many formats. Bits depend on processor and versions of libraries: files of two
machines do not compare.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import hashlib
import json
import os
import pathlib
import re
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]  # the gallery's examples

from gen import devices  # noqa: E402
from gen.config import Config, experiment, spec  # noqa: E402
from gen.data import DatasetSplits, Examples, folder  # noqa: E402
from gen.evaluation import Comparison, measure  # noqa: E402
from gen.evaluation.feature_sets import extract_features, reference  # noqa: E402
from gen.features import pixels  # noqa: E402
from gen.imaging.chain import chain  # noqa: E402
from gen.models import bottleneck  # noqa: E402
from gen.runs import trained_run  # noqa: E402
from gen.runs.checkpoint import Checkpoints  # noqa: E402
from gen.sampling import by_seed  # noqa: E402
from gen.training.loop import train  # noqa: E402

Digests = dict[str, str]
# Words of chains that had other names when the digests of before were taken; goes when the move is done.
WORDS = {
    "black_tophat": "black_hat",
    "denoise_nl_means": "non_local_means",
    "laplace": "laplacian",
    "map_segments": "per_segment",
    "percentile_filter": "percentile",
    "simulate_cvd": "simulate_deficiency",
    "threshold_multiotsu": "multi_otsu",
    "unsharp_mask": "unsharp",
    "white_tophat": "top_hat",
}
BOTTLENECKS: dict[str, tuple[Any, dict[str, Any]]] = {
    "plain": (bottleneck.Identity, {}),
    "gaussian": (bottleneck.DiagonalGaussian, {}),
    "finite_scalar": (bottleneck.FSQ, {"levels": (8, 5, 5, 5)}),
    "lookup_free": (bottleneck.LFQ, {}),
    "vector_quantized": (bottleneck.VectorQuantizer, {}),
}
_RENAMED = {  # since the digests before the move
    "metrics/memorised": "metrics/memorized",
    "metrics/memorised-p": "metrics/memorized-p",
}
PRIORS = {"prior": "fashion_mnist_prior", "pixels": "fashion_mnist_pixels", "video": "sprites_video"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, help="write the digests to this file")
    parser.add_argument("--against", type=pathlib.Path, help="compare with the digests in this file")
    parser.add_argument("--only", default="", help="runs, chains, metrics, folder; with commas")
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    parts = {"runs": runs, "chains": chains, "metrics": metrics, "folder": decoded}
    chosen = given.only.split(",") if given.only else list(parts)
    found: Digests = {}
    with tempfile.TemporaryDirectory() as scratch, _environment(GEN_CACHE=f"{scratch}/cache"):
        for name in chosen:
            for key, digest in parts[name](pathlib.Path(scratch), given.smoke):
                found[f"{name}/{key}"] = digest
                print(f"{digest[:16]}  {name}/{key}", flush=True)
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n")
    if given.against:
        sys.exit(compare(json.loads(given.against.read_text()), found, chosen))


def compare(before: Digests, after: Digests, parts: list[str]) -> int:
    """Prints what differs in these parts; returns the exit code."""
    before = {_RENAMED.get(name, name): digest for name, digest in before.items() if name.partition("/")[0] in parts}
    differ = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    for name in sorted(differ):
        print(f"differs: {name}: {before.get(name, 'absent')[:16]} before, {after.get(name, 'absent')[:16]} after")
    print(f"{len(before.keys() & after.keys()) - len(differ):,} of {len(before):,} digests are equal")
    return int(bool(differ))


def runs(scratch: pathlib.Path, smoke: bool) -> Iterator[tuple[str, str]]:
    """The state after 20 steps, leaf by leaf, and 64 images of each run."""
    steps, count, mesh = *((2, 4) if smoke else (20, 64)), devices.mesh(-1, 1)
    for name, config in _configs(smoke):
        config.total_images, config.preview_images = steps * config.batch_size, 4
        config.checkpoint_every = config.preview_every = config.log_every = steps
        (scratch / name).mkdir()
        train(config, scratch / name)
        loaded = trained_run.load(scratch / name, mesh=mesh)
        state = jax.eval_shape(loaded.task.init, jax.random.key(0))
        with Checkpoints(scratch / name / "checkpoints") as checkpoints:
            restored = checkpoints.restore(state)
        assert restored is not None
        for path, leaf in jax.tree.leaves_with_path(restored[0]):
            yield f"{name}/state/{jax.tree_util.keystr(path, simple=True, separator='/')}", _digest(leaf)
        if loaded.task.can_sample:
            images = np.concatenate(list(by_seed.images(loaded.task, loaded.ema_params, range(count), mesh=mesh)))
        else:
            images = np.asarray(loaded.task.reconstruct(loaded.ema_params, _pictures(count, 32, 32)))
        yield f"{name}/images", _digest(images)


def _configs(smoke: bool) -> Iterator[tuple[str, Config]]:
    load = lambda name: experiment.load(str(ROOT / "experiments" / f"{name}.py:smoke"))  # noqa: E731
    yield "gan", load("shapes")
    for name, (kind, arguments) in BOTTLENECKS.items():
        if smoke:
            break
        config = copy.deepcopy(load("shapes_autoencoder"))
        config.task.network.bottleneck = spec(kind, **arguments)
        yield f"autoencoder_{name}", config
    for name, file in PRIORS.items():
        if not smoke:
            yield name, load(file)


def chains(scratch: pathlib.Path, smoke: bool) -> Iterator[tuple[str, str]]:
    """Every chain of the gallery on two pictures, uint8 as gen.refine writes them and float as they are."""
    from gallery_table import PYTHON, SECTIONS

    photographs = _pictures(2, 48, 64)
    given = {"references": dict.fromkeys(("flash", "evening", "before"), photographs[0])}
    given["masks"] = {"scratches": (photographs[0, ..., :1] > 0.6).astype(np.float32)}
    texts = [entry.text for section in SECTIONS.keys() - PYTHON for entry in SECTIONS[section]]
    for text in sorted(texts)[: 3 if smoke else None]:
        read = chain(text)
        for i, photograph in enumerate(photographs):
            try:
                refined = np.asarray(read(photograph, key=jax.random.key(0), **given))
            except ValueError as error:  # of a gray operator on a color picture, say: that must stay, too
                refined = np.frombuffer(str(error).encode(), np.uint8)
            yield f"{_of_before(text)}/{i}", _digest(refined)


def _of_before(text: str) -> str:
    for new, old in WORDS.items():
        text = re.sub(rf"\b{new}\b", old, text)
    return text


def metrics(scratch: pathlib.Path, smoke: bool) -> Iterator[tuple[str, str]]:
    """Every metric, by pixels, of two fixed sets of images."""
    train_set, held_out, made = np.split((255 * _pictures(600, 32, 32)).astype(np.uint8), [300, 450])
    parts = [Examples(x, np.arange(len(x), dtype=np.int32) % 3) for x in (train_set, held_out, made)]
    source, extractor = DatasetSplits("pictures", *parts[:2], ("a", "b", "c"), {"digest": "0" * 64}), pixels(4)
    generated = extract_features(parts[2], extractor, labeled=True)
    question = Comparison(generated, reference(source, extractor), extractor, path=(_pictures(9, 32, 32),) * 2)
    for card in measure(question, groups=("frechet",)) if smoke else measure(question):
        yield card.metric, _digest(np.asarray([card.value, card.low or 0, card.high or 0]))


def decoded(scratch: pathlib.Path, smoke: bool) -> Iterator[tuple[str, str]]:
    """What training sees of a folder of many formats, modes, orientations and damages."""
    root = scratch / "messy"
    for i, picture in enumerate((255 * _pictures(24, 40, 48)).astype(np.uint8)):
        image, where = Image.fromarray(picture), root / "ab"[i % 2]
        where.mkdir(parents=True, exist_ok=True)
        mode, suffix = ("RGB", "L", "RGBA", "P", "CMYK", "1", "LA", "I;16")[i % 8], (".png", ".tif", ".webp")[i // 8]
        deep = Image.fromarray(picture[..., 0].astype(np.uint16) * 257)
        image = deep if mode == "I;16" and suffix != ".webp" else image.convert("RGB" if mode == "I;16" else mode)
        if mode == "CMYK" and suffix != ".tif":
            suffix = ".jpg"
        tags = Image.Exif()
        tags[0x0112] = 1 + i % 8
        image.save(where / f"{i:02d}{suffix}", exif=tags)
    (root / "a" / "damaged.png").write_bytes((root / "a" / "00.png").read_bytes()[:200])
    (root / "a" / "notes.txt").write_text("no image")
    found = folder(root, 32)
    for part, examples in (("train", found.train), ("held_out", found.held_out)):
        yield f"{part}/images", _digest(np.asarray(examples.images))
        yield f"{part}/labels", _digest(np.asarray(examples.labels))
    skipped = sorted(entry["file"] for entry in found.metadata["skipped"])
    yield "names", hashlib.sha256(json.dumps([found.class_names, skipped]).encode()).hexdigest()


def _pictures(count: int, height: int, width: int) -> np.ndarray:
    """Smooth waves with a patch of one color and some noise, float32 [n h w 3] in [0, 1], all unlike."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width].astype(np.float32) / height
    phase, wave = rng.uniform(0, 6, (2, count, 1, 1, 3)).astype(np.float32)
    images = 0.5 + 0.4 * np.sin(wave * x[..., None] + 3 * y[..., None] + phase)
    images[:, height // 4 : height // 2, width // 4 : width // 2] = rng.random((count, 1, 1, 3), np.float32)
    return np.clip(images + 0.03 * rng.standard_normal(images.shape, np.float32), 0, 1)


def _digest(array: Any) -> str:
    array = np.ascontiguousarray(array)
    return hashlib.sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes()).hexdigest()


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


if __name__ == "__main__":
    main()
