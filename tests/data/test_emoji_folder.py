"""benchmarks/emoji_folder.py: names of emoji in words, in every Python alike; variants are on one side of the split."""

import importlib.util
import json
import pathlib
import types

import numpy as np
import pytest

from gen.data import DatasetSplits, Examples, folder
from gen.data.captions import Captions
from gen.errors import InputError
from gen.features.text_image import TextImageModel

ROOT = pathlib.Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("emoji_folder", ROOT / "benchmarks" / "emoji_folder.py")
emoji = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(emoji)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("emoji_u1f469_1f3fd_200d_1f680", "woman, medium skin tone, rocket"),
        ("emoji_u1f3c3_200d_2640_fe0f", "runner, woman"),
        ("emoji_u2640", "female sign"),
        ("emoji_u2642_fe0f", "male sign"),
        ("emoji_u0031_20e3", "digit one, key"),
        ("emoji_u20e3", "combining enclosing keycap"),
        ("emoji_u1f1e9_1f1ea", "flag of DE"),
        ("emoji_u1f1e9", "regional indicator symbol letter d"),
        ("emoji_u1f3f4", "waving black flag"),
        ("emoji_u1f3f4_200d_2620", "flag, skull and crossbones"),
        ("emoji_u1f3f4_e0067_e0062_e0073_e0063_e0074_e007f", "flag of GB-SCT"),
        ("emoji_ufe82b", ""),  # for private use: no Unicode names it
        ("emoji_u1f469_200d_fe82b", ""),
        ("emoji_u110000", ""),
        ("emoji_ud800", ""),
        ("emoji_u200d", ""),
        ("a red heart", "a red heart"),
    ],
)
def test_names_are_those_of_their_characters(name, text):
    assert emoji.spelled(name) == text


def test_variants_are_on_one_side_and_what_has_no_name_is_left_out_and_counted(tmp_path, capsys):
    things = [f"1f4{n:02x}" for n in range(100)]
    people = [f"1f468{tone}_200d_{thing}" for thing in things for tone in ("", "_1f3fb", "_1f3ff")]
    names = [f"emoji_u{name}" for name in people] + ["emoji_ufe82b", "emoji_u110000"]
    emoji.write(np.zeros((len(names), 16, 16, 4), np.uint8), names, tmp_path / "set")
    said = capsys.readouterr().out
    assert "300 images" in said
    assert "2 others have no name in Unicode" in said
    lines = [json.loads(line) for line in (tmp_path / "set" / "metadata.jsonl").read_text().splitlines()]
    sides = {}
    for line in lines:
        sides.setdefault(line["text"].rpartition(", ")[2], set()).add(line["file_name"].partition("/")[0])
    assert len(sides) == 100
    assert all(len(found) == 1 for found in sides.values())
    assert set().union(*sides.values()) == {"train", "held_out"}
    source = folder(tmp_path / "set", 16, strict=True)
    assert source.class_names == ()
    assert len(source.held_out.images) == sum(line["file_name"].startswith("held_out") for line in lines)


def test_a_pair_of_two_tones_is_a_variant_of_the_pair():
    names = ("1f46b", "1f46b_1f3fb", "1f469_1f3fb_200d_1f91d_200d_1f468_1f3ff")
    assert {emoji.group_of(f"emoji_u{name}") for name in names} == {"1f46b"}
    assert emoji.group_of("a red heart") == "a red heart"


def test_what_cannot_be_used_is_one_line(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        emoji.read(tmp_path / "gone.npz")
    np.savez(tmp_path / "x.npz", x_train=np.zeros((2, 4, 4), np.uint8))
    with pytest.raises(InputError, match=r"x\.npz: allowed: an \.npz file with x"):
        emoji.read(tmp_path / "x.npz")


def test_samples_are_drawn_with_the_names_of_each_split_and_compared_within_it(monkeypatch):
    """Images show the number in their name, but for samples of names that were held out."""

    def examples(numbers):
        images = np.broadcast_to(np.uint8(numbers)[:, None, None, None], (len(numbers), 2, 2, 3))
        return Examples(images, np.zeros(len(numbers), np.int32), Captions.packed([[str(n).encode()] for n in numbers]))

    def samples(task, params, source, number, *, mesh):
        images, labels, captions = source.train
        images = images[:number] + np.uint8(100 if images.min() >= 60 else 0)
        return Examples(images, labels[:number], captions.subset(np.arange(number)))

    def vectors(numbers):
        return np.eye(256)[numbers]

    model = TextImageModel("f", lambda images: vectors(images[:, 0, 0, 0]), lambda texts: vectors([*map(int, texts)]))
    monkeypatch.setattr(emoji, "model_images", samples)
    source = DatasetSplits("x", examples(range(60)), examples(range(60, 80)))
    found = emoji.rows(types.SimpleNamespace(task=None, ema_params={}), source, model, 20, 10)
    assert [row[: row.index("(")] for row in found] == ["| learned from | 100.0% ", "| held out | 0.0% "]
    assert all("| 100.0% (" in row for row in found)  # of real images
