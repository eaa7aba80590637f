"""Run folders that somebody damaged or made up: JSON texts changed in structure and in bytes, from a seed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

CALLS = (
    *(
        "gen.config.experiment:sweep",
        "gen.files:atomic_write",
        "gen.runs.trained_run:load",
        "gen.cli:run",
        "gen.data.shapes:shapes",
    ),
    *(
        "gen.tasks.gan:Gan",
        "gen.models.r3gan:Generator",
        "gen.models.bottleneck:DiagonalGaussian",
        "os:system",
        "gen:x",
        "",
    ),
    *("gen.report:Report", "gen.config:from_json", "subprocess:run", "gen.main:os.system", "a b:c", ":", "gen..os:x"),
)
NUMBERS = (0, -1, 1, 3, 2**31, 2**63, 10**40, -(10**40), 0.0, -0.5, 1e-300, 1e300, 1e999, float("nan"), 65_537)
TEXTS = ("", "x", "\0", "\x1b[2J", "\ud800", "../../x", "/dev/zero", "x" * 5000, "none", "١")


def values(rng: random.Random) -> Any:
    """Anything that JSON can hold, and some that it cannot."""
    kind = rng.randrange(9)
    if kind < 3:
        return rng.choice(NUMBERS)
    if kind == 3:
        return rng.choice(TEXTS)
    if kind == 4:
        return rng.choice((None, True, False, [], {}))
    if kind == 5:
        return [values(rng) for _ in range(rng.randrange(4))]
    if kind == 6:
        return {rng.choice(("a", "call", "width", "name", *TEXTS)): values(rng) for _ in range(rng.randrange(3))}
    if kind == 7:
        return {"call": rng.choice(CALLS), rng.choice(("name", "path", "content", "widths")): values(rng)}
    deep: Any = 1
    for _ in range(rng.choice((40, 400))):
        deep = [deep] if rng.random() < 0.5 else {"a": deep}
    return deep


def holders(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every list and object inside a value with each of its keys."""
    for key in range(len(value)) if isinstance(value, list) else list(value) if isinstance(value, dict) else ():
        yield value, key
        yield from holders(value[key])


def restructured(value: Any, rng: random.Random) -> Any:
    """A copy with one to three changes: an entry replaced, removed, renamed, added, or exchanged for another."""
    value = copy.deepcopy(value)
    for _ in range(rng.randrange(1, 4)):
        places = list(holders(value))
        if not places:
            return values(rng)
        (holder, key), (other, other_key) = rng.choice(places), rng.choice(places)
        change = rng.randrange(6)
        if change < 2:
            holder[key] = values(rng)
        elif change == 2:
            del holder[key]
        elif change == 3 and isinstance(holder, dict):
            holder[rng.choice(("call", "width", "digest", str(key)[1:], *TEXTS))] = holder.pop(key)
        elif change == 4 and isinstance(holder, dict):
            holder[rng.choice(("call", "features", "tokenizer", "operation_weights", "init_from"))] = values(rng)
        else:
            holder[key] = copy.deepcopy(other[other_key])
    return value


def mutated(text: bytes, rng: random.Random) -> bytes:
    """A JSON text changed: mostly in structure, else bytes flipped, cut, repeated, or a name written twice."""
    change = rng.randrange(10)
    if change < 6:
        return json.dumps(restructured(json.loads(text), rng), ensure_ascii=rng.random() < 0.5).encode(
            "utf-8", "surrogatepass"
        )
    if change == 6:
        changed = bytearray(text)
        for _ in range(rng.choice((1, 1, 2, 8))):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        return bytes(changed)
    at = rng.randrange(len(text))
    if change == 7:
        return text[:at]
    if change == 8:
        return text[:at] + text[max(0, at - rng.randrange(1, 200)) :]
    return text.replace(b"{", b'{"seed": 1, ', 1) if rng.random() < 0.5 else b"[" * rng.choice((100, 200_000)) + text
