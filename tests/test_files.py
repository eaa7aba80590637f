"""Files and names: whole writes through no link, homes that may be missing, folders to trust, printable text."""

import os

import pytest

from gen import files
from gen.errors import InputError


def test_a_write_replaces_the_file_and_leaves_nothing_beside_it(tmp_path):
    for content, stored in (("a", b"a"), (b"\xff", b"\xff"), ("\udcff", b"\\udcff")):
        files.atomic_write(tmp_path / "x", content)
        assert (tmp_path / "x").read_bytes() == stored
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"):
        files.atomic_write(tmp_path / "folder", "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "x"]


def test_a_write_follows_no_link(tmp_path, monkeypatch):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "x").symlink_to(precious)
    files.atomic_write(tmp_path / "x", "new")
    assert precious.read_text() == "mine"
    assert not (tmp_path / "x").is_symlink()
    monkeypatch.setattr(files.secrets, "token_hex", lambda length: "0" * 12)  # a name that somebody guessed
    (tmp_path / f".y.{'0' * 12}.partial").symlink_to(precious)
    with pytest.raises(FileExistsError):
        files.atomic_write(tmp_path / "y", "new")
    assert precious.read_text() == "mine"


def test_the_home_of_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GEN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert files.cache_home() == tmp_path / ".cache" / "gen"
    monkeypatch.setenv("XDG_CACHE_HOME", "~/xdg")
    assert files.cache_home() == tmp_path / "xdg" / "gen"
    monkeypatch.setenv("XDG_CACHE_HOME", "no/absolute/path")
    assert files.cache_home() == tmp_path / ".cache" / "gen"
    monkeypatch.setenv("GEN_CACHE", "~/mine")
    assert files.cache_home() == tmp_path / "mine"


def test_a_user_without_a_home_gets_a_cache_of_their_own(monkeypatch):
    for name in ("HOME", "GEN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert files.cache_home().name == f"gen-cache-{os.getuid()}"
    with pytest.raises(InputError, match="no home folder for ~"):
        files.expand("~/runs")


def test_a_home_that_cannot_be_written_holds_no_cache(tmp_path, monkeypatch):
    for name in ("GEN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(files.os, "access", lambda path, mode: False)
    assert files.cache_home().name == f"gen-cache-{os.getuid()}"


def test_a_relative_home_holds_no_cache_wherever_a_program_starts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("GEN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "home")
    assert files.cache_home().name == f"gen-cache-{os.getuid()}"


def test_what_a_tilde_means(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/somewhere")
    assert files.expand("~/runs") == files.Path("/somewhere/runs")
    assert files.expand("a/~/b") == files.Path("a/~/b")
    assert files.expand(files.expand("./~/runs")) == tmp_path / "~" / "runs"
    with pytest.raises(InputError, match="no home folder for ~nobody-here"):
        files.expand("~nobody-here/runs")
    (tmp_path / "~$letter.png").touch()
    assert files.expand("~$letter.png") == files.Path("~$letter.png")


def test_a_folder_that_others_may_write_is_not_trusted(tmp_path):
    made = files.private_folder(tmp_path / "a" / "b")
    assert made.stat().st_mode & 0o777 == 0o700
    made.chmod(0o775)
    with pytest.raises(PermissionError, match="others may write in it"):
        files.private_folder(made)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("café.png", "café.png"),
        ("\x1b[31mred\n", "\\x1b[31mred\\n"),
        (b"caf\xe9", "caf\\xe9"),
        ("\u202etxt", "\\u202etxt"),
        ("a" * 400, "a" * 200 + "..." + "a" * 100),
    ],
)
def test_any_name_can_be_printed(text, shown):
    assert files.printable(text) == shown
    shown.encode()
