"""Fetches one file from the web: verified, resumed where an earlier try ended, failing at once without a network."""

from __future__ import annotations

import contextlib
import errno
import html.parser
import http.client
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from gen.cli import progress_bar
from gen.files import printable, sha256

_TIMEOUT = 20  # seconds without an answer
_TRIES = 5  # in a row that bring nothing, once something has come
_BLOCK = 2**18
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EACCES, errno.EIO)
_PAGE = 2**20  # bytes of a page that are read to find the way to the file


class Expected(NamedTuple):
    """Name, size and sha256 that a file must have; None: not known."""

    name: str
    size: int | None
    sha256: str | None


class Unavailable(Exception):
    """The file cannot be had, and why, in one line."""


def fetch(url: str, file: Path, expected: Expected, *, began: Callable[[], None] = lambda: None) -> None:
    """Fetches `url` (http, https or ftp) into `file`, which appears when it is whole and as expected.

    What an earlier try left in FILE.partial is used. `began` is called once the site answers, before anything is read.
    The page that Google Drive puts before large files is passed. Raises Unavailable.
    """
    partial = file.with_name(f"{file.name}.partial")
    host = urllib.parse.urlsplit(url).hostname or url
    tries = _TRIES
    while True:
        before = _size(partial)
        try:
            _continue(url, partial, expected, began)
            break
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and before:
                partial.unlink()  # more than the file has
                continue
            raise Unavailable(f"{host} answers {error.code} {printable(error.reason)}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            if getattr(error, "errno", None) in _DISK:
                raise Unavailable(f"cannot write {printable(partial)}: {_reason(error)}") from None
            tries = _TRIES if _size(partial) > before else tries - 1
            if not _size(partial) or not tries:
                raise Unavailable(f"{host} cannot be reached ({_reason(error)})") from None
            time.sleep(1)
    if expected.sha256 is not None and sha256(partial) != expected.sha256:
        partial.unlink()
        raise Unavailable(f"{host} gives another {expected.name} than the registered one (sha256)")
    os.replace(partial, file)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _reason(error: BaseException) -> str:
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    return printable(getattr(inner, "strerror", None) or inner or type(inner).__name__)


def _continue(url: str, partial: Path, expected: Expected, began: Callable[[], None]) -> None:
    """Appends what is missing to `partial`. Raises OSError and HTTPException when the connection breaks."""
    done = _size(partial)
    if done and done == expected.size:
        return
    with contextlib.closing(_opened(url, done, expected)) as response:
        if done and response.status != http.HTTPStatus.PARTIAL_CONTENT:
            done = 0  # the site begins again
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else expected.size
        if expected.size is not None and total != expected.size:
            raise Unavailable(f"the site gives {total:,} bytes of {expected.name}; registered are {expected.size:,}")
        began()
        doing = f"downloading {expected.name}"
        with partial.open("ab" if done else "wb") as out, progress_bar(total, "B", doing=doing, done=done) as bar:
            while block := response.read(_BLOCK):
                out.write(block)
                bar.update(len(block))
                done += len(block)
                if total is not None and done > total:
                    raise Unavailable(f"the site gives more than {total:,} bytes of {expected.name}")
    if total is not None and done < total:
        raise http.client.IncompleteRead(b"", total - done)


def _opened(url: str, start: int, expected: Expected) -> Any:
    """Requests the file from byte `start` on."""
    response = _request(url, start)
    if not _is_page(response) or expected.name.endswith((".html", ".htm")):
        return response
    with contextlib.closing(response):
        form = _Form()
        form.feed(response.read(_PAGE).decode("utf-8", "replace"))
    if form.action is None:
        raise Unavailable(f"{urllib.parse.urlsplit(url).hostname} gives a page instead of {expected.name}{form.says}")
    way = urllib.parse.urljoin(response.url, form.action)
    response = _request(f"{way}{'&' if '?' in way else '?'}{urllib.parse.urlencode(form.inputs)}", start)
    if _is_page(response):
        response.close()
        raise Unavailable(f"{urllib.parse.urlsplit(way).hostname} gives a page instead of {expected.name}")
    return response


def _request(url: str, start: int) -> Any:
    request = urllib.request.Request(url, headers={"User-Agent": "gen"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    return urllib.request.urlopen(request, timeout=_TIMEOUT)


def _is_page(response: Any) -> bool:
    return str(response.headers.get("Content-Type", "")).startswith("text/html")


class _Form(html.parser.HTMLParser):
    """The first form of a page, with its inputs, and the page's title."""

    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.inputs: dict[str, str] = {}
        self.says = ""
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._in_title = tag == "title"
        if tag == "form" and self.action is None:
            self.action = given.get("action")
        elif tag == "input" and given.get("name"):
            self.inputs[str(given["name"])] = given.get("value") or ""

    def handle_data(self, data: str) -> None:
        if self._in_title and data.strip():
            self.says = f" ({printable(data.strip(), longest=80)})"
            self._in_title = False
