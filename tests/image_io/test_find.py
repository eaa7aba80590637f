"""What a person means by a folder of images, and what is said of the rest."""

import os
import subprocess

import pytest

from gen.errors import InputError
from gen.image_io import Found, find_images, ignored_line


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def names(root, found):
    return [path.relative_to(root).as_posix() for path in found.files]


def test_folders_are_searched_in_order_and_files_taken_as_named(tmp_path):
    touch(tmp_path, "b.png", "a/z.JPG", "a/y.webp", "a.avif", "c.jp2", "note.txt")
    found = find_images([tmp_path, tmp_path / "note.txt"])
    assert names(tmp_path, found) == ["a/y.webp", "a/z.JPG", "a.avif", "b.png", "c.jp2", "note.txt"]
    assert ignored_line(found) == "1 file ignored: 1 .txt"


def test_what_is_passed_over_is_counted(tmp_path):
    touch(tmp_path, "a.png", *(f"{i}.heic" for i in range(30)), "x.pdf", "raw", "b.\x1b")
    os.mkfifo(tmp_path / "pipe.png")
    os.symlink("nowhere", tmp_path / "broken.png")
    os.symlink("circle.png", tmp_path / "circle.png")
    found = find_images([tmp_path])
    assert names(tmp_path, found) == ["a.png"]
    assert found.ignored[".heic"] == 30
    assert found.ignored["no regular files"] == 1
    assert ignored_line(found).startswith("36 files ignored: 30 .heic, 2 links that lead nowhere, 1 .\\x1b, 1 .pdf, ")
    assert ignored_line(Found([], {})) == ""


def test_what_systems_put_into_folders_is_no_ones(tmp_path):
    touch(tmp_path, "a.png", ".hidden.png", ".git/a.png", "@eaDir/a.png", "__MACOSX/._a.png", "Thumbs.db")
    touch(tmp_path, ".ipynb_checkpoints/a.png", "$RECYCLE.BIN/a.png")
    assert find_images([tmp_path]) == ([tmp_path / "a.png"], {})


def test_linked_folders_are_followed_once_and_circles_end(tmp_path):
    touch(tmp_path, "set/x/0.png", "elsewhere/1.png")
    os.symlink("../elsewhere", tmp_path / "set/a")
    os.symlink("..", tmp_path / "set/x/up")
    os.symlink("x", tmp_path / "set/again")
    assert names(tmp_path / "set", find_images([tmp_path / "set"])) == ["a/1.png", "x/0.png"]
    assert len(find_images([tmp_path / "set/a"]).files) == 1  # also when the folder named is itself a link


def test_names_of_any_bytes_are_found(tmp_path):
    touch(tmp_path, os.fsdecode(b"caf\xe9/a\xff.png"), "e\u0301.png", "\u00e9a.png")
    assert len(find_images([tmp_path]).files) == 3


def test_nothing_to_find_is_one_line(tmp_path):
    touch(tmp_path, "set/a.svg", "set/b.svg", "photo.png")
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    wrong = {
        "set": "no image files in this folder; 2 files ignored: 2 .svg",
        "empty": "it is empty",
        "pipe": "neither a file nor a folder",
        "foto.png": "no such file or folder; did you mean 'photo.png'?",
        "\x1b[31m": r"\\x1b\[31m: there is no such",
    }
    for name, reason in wrong.items():
        with pytest.raises(InputError, match=reason.replace("?", r"\?")):
            find_images([tmp_path / name])
    with pytest.raises(InputError, match="NUL"):
        find_images([f"{tmp_path}/a\0.png"])


def test_deep_folders_are_no_trouble(tmp_path):
    deep = tmp_path.joinpath(*["d"] * 1500)
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        for _ in range(1500):
            os.mkdir("d")
            os.chdir("d")
        open("a.png", "wb").close()
        os.chdir(here)
        assert find_images([tmp_path]).files == [deep / "a.png"]
    finally:
        os.chdir(here)
        subprocess.run(["rm", "-r", tmp_path / "d"], check=True)  # pytest goes down by recursion when it clears away
