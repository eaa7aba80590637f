"""Gen knows what it wrote, by name and content, and takes everything else for somebody's own."""

from __future__ import annotations

import os

import pytest

from gen import files
from gen.errors import InputError
from gen.outputs import manifest


def test_what_was_written_may_be_replaced_and_what_was_changed_may_not(tmp_path):
    path = tmp_path / "new" / "a.png"
    manifest.write(path, b"one")
    assert manifest.wrote(path)
    manifest.write(path, b"two")
    manifest.check([path, tmp_path / "free"])
    path.write_bytes(b"mine")
    assert not manifest.wrote(path)
    with pytest.raises(
        InputError, match=r"--out: .*a\.png is there, not written by gen or changed since; name another"
    ):
        manifest.check([path])
    with pytest.raises(InputError, match=r"a\.png is there"):
        manifest.write(path, b"three")
    assert path.read_bytes() == b"mine"
    manifest.write(path, b"three", overwrite=True)
    assert manifest.wrote(path)


def test_a_crash_between_manifest_and_file_leaves_both_known(tmp_path, monkeypatch):
    path = tmp_path / "a"
    manifest.write(path, b"one")
    with monkeypatch.context() as patched:
        patched.setattr(files, "atomic_write", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
        with pytest.raises(InputError, match="disk full"):
            manifest.write(path, b"two")
    assert manifest.wrote(path)
    assert len((tmp_path / manifest.MANIFEST).read_text().splitlines()) == 2
    manifest.write(path, b"two")
    assert len((tmp_path / manifest.MANIFEST).read_text().splitlines()) == 2  # nothing is said twice


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b'{"name": "a", \n', b'{"name": "a", "sha256": 1}\nnull\n[1]\n'])
def test_a_damaged_manifest_knows_nothing(tmp_path, content):
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / manifest.MANIFEST).write_bytes(content)
    assert not manifest.wrote(tmp_path / "a")


def test_links_are_somebody_elses(tmp_path):
    (tmp_path / "other").write_bytes(b"x")
    manifest.write(tmp_path / "a", b"x")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "c").symlink_to(tmp_path / "nowhere")
    for name in ("b", "c"):
        with pytest.raises(InputError, match=f"{name} is there"):
            manifest.check([tmp_path / name])
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / manifest.MANIFEST).symlink_to(tmp_path / "other")
    with pytest.raises(InputError, match="cannot write"):
        manifest.write(tmp_path / "d" / "e", b"x")
    assert (tmp_path / "other").read_bytes() == b"x"
    (tmp_path / "f").mkdir()
    os.mkfifo(tmp_path / "f" / manifest.MANIFEST)
    with pytest.raises(InputError, match="cannot write"):
        manifest.write(tmp_path / "f" / "e", b"x")


def test_names_of_any_bytes_are_kept(tmp_path):
    for name in (b"caf\xe9", b"a\nb", b'q"', "é".encode()):
        path = tmp_path / os.fsdecode(name)
        manifest.write(path, name)
        assert manifest.wrote(path)
