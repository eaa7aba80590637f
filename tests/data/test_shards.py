"""Shards: the same images and batches as in memory, in any order, by any number of hosts; damage is told by name."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tiny
from counter import Counter
from PIL import Image

from gen import devices
from gen.config import spec
from gen.convert import ConvertOptions, convert, verify
from gen.data import BatchSampler, folder, shards
from gen.data.exclusions import FAULTS
from gen.data.loader import DeviceLoader
from gen.data.records import captions_of, pack, unpack_image
from gen.data.shard_index import read_index
from gen.errors import InputError
from gen.evaluation import reference
from gen.features import pixels
from gen.training import loop

COUNT = 30


@pytest.fixture
def images(tmp_path) -> Path:
    """A folder of two classes with one, two or no captions of each image."""
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        file = tmp_path / "images" / ("cat", "dog")[i % 2] / f"{i:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8)).save(file)
        if i % 3:
            file.with_suffix(".txt").write_text("\n".join(f"number {i} {word}" for word in "ab"[: i % 3]))
    return tmp_path / "images"


@pytest.fixture
def made(images, tmp_path) -> Path:
    out = tmp_path / "shards"
    convert(ConvertOptions(inputs=[images], out=out, resolution=16, shards=3, held_out=0.2))
    return out


@pytest.fixture
def pair(images, made):
    """The same images in memory and in shards."""
    return folder(images, 16, held_out=0.2), shards(made)


def test_a_record_holds_image_label_and_captions():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    texts = [b"one", b"", "größer".encode()]
    record, out = pack(image, 70_000, captions=texts), np.empty_like(image)
    unpack_image(record, out=out)
    np.testing.assert_array_equal(out, image)
    assert captions_of(record) == texts
    assert len(pack(image, 1)) == 16 + image.size
    for bad in (b"", record[:50], b"x" * len(record)):
        with pytest.raises(ValueError, match="a record"):
            unpack_image(bad, out=out)
        with pytest.raises(ValueError, match="a record is cut"):
            captions_of(bad)
    with pytest.raises(ValueError, match="no image of"):
        unpack_image(record, out=np.empty((7, 5, 3), np.uint8))


def test_the_same_images_labels_captions_and_facts_as_the_folder(pair):
    memory, stored = pair
    assert stored.class_names == memory.class_names == ("cat", "dog")
    assert (stored.image_shape, stored.caption_length) == (memory.image_shape, memory.caption_length)
    assert stored.metadata["captions"] == memory.metadata["captions"]
    for split in ("train", "held_out"):
        a, b = getattr(memory, split), getattr(stored, split)
        np.testing.assert_array_equal(np.asarray(b.images), a.images)
        np.testing.assert_array_equal(b.labels, a.labels)
        assert b.labels.dtype == np.int32
        np.testing.assert_array_equal(b.captions.counts, a.captions.counts)
        assert [b.captions.of(i) for i in range(len(b.labels))] == [a.captions.of(i) for i in range(len(a.labels))]
    assert stored.metadata["num_train"] + stored.metadata["num_held_out"] == COUNT


def test_images_are_indexed_as_an_array(pair):
    memory, stored = (splits.train.images for splits in pair)
    assert (stored.shape, stored.dtype, stored.ndim, len(stored)) == (memory.shape, memory.dtype, 4, len(memory))
    assert (stored.nbytes, stored.size) == (memory.nbytes, memory.size)
    mask = np.arange(len(memory)) % 3 == 0
    keys = [3, -1, np.int32(2), slice(None), slice(2, 11, 3), slice(None, None, -1), [5, 5, 0], np.array([-2, 4]), mask]
    keys += [
        np.array([[1, 2], [3, 4]]),
        [],
        slice(4, 4),
        (3, slice(2, 5)),
        (slice(1, 4), 0),
        (np.array([1, 2]), ..., 0),
    ]
    for key in keys:
        found = stored[key]
        assert isinstance(found, np.ndarray)
        np.testing.assert_array_equal(found, memory[key] if not isinstance(key, list) or key else memory[:0])
    for key in (len(memory), [-len(memory) - 1], 0.5, mask[:-1], "a"):
        with pytest.raises(IndexError):
            stored[key]


def test_captions_are_drawn_as_from_memory(pair):
    memory, stored = (splits.train.captions for splits in pair)
    chosen, uniform = np.array([7, 0, 7, 3]), np.array([0.1, 0.6, 0.9, 0.0])
    assert stored.drawn(chosen, uniform) == memory.drawn(chosen, uniform)
    assert stored.subset(chosen).of(1) == memory.subset(chosen).of(1)


def test_batches_are_those_of_memory_and_do_not_depend_on_the_hosts(pair):
    memory, stored = (BatchSampler(splits.train, 16, 5, caption_length=64) for splits in pair)
    for step in (0, 1, 2, 7, 1000):
        expected = memory.batch(step)
        for hosts in (1, 2, 8):
            share = 16 // hosts
            parts = [stored.batch(step, rows=slice(h * share, (h + 1) * share)) for h in range(hosts)]
            for name, value in expected.items():
                np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), value)


@pytest.mark.parametrize("device_bytes", [0, 2**30])
def test_the_device_loader_takes_them(pair, device_bytes):
    mesh = devices.mesh(-1, 1)
    memory, stored = (BatchSampler(splits.train, 16, 5, caption_length=64) for splits in pair)
    loader = DeviceLoader(stored, mesh, device_bytes=device_bytes)
    for step in (3, 4, 5, 1):
        batch, expected = loader(step), memory.batch(step)
        assert len(batch["image"].sharding.device_set) == 8
        for name, value in expected.items():
            np.testing.assert_array_equal(batch[name], value)


def test_what_is_opened_is_what_was_written(made):
    digest = shards(made).metadata["digest"]
    assert digest == shards(made, verify=True).metadata["digest"] == read_index(made).digest
    assert verify(ConvertOptions(inputs=[made], verify=True)) == []


def _shard(made: Path) -> Path:
    return sorted(made.glob("train-*.array_record"))[1]


def test_a_flipped_bit_is_found_by_verify_and_at_reading(made):
    shard = _shard(made)
    content = bytearray(shard.read_bytes())
    content[content.index(b"gen1") + 100] ^= 1
    shard.write_bytes(content)
    found = verify(ConvertOptions(inputs=[made], verify=True))
    assert found == [f"{shard}: has another sha256 than when it was written"]
    with pytest.raises(InputError, match=rf"{shard.name}: has another sha256"):
        shards(made, verify=True)
    source = shards(made)  # the size is right
    with pytest.raises(InputError, match=rf"{shard.name} is damaged \(Corrupted .*--verify") as error:
        np.asarray(source.train.images)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda made: _shard(made).unlink(), r"train-00001-of-00003.array_record: No such file or directory; convert"),
        (lambda made: _shard(made).write_bytes(b"x"), r"train-00001-of-00003.array_record has 1 bytes instead of"),
        (lambda made: _shard(made).with_suffix(".npz").write_bytes(b"x"), r"train-00001-of-00003.npz: it has another"),
        (lambda made: (made / "index.json").unlink(), r"has no index.json: it is no folder of gen.convert, or not"),
        (lambda made: (made / "index.json").write_text("{"), r"index.json cannot be read \("),
        (lambda made: (made / "index.json").write_text("[]"), r"index.json cannot be read \("),
    ],
)
def test_a_missing_or_changed_file_is_one_line_with_its_name(made, harm, message):
    harm(made)
    with pytest.raises(InputError, match=message) as error:
        shards(made)
    assert "\n" not in str(error.value)


def test_an_index_names_no_file_elsewhere(made):
    index = json.loads((made / "index.json").read_text())
    index["splits"]["train"][0]["name"] = "../train-00000-of-00003.array_record"
    (made / "index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=r"it names \.\./train"):
        shards(made)


def test_a_shard_of_another_set_in_its_place_is_noticed_when_it_is_read(made):
    index = json.loads((made / "index.json").read_text())
    index["image_shape"] = [8, 32, 3]  # as many bytes
    (made / "index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=r"is damaged \(a record holds no image of \[8, 32, 3\]\)"):
        shards(made).train.images[0]


def audit(folder: Path, content: str, *names: str) -> Path:
    found = [{"file": name, "kind": FAULTS[0]} for name in names]
    file = folder / "audit.json"
    file.write_text(json.dumps({"findings": found, "digest": "d", "content": content}))
    return file


def test_what_an_audit_found_is_left_out(made, tmp_path):
    whole = shards(made)
    file = audit(tmp_path, whole.metadata["digest"], "train/000001", "train/000003", "held_out/000000")
    left = shards(made, exclude=file)
    rows = [i for i in range(len(whole.train.images)) if i not in (1, 3)]
    np.testing.assert_array_equal(np.asarray(left.train.images), whole.train.images[rows])
    np.testing.assert_array_equal(left.train.labels, whole.train.labels[rows])
    assert [left.train.captions.of(i) for i in range(len(rows))] == [whole.train.captions.of(i) for i in rows]
    np.testing.assert_array_equal(left.train.captions.counts, whole.train.captions.counts[rows])
    np.testing.assert_array_equal(np.asarray(left.held_out.images), whole.held_out.images[1:])
    assert left.metadata["excluded"]["images"] == 3
    assert left.metadata["digest"] != whole.metadata["digest"]
    assert left.metadata["num_train"] == len(rows)


def test_an_audit_of_another_set_is_refused(made, tmp_path):
    with pytest.raises(InputError, match="is the audit of another set"):
        shards(made, exclude=audit(tmp_path, "of another", "train/000001"))
    digest = shards(made).metadata["digest"]
    names = [f"held_out/{i:06}" for i in range(COUNT)]
    with pytest.raises(InputError, match="leaves nothing of a split"):
        shards(made, exclude=audit(tmp_path, digest, *names))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("shard", "is not a folder; did you mean 'shards'?"),
        ("ftp://bucket/shards", "allowed: a folder, gs:// or s3://"),
    ],
)
def test_a_wrong_place(made, tmp_path, monkeypatch, path, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        shards(path)


def test_what_is_measured_of_them_is_measured_of_memory(pair):
    memory, stored = (reference(splits, pixels(8), references=4, most=20) for splits in pair)
    for name in ("real", "train", "held_out"):
        a, b = getattr(memory, name), getattr(stored, name)
        np.testing.assert_array_equal(np.asarray(b.images), np.asarray(a.images))
        np.testing.assert_array_equal(b.features, a.features)
        np.testing.assert_array_equal(b.labels, a.labels)


def test_a_run_learns_from_them(made, tmp_path, monkeypatch):
    """With its metrics, its report and its data.json, where the set is too large for a device."""
    monkeypatch.setattr(loop, "DeviceLoader", partial(DeviceLoader, device_bytes=0))
    monkeypatch.setenv("GEN_PACKAGES", "counter")
    settings = tiny.config(total_images=16, task=spec(Counter), data=spec(shards, path=str(made)))
    assert loop.train(settings, tmp_path / "run") == 0
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == 2
    facts = json.loads((tmp_path / "run" / "data.json").read_text())
    assert facts["num_train"] + facts["num_held_out"] == COUNT
    assert facts["digest"] == read_index(made).digest
    assert (tmp_path / "run" / "report.html").exists()
