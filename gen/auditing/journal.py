"""What an audit has looked at so far, in a file of the data cache: an interrupted one goes on, a second looks at what
is new. One transaction for some hundred images, so that a crash loses no more than these and leaves nothing torn.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gen.audit_checks.checks import VERSION
from gen.auditing.inspection import Inspected
from gen.auditing.items import Item
from gen.files import cache_home, printable, private_folder

_LAYOUT = 4  # raise it when what is kept of an image changes
_log = logging.getLogger(__name__)


Damaged = sqlite3.DatabaseError  # what any use of a journal may raise


class Journal:
    """Images that were looked at, by name; for `with`. Without a cache that can be written it is in memory."""

    def __init__(self, place: str, *, memory: bool = False) -> None:
        """memory: without the file, which is removed if it is there."""
        key = hashlib.sha256(f"{_LAYOUT} {VERSION} {place}".encode("utf-8", "surrogateescape")).hexdigest()[:20]
        if memory:
            with contextlib.suppress(OSError):
                (cache_home() / "audits" / f"{key}.sqlite").unlink()
        self._database = _prepared(":memory:") if memory else _opened(f"{key}.sqlite")

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, found: Iterable[tuple[Item, Inspected]]) -> None:
        """Adds images that were looked at, at once."""
        rows = [
            (_name(i), "" if seen.passing else i.state, json.dumps(seen.plain()), seen.gray, seen.color)
            for i, seen in found
        ]
        with self._database:
            self._database.executemany("insert or replace into seen values (?, ?, ?, ?, ?)", rows)

    def known(self, items: Sequence[Item]) -> set[str]:
        """Returns the names of those that were looked at as they are now."""
        stored = dict(self._database.execute("select name, state from seen"))
        return {item.name for item in items if item.state and stored.get(_name(item)) == item.state}

    def read(self, items: Iterable[Item]) -> Iterator[Inspected]:
        """Yields what is known of each item, in order; all must have been looked at."""
        for item in items:
            row = self._database.execute(
                "select about, gray, color from seen where name = ?", (_name(item),)
            ).fetchone()
            yield Inspected(**json.loads(row[0]), gray=row[1], color=row[2])


def _name(item: Item) -> bytes:
    return item.name.encode("utf-8", "surrogateescape")


def _opened(name: str) -> sqlite3.Connection:
    try:
        file: str | Path = private_folder(private_folder(cache_home()) / "audits") / name
        return _prepared(file)
    except (OSError, sqlite3.Error) as error:
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            with contextlib.suppress(OSError, sqlite3.Error):  # damaged: it only holds what can be looked at again
                Path(file).unlink()
                return _prepared(file)
        _log.warning("the data cache is not used (%s): an interrupted audit begins anew", printable(error))
        return _prepared(":memory:")


def _prepared(file: str | Path) -> sqlite3.Connection:
    database = sqlite3.connect(file, timeout=30)
    try:
        database.execute("create table if not exists seen (name blob primary key, state text, about text, gray, color)")
        database.execute("select count(*) from seen").fetchone()
    except sqlite3.Error:
        database.close()
        raise
    return database
