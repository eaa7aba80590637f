"""Decides what image files say about where they come from: nothing, a record, a watermark too, a signature too.

    off      nothing: no record, no mark, no signature
    record   how the image was made, in all places of the file, see gen/provenance/record.py
    mark     the record, and an invisible mark in the pixels, see gen/watermark
    sign     the record, the mark, and a signature that others can check (C2PA), in PNG, JPEG, WebP, GIF

Without a level it is "mark", and "sign" where c2pa-python and a certificate are there. $GEN_PROVENANCE is the level of
all programs that are given none.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from gen import cli
from gen.cli import Options, option
from gen.errors import InputError, nearest
from gen.files import expand, printable
from gen.provenance.c2pa import CERTIFICATE, PRIVATE_KEY
from gen.provenance.certificates import INSTALL
from gen.provenance.key import key_of

if TYPE_CHECKING:
    from gen.provenance.c2pa import Signer
    from gen.watermark import Key

Level = Literal["off", "record", "mark", "sign"]
LEVEL = "GEN_PROVENANCE"  # of the environment
_OF_SIGNATURES = ("certificate", "private_key", "tsa", "training")
_TRAINING = {None: None, "allowed": True, "notAllowed": False}
_MEANINGS = {
    "off": "the files say nothing about where they come from",
    "record": "the files say how they were made; no watermark, no signature",
    "mark": "the files say how they were made and have a watermark; no signature",
    "sign": "the files say how they were made, have a watermark, and are signed",
}


@dataclass(frozen=True)
class Policy:
    """What is written into image files. It holds secrets, which it does not show."""

    level: Level
    key: Key | None = field(default=None, repr=False)  # of the watermark; None: no mark
    signer: Signer | None = field(default=None, repr=False)  # None: no signature
    training: bool | None = None  # whether others may train on the images, as the signature says; None: nothing
    sidecar: bool = False  # the record also as a JSON file beside each image, see gen/outputs/sidecar.py

    @property
    def records(self) -> bool:
        """Whether files carry the record of how they were made."""
        return self.level != "off"


RECORD = Policy("record")


def policy(
    level: str | None = None,
    *,
    key: str | Path | None = None,
    certificate: str | Path | None = None,
    private_key: str | Path | None = None,
    tsa: str | None = None,
    training: str | None = None,
    marks: bool = True,
) -> Policy:
    """Returns the policy of a level; None: of $GEN_PROVENANCE, else as the module says. A level that is given is told.

    key: file of the watermark's secret, see `key_of`. certificate, private_key: PEM files, by default those that
    $GEN_C2PA_CERTIFICATE and $GEN_C2PA_PRIVATE_KEY name. tsa: URL of an authority that signs the time. training:
    "allowed" or "notAllowed", which the signature says. marks: False where nothing is written that would be marked.
    Raises InputError, before any work is done.
    """
    if training not in _TRAINING:
        raise InputError(f"--training={printable(training)}; it must be allowed or notAllowed")
    chosen = _level(level)
    given = {"key": key, "certificate": certificate, "private_key": private_key, "tsa": tsa}
    given |= {"training": training}
    fitting = {"off": (), "record": (), "mark": ("key",)}.get(chosen or "", tuple(given))
    for name, value in given.items():
        if value is not None and name not in fitting:
            where = f"--provenance={chosen}" if level is not None else f"${LEVEL}={chosen}"
            raise InputError(f"--{name} and {where} do not go together; leave one out")
    signed = chosen == "sign" or (chosen is None and any(given[name] for name in _OF_SIGNATURES))
    signer = _signer(certificate, private_key, tsa, needed=signed) if signed or chosen is None else None
    found: Level = chosen or ("sign" if signer else "mark")
    made = Policy(found, key_of(key) if marks and found in ("mark", "sign") else None, signer, _TRAINING[training])
    if level is not None or chosen in ("off", "record"):  # from the environment, too: less than by default
        cli.say(f"provenance: {found}: {_MEANINGS[found]}")
    return made


def _level(level: str | None) -> Level | None:
    """Checks the level that is given, or that of the environment. Raises InputError."""
    text, place = (str(level), "--provenance") if level is not None else (os.environ.get(LEVEL) or None, f"${LEVEL}")
    for known in get_args(Level):
        if text == known:
            return known
    if text is None:
        return None
    allowed = f"it must be one of {', '.join(get_args(Level))}{nearest(text, get_args(Level))}"
    raise InputError(f"{place}={printable(text)}; {allowed}")


def _signer(
    certificate: str | Path | None, private_key: str | Path | None, tsa: str | None, *, needed: bool
) -> Signer | None:
    """Returns what signs; None where it is not needed and something is missing. Raises InputError."""
    from gen.provenance import c2pa

    files = {
        f"--certificate or ${CERTIFICATE}": certificate or os.environ.get(CERTIFICATE),
        f"--private_key or ${PRIVATE_KEY}": private_key or os.environ.get(PRIVATE_KEY),
    }
    missing = [names for names, file in files.items() if not file]
    if not needed and len(missing) == len(files):
        return None
    if missing:
        raise InputError(f"to sign, a certificate and its private key are needed: give {' and '.join(missing)}")
    if not c2pa.available() and not needed:
        cli.say(f"there is a certificate, but files are not signed, as c2pa-python is not there: {INSTALL}")
        return None
    return c2pa.signer(*(expand(file) for file in files.values() if file), tsa=tsa)


@dataclass(frozen=True, kw_only=True)
class PolicyOptions(Options):
    """The options of programs that write images: what the files say about where they come from."""

    provenance: Level | None = option(
        None, "What files say of themselves; default mark, sign if there is a certificate", group="Provenance"
    )
    key: str | Path | None = option(None, "File of the watermark's secret; default $GEN_WATERMARK_KEY, else your own")
    certificate: str | Path | None = option(None, f"Certificates to sign with, PEM; default ${CERTIFICATE}")
    private_key: str | Path | None = option(None, f"Private key of the certificate, PEM; default ${PRIVATE_KEY}")
    tsa: str | None = option(None, "URL of an authority that signs the time; by default none does")
    training: Literal["allowed", "notAllowed"] | None = option(
        None, "What a signature says of training on the images; by default nothing"
    )
    sidecar: bool = option(False, "Also write the record beside each image, as NAME.png.json")

    def policy(self, *, marks: bool = True) -> Policy:
        """Returns the policy of these options, see `policy`."""
        files = {"key": self.key, "certificate": self.certificate, "private_key": self.private_key}
        made = policy(self.provenance, **files, tsa=self.tsa, training=self.training, marks=marks)
        if self.sidecar and not made.records:
            raise InputError("--sidecar writes the record, and there is none with the level off; leave one out")
        return replace(made, sidecar=self.sidecar)
