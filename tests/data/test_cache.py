"""A cache entry is whole or it is not there: crashes, damage, rivals and folders that cannot be written."""

import json
import logging
import os
import re
import time

import numpy as np
import pytest

from gen.data.cache import _blocks, cached
from gen.data.dataset import BatchSampler
from gen.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 3), np.uint8)


class Make:
    """Counts how often it is asked; may fail half way."""

    def __init__(self, fail=False):
        self.calls, self.fail = 0, fail

    def __call__(self, add):
        self.calls += 1
        add("train", IMAGES[:3], [0, 1, 0])
        if self.fail:
            raise KeyboardInterrupt
        add("train", IMAGES[3:7], [1, 0, 1, 0])
        add("held_out", IMAGES[7:], [1, 1, 0])
        return ("a", "b"), {"source": "test"}


def _check(source):
    np.testing.assert_array_equal(source.train.images, IMAGES[:7])
    np.testing.assert_array_equal(source.held_out.images, IMAGES[7:])
    np.testing.assert_array_equal(source.train.labels, [0, 1, 0, 1, 0, 1, 0])
    assert source.train.labels.dtype == np.int32
    assert source.class_names == ("a", "b")
    assert source.metadata["source"] == "test"


def test_made_once_then_mapped_read_only(cache):
    make = Make()
    first = cached("x", {"size": 4}, make, identity="1")
    second = cached("x", {"size": 4}, make, identity="1")
    _check(first)
    _check(second)
    assert make.calls == 1
    assert not second.train.images.flags.writeable
    assert first.metadata == second.metadata == json.loads(json.dumps(first.metadata))
    entry = next(cache.iterdir())
    np.testing.assert_array_equal(np.load(entry / "train_images.npy"), IMAGES[:7])
    for options, identity in (({"size": 5}, "1"), ({"size": 4}, "2")):
        cached("x", options, make, identity=identity)
    assert make.calls == 3


def test_a_crash_half_way_leaves_nothing(cache):
    with pytest.raises(KeyboardInterrupt):
        cached("x", {}, Make(fail=True), identity="1")
    assert list(cache.iterdir()) == []
    _check(cached("x", {}, Make(), identity="1"))


def test_leavings_of_a_killed_process_are_ignored_and_later_removed(cache):
    _check(cached("x", {}, Make(), identity="1"))
    entry = next(cache.iterdir())
    old, young = cache / f".{entry.name}.1.aa", cache / f".{entry.name}.2.bb"
    for folder in (old, young):
        folder.mkdir()
        (folder / "train_images.npy").write_bytes(b"half")
    for path in (old / "train_images.npy", old):
        os.utime(path, (0, 0))
    (entry / "metadata.json").unlink()
    make = Make()
    _check(cached("x", {}, make, identity="1"))
    assert make.calls == 1
    assert young.exists()
    assert not old.exists()


@pytest.mark.parametrize("damage", ["truncate", "flip", "metadata", "missing", "empty"])
def test_damage_is_noticed_and_repaired(cache, caplog, damage):
    cached("x", {}, Make(), identity="1")
    entry = next(cache.iterdir())
    file = entry / ("metadata.json" if damage in ("metadata", "empty") else "train_images.npy")
    data = bytearray(file.read_bytes())
    if damage == "missing":
        file.unlink()
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "flip":
        data[-5] ^= 1
        file.write_bytes(data)
    else:
        file.write_bytes(data[: len(data) // 2])
    make = Make()
    _check(cached("x", {}, make, identity="1"))
    assert make.calls == 1
    assert "damaged" in caplog.text
    _check(cached("x", {}, make, identity="1"))
    assert make.calls == 1
    assert [path.name for path in cache.iterdir()] == [entry.name]


def test_size_is_checked_even_where_content_is_not(cache, monkeypatch):
    cached("x", {}, Make(), identity="1")
    file = next(cache.iterdir()) / "train_images.npy"
    file.write_bytes(file.read_bytes() + b"more")
    monkeypatch.setattr("gen.data.cache._VERIFY_BYTES", 0)
    make = Make()
    _check(cached("x", {}, make, identity="1"))
    assert make.calls == 1


@pytest.mark.parametrize("restored", [False, True])
def test_a_large_file_that_was_written_to_is_noticed(cache, monkeypatch, restored):
    """By its blocks, or because its times changed, even where nobody looks at the blocks."""
    cached("x", {}, Make(), identity="1")
    file = next(cache.iterdir()) / "train_images.npy"
    data, before = bytearray(file.read_bytes()), file.stat()
    data[-5] ^= 1
    monkeypatch.setattr("gen.data.cache._VERIFY_BYTES", 0)
    if restored:
        monkeypatch.setattr("gen.data.cache._blocks", lambda file: "the same")
        metadata = file.with_name("metadata.json")
        metadata.write_text(re.sub('"blocks": "[^"]*"', '"blocks": "the same"', metadata.read_text()))
        time.sleep(0.02)
    file.write_bytes(data)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    make = Make()
    _check(cached("x", {}, make, identity="1"))
    assert make.calls == 1


def test_blocks_are_all_of_a_small_file_and_both_ends_of_a_large_one(tmp_path):
    for size in (0, 1000, 2**21, 2**25):
        changed, seen = bytearray(size), set()
        for place in (None, 0, size // 3 if size < 2**22 else 1, size - 1):
            if size and place is not None:
                changed[place] += 1
            (tmp_path / "x").write_bytes(changed)
            with (tmp_path / "x").open("rb") as file:
                seen.add(_blocks(file))
        assert len(seen) == (4 if size else 1)


def test_a_file_cut_while_it_is_mapped_gives_one_line(cache):
    """Reading on would end the process by SIGBUS."""
    source = cached("x", {}, Make(), identity="1")
    batches = BatchSampler(source.train, 4)
    assert batches.batch(0)["image"].shape == (4, 4, 4, 3)
    file = next(cache.iterdir()) / "train_images.npy"
    os.truncate(file, 100)
    for read in (lambda: batches.batch(1), lambda: source.train.images[2:4], lambda: source.train.images[0]):
        with pytest.raises(InputError, match=r"was cut to 100 of \d+ bytes while it was in use") as error:
            read()
        assert "\n" not in str(error.value)
    make = Make()
    _check(cached("x", {}, make, identity="1"))
    assert make.calls == 1


def test_what_is_taken_out_of_a_mapped_array_is_in_memory(cache, monkeypatch):
    images = cached("x", {}, Make(), identity="1").train.images
    for part in (images[1:3], images[[2, 0]], images[0], images[..., 0]):
        assert type(part) is np.ndarray
    assert images[0, 0, 0, 0] == IMAGES[0, 0, 0, 0]
    monkeypatch.setattr("gen.data.mapped._COPIED", 100)
    large = images[:]
    assert isinstance(large, np.memmap)
    np.testing.assert_array_equal(large[5], IMAGES[5])


@pytest.mark.parametrize("which", ["folder", "entry"])
def test_a_folder_that_others_can_write_is_not_read(cache, caplog, which):
    cached("x", {}, Make(), identity="1")
    entry = next(cache.iterdir())
    (cache if which == "folder" else entry).chmod(0o770)
    make = Make()
    _check(cached("x", {}, make, identity="1"))
    assert make.calls == 1
    assert len(caplog.records) == 1
    assert "others may write in it" in caplog.text


def test_another_decoder_decodes_anew(cache, monkeypatch):
    cached("x", {}, Make(), identity="1")
    monkeypatch.setattr("PIL.__version__", "0.0")
    make = Make()
    _check(cached("x", {}, make, identity="1"))
    assert make.calls == 1


def test_two_processes_at_once(cache):
    """While one makes the entry, another finishes the same one: both have it, and one copy stays."""
    inner = Make()

    class Slow(Make):
        def __call__(self, add):
            result = super().__call__(add)
            _check(cached("x", {}, inner, identity="1"))
            return result

    _check(cached("x", {}, Slow(), identity="1"))
    assert inner.calls == 1
    assert len(list(cache.iterdir())) == 1


def test_unwritable_cache_means_memory_and_one_warning(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GEN_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        source = cached("x", {}, Make(), identity="1")
    _check(source)
    assert len(caplog.records) == 1
    assert "memory" in caplog.text
    monkeypatch.setenv("GEN_CACHE", str(tmp_path / "good"))
    assert cached("x", {}, Make(), identity="1").metadata == source.metadata


def test_location(tmp_path, monkeypatch):
    monkeypatch.delenv("GEN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    cached("x", {}, Make(), identity="1")
    assert len(list((tmp_path / "xdg" / "gen").iterdir())) == 1
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    cached("x", {}, Make(), identity="1")
    assert len(list((tmp_path / "home" / ".cache" / "gen").iterdir())) == 1
