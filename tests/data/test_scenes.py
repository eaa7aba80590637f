"""Scenes against what they are said to show: areas, places, relations, captions read back, and what is never drawn."""

import math
import re

import numpy as np
import pytest

from gen.data import scenes
from gen.data.scene_captions import INVERSE, WORDS, captions_of, prompts
from gen.data.scene_world import COLORS, PLACES, RELATIONS, SCENES, UNSEEN_COLORS, UNSEEN_RELATIONS
from gen.data.scenes import HELD_OUT_START, UNSEEN_START, render, scene
from gen.errors import InputError
from gen.metrics.composition import SKILLS, Found, atoms, place_of, relation_of

AREAS = {"circle": math.pi, "ring": math.pi * (1 - 0.55**2), "square": 2.0, "triangle": 3 * math.sqrt(3) / 4}


def found(thing):
    return Found(thing.kind, thing.color, thing.size, thing.x, thing.y, thing.radius)


@pytest.fixture(scope="module")
def drawn():
    return render(np.arange(96))


def test_fifth_of_all_combinations_is_never_learned_from():
    assert (len(UNSEEN_COLORS), len(UNSEEN_RELATIONS)) == (13, 6)
    learned = [scene(start + n) for start, number in ((0, 20_000), (HELD_OUT_START, 1000)) for n in range(number)]
    assert not any(each.unseen for each in learned)
    assert all(scene(UNSEEN_START + n).unseen for n in range(500))
    combinations = {(thing.color, thing.kind) for each in learned for thing in each.things}
    assert len(combinations) == 64 - 13
    relations = {(each.groups[0][0].kind, each.relation) for each in learned if each.relation}
    assert len(relations) == 32 - 6 - 2  # rings and crescents cover nothing


def test_objects_stand_where_they_are_said_to():
    for index in range(2000):
        each = scene(index)
        things = [found(thing) for thing in each.things]
        assert all(max(abs(t.x - 0.5), abs(t.y - 0.5)) + t.radius <= 0.5 for t in things)
        assert SCENES[each.label] == ("single" if len(things) == 1 else SCENES[each.label])
        if each.place:
            assert place_of(things[0]) == each.place
        if SCENES[each.label] == "pair":
            assert relation_of(*things) == each.relation
        if SCENES[each.label] in ("several", "mixed"):
            apart = [math.hypot(a.x - b.x, a.y - b.y) - a.radius - b.radius for a in things for b in things if a != b]
            assert min(apart) >= 0


def test_masks_have_the_areas_of_the_figures(drawn):
    area = np.asarray(drawn.masks).mean((2, 3, 4))
    checked = 0
    for n, each in enumerate(drawn.scenes):
        thing = each.things[0]  # which nothing covers
        if thing.kind in AREAS:
            checked += 1
            np.testing.assert_allclose(area[n, 0], AREAS[thing.kind] * thing.radius**2, rtol=0.06)
    assert checked > 20


def test_boxes_are_about_the_objects_and_no_object_is_hidden(drawn):
    for n, each in enumerate(drawn.scenes):
        for k, thing in enumerate(each.things):
            left, top, right, bottom = np.asarray(drawn.boxes)[n, k]
            assert thing.x - thing.radius - 1 / 32 <= left < right <= thing.x + thing.radius + 1 / 32
            assert thing.y - thing.radius - 1 / 32 <= top < bottom <= thing.y + thing.radius + 1 / 32
            assert np.asarray(drawn.masks)[n, k].sum() > 12
        assert not np.asarray(drawn.masks)[n, len(each.things) :].any()


def test_pixels_have_the_colors_of_their_objects(drawn):
    image, masks = np.asarray(drawn.image), np.asarray(drawn.masks)[..., 0]
    assert image.min() >= 0
    assert image.max() <= 1
    for n, each in enumerate(drawn.scenes):
        for k, thing in enumerate(each.things):
            inside = image[n][masks[n, k] == 1]
            assert len(inside) > 0
            np.testing.assert_allclose(inside, np.broadcast_to(thing.rgb, inside.shape), atol=1e-5)
            distances = {name: np.square(np.array(rgb) - inside[0]).sum() for name, rgb in COLORS.items()}
            assert min(distances, key=distances.__getitem__) == thing.color


def test_same_index_is_the_same_scene_at_any_resolution_and_in_any_batch(drawn):
    fine = np.asarray(render(np.arange(8), resolution=96).image)
    reduced = fine.reshape(8, 32, 3, 32, 3, 3).mean((2, 4))
    assert np.abs(reduced - np.asarray(drawn.image)[:8]).mean() < 0.01
    np.testing.assert_allclose(render([5, 2]).image, np.asarray(drawn.image)[[5, 2]], atol=1e-6)
    assert np.abs(np.asarray(render([5], seed=1).image) - np.asarray(drawn.image)[5]).max() > 0.1


CANONICAL = {word: name for name, words in WORDS.items() for word in words}
RELATION = sorted((w for r in (*INVERSE, *INVERSE.values()) for w in WORDS[r]), key=len, reverse=True)


def read_back(text):
    """The groups (kind, color, size, number) of a caption in its order, and the relation between them."""
    text = re.sub(r"(on|against) a [\w ]*(background|ground),? ?", "", text)
    relation = next((word for word in RELATION if f" {word} " in text), None)
    parts = text.split(f" {relation} ") if relation else re.split(r" and (?=an? |two |three |four |\d )", text)
    groups = []
    for part in parts:
        words = re.sub(r"(pluse|crosse|boxe|disc|\b[a-z]+)s\b", lambda m: re.sub("e$", "", m[1]) if m[1].endswith(
            ("pluse", "crosse", "boxe")) else m[0], part)  # fmt: skip
        named = [CANONICAL.get(w) or CANONICAL.get(w.removesuffix("s")) for w in re.findall(r"\w+", words)]
        kind = [n for n in named if n in AREAS or n in ("star", "cross", "heart", "crescent")]
        color, size = [n for n in named if n in COLORS], [n for n in named if n in ("small", "large")]
        number = next(
            (n for n, w in enumerate(("one", "two", "three", "four"), 1) if re.search(rf"\b({w}|{n})\b", part)), 1
        )
        groups.append((kind, color, size, number))
    return groups, CANONICAL.get(relation)


def test_captions_say_what_is_there():
    said = {"color": 0, "size": 0, "relation": 0}
    for index in range(1500):
        each = scene(index)
        for text in captions_of(each, index):
            groups, relation = read_back(text)
            truth = list(each.groups)
            if relation in INVERSE.values() or (relation is None and groups[0][0] != [truth[0][0].kind]):
                truth.reverse()
            assert len(groups) == len(truth), text
            for (kind, color, size, number), group in zip(groups, truth, strict=True):
                assert (kind, number) == ([group[0].kind], len(group)), text
                assert color in ([], [group[0].color]), text
                assert size in ([], [group[0].size]), text
                said["color"], said["size"] = said["color"] + bool(color), said["size"] + bool(size)
            if relation:
                assert {**{r: r for r in RELATIONS}, **{v: k for k, v in INVERSE.items()}}[relation] == each.relation
                said["relation"] += 1
            assert each.place is None or PLACES.index(each.place) >= 0
    assert min(said.values()) > 500


def test_captions_differ_and_are_the_same_again():
    for index in range(100):
        texts = captions_of(scene(index), index)
        assert texts == captions_of(scene(index), index)
        assert len(set(texts)) == 3


@pytest.mark.parametrize("skill", SKILLS)
def test_prompts_are_fulfilled_by_their_scenes(skill):
    for unseen in (False, True):
        asked = prompts(skill, 60, unseen=unseen)
        assert len(asked) == (0 if unseen and skill in ("single object", "two objects") else 60)
        for prompt in asked:
            assert prompt.scene.unseen == unseen
            assert all(right for _, right in atoms(prompt.wanted, [found(thing) for thing in prompt.scene.things]))
    with pytest.raises(InputError, match="allowed: single object"):
        prompts("beauty", 1)


def test_source_has_captions_and_is_cached(cache):
    source = scenes(16, num_train=40, num_held_out=8)
    assert source.class_names == SCENES
    assert source.image_shape == (16, 16, 3)
    np.testing.assert_array_equal(source.train.labels, np.arange(40) % 4)
    assert source.train.captions.of(3) == captions_of(scene(3), 3)
    assert source.held_out.captions.of(1) == captions_of(scene(HELD_OUT_START + 1), HELD_OUT_START + 1)
    assert source.caption_length >= 64
    again = scenes(16, num_train=40, num_held_out=8)
    assert again.metadata == source.metadata
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize("options", [{"resolution": 8}, {"num_train": 0}, {"captions": 0}, {"seed": -1}])
def test_refuses_what_cannot_be_drawn(options):
    with pytest.raises(InputError, match="allowed are"):
        scenes(**options)
