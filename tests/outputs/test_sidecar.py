"""The record beside an image is whole, agrees with the one inside, and never replaces what is not gen's."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gen import provenance
from gen.errors import InputError
from gen.outputs import image_writer, sidecar
from gen.provenance.policy import Policy

POLICY = Policy("record", sidecar=True)
IMAGE = np.zeros((4, 4, 3), np.uint8)


def save(path, record, **options):
    image_writer.save(
        path, [IMAGE], format={"jpg": "jpeg"}.get(path.suffix[1:], path.suffix[1:]), record=record, **options
    )


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif"])
def test_it_holds_the_record_of_the_image(tmp_path, suffix):
    record = provenance.record(config_digest="d", step=5, seed=7, label="crème 靴 \udce9")
    path = tmp_path / f"a.{suffix}"
    for _ in range(2):  # the second time it replaces the first
        save(path, record, policy=POLICY)
    assert json.loads((tmp_path / f"a.{suffix}.json").read_text()) == provenance.read(path)
    assert len(list(tmp_path.iterdir())) == 2


def test_it_is_whole_where_the_image_has_no_room(tmp_path):
    record = provenance.record(config_digest="d", step=5, refine="invert|" * 30_000)
    save(tmp_path / "a.jpg", record, policy=POLICY)
    found = json.loads(sidecar.beside(tmp_path / "a.jpg").read_text())
    assert found["gen:refine"] == record["gen:refine"]
    assert found["gen:pixels"] == provenance.read(tmp_path / "a.jpg")["gen:pixels"]


@pytest.mark.parametrize("content", ["{}", "notes", '{"gen:seed": 1, "mine": 2}', "[" * 10_000])
def test_files_of_others_are_refused_before_anything_is_written(tmp_path, content):
    (tmp_path / "a.png.json").write_text(content)
    with pytest.raises(InputError, match=r"cannot write: .*a\.png\.json is there, not written by gen"):
        image_writer.check([tmp_path / "b.png", tmp_path / "a.png"], POLICY)
    image_writer.check([tmp_path / "a.png"], Policy("record"))
    with pytest.raises(InputError):
        save(tmp_path / "a.png", {"gen:seed": 1}, policy=POLICY)
    assert [file.name for file in tmp_path.iterdir()] == ["a.png.json"]
    assert (tmp_path / "a.png.json").read_text() == content


def test_links_are_not_followed(tmp_path):
    (tmp_path / "target").write_text('{"gen:seed": 1}')
    (tmp_path / "a.png.json").symlink_to(tmp_path / "target")
    with pytest.raises(InputError):
        sidecar.check([tmp_path / "a.png"])
