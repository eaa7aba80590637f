"""docs/imaging.md shows every operator of the chain language, its texts parse, and its Python runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gen.imaging.chain import OPERATORS, chain

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "imaging.md").read_text("utf-8")
SECTIONS = re.findall(r"<!-- gallery:begin [^>]+ -->\n(.*?)<!-- gallery:end -->", PAGE, re.DOTALL)


def rows(kind: str) -> list[list[str]]:
    """The cells of all rows under a heading whose second cell is `kind`."""
    found = []
    for section in SECTIONS:
        head, _, *body = (re.split(r"(?<!\\)\|", line)[1:-1] for line in section.splitlines())
        if head[1].strip() == kind:
            found += [[cell.strip().replace("\\|", "|") for cell in cells] for cells in body]
    return found


def text(cells: list[str]) -> str:
    """The code before the meaning."""
    return cells[1].split("`")[1]


CHAINS = [text(cells) for cells in rows("chain")]


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_every_operator_has_its_picture(name):
    shown = [cells for cells in rows("chain") if cells[0] == f"![{name}](images/imaging/{name}.jpg)"]
    assert len(shown) == 1
    assert chain(text(shown[0])).steps[0].name == name
    assert shown[0][1].partition("<br>")[2]


@pytest.mark.parametrize("cells", rows("chain") + rows("Python"), ids=lambda cells: cells[0].partition("]")[0][2:])
def test_every_picture_is_there(cells):
    path = DOCS / re.fullmatch(r"!\[\w+\]\((.+)\)", cells[0])[1]
    assert path.read_bytes().startswith(b"\xff\xd8")  # JPEG


def test_no_picture_is_left_over():
    named = {Path(cells[0][:-1].partition("(")[2]).name for cells in rows("chain") + rows("Python")}
    assert {path.name for path in (DOCS / "images" / "imaging").iterdir()} == named


@pytest.mark.parametrize("given", CHAINS + re.findall(r'--(?:chain|refine) "([^"A-Z]+)"', PAGE))
def test_every_chain_parses(given):
    assert chain(str(chain(given))) == chain(given)


def test_the_python_on_the_page_runs(capsys):
    """All blocks one after the other, as a reader would; what they print is what their comments say."""
    code = "".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    names: dict[str, object] = {}
    exec(compile(code, "imaging.md", "exec"), names)
    assert capsys.readouterr().out.splitlines() == re.findall(r"print\(.*\)  # (.*)", code)
    assert names["slope"].shape == ()
    assert names["each"].shape == names["x"].shape
    assert set(names["gradient"]) == {"exposure.stops", "saturation.factor"}
