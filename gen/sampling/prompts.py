"""Prompts: texts that images are made by, as the captions that a model learned. See gen.text for their tokens."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gen import cli
from gen.errors import InputError, nearest
from gen.files import expand, printable
from gen.outputs.naming import folded
from gen.runs.trained_run import TrainedRun
from gen.sampling.settings import Each
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
    number: int = 0  # of the line


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
    at = f"--prompts={file}: line"
    lines = [_object(line, f"{at} {n}") if as_json else Line(line) for n, line in given]
    lines = [line._replace(number=n) for line, (n, _) in zip(lines, given, strict=True)]
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
    if not found["prompt"].strip():
        raise InputError(f"{place}: the prompt is empty")
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


def check_prompts(
    run: TrainedRun, prompts: Sequence[str], *, name: str = "--prompt", strange: bool = True
) -> list[str]:
    """Returns prompts without the space about them, as captions are learned. If `strange`, says which signs are new.

    name: of what they were given by. Raises InputError for prompts that a model cannot be given.
    """
    length = getattr(run.task, "caption_length", 0)
    if prompts and not length:
        raise InputError(f"{name}: this model was learned without captions; leave {name} out")
    prompts = [prompt.strip() for prompt in prompts]
    seen = bytes.fromhex(run.data_metadata.get("captions", {}).get("bytes", "")) or bytes(range(256))
    for prompt in prompts:
        try:
            data = prompt.encode("utf-8", "surrogateescape")  # a half would come back from a record as another text
        except UnicodeEncodeError as error:
            half = printable(prompt[error.start], longest=40)
            raise InputError(f"{name}: a prompt holds {half}, half of a character, which is no text") from None
        if not data:
            raise InputError(f"{name}: a prompt is empty; leave it out to draw without one")
        if len(data) > length - 2:
            shown = printable(prompt, longest=40)
            raise InputError(f"{name}: '{shown}' has {len(data):,} bytes; this model reads at most {length - 2}")
    unseen = set(b"".join(map(to_bytes, prompts))) - set(seen)
    if unseen and strange:
        letters = sorted({letter for prompt in prompts for letter in prompt if set(to_bytes(letter)) & unseen})
        shown = printable("".join(letters), longest=40)
        cli.say(f"{name}: no caption that was learned has these signs: {shown}; what they mean is not known")
    return prompts


def check_once(each: Each, *, name: str = "--prompt") -> None:
    """Raises InputError for a prompt that is given twice with one seed and class. name: of what they were given by."""
    seen = set[tuple[bytes, int, int | None]]()
    for i, (seed, prompt) in enumerate(zip(each.seeds, each.prompts or (), strict=False)):
        image = to_bytes(prompt), seed, each.labels[i] if each.labels else None
        if image in seen:
            again = f"'{printable(prompt, longest=40)}' is given twice with seed {seed}"
            raise InputError(f"{name}: {again}, and would make the same image; give each once")
        seen.add(image)


def check_negative(
    run: TrainedRun, negative: str | None, guidance: float | None, *, known: bool, name: str = "--negative"
) -> str | None:
    """Returns the text that guidance leads away from, as `check_prompts` does.

    guidance: as it was given. known: whether a prompt, a class or a context is, without which a flow leaves its own
    guidance out. Raises InputError also where no guidance is in force, and the text would change nothing.
    """
    if negative is None:
        return None
    if not isinstance(run.task, Prior | Flow):
        raise InputError(f"{name} is of priors and flows, which have guidance; leave it out")
    own = run.task.guidance if isinstance(run.task, Flow) and known else 1.0
    if (own if guidance is None else guidance) <= 1:
        needed = name.replace("negative", "guidance")
        raise InputError(f"{name} needs guidance above 1, such as {needed}=2; without it, it changes nothing")
    return check_prompts(run, [negative], name=name)[0]


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
    count = Counter(folded(Path(name)) for name in made)
    taken, names = {name for name, times in count.items() if times == 1}, list[str]()
    for prompt, name in zip(prompts, made, strict=True):
        if count[folded(Path(name))] > 1:
            digest = hashlib.sha256(to_bytes(prompt)).hexdigest()
            longer = [f"{name}_{digest[:length]}" for length in (8, 16, 64)]  # of 100,000, 8 digits may be the same
            name = next((name for name in longer if folded(Path(name)) not in taken), longer[-1])
            taken.add(folded(Path(name)))
        names.append(name)
    return names
