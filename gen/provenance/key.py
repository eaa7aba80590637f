"""Finds the secret of the watermark: in a file that is named, in the environment, else one of the user's own, made at
first use.

A key is one line of text of 16 to 1,000 characters, as `openssl rand -hex 32` prints it; white space around it does not
count. Whoever knows it finds the mark in images and can forge it. --key names a file, as others can read what is
written on a command line; $GEN_WATERMARK_KEY may name a file or be the secret, as services get theirs. It is never
printed, and a name that is no file is not repeated in an error, as it may be the secret itself.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from gen import cli
from gen.errors import InputError
from gen.files import expand, printable, private_folder, read_regular

if TYPE_CHECKING:
    from gen.watermark import Key

VARIABLE = "GEN_WATERMARK_KEY"
_SHORTEST, _LONGEST = 16, 1000  # characters
_RANDOM_BYTES = 32
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}$")
_RULE = f"a key is one line of at least {_SHORTEST} characters, as `openssl rand -hex 32` prints it"
_REMEDY = f"name a key file by --key or ${VARIABLE}"


def key_of(file: str | Path | None = None) -> Key:
    """Returns the key of the watermark: of `file`, else of $GEN_WATERMARK_KEY, else the user's own, which it makes.

    Raises InputError for a file that holds no key, and where the user's own cannot be made.
    """
    from gen import watermark

    return watermark.key(_secret(file, make=True) or b"")


def known_key(file: str | Path | None = None) -> Key | None:
    """Returns the key as `key_of` does, but makes none; None where the user has none yet."""
    from gen import watermark

    secret = _secret(file, make=False)
    return None if secret is None else watermark.key(secret)


def own_path() -> Path:
    """Returns where the user's own key lies: gen/watermark.key in $XDG_CONFIG_HOME or ~/.config. Raises InputError."""
    named = os.environ.get("XDG_CONFIG_HOME", "")
    return expand(named if named.startswith("/") else "~/.config") / "gen" / "watermark.key"


def _secret(file: str | Path | None, *, make: bool) -> bytes | None:
    """Returns the bytes of the secret; None where there is none and none is to be made. Raises InputError."""
    if file is not None:
        return _read(file, "--key")
    if named := os.environ.get(VARIABLE, "").strip():
        return _of_environment(named)
    try:
        path = own_path()
        if make and not os.path.lexists(path) and _made(path):
            cli.say(f"made the key of your watermark, {path}; keep a copy, as no other finds the mark in your images")
        return _read(path, "the key of your watermark") if os.path.lexists(path) else None
    except OSError as error:
        place = printable(error.filename or path)
        raise InputError(f"no key of your watermark: {place}: {error.strerror or error}; {_REMEDY}") from error


def _of_environment(value: str) -> bytes:
    """Returns the secret that the variable names or is. Raises InputError."""
    path = _path(value)
    if path and os.path.exists(path):
        return _read(value, f"${VARIABLE}")
    if "/" in value or os.sep in value or _SUFFIX.search(value):
        found = "it names no file that is there, and with a / or a suffix it is no secret"
        raise InputError(f"${VARIABLE}: {found}; put a secret that has them into a file")
    if not (_SHORTEST <= len(value) <= _LONGEST and value.isprintable()):
        raise InputError(f"${VARIABLE}: neither a key file that is there nor a key; {_RULE}")
    return value.encode()


def _path(name: str | Path) -> Path | None:
    """Returns the file of a name; None where it can be none, as a secret that begins with ~, which no error repeats."""
    try:
        return expand(name)
    except InputError:
        return None


def _read(file: str | Path, what: str) -> bytes:
    """Reads a key file. what: how the message begins. Raises InputError."""
    missing = f"{what}: there is no such file; it names the file that holds the secret, not the secret itself"
    path = _path(file)
    if path is None:
        raise InputError(missing)
    try:
        content, mode = read_regular(path, most=4 * _LONGEST), path.stat().st_mode
    except PermissionError as error:
        raise InputError(f"{what}: {printable(path)} cannot be read ({error.strerror})") from None
    except OSError:
        raise InputError(missing) from None
    except InputError as error:
        raise InputError(f"{what}: {error}; {_RULE}") from None
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        text = "\0"
    if not text.isprintable():
        raise InputError(f"{what}: {printable(path)} is no line of text; {_RULE}")
    if not _SHORTEST <= len(text) <= _LONGEST:
        raise InputError(f"{what}: {printable(path)} holds {len(text):,} characters; {_RULE}")
    if mode & 0o077:
        cli.say(f"{printable(path)}: others than you may use the key of the watermark; chmod 600 {printable(path)}")
    return text.encode()


def _made(path: Path) -> bool:
    """Makes a key that only its user can read; False when another process did so first. Raises OSError.

    It is written whole under another name and linked to its own, which fails where that exists: of two processes that
    come at once, both read what the first linked.
    """
    content = secrets.token_bytes(_RANDOM_BYTES).hex().encode() + b"\n"
    partial = private_folder(path.parent) / f".{path.name}.{secrets.token_hex(6)}.partial"
    try:
        _write_new(partial, content)
        try:
            os.link(partial, path)
        except FileExistsError:
            return False
        except OSError:  # of a file system without links
            _write_new(path, content)
        return True
    except FileExistsError:
        return False
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def _write_new(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
