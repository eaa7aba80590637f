"""Splits from any folder of images: decoded once, with every file that was left out and the reason."""

from __future__ import annotations

import hashlib
import logging
import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from gen.config.values import require
from gen.data import audited
from gen.data.add_images import add_images, small_hint
from gen.data.archive import BadMember, Files, Zip, open_files
from gen.data.cache import Add, Made, cached
from gen.data.caption_files import read_captions
from gen.data.dataset import DatasetSplits
from gen.data.exclusions import read_exclusion
from gen.data.layout import LABELS_FILE, File, Layout, plain, read_layout
from gen.errors import InputError
from gen.files import expand, printable
from gen.files import sha256 as digest_of
from gen.image_io import Found, Unreadable, ignored_line, open_image
from gen.image_io.fit import Small, TooSmall, center_crop_resize, hash_fraction

_MOST_PIXELS = 2**14  # of a side
_FEW = 100  # training images, of which a model makes copies

log = logging.getLogger(__name__)


def folder(
    path: str | os.PathLike[str],
    resolution: int,
    *,
    grayscale: bool = False,
    background: tuple[int, int, int] = (255, 255, 255),  # RGB, 0..255, shown through transparent pixels
    held_out: float = 0.05,  # share of the images; unused when the folder has its own splits
    labeled: bool = True,  # False: subfolders are not classes
    caption: str | None = "auto",  # column of the metadata; "auto": text, caption or prompt; None: no captions
    small: Small = "skip",  # images smaller than resolution: "skip" and list them, "enlarge" them, or "refuse" all
    exclude: str | os.PathLike[str] | None = None,  # audit.json of gen.audit on this folder: leave out what it found
    exclude_kinds: tuple[str, ...] | None = None,  # of findings, see docs/data.md; None: the faults
    strict: bool = False,  # True: one unreadable file, or a caption too many or too few, refuses the whole folder
) -> DatasetSplits:
    """Reads all image files under `path`, a folder or a zip archive of one, as square images.

    The subfolders of `path` are the classes; without any (or with one only) the images are unlabeled. A dataset.json
    as of StyleGAN, {"labels": [["00000/img.png", 3], ...]}, gives the labels instead. If the subfolders are train or
    training and one or more of test, testing, val, valid, validation, eval, held_out (in any case), they are the splits
    and their subfolders the classes. Otherwise a file is held out by the sha256 of its relative name, so that files
    added later move no other. The cache goes by names and contents.
    Captions come from metadata.jsonl or metadata.csv, else from NAME.txt beside the images, see gen.data.caption_files.
    metadata["uncaptioned"] lists the images without one, metadata["unmatched"] the captions without an image.
    The central square of each image is area-averaged to `resolution`. Hidden files and what does not end like an image
    are ignored, and counted. An archive is read where it is; its outermost folder is that of the images. Unreadable
    files are listed in metadata["skipped"] with the reason, and classes of which nothing can be read in
    metadata["classes_left_out"]. Raises InputError when that leaves too little, and as options say.
    """
    _check(resolution, background, held_out)
    require(small, Small, "folder: small")
    found, root = open_files(path, "folder"), expand(path)
    listed = found.read(LABELS_FILE) if isinstance(found, Zip) else None
    layout = read_layout(root, found.names, labeled=labeled, labels_file=listed)
    excluded = read_exclusion(exclude, exclude_kinds) if exclude is not None else None
    whole = found.fingerprint([file.name for file in layout.files])
    if excluded:
        excluded.check([file.name for file in layout.files], f"folder: {printable(root)}")
        changed = excluded.content != whole
        left_out = {
            file.name
            for file in layout.files
            if file.name in excluded.names and not (changed and _differs(found, file.name, excluded.sha256[file.name]))
        }
        if kept := sum(file.name in excluded.names for file in layout.files) - len(left_out):
            log.warning("%d files are not what was audited under their names, and are not left out: audit again", kept)
        layout = layout._replace(files=[file for file in layout.files if file.name not in left_out])
        if not layout.files:
            raise InputError(f"folder: {printable(root)}: exclude leaves no image")
    made_of = repr([layout.class_names, layout.unlisted, [file[1:] for file in layout.files]])
    texts = read_captions(root, found.names, found.others(), found.text, column=caption)
    if line := ignored_line(Found([], Counter(found.ignored) - texts.files)):
        log.warning("%s: %s", printable(root), line)
    used = {file.name for file in layout.files}
    captions = {name: given for name, given in texts.captions.items() if name in used}
    identity = [made_of, whole, sorted(left_out)] if excluded else [made_of, whole]
    if captions:
        identity.append(hashlib.sha256(repr(sorted(captions.items())).encode()).hexdigest())
    options = {
        "folder": plain(root.resolve().name),
        "resolution": resolution,
        "grayscale": grayscale,
        "background": list(background),
        "held_out": held_out,
        "labeled": labeled,
        "small": small,
    } | ({"caption": caption} if captions else {})
    options |= {"exclude": excluded.facts} if excluded else {}
    decode = partial(_decode, root, found, resolution, grayscale, background, small)
    strict_hint = "--config.data.strict=False leaves such files out" if strict else ""

    def make(add: Add) -> Made:
        kept, skipped, left_out = _readable_classes(layout, decode)
        files = sorted(kept.files, key=lambda file: (held_out_position(file.name), file.name))  # shuffled: by a hash
        split_of = partial(_split_of, held_out=held_out, total=len(files))
        where = f"folder: {printable(root)}"
        of_files = captions or None
        skipped += add_images(add, files, decode, where=where, strict=strict_hint, split_of=split_of, captions=of_files)
        skipped += [{"file": plain(name), "reason": "is not in dataset.json"} for name in layout.unlisted]
        skipped.sort(key=lambda entry: entry["file"])
        return kept.class_names, {"source": "files of a folder", "skipped": skipped, "classes_left_out": left_out}

    source = cached("folder", options, make, identity=identity)
    if any(texts[:3]):  # of the folder as it is now: the cache goes by what was learned from
        source.metadata["uncaptioned"] = [plain(name) for name in texts.uncaptioned if name in used]
        source.metadata["unmatched"] = [plain(name) for name in texts.unmatched]
    if known := audited.recall(whole):
        source.metadata["audit"] = known
    if excluded:
        source.metadata["excluded"] = excluded.facts | {"images": len(left_out)}
        source.metadata.setdefault("audit", {"digest": excluded.facts["audit"]})
    _say_left_out(source, root, len(layout.files) + len(layout.unlisted), strict)
    _say_captions(source, root, strict)
    return source


def _check(resolution: int, background: tuple[int, int, int], held_out: float) -> None:
    if resolution < 1:
        raise InputError(f"folder: resolution={resolution}: must be at least 1")
    if resolution > _MOST_PIXELS:
        raise InputError(f"folder: resolution={resolution}: must be at most {_MOST_PIXELS:,}")
    if len(background) != 3 or not all(isinstance(value, int) and 0 <= value <= 255 for value in background):
        raise InputError(f"folder: background={background}: must be three whole numbers in 0..255")
    if not 0 < held_out < 1:
        raise InputError(f"folder: held_out={held_out}: must lie between 0 and 1")


def _differs(files: Files, name: str, sha256: str) -> bool:
    """Returns whether a file has another content; one that cannot be read has none."""
    try:
        opened = files.open(name)
        found = digest_of(opened) if isinstance(opened, Path) else hashlib.sha256(opened.read()).hexdigest()
    except (OSError, BadMember):
        return False
    return bool(sha256) and found != sha256


def held_out_by_name(name: str, share: float) -> bool:
    """Returns whether a file is held out where the folder does not say it; where files are few, see `folder`."""
    return held_out_position(name) < share


def held_out_position(name: str) -> float:
    """Returns where a name lies in [0, 1), by its hash: below the share that is held out, the file is."""
    return hash_fraction(os.fsencode(unicodedata.normalize("NFC", name)))


def _decode(
    root: Path,
    files: Files,
    resolution: int,
    grayscale: bool,
    background: tuple[int, int, int],
    small: Small,
    file: File,
) -> np.ndarray | str:
    """Returns the image uint8 [h w c], or the reason why there is none."""
    try:
        image = open_image(files.open(file.name), grayscale=grayscale, background=background, single=True)
        return center_crop_resize(image, resolution, enlarge=small == "enlarge")
    except TooSmall as error:
        if small == "refuse":
            choice = "choose a smaller --config.data.resolution, or --config.data.small=skip or enlarge"
            raise InputError(f"folder: {printable(root / file.name)} {error}: {choice}") from error
        return str(error)
    except (Unreadable, BadMember) as error:
        return str(error)


def _readable_classes(layout: Layout, decode: partial) -> tuple[Layout, list[dict[str, str]], list[str]]:
    """Returns the layout without classes of which no file is readable; those files with reasons; those classes."""
    if not layout.class_names:
        return layout, [], []
    skipped, bad, of_class = list[dict[str, str]](), set[int](), defaultdict[int, list[File]](list)
    for file in layout.files:
        of_class[file.label].append(file)
    for label in range(len(layout.class_names)):
        reasons = list[dict[str, str]]()
        for file in of_class[label]:
            if not isinstance(reason := decode(file), str):
                break
            reasons.append({"file": plain(file.name), "reason": reason})
        else:
            bad.add(label)
            skipped += reasons
    if len(bad) in (0, len(layout.class_names)):
        return layout, [], []
    kept = [label for label in range(len(layout.class_names)) if label not in bad]
    number = {label: index if len(kept) > 1 else 0 for index, label in enumerate(kept)}
    files = [file._replace(label=number[file.label]) for file in layout.files if file.label in number]
    names = tuple(layout.class_names[label] for label in kept) if len(kept) > 1 else ()
    return Layout(files, names, layout.unlisted), skipped, [layout.class_names[label] for label in sorted(bad)]


def _split_of(number: int, file: File, counts: Mapping[str, int], *, held_out: float, total: int) -> str:
    """Returns the folder's split, else that of the name's hash; the first readable file is held out, the last not."""
    chosen = not counts["held_out"] or (held_out_position(file.name) < held_out and number < total - 1)
    return file.split or ("held_out" if chosen else "train")


def _say_captions(source: DatasetSplits, root: Path, strict: bool) -> None:
    """Warns of images without captions and captions without images. Raises InputError instead if `strict`."""
    kinds = (("uncaptioned", "images without a caption"), ("unmatched", "captions without an image"))
    found = [(what, names) for key, what in kinds if (names := source.metadata.get(key))]
    said = [f"{len(names):,} {what} in {printable(root)} (first: {names[0]})" for what, names in found]
    if said and strict:
        raise InputError(f"{', '.join(said)}; --config.data.strict=False takes the rest")
    for message in said:
        log.warning("%s; data.json lists them", message)


def _say_left_out(source: DatasetSplits, root: Path, count: int, strict: bool) -> None:
    if skipped := source.metadata["skipped"]:
        first = f"{skipped[0]['file']}: {skipped[0]['reason']}"
        message = f"{len(skipped)} of {count} image files in {printable(root)} cannot be used (first: {first})"
        if strict:
            raise InputError(f"{message}; --config.data.strict=False leaves them out")
        log.warning("%s and are left out%s", message, small_hint(skipped))
    if left_out := source.metadata.get("classes_left_out"):
        log.warning("no image of these can be used, so they are no classes: %s", ", ".join(left_out[:5]))
    if untaught := sorted(set(range(source.num_classes)) - set(np.unique(source.train.labels).tolist())):
        names = ", ".join(source.class_names[label] for label in untaught[:5])
        log.warning("no image of these classes is there to train on, all are held out: %s", names)
    if (images := len(source.train.images)) < _FEW:
        few = "few images to train on in %s (%d): a model will copy them, not learn what they share"
        log.warning(few, printable(root), images)
