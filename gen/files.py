"""Paths, private folders, atomic writes, digests, and text that can be printed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Any

from gen.errors import InputError

_QUOTES = '["\u201c-\u201f\u00ab\u00bb\u2033\u2036\u275d\u275e\u301d-\u301f\uff02]'  # and what looks like them
_LONGEST = 300  # characters of a text of somebody else's that a message repeats


def expand(path: str | os.PathLike[str]) -> Path:
    """Replaces a leading ~ or ~user by that home; an existing file of such a name is itself.

    Raises InputError when there is no such home, or `path` holds NUL.
    """
    text = os.fspath(path)
    if "\0" in text:
        raise InputError(f"{printable(text)}: a path cannot hold a NUL character")
    if not text.startswith("~"):  # ./~ is no home; as pathlib drops the dot, it would be one the next time
        return Path(os.path.abspath(text) if str(Path(text)).startswith("~") else text)
    found, first = os.path.expanduser(text), text.partition("/")[0]
    if found == text and (first == "~" or not os.path.lexists(first)):  # but ~$letter.docx may be there
        raise InputError(f"{printable(text)}: there is no home folder for {printable(first)}; write it out")
    return Path(found)


def cache_home() -> Path:
    """Returns the folder of caches: $GEN_CACHE, else $XDG_CACHE_HOME/gen, else ~/.cache/gen.

    Without a home that can be written, as in `docker run --user 12345`, it lies in the folder for temporary files. It
    may not exist yet; see `private_folder`.
    """
    if given := os.environ.get("GEN_CACHE"):
        return expand(given)
    named = os.environ.get("XDG_CACHE_HOME", "")
    with contextlib.suppress(InputError):
        home = expand(named if named.startswith(("/", "~")) else "~/.cache") / "gen"  # as its specification says
        folder = next(path for path in home.absolute().parents if os.path.exists(path))
        if home.is_absolute() and os.access(folder, os.W_OK | os.X_OK):
            return home
    return Path(tempfile.gettempdir()) / f"gen-cache-{os.getuid()}"


def private_folder(path: Path) -> Path:
    """Makes a folder (mode 0700) with its parents, and returns it.

    Raises PermissionError when another user owns it or may write in it, who would decide what is read back; other
    OSErrors when it cannot be made.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = path.stat()
    if found.st_uid not in (os.getuid(), 0):
        raise PermissionError(errno.EPERM, f"it belongs to user {found.st_uid}, not to you", str(path))
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(errno.EPERM, f"others may write in it; chmod go-w {path}", str(path))
    return path


def atomic_write(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Writes a file such that readers, also after a crash, see the old content or the new one.

    The content is synced under a random name beside `path`, opened exclusively and through no link, and renamed; after
    an error nothing of it is left. Text becomes UTF-8, a byte of a name that is not UTF-8 \\udcff. Raises OSError.
    """
    path = Path(path)
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    partial = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.partial")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        with os.fdopen(os.open(partial, flags, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException as error:
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(path), None  # not the random name, and the disk names none
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def write_result(path: Path, content: bytes | str) -> None:
    """Writes a file as `atomic_write` does, making its folder. Raises InputError for what the system refuses."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, content)
    except OSError as error:
        raise InputError(f"cannot write {printable(path)}: {error.strerror or error}") from error


def parse_json(text: str | bytes) -> Any:
    """Parses untrusted JSON. Raises ValueError, for text nested too deeply too."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def set_aside(path: Path) -> Path:
    """Renames a file that is in the way to NAME.damaged, NAME.damaged-2, ...; returns that path. Raises OSError."""
    target, count = path.with_name(f"{path.name}.damaged"), 1
    while os.path.lexists(target):
        count += 1
        target = path.with_name(f"{path.name}.damaged-{count}")
    path.rename(target)
    return target


def storage_fault(error: OSError) -> str:
    """Describes an OSError in one line: file, reason, and free space where a disk or a quota is full."""
    path = error.filename2 or error.filename
    told = ": ".join(printable(part) for part in (path, error.strerror or str(error)) if part)
    if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not isinstance(path, str | bytes | os.PathLike):
        return told
    folder = Path(os.fsdecode(path)).absolute()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    with contextlib.suppress(OSError):
        told += f" ({shutil.disk_usage(folder).free / 1e6:.1f} MB are free in {printable(folder)})"
    return told


def sha256(path: str | os.PathLike[str]) -> str:
    """Returns the sha256 of a file, 64 hexadecimal digits. Raises OSError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_regular(path: str | os.PathLike[str], *, most: int) -> bytes:
    """Reads a regular file of at most `most` bytes, following links.

    Raises InputError for pipes, devices, folders and larger files, OSError for what cannot be read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise InputError(f"{printable(path)}: not a regular file")
    with os.fdopen(os.open(path, flags), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):  # it was exchanged in between
            raise InputError(f"{printable(path)}: not a regular file")
        content = (
            b"" if found.st_size > most else file.read(min(most, max(found.st_size, 2**16)) + 1)
        )  # what is asked for is allocated; /proc says 0
    if max(len(content), found.st_size) > most:
        raise InputError(f"{printable(path)}: too large; allowed: at most {most:,} bytes")
    return content


def printable(text: Any, *, longest: int = _LONGEST) -> str:
    """Converts an untrusted text to one line that is safe to print and to encode.

    Control characters and bytes that are not UTF-8 become escapes (\\x1b, \\xff); beyond `longest` characters the
    middle is left out.
    """
    raw = os.fspath(text) if isinstance(text, os.PathLike) else text
    raw = os.fsdecode(raw) if isinstance(raw, bytes) else str(raw)
    if len(raw) > longest:
        raw = f"{raw[: longest - longest // 3]}...{raw[-(longest // 3) :]}"
    return "".join(c if c.isprintable() else _escaped(c) for c in raw)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as os.fsdecode keeps it
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def quoted(text: Any, *, longest: int = _LONGEST) -> str:
    """Puts a stranger's words in double quotes, out of which they cannot come: signs that look like one become '."""
    return '"' + re.sub(_QUOTES, "'", printable(text, longest=longest)) + '"'


def told(value: Any, *, longest: int = _LONGEST) -> str:
    """A stranger's value among words of ours: a number or a single word as it is, else in quotes."""
    text = printable(value, longest=longest)
    return text if re.fullmatch(r"[A-Za-z0-9_.:+-]+", text) else quoted(text, longest=longest)


def shown(value: Any) -> str:
    """A value in a message: one printable line of bounded length."""
    return printable(repr(value))
