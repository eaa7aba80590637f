"""Any text as a prompt, without drawing: accepted or refused in one line, named, recorded and read back exactly."""

from __future__ import annotations

import itertools
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from gen import provenance
from gen.api import Model
from gen.data.captions import Captions, shortened
from gen.errors import InputError
from gen.models.recurrent import Recurrent
from gen.models.unet import UNet
from gen.provenance import xmp
from gen.sampling.arguments import settings_of
from gen.sampling.outputs import names_of, with_prompts
from gen.sampling.prompts import check_negative, check_prompts, read_prompts, slugs, tokens_for
from gen.sampling.settings import Each
from gen.tasks.flow import Flow
from gen.tasks.prior import Prior
from gen.text import texts_of, to_bytes
from gen.verification.recipes import recipe

LENGTH = 256
RUN = SimpleNamespace(task=SimpleNamespace(caption_length=LENGTH), data_metadata={}, class_names=[])
SHARED = {"image_shape": (8, 8, 1), "num_classes": 0, "batch_size": 8, "schedule_images": 100, "caption_length": 64}


def byte_strings(count):
    """What a command line can hold, as Python hands it over: any bytes but NUL."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(0, 120, count)
    return [os.fsdecode(rng.integers(1, 256, size, np.uint8).tobytes()) for size in sizes]


def oddities(count):
    """Texts of signs that are seldom meant: of each kind, alone, in words, and with each other."""
    ranges = {
        "combining": [*range(0x300, 0x370), *range(0x20D0, 0x20F1), 0x1AB0, 0xFE20],
        "right to left": [*range(0x5D0, 0x5EB), *range(0x620, 0x64B), 0x202B, 0x202E, 0x2067, 0x200F],
        "joined": [0x200D, 0x200C, 0xFE0F, 0x1F469, 0x1F3FD, 0x1F680, 0x2764, 0x1F1E9, 0xE0067],
        "control": [*range(0x00, 0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF, 0xFFF9],
        "space": [0x20, 0xA0, 0x1680, *range(0x2000, 0x200C), 0x3000],
        "noncharacters": [*range(0xFDD0, 0xFDF0), *(plane * 0x10000 + 0xFFFE for plane in range(17)), 0x10FFFF],
        "astral": [0x1D400, 0x20000, 0x1F600, 0xE000, 0xF0000, 0x10FFFD],
        "halves": [0xD800, 0xDBFF, 0xDC00, 0xDFFF],
        "signs": [*map(ord, "\"\\'<>&%{}[]$`*?/:|~#=,-._")],
    }
    rng, found = np.random.default_rng(1), list[str]()
    for kind in itertools.cycle(ranges.values()):
        if len(found) == count:
            return found
        mixed = kind if len(found) % 3 else [*itertools.chain(*ranges.values())]
        text = "".join(map(chr, rng.choice(mixed, int(rng.integers(1, 40)))))
        found.append(text if len(found) % 2 else f"a {text} star")


def accepted(texts):
    """The prompts that a run takes, stripped; every other one is refused in one line that can be printed."""
    kept, refusals = list[str](), list[str]()
    for text in texts:
        try:
            kept += check_prompts(RUN, [text])
        except InputError as error:
            refusals.append(str(error))
    assert len(kept) + len(refusals) == len(texts)
    assert all(map(str.isprintable, refusals))
    return [*{to_bytes(text): text for text in kept}.values()]


def check_all(texts):
    """Checks tokens, file names and records of prompts."""
    for text, back in zip(texts, texts_of(tokens_for(RUN, texts)), strict=True):
        assert to_bytes(back) == to_bytes(text)
    each = Each([0] * len(texts), None, list(texts))
    for folders in (False, True):
        names = with_prompts(names_of(each.seeds, None, [], ".png", folders=False), texts, folders=folders)
        assert len({str(name).lower() for name in names}) == len(texts)
        assert all(max(len(os.fsencode(part)) for part in name.parts) < 150 for name in names)
        assert not set("".join(map(str, names))) & set('\\\0:*?"<>|\n')
        assert all(len(name.parts) == 1 + folders and ".." not in name.parts for name in names)
    for i, text in enumerate(texts):
        record = provenance.record(config_digest="a", step=1, seed=0, prompt=text, negative=text)
        assert record["gen:prompt"].isprintable()
        json.dumps(record).encode()
        found = recipe(record)
        assert (found.prompts, found.negative) == ((text,), text)
        if i % 16 == 0:
            (written,) = xmp.properties(xmp.packet(record))["gen:record"]
            assert json.loads(written) == record
    several = provenance.json_text(list(texts))
    assert several.isprintable()
    assert json.loads(several) == texts


def test_random_bytes_as_prompts():
    texts = accepted(byte_strings(10_000))
    assert len(texts) > 9_000
    check_all(texts)


def test_oddities_of_unicode_as_prompts():
    texts = accepted(oddities(1_000))
    assert len(texts) > 500
    check_all(texts)
    for text in texts:  # as captions are kept, and read back
        packed = Captions.packed([shortened([text])])
        assert packed.of(0) == [text] or len(to_bytes(text)) >= LENGTH - 2


def test_files_of_random_bytes_are_read_or_refused(tmp_path):
    kept, refusals = 0, list[str]()
    for suffix, text in itertools.product((".txt", ".jsonl"), [*byte_strings(100), *oddities(100)]):
        path, row = tmp_path / f"x{suffix}", json.dumps({"prompt": text})
        for content in (to_bytes(text), row.encode()):
            path.write_bytes(content)
            try:
                kept += len(read_prompts(path))
            except InputError as error:
                refusals.append(str(error))
        if not set(text) & set("\ud800\udbff\udc00\udfff") and text.strip():
            assert [line.prompt for line in read_prompts(path)] == [text if suffix == ".jsonl" else row]
    assert kept > 400
    assert all(map(str.isprintable, refusals))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\xa0", "a prompt is empty"),
        ("\u3000 \t", "a prompt is empty"),
        ("a \ud800 star", r"a prompt holds \\ud800, half of a character"),
        ("\ud83d\ude00", r"a prompt holds \\ud83d, half of a character"),
        (" " + "x" * 255, "has 255 bytes; this model reads at most 254"),
    ],
)
def test_what_is_no_prompt_is_refused(text, message):
    with pytest.raises(InputError, match=f"--prompt: .*{message}"):
        check_prompts(RUN, [text])


def test_space_about_a_prompt_is_left_out_as_of_captions():
    for text in ("a star", " a star", "\u3000a\xa0star\n", "a star \x1f"):
        (kept,) = check_prompts(RUN, [text])
        assert [to_bytes(kept)] == shortened([text])


def test_a_hundred_thousand_prompts_are_named_in_seconds():
    began = time.process_time()
    numbers = [f"{number:b}" for number in range(50_000)]
    prompts = [f"a{'?' * len(number)}{number}" for number in numbers]
    prompts += [number.translate({ord("0"): "!", ord("1"): "?"}) for number in numbers]  # which name nothing
    assert len({name.lower() for name in slugs(prompts)}) == len(prompts)
    assert time.process_time() - began < 30


def test_names_stay_different_where_one_is_the_other_with_its_digest():
    (_, taken) = slugs(["A b", "a b"])
    assert len({name.lower() for name in slugs(["A b", "a b", taken])}) == 3


FLOW = Flow(network=UNet(widths=(8, 8), blocks=1, embedding=8, text_width=8), steps=2, **SHARED)
GUIDED = Flow(network=UNet(widths=(8, 8), blocks=1, embedding=8, text_width=8), steps=2, guidance=3.0, **SHARED)
PRIOR = Prior(network=Recurrent(width=8, layers=1), **SHARED)


@pytest.mark.parametrize(
    ("task", "guidance", "known", "in_force"),
    [
        (PRIOR, None, True, False),
        (PRIOR, 1.0, True, False),
        (PRIOR, 2.0, False, True),
        (FLOW, None, True, False),
        (FLOW, 1.0, True, False),
        (FLOW, 1.5, False, True),
        (GUIDED, None, True, True),
        (GUIDED, None, False, False),
        (GUIDED, 1.0, True, False),
    ],
)
def test_a_negative_prompt_needs_guidance(task, guidance, known, in_force):
    run = SimpleNamespace(task=task, data_metadata={}, class_names=[])
    if in_force:
        assert check_negative(run, " a star ", guidance, known=known) == "a star"
        return
    with pytest.raises(InputError, match="--negative needs guidance above 1, such as --guidance=2"):
        check_negative(run, "a star", guidance, known=known)
    assert check_negative(run, None, guidance, known=known) is None


def test_a_part_without_prompt_and_class_needs_guidance_that_is_given():
    run = SimpleNamespace(task=GUIDED, data_metadata={}, class_names=["round", "square"])
    model = Model(cast(Any, run), Path("run"), cast(Any, None))
    with pytest.raises(InputError, match=r"^negative needs guidance above 1, such as guidance=2"):
        model.inpaint(np.zeros((1, 8, 8, 1)), "center", negative="a star")
    assert settings_of(run, [0], None, {}, negative=" a star", mesh=None).negative == "a star"  # of a drawn class


def test_names_of_a_run_of_oddities_are_paths(tmp_path):
    texts = accepted(oddities(200))
    for name in slugs(texts):
        (tmp_path / name).touch()
    assert len(list(tmp_path.iterdir())) == len(texts)
    assert all(Path(name).name == name for name in slugs(texts))
