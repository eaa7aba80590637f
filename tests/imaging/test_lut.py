"""Look-up tables: closed forms, scipy, another tetrahedral interpolation; .cube files there and back, and bad ones."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging.color import cube, lut, tone

INTERPOLATIONS = ["tetrahedral", "trilinear"]


def grid(n: int) -> np.ndarray:
    axis = np.linspace(0, 1, n, dtype=np.float32)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random((*shape, 3), dtype=np.float32)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_identity_table(interpolation):
    ends = np.float32([[[0, 0, 0], [1, 1, 1], [1, 0, 1], [0.5, 0.5, 0.5], [0.25, 0.5, 0.75]]])
    for x in (photo(), ends):
        for table in (grid(2), grid(5), np.linspace(0, 1, 7)[:, None] * np.ones(3)):
            np.testing.assert_allclose(lut.apply_lut(x, table, interpolation=interpolation), x, atol=1e-6)


def test_trilinear_and_curves_equal_scipy():
    def compute():
        from scipy.interpolate import RegularGridInterpolator

        axis = np.linspace(0, 1, 4)
        return RegularGridInterpolator((axis,) * 3, noise(4, 4, 4).astype(np.float64))(photo()).astype(np.float32)

    got = lut.apply_lut(photo(), noise(4, 4, 4), interpolation="trilinear")
    np.testing.assert_allclose(got, reference("lut_trilinear", "scipy", compute), atol=1e-6)
    curves = noise(6)
    expected = [np.interp(photo()[..., c], np.linspace(0, 1, 6), curves[:, c]) for c in range(3)]
    np.testing.assert_allclose(lut.apply_lut(photo(), curves), np.stack(expected, -1), atol=1e-6)


@pytest.mark.filterwarnings("ignore")  # of color-science itself
def test_tetrahedral_equals_color_science():
    def compute():
        from color.algebra import table_interpolation_tetrahedral

        return table_interpolation_tetrahedral(photo().astype(np.float64), noise(4, 4, 4)).astype(np.float32)

    got = lut.apply_lut(photo(), noise(4, 4, 4))
    np.testing.assert_allclose(got, reference("lut_tetrahedral", "color", compute), atol=1e-6)


def test_tetrahedral_is_exact_for_what_is_linear_in_each_tetrahedron():
    """max and min of the channels have their creases where the tetrahedra have their faces."""
    nodes, x = grid(5), photo()

    def creased(c):
        return np.stack([c.max(-1), c.min(-1), np.abs(c[..., 0] - c[..., 1])], -1)

    np.testing.assert_allclose(lut.apply_lut(x, creased(nodes)), creased(x), atol=1e-6)
    trilinear = lut.apply_lut(x, creased(nodes), interpolation="trilinear")
    assert np.abs(trilinear - creased(x)).max() > 0.01


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_red_is_the_first_axis_and_the_domain_clamps(interpolation):
    table = np.zeros((2, 2, 2, 3), np.float32)
    table[1, :, :, 0] = 1
    x = np.float32([[[0.75, 0.2, 0.1], [9, 0, 0], [-9, 1, 1]]])
    wide = lut.Lut(table, (0.5, 0.0, 0.0), (1.0, 1.0, 1.0))
    np.testing.assert_allclose(lut.apply_lut(x, wide, interpolation=interpolation)[0, :, 0], [0.5, 1, 0], atol=1e-6)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_gradients_of_picture_and_table(interpolation):
    def loss(x, table):
        return jnp.sum(lut.apply_lut(x, table, interpolation=interpolation) ** 2)

    for x in (photo(6, 7), np.zeros((2, 2, 3), np.float32), np.ones((2, 2, 3), np.float32)):
        for table in (noise(3, 3, 3), noise(5)):
            gradients = jax.grad(loss, argnums=(0, 1))(jnp.asarray(x), jnp.asarray(table))
            assert all(np.isfinite(g).all() for g in gradients)
            assert np.abs(gradients[1]).max() > 0
    # a table is learned from before and after: to its first order, at the color that it sees
    x = np.full((1, 1, 3), 0.3, np.float32)
    step = jax.grad(lambda t: jnp.sum(lut.apply_lut(x, t, interpolation=interpolation)))(jnp.asarray(grid(2)))
    assert float(jnp.sum(step)) == pytest.approx(3, abs=1e-5)


@pytest.mark.parametrize("shape", [(3, 3, 3), (5,)])
def test_a_table_for_each_image(shape):
    x = jnp.stack([photo(), photo()[::-1]])
    tables = np.stack([noise(*shape), 1 - noise(*shape)])
    got = lut.apply_lut(x, tables)
    for b in range(2):
        np.testing.assert_allclose(got[b], lut.apply_lut(x[b], tables[b]), atol=1e-6)


def test_a_grade_can_be_baked_into_a_table():
    table = tone.saturation(grid(9).reshape(81, 9, 3), 0.3).reshape(9, 9, 9, 3)
    np.testing.assert_allclose(lut.apply_lut(photo(), table), tone.saturation(photo(), 0.3), atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 4, 4), (6,)])
def test_file_there_and_back(shape, tmp_path):
    table = noise(*shape) * np.float32([1, 1e-6, 3])
    path = tmp_path / "grade.cube"
    cube.write_cube(lut.Lut(table, (0.0, -0.5, 0.0), (1.0, 1.0, 1.25), "Warm evening"), path)
    got = cube.read_cube(path)
    np.testing.assert_array_equal(got.table, table)
    assert (got.low, got.high, got.title) == ((0.0, -0.5, 0.0), (1.0, 1.0, 1.25), "Warm evening")


def test_file_as_others_write_it(tmp_path):
    path = tmp_path / "other.cube"
    text = "\ufeff# made elsewhere\r\n\r\nTITLE Look\r\nLUT_3D_SIZE 2\r\nLUT_3D_INPUT_RANGE 0 2\r\n"
    rows = [f"{r} {g} {b}" for b in (0, 1) for g in (0, 1) for r in (0, 1e0)]
    path.write_bytes((text + "\r\n".join(rows)).encode())
    got = cube.read_cube(path)
    np.testing.assert_array_equal(got.table, grid(2))
    assert got.high == (2.0, 2.0, 2.0)
    np.testing.assert_allclose(lut.apply_lut(photo(), got), photo() / 2, atol=1e-6)


ROWS = "\n".join(["0 0 0"] * 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file ends with no LUT_1D_SIZE or LUT_3D_SIZE"),
        ("0 0 0", "line 1: numbers before the size; allowed: LUT_1D_SIZE or LUT_3D_SIZE first"),
        ("LUT_3D_SIZ 2", "line 1: neither three numbers nor a keyword; allowed: TITLE, "),
        ("LUT_3D_SIZE two", "line 1: allowed: 1 finite numbers"),
        ("LUT_3D_SIZE", "line 1: allowed: 1 finite numbers"),
        ("LUT_3D_SIZE 300", "line 1: LUT_3D_SIZE; allowed: an integer from 2 to 256"),
        ("LUT_1D_SIZE 2.5", "line 1: LUT_1D_SIZE; allowed: an integer from 2 to 65536"),
        ("LUT_3D_SIZE 2\n0 0", "line 2: allowed: 3 finite numbers"),
        ("LUT_3D_SIZE 2\n0 0 x", "line 2: allowed: 3 finite numbers"),
        ("LUT_3D_SIZE 2\n0 0 1e999", "line 2: allowed: 3 finite numbers"),
        ("LUT_3D_SIZE 2\n0 0 0", "line 2: the file ends with 1 rows; allowed: 8"),
        (f"LUT_3D_SIZE 2\n{ROWS}\n\n1 1 1", "line 11: one row too many; allowed: the 8 of its size"),
        ("LUT_1D_SIZE 2\nLUT_3D_SIZE 2", "line 2: LUT_3D_SIZE after another size; allowed: one table"),
        ("LUT_3D_SIZE 2\nLUT_3D_SIZE 2", "line 2: LUT_3D_SIZE a second time; allowed: one table"),
        ("LUT_3D_SIZE 2\n0 0 0\nDOMAIN_MIN 0 0 0", "line 3: DOMAIN_MIN after the table; allowed: one table"),
        (
            f"LUT_3D_SIZE 2\nDOMAIN_MIN 1 0 0\n{ROWS}",
            "its domain is empty; allowed: ",
        ),
    ],
)
def test_malformed_file_is_refused_in_one_line_that_names_file_and_line(text, message, tmp_path):
    path = tmp_path / "bad.cube"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        cube.read_cube(path)
    start, _, end = message.partition(".*")
    assert str(caught.value).startswith(f"{path}" + (", " if start.startswith("line") else ": ") + start)
    assert end in str(caught.value)
    assert "\n" not in str(caught.value)


def test_file_that_is_none(tmp_path):
    with pytest.raises(InputError, match=r"none\.cube: cannot be read: No such file or directory$"):
        cube.read_cube(tmp_path / "none.cube")
    (tmp_path / "picture.cube").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(InputError, match=r"picture\.cube: not a text file; allowed: a \.cube file$"):
        cube.read_cube(tmp_path / "picture.cube")


SECRET = "root:x:0:0"


@pytest.mark.parametrize(
    "content",
    [
        SECRET.encode(),
        b"LUT_3D_SIZE " + SECRET.encode(),
        b"LUT_3D_SIZE 2\n0 0 " + SECRET.encode(),
        b"LUT_3D_SIZE 2\nDOMAIN_MIN " + SECRET.encode(),
        b"LUT_3D_SIZE -2",
        b"LUT_3D_SIZE 1e999",
        b"LUT_3D_SIZE nan",
        b"LUT_3D_SIZE 2\n" + b"nan 0 0\n" * 8,
        b"LUT_3D_SIZE 2\n" + b"1e30 0 0\n" * 8,
        b"LUT_3D_SIZE 256\n" + b"0 0 0\n" * 99,
        b"LUT_3D_SIZE 2\nDOMAIN_MAX 1e-30 1 1\n" + b"0 0 0\n" * 8,
        b"LUT_3D_SIZE 2\n" + b"0 " * 5000,
        "LUT_3D_SIZE 2\nTITLE caf\xe9\n".encode("latin-1"),
        b"\0" * 100,
        b"LUT_3D_SIZE 2\n\xff\xfe",
    ],
)
def test_no_file_is_repeated_in_a_message_nor_ends_otherwise(content, tmp_path):
    path = tmp_path / "bad.cube"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        cube.read_cube(path)
    assert SECRET not in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).isprintable()


def test_only_regular_files_of_bounded_size_are_read(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "fifo.cube")
    for path in ("/dev/zero", "/dev/stdin", tmp_path / "fifo.cube", tmp_path):
        with pytest.raises(InputError, match="not a regular file"):
            cube.read_cube(path)
    (tmp_path / "large.cube").write_bytes(b"#" * 2000)
    monkeypatch.setattr(cube, "_MOST_BYTES", 1999)
    with pytest.raises(InputError, match="too large; allowed: at most 1,999 bytes"):
        cube.read_cube(tmp_path / "large.cube")
    with pytest.raises(InputError, match="cannot hold a NUL"):
        cube.read_cube("a\0b")
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        cube.read_cube("a" * 5000)


def test_wrong_input(tmp_path):
    with pytest.raises(InputError, match=r"^apply_lut: interpolation='linear'; allowed: tetrahedral, trilinear; did"):
        lut.apply_lut(photo(), grid(2), interpolation="linear")
    for shape in ((3,), (3, 2), (2, 2, 3, 3), (1, 1, 1, 3), (2, 2, 2, 2, 3)):
        with pytest.raises(InputError, match=r"^apply_lut: table has shape .* or those with 1 in front"):
            lut.apply_lut(photo(), np.zeros(shape, np.float32))
    with pytest.raises(InputError, match=r"^write_cube: table has shape \[2, 2, 3\]; allowed: \[n 3\] or \[n n n 3\]"):
        cube.write_cube(lut.Lut(np.zeros((2, 2, 3))), tmp_path / "x.cube")
    with pytest.raises(InputError, match=r"^write_cube: table has 6 values that are NaN or infinite"):
        cube.write_cube(lut.Lut(np.full((2, 3), np.nan)), tmp_path / "x.cube")
