"""MODEL_CARD.md and DATA_CARD.md of a run: what it is, how it was trained and measured, and what nobody has stated.

They are written at the end of training and after an evaluation. The last line of a card holds the digest of all above:
one that a person changed does not match it, and stays.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path

from gen.errors import InputError
from gen.files import atomic_write, printable, read_regular
from gen.publishing import data_words, facts, model_words
from gen.publishing.facts import Facts
from gen.publishing.markdown import render
from gen.publishing.sampler import Input
from gen.runs.run_folder import RunFolder

MODEL, DATA = "MODEL_CARD.md", "DATA_CARD.md"
_MOST = 2**24  # bytes of a card
_LAST = re.compile(rb"<!-- Written by gen; sha256 of all above: ([0-9a-f]{64}) -->\n")
_log = logging.getLogger(__name__)


def model_card(
    found: Facts, *, folder: str, picture: str | None = None, inputs: Mapping[str, Input] | None = None
) -> str:
    """Writes a model card. folder: what `load` is given there. picture: the path of a grid of samples from there.

    inputs: of model.jaxexport, where that is beside it.
    """
    return _signed(render("model_card.md", **model_words.of_model(found, folder, picture, inputs or {})))


def data_card(found: Facts) -> str:
    """Writes a dataset card."""
    return _signed(render("data_card.md", **data_words.of_data(found)))


def renew(workdir: str | Path) -> None:
    """Writes the cards of a run anew, where there is a checkpoint; a card that a person changed stays, with a warning.

    Raises OSError. Call it in a folder without links, see `RunFolder.refuse_links`.
    """
    folder = RunFolder(Path(workdir))
    try:
        found = facts.read(folder)
    except InputError:
        return
    picture = found.preview.relative_to(folder.path).as_posix() if found.preview else None
    cards = {MODEL: model_card(found, folder=f"runs/{found.name}", picture=picture), DATA: data_card(found)}
    for name, text in cards.items():
        path = folder.path / name
        if os.path.lexists(path) and not is_own(path):
            _log.warning("%s was changed by hand, and stays as it is", printable(path))
        else:
            atomic_write(path, text)


def is_own(path: Path) -> bool:
    """Returns whether a card is as gen wrote it."""
    try:
        content = read_regular(path, most=_MOST) if not path.is_symlink() else b""
    except (OSError, InputError):
        return False
    above, _, last = content[:-1].rpartition(b"\n")
    found = _LAST.fullmatch(last + b"\n")
    return bool(found) and hashlib.sha256(above + b"\n").hexdigest().encode() == found[1]  # type: ignore[index]


def _signed(text: str) -> str:
    body = re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n\n"
    return f"{body}<!-- Written by gen; sha256 of all above: {hashlib.sha256(body.encode()).hexdigest()} -->\n"
