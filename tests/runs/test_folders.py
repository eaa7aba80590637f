"""Which folders are meant by names, and what they are called."""

import pytest
from written_runs import write_run

from gen.errors import InputError
from gen.runs.folders import names_of, run_folders


def test_a_folder_of_runs_stands_for_its_runs_and_twice_is_once(tmp_path):
    runs = [write_run(tmp_path / "sweep" / name) for name in ("b", "a")]
    (tmp_path / "sweep" / "notes").mkdir()
    (tmp_path / "sweep" / "list.txt").write_text("x")
    other = write_run(tmp_path / "other")
    (tmp_path / "link").symlink_to(other)
    names = [other, tmp_path / "sweep", tmp_path / "sweep" / ".." / "sweep" / "a", tmp_path / "link"]
    assert run_folders(names, "compare") == [other, runs[1], runs[0]]


def test_names_are_as_short_as_they_can_be_without_being_alike(tmp_path):
    here, there = tmp_path / "x" / "run", tmp_path / "y" / "run"
    assert names_of([here, tmp_path / "y" / "other"]) == ["run", "other"]
    assert names_of([here, there]) == ["x/run", "y/run"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shpes", r"shpes: there is no such folder; did you mean 'shapes'\?"),
        ("empty", "empty is not a run folder: it has no config.json, and no folder in it has one"),
        ("file", "file is a file; name the folder of a run"),
        ("a/b/c", "there is no such folder"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path, name, message):
    write_run(tmp_path / "shapes")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=message) as caught:
        run_folders([tmp_path / "shapes", tmp_path / name], "compare")
    assert "\n" not in str(caught.value)


def test_none_and_too_many_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no runs: name run folders, python -m gen\.compare RUN\.\.\."):
        run_folders([], "compare")
    with pytest.raises(InputError, match="2 runs; allowed: at most 1"):
        run_folders([write_run(tmp_path / "a"), write_run(tmp_path / "b")], "compare", most=1)
