"""Results get names that no file system takes for one, and never those of inputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from gen.errors import InputError
from gen.outputs.naming import check_apart, check_inputs_stay, distinct_names, inputs_in


@pytest.mark.parametrize(
    ("places", "suffix", "reserved", "names"),
    [
        (["a.jpg", "b/a.jpg"], ".png", [], ["a.png", "b/a.png"]),
        (["a.jpg", "A.gif", "b.png"], ".png", [], ["a.jpg.png", "A.gif.png", "b.png"]),
        (["a.png", "a.jpg"], ".png", [], ["a.png", "a.jpg.png"]),  # who has the name already keeps it
        (["a.jpg", "A.JPG"], ".png", [], ["a.jpg.png", "A.JPG-2.png"]),
        (["a.jpg", "sheet.png"], "", ["sheet"], ["a", "sheet.png"]),
    ],
)
def test_names_are_those_of_the_inputs_and_all_different(places, suffix, reserved, names):
    found = distinct_names([Path(place) for place in places], [suffix] * len(places), reserved=reserved)
    assert [path.as_posix() for path in found] == names


def test_a_long_name_is_cut_and_stays_its_own():
    names = distinct_names([Path("é" * 126 + end) for end in "ab"], [".png"] * 2)
    assert names[0] != names[1]
    assert all(len(str(name).encode()) <= 255 for name in names)


def test_an_input_knows_its_place_and_whether_it_was_named(tmp_path):
    file = tmp_path / "x" / "a.png"
    file.parent.mkdir()
    file.touch()
    assert inputs_in(tmp_path, [file])[0][1:] == (Path("x/a.png"), False)
    assert inputs_in(file, [file])[0][1:] == (Path("a.png"), True)


def test_no_result_takes_the_place_of_an_input_or_of_another_result(tmp_path):
    a, b, link = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(InputError, match=r"a\.png would be overwritten by its own result"):
        check_inputs_stay([(a, link / "a.png")], out=link)
    with pytest.raises(InputError, match=r"a\.png would be overwritten by the result of .*b\.png"):
        check_inputs_stay([(a, tmp_path / "c"), (b, a)], out=tmp_path)
    with pytest.raises(InputError, match=r"a\.png and .*b\.png would both be written to x"):
        check_apart([(a, Path("x")), (b, Path("x"))])
    check_apart([(a, Path("x")), (b, Path("y"))])
    check_inputs_stay([(a, tmp_path / "c")], out=tmp_path)
