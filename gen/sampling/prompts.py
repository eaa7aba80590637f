"""Prompts: texts that images are made by, as the captions that a model learned. See gen.text for their tokens."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gen import cli
from gen.errors import InputError, nearest
from gen.files import expand, printable
from gen.runs.trained_run import TrainedRun
from gen.tasks.flow import Flow
from gen.tasks.prior import Prior
from gen.text import to_bytes, tokens_of

_MOST_BYTES = 2**26  # of a file of prompts
_MOST = 100_000  # prompts
_FIELDS: dict[str, tuple[type, ...]] = {"prompt": (str,), "seed": (int,), "label": (str, int)}
_LONGEST = 40  # characters of a name of a file


class Line(NamedTuple):
    """A line of a file of prompts."""

    prompt: str
    seed: int | None = None  # None: all that are asked for
    label: str | None = None  # None: as asked for


def read_prompts(file: str | Path) -> list[Line]:
    """Reads a prompt from each line, or from each object {"prompt": ..., "seed": ..., "label": ...} of a .jsonl file.

    Empty lines are passed over. Raises InputError, with the line, for what is none.
    """
    path = expand(file)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"--prompts={file}: more than {_MOST_BYTES:,} bytes")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"--prompts={file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise InputError(f"--prompts={file}: is not UTF-8 (at byte {error.start:,})") from None
    given = [(number, line.strip()) for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1) if line.strip()]
    as_json = path.suffix.lower() in (".jsonl", ".json")
    lines = [_object(line, f"--prompts={file}: line {number}") if as_json else Line(line) for number, line in given]
    if not lines or len(lines) > _MOST:
        raise InputError(f"--prompts={file}: {len(lines):,} prompts; allowed: 1 to {_MOST:,}")
    return lines


def _object(line: str, place: str) -> Line:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place} is not JSON ({printable(error, longest=100)})") from None
    if not isinstance(found, dict) or not isinstance(found.get("prompt"), str):
        raise InputError(f'{place} must be an object with a text, such as {{"prompt": "a red heart", "seed": 3}}')
    for name, value in found.items():
        if name not in _FIELDS:
            raise InputError(
                f"{place}: no field '{printable(name)}'{nearest(name, _FIELDS)}; allowed: prompt, seed, label"
            )
        if not isinstance(value, _FIELDS[name]) or isinstance(value, bool):
            raise InputError(f"{place}: {name} is {printable(json.dumps(value), longest=60)}, which is none")
    seed, label = found.get("seed"), found.get("label")
    if seed is not None and not 0 <= seed < 2**32:
        raise InputError(f"{place}: seed {seed}; allowed: 0 to {2**32 - 1}")
    return Line(found["prompt"], seed, None if label is None else str(label))


def check_prompts(run: TrainedRun, prompts: Sequence[str], *, name: str = "--prompt", strange: bool = True) -> None:
    """Raises InputError for prompts that a model cannot be given. If `strange`, says which signs it never saw.

    name: of what they were given by.
    """
    length = getattr(run.task, "caption_length", 0)
    if prompts and not length:
        raise InputError(f"{name}: this model was learned without captions; leave {name} out")
    seen = bytes.fromhex(run.data_metadata.get("captions", {}).get("bytes", "")) or bytes(range(256))
    for prompt in prompts:
        data = to_bytes(prompt)
        if not data.strip():
            raise InputError(f"{name}: a prompt is empty; leave it out to draw without one")
        if len(data) > length - 2:
            shown = printable(prompt, longest=40)
            raise InputError(f"{name}: '{shown}' has {len(data):,} bytes; this model reads at most {length - 2}")
    unseen = set(b"".join(map(to_bytes, prompts))) - set(seen)
    if unseen and strange:
        letters = sorted({letter for prompt in prompts for letter in prompt if set(to_bytes(letter)) & unseen})
        shown = printable("".join(letters), longest=40)
        cli.say(f"{name}: no caption that was learned has these signs: {shown}; what they mean is not known")


def check_negative(run: TrainedRun, negative: str | None, *, name: str = "--negative") -> None:
    """Raises InputError for a text that guidance cannot lead away from."""
    if negative is not None:
        if not isinstance(run.task, Prior | Flow):
            raise InputError(f"{name} is of priors and flows, which have guidance; leave it out")
        check_prompts(run, [negative], name=name)


def captions_for(
    run: TrainedRun, prompts: Sequence[str] | None, negative: str | None, count: int
) -> dict[str, np.ndarray]:
    """Returns the conditions of Task.sample for `count` images, a prompt each or none, and what guidance avoids."""
    arrays = {"caption": tokens_for(run, prompts)} if prompts else {}
    if negative is not None:
        arrays["negative"] = tokens_for(run, [negative] * count)
    return arrays


def tokens_for(run: TrainedRun, prompts: Sequence[str]) -> np.ndarray:
    """Makes the tokens int32 [n l] of checked prompts, as the task of a run takes them."""
    length: Any = getattr(run.task, "caption_length", 0)
    return tokens_of(map(to_bytes, prompts), length)


def slug(prompt: str) -> str:
    """Makes a part of a file name of a prompt: letters, digits, - and _, at most 40; with a digest if cut or empty."""
    plain = re.sub(r"[^\w-]+", "_", prompt.encode("utf-8", "replace").decode()).strip("_")
    plain = plain if plain.isascii() else re.sub(r"[^\w-]+", "", plain)
    if 0 < len(plain.encode()) <= _LONGEST:
        return plain
    kept = plain.encode()[: _LONGEST - 9].decode("utf-8", "ignore").strip("_")
    return f"{kept}_{hashlib.sha256(to_bytes(prompt)).hexdigest()[:8]}".strip("_")


def slugs(prompts: Sequence[str]) -> list[str]:
    """Makes the part of file names of each prompt, all different also where case does not count."""
    made = [slug(prompt) for prompt in prompts]
    again = {name.lower() for name in made if [other.lower() for other in made].count(name.lower()) > 1}
    digests = [hashlib.sha256(to_bytes(prompt)).hexdigest()[:8] for prompt in prompts]
    return [f"{name}_{digest}" if name.lower() in again else name for name, digest in zip(made, digests, strict=True)]
