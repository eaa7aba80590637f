"""jax's cache of compiled programs, mended as it is used. Imports no jax.

jax writes an entry in place, so that a full disk or a kill leaves half of one; it warns at every later start that it
cannot read it, and never replaces a file that exists.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

from gen.cli import say
from gen.files import cache_home, expand, printable, private_folder

_WARNING = re.compile(r"Error (reading|writing) persistent compilation cache entry for '([^']+)': (.*)", re.DOTALL)
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_SHORTEST = 0.2  # seconds: what is compiled faster is not kept; jax's own choice is 1
_log = logging.getLogger(__name__)


def enable(given: str | Path | None) -> None:
    """Turns on jax's cache in a folder of this user alone: whoever can write there decides what is run.

    given: the folder; "none": no cache; None: xla in gen's cache. The variable JAX_COMPILATION_CACHE_DIR wins.
    """
    variable = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if given == "none" or (variable and "://" in variable):
        return
    try:
        if variable or given:
            folder = private_folder(expand(str(variable or given)))
        else:
            folder = private_folder(private_folder(cache_home()) / "xla")
    except OSError as error:
        say(f"no compilation cache: {printable(error.filename)}: {error.strerror or error}")
        if variable:  # jax reads it itself
            _set("jax_compilation_cache_dir", None)
        return
    if not variable:
        _set("jax_compilation_cache_dir", str(folder))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        _set("jax_persistent_cache_min_compile_time_secs", _SHORTEST)
    mend(folder)


def _set(name: str, value: str | float | None) -> None:
    """Sets an option of jax: in jax, or, where it is not imported yet, as the variable that it will read."""
    if "jax" in sys.modules:
        import jax

        jax.config.update(name, value)
    elif value is None:
        os.environ.pop(name.upper(), None)
    else:
        os.environ[name.upper()] = str(value)


def mend(folder: Path) -> None:
    """From now on damaged entries of `folder` are removed where jax meets them, each with one line instead of jax's.

    jax then compiles the program and writes it anew.
    """
    show = warnings.showwarning
    told: set[str] = set()

    def handle(message: Warning | str, *arguments: Any, **more: Any) -> None:
        found = _WARNING.fullmatch(str(message))
        if not found:
            show(message, *arguments, **more)
            return
        doing, name, reason = found.groups()
        removed = remove_damaged(folder, name)
        line = f"compiled programs cannot be kept in {folder}: {reason}"
        if doing == "reading":
            line = f"{folder}: the compiled program {name} is damaged{' and is made anew' if removed else ''}"
        if line not in told:
            _log.warning("%s", line)
        told.add(line)

    warnings.showwarning = handle


def remove_damaged(folder: Path, name: str) -> int:
    """Removes the entries of a program that cannot be unpacked; returns how many."""
    damaged = [path for path in folder.glob("*-cache") if path.name.startswith(f"{name}-") and _is_damaged(path)]
    for path in damaged:
        path.unlink(missing_ok=True)
    return len(damaged)


def _is_damaged(path: Path) -> bool:
    try:
        content = path.read_bytes()
        if content.startswith(_ZSTANDARD):
            import zstandard

            zstandard.ZstdDecompressor().decompress(content)
        else:
            zlib.decompress(content)
    except FileNotFoundError:
        return False
    except Exception:  # of either library
        return True
    return False
