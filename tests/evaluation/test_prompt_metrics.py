"""What an evaluation says by captions: of images whose text-image model is known."""

import dataclasses

import numpy as np
import pytest
from comparisons import comparison

from gen.evaluation import measure
from gen.evaluation.comparison import Comparison
from gen.evaluation.figures import draw_figures, prompts
from gen.features.text_image import TextImageModel
from gen.metrics import moments


def by_number(images: np.ndarray) -> np.ndarray:
    """A one at the number that the first pixel says."""
    return np.eye(256)[images[:, 0, 0, 0]]


MODEL = TextImageModel("f" * 64, by_number, lambda texts: np.eye(256)[[int(text.split()[-1]) for text in texts]])


def captioned(wrong: int = 0, *, count: int = 120) -> Comparison:
    """Images that show the number of their caption, but for the first `wrong` ones; real ones are all even or odd."""
    asked = comparison(count)
    images = asked.generated.images.copy()
    images[:, 0, 0, 0] = np.arange(count)
    images[:wrong, 0, 0, 0] = 200 + np.arange(wrong)
    texts = np.array([f"an {'odd' if n % 2 else 'even'} Number {n}" for n in range(count)], object)
    real = dataclasses.replace(
        asked.reference.real, captions=np.array([f"an even one {n}" for n in range(150)], object)
    )
    real.captions[::3] = "odd"
    return dataclasses.replace(
        asked,
        generated=dataclasses.replace(asked.generated, images=images, captions=texts),
        reference=dataclasses.replace(asked.reference, real=real),
        text_image=MODEL,
    )


def found(asked: Comparison) -> dict[str, float]:
    return {result.metric: result.value for result in measure(asked, groups=["captions"])}


@pytest.mark.parametrize("wrong", [0, 30])
def test_r_precision_is_the_share_of_samples_that_show_their_caption(wrong: int) -> None:
    results = measure(captioned(wrong), groups=["captions"])
    (one,) = [result for result in results if result.metric == "R-precision"]
    assert one.value == (120 - wrong) / 120
    assert one.low < one.value <= one.high
    assert one.settings == {"candidates": 100, "model": "f" * 12}


def test_distances_are_of_images_whose_captions_have_a_word() -> None:
    asked = captioned()
    numbers = found(asked)
    # "an", "even" and "one" are in more than half of the real captions, and say nothing of a part of them.
    assert [name for name in numbers if "-word-" in name] == ["FD-own-word-odd"]
    real, made = asked.reference.real.features[::3], asked.generated.features[1::2]
    assert numbers["FD-own-word-odd"] == pytest.approx(moments.frechet_distance(made, real, replicates=0).value)


@pytest.mark.parametrize("missing", ["captions", "text_image", "different captions"])
def test_without_what_it_needs_the_rest_is_measured(missing: str) -> None:
    asked = captioned()
    if missing == "captions":
        asked = dataclasses.replace(asked, generated=dataclasses.replace(asked.generated, captions=None))
    elif missing == "text_image":
        asked = dataclasses.replace(asked, text_image=None)
    else:
        few = np.array([f"odd {n % 7}" for n in range(120)], object)
        asked = dataclasses.replace(asked, generated=dataclasses.replace(asked.generated, captions=few))
    said = list[str]()
    names = [result.metric for result in measure(asked, groups=["captions"], say=said.append)]
    assert "R-precision" not in names
    assert ("FD-own-word-odd" in names) == (missing != "captions")
    assert ("the images have no captions" in said[0]) == (missing != "different captions")
    assert ("7 different captions are fewer than the 100" in said[0]) == (missing == "different captions")
    assert prompts(asked) is None or missing == "different captions"


def test_images_without_a_caption_leave_the_measures_of_the_rest() -> None:
    whole = captioned(30)
    some = dataclasses.replace(whole.generated, captions=whole.generated.captions.copy())
    some.captions[:10] = ""  # ten of the thirty that show something else
    asked = dataclasses.replace(whole, generated=some)
    results = {result.metric: result for result in measure(asked, groups=["captions"])}
    assert results["R-precision"].value == (120 - 30) / (120 - 10)
    kept = dataclasses.replace(whole, generated=whole.generated.take(np.arange(10, 120)))
    assert results["FD-own-word-odd"].value == found(kept)["FD-own-word-odd"]
    assert (prompts(asked) == prompts(kept)).all()


def test_picture_has_a_red_frame_where_another_caption_is_nearer() -> None:
    assert "prompts" in draw_figures(captioned())
    right, wrong = (prompts(captioned(count)) for count in (0, 3))
    assert right is not None
    assert wrong is not None
    red = [(picture == (225, 30, 30)).all(-1).sum() for picture in (right, wrong)]
    assert red[0] == 0
    assert red[1] > 0
    assert right.shape == wrong.shape
    assert max(right.shape) < 1500
