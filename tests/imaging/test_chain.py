"""The language of chains, what it refuses, and that a chain is its operators one after the other."""

from __future__ import annotations

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo

from gen.errors import InputError
from gen.imaging import color, filters
from gen.imaging.bounds import arguments
from gen.imaging.catalog import choices
from gen.imaging.chain import OPERATORS, chain

TEXT = (
    "gaussian(1.5)|unsharp_mask(1.0, 0.6)|white_balance('gray_world')|inside('foreground', 'vibrance(0.3)', feather=2)"
)


def image(height: int = 20, width: int = 24) -> jax.Array:
    return jnp.asarray(photo(height, width))


def test_a_chain_is_its_operators_in_a_row():
    x = image()
    y = chain("gaussian(1.5) | unsharp_mask(1.0, 0.6)|white_balance('gray_world')")(x)
    wanted = color.white_balance(filters.unsharp_mask(filters.gaussian(x, 1.5), 1.0, 0.6), "gray_world")
    np.testing.assert_allclose(y, jnp.clip(wanted, 0, 1), atol=1e-5)


def test_a_batch_gives_what_single_images_give():
    x = jnp.stack([image(), image()[:, ::-1]])
    post = chain("clahe(2.0)|median(3)|inside('foreground', 'exposure(0.5)')")
    y = post(x)
    np.testing.assert_allclose(y, jnp.stack([post(x[0]), post(x[1])]), atol=1e-5)
    assert y.shape == x.shape
    assert y.min() >= 0
    assert y.max() <= 1


def test_the_text_comes_back():
    assert str(chain(TEXT)) == TEXT
    spaced = " gaussian( 1.5 ) | invert |levels(black = 0.1, white=0.9)|curves([0, 0.5, 1], (0, 0.6, 1))"
    assert str(chain(spaced)) == str(chain(str(chain(spaced))))
    assert chain(spaced) == chain(str(chain(spaced)))
    assert hash(chain(spaced)) == hash(chain(str(chain(spaced))))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the text is empty"),
        ("gaussian(1)|", "position 13: an operator is missing"),
        ("gausian(1)", "position 1: no operator 'gausian'; did you mean 'gaussian'?"),
        ("invert|  medain(3)", "position 10: no operator 'medain'; did you mean 'median'?"),
        ("gaussian(1", r"position 9: '\(' was never closed"),
        ("gaussian(1))", r"position 12: unmatched '\)'"),
        ("gaussian('1)", "position 10: unterminated string literal"),
        ("gaussian(1) sepia", "position 13: 'sepia' cannot stand here; allowed: operators joined by |"),
        ("gaussian()", "gaussian needs 'sigma'"),
        ("gaussian(1, 2)", "position 13: gaussian takes 1 arguments without a name; allowed: sigma, radius"),
        ("gaussian(1, raduis=2)", "gaussian has no 'raduis'; did you mean 'radius'?"),
        ("gaussian(1, sigma=2)", "gets 'sigma' twice"),
        ("unsharp_mask(sigma=1, 2)", "position 24: positional argument follows keyword argument"),
        ("gaussian(__import__('os'))", "is not a number, text, list or tuple"),
        ("gaussian(wide)", "'wide' is not a number, text, list or tuple; texts stand in quotes"),
        ("gaussian('wide')", "sigma='wide'; allowed: a number"),
        ("defocus_blur((1, 2))", r"radius=\(1, 2\); allowed: a number, up to"),
        ("median(2.5)", "size=2.5; allowed: a whole number"),
        ("white_balance(3)", "method=3; allowed: a text in quotes"),
        ("match_linear(3)", "reference=3; allowed: a name in quotes"),
        ("white_balance('gray_wrld')", "method='gray_wrld'; allowed: gray_world, .*; did you mean 'gray_world'"),
        ("laplace(neighbors=5)", "position 9: laplace: neighbors=5; allowed: 4, 8"),
        ("invert||invert", "position 8: '|invert' cannot stand here"),
        ("invert + invert", "no operator 'invert . invert'"),
        ("invert if 1 else sepia(1)", "no operator 'invert if 1 else sepia"),
        ("os.system('ls')", "no operator 'os.system'"),
        ("gamma(*(1, 2))", "is not a number"),
        ("gamma(**{'exponent': 1})", "gamma has no '..'"),
        ("gamma(x := 1)", "is not a number"),
        ("inside('foreground', 'gausian(1)')", "no operator 'gausian'; did you mean 'gaussian'?"),
        ("inside('foreground', 3)", "function=3; allowed: a chain in quotes"),
    ],
)
def test_bad_text_is_refused_with_its_place(text, words):
    with pytest.raises(InputError, match=words) as caught:
        chain(text)
    assert "\n" not in str(caught.value)


def nested(depth: int) -> str:
    text = "gamma(1.1)"
    for _ in range(depth):
        text = f"inside('foreground', {text!r})"
    return text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("|".join(["gamma(1.01)"] * 101), "101 steps, those of chains within it too; allowed: 100"),
        ("|".join([f"inside('foreground', {'|'.join(['invert'] * 25)!r})"] * 4), "104 steps"),
        ("|".join(["gamma(1.01)"] * 10_000), "119,999 characters; allowed: 10,000"),
        (nested(4), "chains within chains to a depth of 5; allowed: 4"),
        ("gaussian(" + "[" * 5000 + "]" * 5000 + ")", "allowed: 10,000"),
        ("gaussian(" + "[" * 90 + "]" * 90 + ")", "sigma=.*; allowed: a number or a tuple"),
        ("gaussian(" + "-" * 9000 + "1)", "too deep to be read"),
        ("gaussian(" + "9" * 5000 + ")", "cannot be read: Exceeds the limit"),
        ("gaussian(" + "9" * 4000 + ")", "allowed: a number or a tuple of numbers, up to 1e"),
        ("median(" + "9" * 4000 + ")", "allowed: a whole number"),
        ("gaussian(1e400)", "sigma=1e400; allowed: a number"),
        ("gaussian(1e9)", "sigma=1000000000.0; allowed: numbers from 0 to 1024"),
        ("gaussian(-1)", "sigma=-1; allowed: numbers from 0"),
        ("median(1000001)", "size=1000001; allowed: odd numbers from 1 to 255"),
        ("resize(100000, 100000)", "height=100000; allowed: whole numbers from 1 to 16384"),
        ("gamma(None)", "exponent=None; allowed: a number"),
        ("median(None)", "size=None; allowed: a whole number"),
        ("lut(None)", "path=None; allowed: a text in quotes"),
        ("match_linear(None)", "reference=None; allowed: a name in quotes"),
        ("gamma(True)", "exponent=True; allowed: a number"),
        ("gamma(())", r"exponent=\(\); allowed: a number"),
        ("gamma(1j)", "exponent=1j; allowed: a number"),
        ("gamma({1: 2})", "exponent={1: 2}; allowed: a number"),
        ("curves((0, 1), ((0, 1), 2))", "outputs=.*; allowed: numbers"),
        ("curves((0, 0.5, 0.5), (0, 1, 1))", "inputs=.*; allowed: rising numbers"),
        ("gamma(1.1)#|os", "position 11: '#|os' after its arguments"),
        ("g\u0430mma(1.1)", "did you mean 'gamma'.*U\\+0430, no letter of English"),
        ("gamma(exp\u043enent=1.1)", "U\\+043E"),
        ("white_balance(\u201cgray_world\u201d)", "texts stand in quotes, ' or \""),
        ("lut('" + "a" * 9000 + "', 1)", "lut takes 1 arguments without a name"),
        ("a" * 9000, "no operator 'aaa"),
        ("invert|" * 1400 + "invert", "1401 steps"),
        ("gamma('a\0')", "cannot be read: source code string cannot contain null bytes"),
    ],
)
def test_a_text_has_limits_and_a_message_repeats_little_of_it(text, words):
    with pytest.raises(InputError, match=words) as caught:
        chain(text)
    assert len(str(caught.value)) <= 300
    assert str(caught.value).isprintable()


def test_chains_as_long_and_as_deep_as_is_allowed_are_read():
    assert chain("|".join(["gamma(1.01)"] * 100)).size == 100
    assert chain(nested(3)).size == 4


@pytest.mark.parametrize("path", ["a\\", "a'b", 'a"b', "a\\'b", "|", "a(b", "\udcff"])
def test_any_name_of_a_file_can_be_written_and_read_again(path):
    post = chain(f"gamma(1.1)|lut({path!r})|invert")
    assert [dict(step.arguments).get("path") for step in post.steps] == [None, path, None]
    assert chain(str(post)) == post


def test_a_table_that_changed_is_read_again(tmp_path):
    text, gray = f"lut('{tmp_path}/look.cube')", np.full((2, 2, 3), 0.5, np.float32)
    for white in (1.0, 0.5):
        (tmp_path / "look.cube").write_text(f"LUT_1D_SIZE 2\n0 0 0\n{white} {white} {white}\n")
        np.testing.assert_allclose(chain(text)(gray), white / 2, atol=1e-6)
        within = chain(f"inside('all', {text!r})")
        np.testing.assert_allclose(within(gray, masks={"all": np.ones((2, 2, 1))}), white / 2, atol=1e-6)


def test_bytes_of_a_name_that_are_not_utf_8_may_stand_in_a_text():
    assert chain("lut('caf\udce9.cube')").steps[0].arguments == (("path", "caf\udce9.cube"),)


def test_no_warning_of_python_is_shown_for_a_text():
    assert str(chain(r"lut('C:\looks\dusk.cube')")) == r"lut('C:\\looks\\dusk.cube')"


def test_the_record_has_the_names_and_digests_of_files_and_can_be_applied_again(tmp_path, monkeypatch):
    folder = tmp_path / "secret client"
    folder.mkdir()
    path = folder / "look.cube"
    path.write_text("LUT_1D_SIZE 2\n0 0 0\n1 0.5 1\n")
    post = chain(f"gamma(1.1)|inside('middle', \"lut('{path}', interpolation='trilinear')\")")
    assert "secret client" in str(post)
    assert chain(str(post)) == post
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    inner = f"lut('look.cube', interpolation='trilinear', sha256='{digest}')"
    assert post.record_text == f"gamma(1.1)|inside('middle', {inner!r})"
    monkeypatch.chdir(folder)
    masks = {"middle": jnp.ones((20, 24, 1))}
    again = chain(post.record_text)
    assert (again(image(), masks=masks) == post(image(), masks=masks)).all()
    assert again.record_text == post.record_text
    path.write_text("LUT_1D_SIZE 2\n0 0 0\n1 1 1\n")
    with pytest.raises(InputError, match=r"look\.cube: another file than the expected one: its sha256 differs"):
        chain(inner)(image())
    assert chain("gamma(1.1)|lut('look.cube')").record_text.endswith("')")


@pytest.mark.parametrize(
    ("text", "given", "words"),
    [
        ("median(4)", {}, "median: size=4"),
        ("match_linear('evening')", {}, "no 'evening' in references; there are: none was given"),
        (
            "match_linear('evning')",
            {"references": {"evening": np.ones((4, 4, 3), np.float32)}},
            "did you mean 'evening'",
        ),
        ("inside('sky', 'sepia(1.0)')", {"masks": {"ground": np.ones((20, 24, 1), np.float32)}}, "no 'sky' in masks"),
        ("inside('sky', 'sepia(1.0)')", {"masks": {"sky": np.ones((9, 9, 1), np.float32)}}, "mask has shape"),
        ("map_segments('parts', 'sepia(1.0)')", {"masks": {"parts": np.ones((20, 24), np.int32)}}, "count=None"),
        ("grain(0.1)", {}, "grain is random, and key is None"),
        (
            "sepia(1.0)",
            {"strengths": {"sepia.amuont": 1.0}},
            "no strength 'sepia.amuont'; did you mean 'sepia.amount'?",
        ),
        ("match_linear('a')", {"references": {"a": np.full((4, 4, 3), np.nan, np.float32)}}, "a has 48 values"),
    ],
)
def test_bad_input_is_refused_in_one_line(text, given, words):
    with pytest.raises(InputError, match=words) as caught:
        chain(text)(image(), **given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((20, 24), np.float32), "x has shape"),
        (np.zeros((20, 24, 3), np.uint8), "x is uint8; allowed: float in .*divide by 255"),
        (np.full((20, 24, 3), np.nan, np.float32), "x has 1440 values that are NaN or infinite, the first at"),
    ],
)
def test_bad_images_are_refused(x, words):
    with pytest.raises(InputError, match=words):
        chain("sepia(1.0)")(x)


def test_references_and_masks_go_by_name():
    x, reference = image(), image()[:, :, ::-1] * 0.7
    mask = jnp.zeros((20, 24, 1)).at[5:15, 5:15].set(1.0)
    y = chain("inside('middle', \"match_linear('cold')\")")(x, references={"cold": reference}, masks={"middle": mask})
    wanted = jnp.clip(color.match_linear(x, reference), 0, 1)
    np.testing.assert_allclose(y[5:15, 5:15], wanted[5:15, 5:15], atol=1e-5)
    assert (y[:5] == x[:5]).all()


def test_random_operators_draw_from_the_key_and_their_place():
    x, post = image(), chain("grain(0.1)|grain(0.1)")
    assert post.random
    assert not chain(TEXT).random
    one, same, other = (post(x, key=jax.random.key(seed)) for seed in (1, 1, 2))
    assert (one == same).all()
    assert not np.allclose(one, other)
    assert not np.allclose(one - x, 2 * (chain("grain(0.1)")(x, key=jax.random.key(1)) - x), atol=1e-3)


def test_strengths_are_numbers_to_be_fitted():
    post = chain("exposure(0.3)|saturation(1.2)|exposure(0.1)")
    assert post.strengths == {"exposure.stops": 0.3, "saturation.factor": 1.2, "exposure#2.stops": 0.1}
    x = jnp.stack([image(), image()]) * 0.5
    slope = jax.grad(lambda s: post(x, strengths=s).sum())({name: jnp.float32(v) for name, v in post.strengths.items()})
    assert all(float(value) != 0 for value in slope.values())
    each = post(x, strengths={"saturation.factor": jnp.array([1.2, 0.0])})
    np.testing.assert_allclose(each[0], post(x)[0], atol=1e-6)
    assert float(jnp.ptp(each[1], axis=-1).max()) < float(jnp.ptp(each[0], axis=-1).max())
    assert str(post.with_strengths({"exposure#2.stops": 0.25})) == "exposure(0.3)|saturation(1.2)|exposure(0.25)"


def test_a_chain_is_differentiable_and_batched_by_vmap():
    post = chain("bilateral(3)|vibrance(0.3)|inside('middle', 'unsharp_mask(1.0, 0.5)', feather=2)")
    x = jnp.stack([image(), image()[::-1]])
    masks = {"middle": jnp.zeros((20, 24, 1)).at[5:15, 5:15].set(1.0)}
    together = {"middle": jnp.stack([masks["middle"]] * 2)}
    assert jnp.isfinite(jax.grad(lambda x: post(x, masks=together).sum())(x)).all()
    found = jax.vmap(lambda x: post(x, masks=masks))(x)
    np.testing.assert_allclose(found, post(x, masks=together), atol=1e-5)


def test_every_operator_of_the_language_makes_an_image():
    assert len(OPERATORS) > 70
    assert {"gaussian", "clahe", "inside", "map_segments", "lut"} <= set(OPERATORS)


def test_operators_tell_the_texts_that_they_allow():
    assert choices("white_balance")["method"] == "gray_world, white_patch, shades_of_gray"
    assert choices("lut") == {"interpolation": "tetrahedral, trilinear"}
    assert choices("inside") == {"mask": "given mask, foreground, background"}
    assert choices("gaussian") == {}
    for name, function in OPERATORS.items():
        texts = {a.name for a in arguments(function).values() if a.kind is str} - {"path", "sha256"}
        assert texts <= set(choices(name)), name
        assert all(choices(name).values()), name
