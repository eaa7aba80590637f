"""Verifies files one group after the other, and sums up what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gen import __version__, cli
from gen.files import printable
from gen.verification import protocol
from gen.verification.answers import Parsed
from gen.verification.findings import Mark, Verdict
from gen.verification.marks import FRAMES, SMALL_SIDE, Marks, Search, chunked
from gen.verification.parse import Parser
from gen.verification.verdict import judge
from gen.verification.words import LONGEST_PATH, file_name, p_words

if TYPE_CHECKING:
    from gen.verification.regenerate import Regenerator
    from gen.watermark import Key

PROVEN, CONTRADICTION, UNREADABLE, NOTHING, CLAIM = 0, 1, 2, 3, 4  # exit codes

KINDS = {  # of verdicts, in words, in the order of the page
    "problem": "does not fit",
    "unreadable": "not an image",
    "unknown": "nothing found",
    "claimed": "only says so",
    "regenerated": "made again",
    "marked": "carries the mark",
    "signed": "trusted signature",
}


class Pooled(NamedTuple):
    """The small images of one folder, looked at together."""

    folder: Path
    number: int  # of images
    mark: Mark

    @property
    def line(self) -> str:
        """What was found, in words."""
        found = f"mark found ({p_words(self.mark.p_value)})" if self.mark.found else "no mark found with this key"
        return f"{file_name(self.folder)}: {self.number:,} images below {SMALL_SIDE} pixels together: {found}"


class Verification(NamedTuple):
    """What was found in all files."""

    verdicts: list[Verdict]
    small: list[Pooled]
    key: str | None  # the name of the key that marks were looked for with
    ignored: Mapping[str, int] = {}  # what was passed over in folders, how many of each kind

    @property
    def exit_code(self) -> int:
        """The first of these that holds: 2, 1, 3, 4, else 0; see gen/verify.py."""
        origins = {verdict.origin for verdict in self.verdicts}
        if "unreadable" in origins:
            return UNREADABLE
        if any(verdict.problems for verdict in self.verdicts):
            return CONTRADICTION
        return NOTHING if "unknown" in origins else CLAIM if "claimed" in origins else PROVEN

    @property
    def summary(self) -> str:
        """How many files there are of each kind, in one line."""
        counts = Counter(verdict.kind for verdict in self.verdicts)
        each = [f"{title}: {counts[kind]:,}" for kind, title in KINDS.items() if counts[kind]]
        return f"{len(self.verdicts):,} files; {', '.join(each)}"

    def data(self) -> dict[str, Any]:
        """Returns all as plain data, for JSON."""
        return {
            "gen": __version__,
            "key": self.key,
            "exit_code": self.exit_code,
            "files": [{**verdict.facts, "verdict": verdict.text} for verdict in self.verdicts],
            "small_images": [
                {
                    "folder": printable(pooled.folder, longest=LONGEST_PATH),
                    "count": pooled.number,
                    "found": pooled.mark.found,
                    "p_value": pooled.mark.p_value,
                }
                for pooled in self.small
            ],
            "ignored": dict(self.ignored),
        }


def verify_files(
    files: Sequence[Path],
    parser: Parser,
    *,
    key: Key | None,
    search: Search = "full",
    regenerator: Regenerator | None = None,
    seen: Callable[[Verdict, Parsed], None] = lambda verdict, parsed: None,
) -> Verification:
    """Verifies files in order. seen: called with each verdict."""
    marks, verdicts = Marks(key, search), list[Verdict]()
    frames, whole = (protocol.MOST_FRAMES, True) if regenerator else (FRAMES, False)
    parsed = (parser.parse(path, frames=frames, whole=whole) for path in files)
    for group in chunked(cli.progress(parsed, len(files))):
        found = marks.look(group)
        again = regenerator.regenerate(group) if regenerator else [None] * len(group)
        for one, mark, made in zip(group, found, again, strict=True):
            verdicts.append(judge(one, mark, made))
            seen(verdicts[-1], one)
    return Verification(verdicts, [Pooled(*pool) for pool in marks.pooled()], key.name if key else None)
