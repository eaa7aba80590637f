"""Two folders are one only where their files are: sizes, times and places may be equal, contents decide."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from gen.data import contents, folder
from gen.data.contents import fingerprint

DAY = 315532800  # a time as tar --mtime, docker layers and cp -p give it to every file


def _images(root, color, size=16):
    root.mkdir(parents=True, exist_ok=True)
    for number in range(4):
        Image.new("RGB", (size, size), color).save(root / f"{number}.bmp")
        os.utime(root / f"{number}.bmp", (DAY, DAY))
    return root


def _mean(root):
    return tuple(np.asarray(folder(root, 8).train.images).reshape(-1, 3).mean(0))


def test_folders_of_equal_names_sizes_and_times_are_told_apart(tmp_path):
    assert _mean(_images(tmp_path / "a" / "images", "red")) == (255, 0, 0)
    assert _mean(_images(tmp_path / "b" / "images", "blue")) == (0, 0, 255)
    assert _mean(_images(tmp_path / "a" / "images", "lime")) == (0, 255, 0)


@pytest.mark.parametrize("place", [0, 300_000, 599_999])
def test_one_other_byte_anywhere_in_a_large_file_is_noticed(tmp_path, place):
    content = bytearray(600_000)
    (tmp_path / "x").write_bytes(content)
    os.utime(tmp_path / "x", (DAY, DAY))
    before = fingerprint(tmp_path, ["x"])
    content[place] = 1
    (tmp_path / "x").write_bytes(content)
    os.utime(tmp_path / "x", (DAY, DAY))
    assert fingerprint(tmp_path, ["x"]) != before


def test_contents_are_read_again_only_after_a_change_or_a_move(tmp_path, monkeypatch, cache):
    root, read = _images(tmp_path / "a", "red"), []
    monkeypatch.setattr(contents, "_SETTLED", 0.0)
    monkeypatch.setattr(contents, "sha256", lambda file: read.append(file.name) or "00")
    names = [f"{number}.bmp" for number in range(4)]
    first = fingerprint(root, names)
    assert fingerprint(root, names) == first
    assert sorted(read) == names
    shutil.move(root, tmp_path / "b")
    assert fingerprint(tmp_path / "b", names) == first
    assert len(read) == 8
    other = _images(tmp_path / "a", "red")  # other inodes under the first names
    fingerprint(other, names)
    assert len(read) == 12
    cache.chmod(0o770)  # what others wrote there is not believed
    fingerprint(other, names)
    assert len(read) == 16


def test_what_was_written_a_moment_ago_is_not_remembered(tmp_path, cache):
    """Within the grain of a file system's clock another change would not show."""
    fingerprint(_images(tmp_path / "a", "red"), ["0.bmp"])
    assert not list((cache / "fingerprints").glob("*"))


def test_names_count_and_what_cannot_be_read_counts_by_its_name(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    os.mkfifo(tmp_path / "pipe")
    found = {fingerprint(tmp_path, names) for names in ([], ["a"], ["gone"], ["pipe"], ["a", "gone"], ["agone"])}
    assert len(found) == 6
