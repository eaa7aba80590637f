"""The record of how an image was made: a flat dict whose keys begin with "gen:" and whose values are text or numbers.

It is plain text that anyone can remove, change, or copy to another file: it helps whoever wants to make an image again,
and proves nothing. Where it stands in a file, see gen/provenance/places.py.

    gen:version, gen:software          of gen; of gen, jax, numpy, and the kind of device
    gen:date                           when it was made, ISO 8601 in UTC; $SOURCE_DATE_EPOCH, if set, decides
    gen:run, gen:experiment            the name of the run folder; the experiment that it was trained by
    gen:config_digest, gen:step        the digest of the run's config; the step of its checkpoint
    gen:weights_digest                 of the averaged weights, see gen.runs.leaves.weights_digest
    gen:data_digest, gen:audit         the digest of the training data; what an audit of them found
    gen:seed, gen:label, ...           of the image, and all options that decide it
    gen:prompt, gen:negative           the text that it was made by, and that guidance led away from; in quotes, as
                                       JSON, where it has signs that are not printed, see `text_of`; of a picture of
                                       several gen:prompts, a list in JSON
    gen:refine, gen:refine_seed        the chain that refined it, and the seed of its random operators; of a file that
                                       had a record also gen:refine_date and gen:refine_software
    gen:source                         the sha256 of the file, or of the files, that it was made from
    gen:shows                          what it shows, if it is a grid, a figure or the like, and no image itself
    gen:digital_source_type            the last part of a term of IPTC, see SOURCE_TYPES
    gen:pixels                         `pixels_digest` of the image before it was marked
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import importlib.metadata
import json
import math
import os
import re
import time
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from gen import __version__
from gen.errors import InputError
from gen.files import printable, shown

Record = dict[str, Any]
SourceType = Literal[
    "trainedAlgorithmicMedia",  # made by a model
    "compositeWithTrainedAlgorithmicMedia",  # a photograph that was refined or of which a model made a part; both kinds
    "composite",  # several images in one picture, whatever made them
    "dataDrivenMedia",  # a map or a curve
]

PREFIX = "gen:"
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"  # IPTC's list; the terms follow
TRAINED: SourceType = "trainedAlgorithmicMedia"
COMPOSITE: SourceType = "compositeWithTrainedAlgorithmicMedia"
FIGURE: SourceType = "composite"
DATA: SourceType = "dataDrivenMedia"
NOT_AUDITED = "not audited"
_KEY = re.compile(rf"{PREFIX}[A-Za-z0-9_]{{1,60}}")
_NUMBERS = {
    "gen:step": int,
    "gen:seed": int,
    "gen:truncation": float,
    "gen:temperature": float,
    "gen:top_k": int,
    "gen:top_p": float,
    "gen:guidance": float,
    "gen:steps": int,
    "gen:frames": int,
    "gen:refine_seed": int,
}  # PNG stores text: what to turn back, if it can
_EXACT = ("prompt", "negative")  # texts that decide the image: an escape would be another text


def record(
    *,
    config_digest: str,
    step: int,
    seed: int | str | None = None,
    label: str | None = None,
    truncation: float = 1.0,
    refine: str | None = None,
    digital_source_type: SourceType = TRAINED,
    **more: Any,
) -> Record:
    """Returns what is needed to make an image again, given the run folder that it came from; None is left out.

    config_digest: of the run, see gen.config.digest. step: of the checkpoint. seed: of the image; several as text.
    label: the class, given or drawn. refine: the chain that refined it; its random operators had the image's seed.
    more: other fields, without "gen:". Raises InputError for a name that is no key.
    """
    if wrong := next((name for name in more if not is_key(PREFIX + name)), None):
        raise InputError(f"a record has no field {shown(wrong)}: allowed are letters, digits and _, at most 60")
    fields = {"version": __version__, "config_digest": config_digest, "step": step, "seed": seed}
    fields |= {"label": label, "truncation": truncation, "refine": refine}
    fields |= {"digital_source_type": digital_source_type, "date": now(), "software": software()}
    return _stored(fields | more)


def refined(
    record: Record | None,
    *,
    chain: str,
    seed: int,
    source: str | None = None,
    shows: str | None = None,
    device: str | None = None,
    claimed: str = "",
) -> Record:
    """Extends the record (or None) of an image to that of its refinement by a chain.

    When and by what the image was made stays, with refine_date and refine_software beside it; see `changed` for its
    source type. seed: of random operators. source: sha256 of the file that was refined. shows: what the picture is, if
    no image. device: see `software`. claimed: see `changed`.
    """
    kept = {name: value for name, value in (record or {}).items() if name != PREFIX + "pixels"}
    when = "refine_" if kept else ""
    fields = {"version": kept.get(PREFIX + "version", __version__), "refine": chain, "refine_seed": seed}
    fields |= {"source": source, "shows": shows, "digital_source_type": changed(record, claimed)}
    return kept | _stored(fields | {f"{when}date": now(), f"{when}software": software(device)})


def changed(record: Record | None, claimed: str = "") -> SourceType:
    """Returns what an image becomes when a part of it, or its look, is changed: TRAINED stays, all else is COMPOSITE.

    record: of the image; one of an earlier version, without a source type, is that of a model. claimed: the source type
    that the image says without a record, as one by another program does.
    """
    kept = record or {}
    made = kept.get(PREFIX + "digital_source_type", TRAINED if PREFIX + "config_digest" in kept else claimed)
    return TRAINED if made == TRAINED else COMPOSITE


def picture(shows: str, *, digital_source_type: SourceType = FIGURE, **more: Any) -> Record:
    """Returns the record of a picture that is no image itself, and of no run: what it shows, and other fields."""
    fields = {"version": __version__, "shows": shows, "digital_source_type": digital_source_type}
    return _stored(fields | {"date": now(), "software": software()} | more)


def audited(data: Mapping[str, Any]) -> str:
    """Returns what a record says of the audit of the data that data.json describes: its digest, or NOT_AUDITED."""
    audit = data.get("audit")
    digest = audit.get("digest") if isinstance(audit, Mapping) else None
    return digest if isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest) else NOT_AUDITED


def pixels_digest(array: np.ndarray) -> str:
    """Returns the sha256 over dtype, shape and bytes of pixels, as in "uint8[32, 32, 3]" and then the values."""
    values = np.ascontiguousarray(array)
    values = values.astype(values.dtype.newbyteorder("<"), copy=False)  # the same on machines of the other order
    hashed = hashlib.sha256(f"{values.dtype.name}{list(values.shape)}".encode())
    hashed.update(values.reshape(-1).view(np.uint8).data)
    return hashed.hexdigest()


def run_tag(record: Mapping[str, Any]) -> int:
    """Returns the number of a run that a watermark carries: 24 bits of the sha256 of its config digest; 0: no run."""
    digest = record.get(PREFIX + "config_digest")
    return int.from_bytes(hashlib.sha256(digest.encode()).digest()[:3], "big") if isinstance(digest, str) else 0


def now() -> str:
    """Returns the time as in 2026-11-29T08:15:00Z; $SOURCE_DATE_EPOCH, seconds since 1970, decides where it is set."""
    try:
        seconds = int(os.environ.get("SOURCE_DATE_EPOCH", ""))
        return _iso(seconds)
    except (ValueError, OverflowError, OSError):
        return _iso(int(time.time()))


def _iso(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@functools.cache
def software(device: str | None = None) -> str:
    """Returns the versions that decide what is computed, as in "gen 0.1.0, jax 0.10.2, numpy 2.4.6, cpu".

    device: its kind, as jax names it; None: not said.
    """
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("jax", "numpy")]
    return ", ".join([f"gen {__version__}", *versions, *([device] if device else [])])


def is_key(key: Any) -> bool:
    """Returns whether it may name a field: PNG allows names of 79 characters, and EXIF and XMP any."""
    return isinstance(key, str) and _KEY.fullmatch(key) is not None


def number(key: str, text: str) -> Any:
    """Turns the text of a field into a number, where the field is known to hold one and the text is one."""
    try:
        return _NUMBERS.get(key, str)(text)
    except ValueError:
        return text


def json_text(value: Any) -> str:
    """Writes JSON that can be printed: other signs become escapes, which JSON reads back."""
    text = json.dumps(value, ensure_ascii=False)  # in which they stand in strings alone
    return "".join(sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in text)


def text_of(field: str) -> str:
    """Returns the prompt that a record has as `field`: itself, or what it is the JSON of."""
    try:
        found = json.loads(field) if field.startswith('"') else field
    except ValueError:
        return field
    return str(found)


def shortened(text: str, longest: int) -> str:
    """Cuts the middle out of a longer text, and says how long it was and its sha256."""
    if len(text) <= longest:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
    said = f" ... ({len(text):,} characters, sha256 {digest}) ... "
    kept = max(0, longest - len(said))
    return text[: kept - kept // 3] + said + text[len(text) - kept // 3 :]


def _stored(fields: Mapping[str, Any]) -> Record:
    """Returns those that are not None, texts as every format can hold them: names may hold anything."""
    return {
        PREFIX + name: _exact(value) if name in _EXACT and isinstance(value, str) else _text(value)
        for name, value in fields.items()
        if value is not None
    }


def _exact(text: str) -> str:
    return text if text.isprintable() and text_of(text) == text else json_text(text)


def _text(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    text = str(value)
    return text if text.isprintable() else printable(text, longest=len(text))
