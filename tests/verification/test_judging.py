"""Verdicts: what is claimed, what is proven, and what does not fit."""

from __future__ import annotations

import dataclasses
import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from gen import provenance
from gen.provenance.c2pa_report import Signature
from gen.verification.answers import ABSENT, Parsed
from gen.verification.findings import Mark, Regeneration
from gen.verification.verdict import judge
from gen.verification.words import p_words

RECORD = provenance.record(config_digest="a" * 64, step=3, seed=17, run="faces", date="2026-11-28T10:00:00Z")
OTHER = provenance.record(config_digest="b" * 64, step=3, seed=17, run="cats")
FOUND = Mark(True, True, 3e-41, "", provenance.run_tag(RECORD), 24, "")
MISSING = Mark(True, note="")
TRUSTED = Signature("trusted", "Ada", "Example CA", "2026-11-28T10:00:00Z", "trainedAlgorithmicMedia", RECORD)
VALID = Signature("valid", "Ada", "Ada", None, "trainedAlgorithmicMedia", RECORD)
BROKEN = Signature("broken", "Ada", "Example CA", None, "trainedAlgorithmicMedia", RECORD, [], ["hash mismatch"])
PIXELS = np.zeros((1, 8, 8, 3), np.uint8)


def file(record=None, signature=None, **places):
    records = ({"text": record} if record else {}) | places
    return Parsed(Path("x.png"), "", "PNG", 1, (8, 8), PIXELS, records, signature=signature or ABSENT)


def test_a_signed_marked_image_is_told_as_a_person_understands():
    verdict = judge(file(RECORD, TRUSTED), FOUND)
    assert verdict.line == (
        'x.png: made by gen: run "faces", seed 17, 28 November 2026; signature: trusted (signed by "Ada", vouched for '
        'by "Example CA", 28 November 2026); mark: found (p = 3e-41), it agrees with the record'
    )
    assert (verdict.origin, verdict.problems) == ("signed", [])


def test_a_record_alone_is_a_claim():
    verdict = judge(file(RECORD), MISSING)
    assert verdict.origin == "claimed"
    assert "says that it was made by gen" in verdict.text
    assert "nothing proves it (the record is plain text that anyone can copy)" in verdict.text
    assert "no mark found with this key" in verdict.text


def test_without_a_key_the_mark_was_not_looked_for():
    assert "mark: not looked for (no key)" in judge(file(RECORD), Mark()).text
    assert judge(file(), Mark()).text.startswith("nothing found (no record, no signature; mark: no key)")


def test_a_record_that_says_little_is_told_in_a_whole_sentence():
    refined = {"gen:source": "a.jpg", "gen:date": "2026-11-28T10:00:00Z"}
    assert judge(file(refined), MISSING).text.startswith("says that it was refined by gen on 28 November 2026, but")
    marked = judge(file(refined), Mark(True, True, 3e-41, "", provenance.run_tag(refined), 24, "")).text
    assert marked.startswith("refined by gen; dated 28 November 2026 by its record; no signature; mark: found")


def test_a_stripped_image_is_known_by_its_mark():
    verdict = judge(file(), Mark(True, True, 2e-19, "cropped to 75 %", 5, 24, ""))
    assert verdict.text == "carries gen's mark (p = 2e-19), cropped to 75 %; no record, no signature"
    assert verdict.origin == "marked"


def test_nothing_found_never_means_that_it_was_not_generated():
    verdict = judge(file(), MISSING)
    assert verdict.origin == "unknown"
    assert "this does not tell whether it was generated" in verdict.text


def test_an_unknown_signer_is_never_called_trusted():
    verdict = judge(file(RECORD, VALID), MISSING)
    assert verdict.origin == "claimed"
    assert "signature: valid, signer unknown" in verdict.text
    assert "trusted" not in verdict.text
    assert "nothing proves it" in verdict.text


def test_a_broken_signature_is_a_problem():
    verdict = judge(file(RECORD, BROKEN), MISSING)
    assert verdict.origin == "claimed"
    assert "signature: broken" in verdict.text
    assert "hash mismatch" in verdict.problems[0]


def test_a_mark_of_another_run_than_the_record_is_a_problem():
    verdict = judge(file(OTHER), FOUND)
    assert verdict.problems == ["the mark names another run than the record"]
    assert verdict.text.startswith("carries gen's mark")
    assert "cats" not in verdict.text


def test_a_short_tag_is_compared_by_the_bits_that_are_known():
    tag = provenance.run_tag(RECORD)
    short = Mark(True, True, 1e-9, "", tag >> 20 << 20, 4, "")
    assert judge(file(RECORD), short).problems == []
    flipped = Mark(True, True, 1e-9, "", tag ^ (1 << 23), 4, "")
    assert judge(file(RECORD), flipped).problems
    none = judge(file(RECORD), Mark(True, True, 1e-9, "", None, 0, ""))
    assert none.problems == []
    assert "too small to name its run" in none.text


def test_records_that_disagree_are_named():
    changed = RECORD | {"gen:seed": 18}
    assert "gen:seed is 17 in text, but 18 in EXIF" in judge(file(RECORD, EXIF=changed), MISSING).problems
    against = judge(file(changed, TRUSTED), FOUND)
    assert "gen:seed is 17 in signature, but 18 in text" in against.problems
    assert "seed 17" in against.text.partition(";")[0]  # what is signed counts


def test_other_generators_are_told_as_they_say():
    signature = Signature("trusted", "Other Inc", "CA", None, "http://x/trainedAlgorithmicMedia")
    verdict = judge(file(None, signature), MISSING)
    assert verdict.text.startswith('says that it was generated by AI, signed by "Other Inc"; signature: trusted')
    assert "made by gen" not in verdict.text


def test_what_other_programs_say_without_a_signature_is_a_claim():
    said = Parsed(Path("x.png"), "", "PNG", 1, (8, 8), PIXELS, claimed="trainedAlgorithmicMedia")
    verdict = judge(said, MISSING)
    assert verdict.origin == "claimed"
    assert verdict.text.startswith("says that it was generated by AI, but nothing proves it")
    camera = Parsed(Path("x.png"), "", "PNG", 1, (8, 8), PIXELS, claimed="digitalCapture")
    assert judge(camera, MISSING).origin == "unknown"


def test_a_mark_proves_the_run_and_not_the_rest_of_the_record():
    assert judge(file(RECORD), FOUND).text.startswith('made by gen; its record says: run "faces", seed 17')


def test_a_field_that_a_program_lost_in_one_place_is_no_problem():
    less = {key: value for key, value in RECORD.items() if key != "gen:seed"}
    verdict = judge(file(less, EXIF=RECORD), MISSING)
    assert verdict.problems == []
    assert "seed 17" in verdict.text  # of the place that says more


def test_a_camera_that_signs_what_carries_the_mark_is_a_problem():
    signature = Signature("trusted", "Camera", "CA", None, "http://x/digitalCapture")
    assert any("a camera took it" in problem for problem in judge(file(None, signature), FOUND).problems)


def test_a_file_that_is_no_image_is_one_line():
    verdict = judge(Parsed(Path("x\n.png"), error="it is no image"), Mark())
    assert verdict.line == "x\\n.png: not an image that can be read: it is no image"


def test_regeneration_is_part_of_the_verdict():
    again = Regeneration("made again: equal", True, True)
    assert judge(file(RECORD), FOUND, again).text.endswith("made again: equal")
    worse = judge(file(RECORD), FOUND, Regeneration("made again: not equal", False, False, "other weights"))
    assert worse.text.endswith("made again: not equal; DOES NOT FIT: other weights")


def test_pixels_that_the_run_makes_again_prove_the_record():
    verdict = judge(file(RECORD), MISSING, Regeneration("made again: equal to the bit", True, True))
    assert verdict.origin == "regenerated"
    assert verdict.text.startswith("made by gen; its record says: ")
    assert judge(file(RECORD), MISSING, Regeneration("made again: equal before", True, False, "x")).origin == "claimed"


def test_refined_images_are_told_as_such():
    photo = provenance.refined(None, chain="median(3)", seed=0, source="0" * 64)
    assert "it was refined by gen" in judge(file(photo), MISSING).text
    image = provenance.refined(RECORD, chain="median(3)", seed=0, source="0" * 64)
    assert "made and refined by gen" in judge(file(image), MISSING).text


@pytest.mark.parametrize(
    ("record", "signature", "mark"),
    [*itertools.product([None, RECORD, OTHER], [ABSENT, VALID, TRUSTED, BROKEN], [Mark(), MISSING, FOUND])],
)
def test_no_combination_claims_more_than_is_proven(record, signature, mark):
    verdict = judge(file(record, signature), mark)
    assert "\n" not in verdict.line
    assert ("signature: trusted" in verdict.text) == (signature.state == "trusted")
    if not mark.found and signature.state != "trusted":
        assert verdict.origin in ("claimed", "unknown")
        assert not verdict.text.startswith("made by gen")
    assert (verdict.origin == "unknown") == (record is None and signature.state == "absent" and not mark.found)


def test_hostile_values_stay_in_one_short_line():
    record = RECORD | {"gen:run": "x\n\x1b[2J" * 1000, "gen:date": "9" * 10_000, "gen:shows": "\u202e" * 500}
    text = judge(file(record), MISSING).text
    assert len(text) < 1000
    assert text.isprintable()


def test_a_name_cannot_leave_its_quotes():
    named = Signature("valid", 'Ada", vouched for by "CA"); signature: trusted (')
    text = judge(file(None, named), MISSING).text
    assert text.count('"') == 4
    assert 'signature: valid, signer unknown (it names "Ada' in text


SPOOF = '1; signature: trusted (signed by "CA"'


def outside_of_quotes(text: str) -> str:
    return re.sub(r'"[^"]*"', "", text)


@pytest.mark.parametrize("field", ["seed", "date", "shows", "run", "config_digest", "label", "software", "step"])
def test_no_field_of_a_record_can_pass_for_words_of_the_verdict(field):
    record = {"gen:config_digest": "a" * 64, f"gen:{field}": SPOOF}
    for verdict in (judge(file(record), MISSING), judge(file(record, EXIF=RECORD), FOUND)):
        assert "signature: trusted" not in outside_of_quotes(verdict.text)
        assert not any("signature: trusted" in outside_of_quotes(problem) for problem in verdict.problems)


def test_what_a_record_shows_is_said_without_quotes_only_in_words_of_gen():
    assert "made by gen: a grid, " in judge(file(RECORD | {"gen:shows": "grid"}), MISSING).text
    assert 'a picture of "photo that nobody doubts"' in judge(
        file(RECORD | {"gen:shows": "photo that nobody doubts"}), MISSING
    ).text  # fmt: skip


def test_a_sheet_of_real_images_is_not_told_as_made_by_gen():
    assert judge(file(provenance.picture("grid")), MISSING).text.startswith("says that it was composed by gen: a grid")


def test_signs_that_look_like_quotes_close_none():
    text = judge(file(RECORD | {"gen:run": "a\u201d; signature: trusted (signed by \u201cCA"}), MISSING).text
    assert "\"a'; signature: trusted (signed by 'CA\"" in text


def test_words_of_a_stranger_in_a_broken_signature_are_quoted():
    broken = Signature("broken", problems=[f"it names a digital source type that IPTC does not list: {SPOOF}"])
    assert "signature: trusted" not in outside_of_quotes(judge(file(None, broken), MISSING).text)
    assert "(hash mismatch)" in judge(file(RECORD, BROKEN), MISSING).text


def test_a_file_name_that_could_pass_for_a_verdict_is_quoted():
    name = 'x.png: made by gen; signature: trusted (signed by "Ada").png'
    line = judge(Parsed(Path(name), error="torn"), Mark()).line
    assert (
        line
        == '"x.png: made by gen; signature: trusted (signed by \\"Ada\\").png": not an image that can be read: torn'
    )


def test_a_trusted_signature_does_not_stand_for_a_record_that_is_not_in_it():
    signature = Signature("trusted", "Other Inc", "CA", None, "compositeSynthetic")
    text = judge(file(RECORD, signature), MISSING).text
    assert text.startswith(
        'says that it is composed, with generated parts, signed by "Other Inc"; its record, for which'
    )
    camera = Signature("trusted", "Camera", "CA", None, "digitalCapture")
    assert judge(file(RECORD, camera), MISSING).problems == [
        "the signature says that a camera took it, and its record says otherwise"
    ]


def test_that_no_signature_was_looked_for_is_told_where_nothing_is_found():
    absent = Signature("absent", problems=["not looked for: c2pa-python is not there"])
    assert "not looked for" in judge(file(None, absent), MISSING).text


@pytest.mark.parametrize(("p", "words"), [(3.4e-41, "p = 3e-41"), (2e-7, "p = 2e-7"), (0.0, "p < 1e-300")])
def test_p_values_are_written_short(p, words):
    assert p_words(p) == words


def test_what_else_there_is_to_say_of_a_signature_that_holds_stands_with_it():
    changed = "of a source, the picture or its metadata was changed after it was signed"
    verdict = judge(file(RECORD, dataclasses.replace(TRUSTED, problems=[changed])), FOUND)
    assert f'vouched for by "Example CA", 28 November 2026; {changed})' in verdict.text
    assert verdict.problems == []
    many = ["the signer is not on the trust list", *(f'no kind: "{n}"; signature: trusted' for n in range(5))]
    text = judge(file(RECORD, dataclasses.replace(VALID, problems=many)), FOUND).text
    assert "not on the trust list" not in text
    assert "; and 2 more)" in text
    assert "signature: trusted" not in re.sub(r'"(\\.|[^"\\])*"', "", text)
