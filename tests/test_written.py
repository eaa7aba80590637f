"""Gen knows what it wrote, by name and content, and takes everything else for somebody's own."""

from __future__ import annotations

import os

import pytest

from gen import files, written
from gen.errors import InputError


def test_what_was_written_may_be_replaced_and_what_was_changed_may_not(tmp_path):
    path = tmp_path / "new" / "a.png"
    written.write(path, b"one", program="gen.x")
    assert written.by(path) == "gen.x"
    written.write(path, b"two", program="gen.x")
    written.check([path, tmp_path / "free"])
    path.write_bytes(b"mine")
    assert written.by(path) is None
    with pytest.raises(
        InputError, match=r"--out: .*a\.png is there, not written by gen or changed since; name another"
    ):
        written.check([path])
    with pytest.raises(InputError, match=r"a\.png is there"):
        written.write(path, b"three", program="gen.x")
    assert path.read_bytes() == b"mine"
    written.write(path, b"three", program="gen.x", overwrite=True)
    assert written.by(path) == "gen.x"


def test_a_crash_between_manifest_and_file_leaves_both_known(tmp_path, monkeypatch):
    path = tmp_path / "a"
    written.write(path, b"one", program="gen.x")
    with monkeypatch.context() as patched:
        patched.setattr(files, "atomic_write", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
        with pytest.raises(InputError, match="disk full"):
            written.write(path, b"two", program="gen.x")
    assert written.by(path) == "gen.x"
    assert len((tmp_path / written.MANIFEST).read_text().splitlines()) == 2
    written.write(path, b"two", program="gen.x")
    assert len((tmp_path / written.MANIFEST).read_text().splitlines()) == 2  # nothing is said twice


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b'{"name": "a", \n', b'{"name": "a", "sha256": 1}\nnull\n[1]\n'])
def test_a_damaged_manifest_knows_nothing(tmp_path, content):
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / written.MANIFEST).write_bytes(content)
    assert written.by(tmp_path / "a") is None


def test_links_are_somebody_elses(tmp_path):
    (tmp_path / "other").write_bytes(b"x")
    written.write(tmp_path / "a", b"x", program="gen.x")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "c").symlink_to(tmp_path / "nowhere")
    for name in ("b", "c"):
        with pytest.raises(InputError, match=f"{name} is there"):
            written.check([tmp_path / name])
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / written.MANIFEST).symlink_to(tmp_path / "other")
    with pytest.raises(InputError, match="cannot write"):
        written.write(tmp_path / "d" / "e", b"x", program="gen.x")
    assert (tmp_path / "other").read_bytes() == b"x"
    (tmp_path / "f").mkdir()
    os.mkfifo(tmp_path / "f" / written.MANIFEST)
    with pytest.raises(InputError, match="cannot write"):
        written.write(tmp_path / "f" / "e", b"x", program="gen.x")


def test_names_of_any_bytes_are_kept(tmp_path):
    for name in (b"caf\xe9", b"a\nb", b'q"', "é".encode()):
        path = tmp_path / os.fsdecode(name)
        written.write(path, name, program="gen.x")
        assert written.by(path) == "gen.x"
