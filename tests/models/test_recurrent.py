"""The recurrent network and its cells: the papers' equations in numpy, steps against sequences, what may be seen."""

from __future__ import annotations

import functools
import itertools

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest

from gen.errors import InputError
from gen.models import recurrent_cells, sequence_layers, token_grid
from gen.models.recurrent import CausalConv, Recurrent

RNG = np.random.default_rng(0)
CELLS = sorted(recurrent_cells.CELLS)
GRIDS = {"plain": ((3, 4, 1), None), "color": ((2, 3, 3), None), "context": ((4, 4, 1), (2, 2, 1))}


def network(cell="rglru", grids="plain", **changes):
    grid, context = GRIDS[grids]
    fields = {"width": 16, "layers": 2, "vocabulary": 5, "num_classes": 3, "grid": grid, "context": context}
    return Recurrent(cell=cell, **(fields | changes))


@functools.cache
def params_of(net):
    """Parameters away from their start, where every path is open."""
    label = jax.ShapeDtypeStruct((1,), jnp.int32) if net.num_classes else None
    some = jax.ShapeDtypeStruct((1, 2), jnp.int32)
    abstract = jax.eval_shape(net.init, jax.random.key(0), some, some, label)
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: (0.4 * rng.normal(size=leaf.shape)).astype(np.float32), abstract)


@functools.cache
def jitted(net, method="__call__"):
    return jax.jit(functools.partial(net.apply, method=method))


def sequences(net, b=3, seed=0, order="random"):
    """Tokens, positions (context first) and labels; the last label is the null class."""
    rng = np.random.default_rng(seed)
    g, p = token_grid.cells(net.grid), token_grid.cells(net.grid) + token_grid.cells(net.context)
    each = [np.arange(g) if order == "raster" else rng.permutation(g) for _ in range(b)]
    positions = np.stack([np.concatenate([np.arange(g, p), cells]) for cells in each]).astype(np.int32)
    tokens = rng.integers(0, net.vocabulary, (b, p)).astype(np.int32)
    return tokens, positions, np.array([0, 1, net.num_classes] * b, np.int32)[:b]


def step_by_step(net, params, tokens, positions, label):
    """Logits [b n v] from `initialize_carry` and `step` with a canvas kept by hand."""
    b, n = tokens.shape
    canvas = np.full((b, token_grid.cells(net.grid)), -1, np.int32)
    carry, token, position, logits = net.initialize_carry(b), np.full(b, -1, np.int32), np.full(b, -1, np.int32), []
    for t in range(n):
        found, carry = jitted(net, "step")(params, carry, canvas, token, position, positions[:, t], label)
        token, position, canvas = tokens[:, t], positions[:, t], canvas.copy()
        for i in np.flatnonzero(position < canvas.shape[1]):
            canvas[i, position[i]] = token[i]
        logits.append(found)
    return np.stack(logits, axis=1)


# -- The cells


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rglru(p, x):  # De et al. 2024, eq. 1 to 4
    d, h, y = x.shape[-1], np.zeros(x.shape[1]), []
    kernel, bias = p["gates"]["kernel"], p["gates"]["bias"]
    for x_t in x:
        r = sigmoid(x_t @ kernel[:, :d] + bias[:d])
        i = sigmoid(x_t @ kernel[:, d:] + bias[d:])
        a = sigmoid(-p["decay"]) ** (8 * r)
        h = a * h + np.sqrt(1 - a**2) * (i * x_t)
        y.append(h)
    return y


def mingru(p, x):  # Feng et al. 2024, section 3.1
    d, h, y = x.shape[-1], np.zeros(x.shape[1]), []
    kernel, bias = p["gates"]["kernel"], p["gates"]["bias"]
    for x_t in x:
        z = sigmoid(x_t @ kernel[:, :d] + bias[:d])
        h = (1 - z) * h + z * (x_t @ kernel[:, d:] + bias[d:])
        y.append(h)
    return y


def gru(p, x):  # Cho et al. 2014, eq. 5 to 8, reset after the product
    d, h, y = x.shape[-1], np.zeros(x.shape[1]), []
    (w_r, w_z, w_h), (u_r, u_z, u_h) = (np.split(k, 3, axis=1) for k in (p["input"]["kernel"], p["state"]))
    b_r, b_z, b_h = np.split(p["input"]["bias"], 3)
    for x_t in x:
        r, z = sigmoid(x_t @ w_r + h @ u_r + b_r), sigmoid(x_t @ w_z + h @ u_z + b_z)
        h = z * h + (1 - z) * np.tanh(x_t @ w_h + b_h + r * (h @ u_h + p["bias"]))
        y.append(h)
    assert d == len(h)
    return y


def lstm(p, x):  # Hochreiter and Schmidhuber 1997, Gers et al. 2000
    h, c, y = np.zeros(x.shape[1]), np.zeros(x.shape[1]), []
    w, u, b = (np.split(k, 4, axis=-1) for k in (p["input"]["kernel"], p["state"], p["input"]["bias"]))
    for x_t in x:
        i, f, o, g = (x_t @ w[k] + h @ u[k] + b[k] for k in range(4))
        c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        y.append(h)
    return y


REFERENCE = {"rglru": rglru, "mingru": mingru, "gru": gru, "lstm": lstm}


@pytest.mark.parametrize("name", CELLS)
def test_cell_follows_its_paper_whole_and_in_pieces(name):
    cell, x = recurrent_cells.CELLS[name](), RNG.normal(size=(2, 9, 4)).astype(np.float32)
    zero = np.zeros((2, recurrent_cells.STATES[name], 4), np.float32)
    apply = jax.jit(cell.apply)
    variables = jax.tree.map(
        lambda leaf: (0.7 * RNG.normal(size=leaf.shape)).astype(np.float32),
        jax.eval_shape(cell.init, jax.random.key(0), x, zero),
    )
    exact = jax.tree.map(lambda leaf: leaf.astype(np.float64), variables["params"])
    wanted = np.stack([REFERENCE[name](exact, sequence.astype(np.float64)) for sequence in x])
    whole, state = apply(variables, x, zero)
    first, middle = apply(variables, x[:, :5], zero)
    second, last = apply(variables, x[:, 5:], middle)
    np.testing.assert_allclose(whole, wanted, atol=1e-5)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), wanted, atol=1e-5)
    np.testing.assert_allclose(last, state, atol=1e-5)
    assert state.shape == zero.shape


def test_rglru_starts_with_memories_from_ten_to_a_thousand_steps():
    variables = recurrent_cells.RGLRU().init(jax.random.key(0), jnp.zeros((1, 1, 800)), jnp.zeros((1, 1, 800)))
    a = sigmoid(-np.asarray(variables["params"]["decay"], np.float64)) ** 8
    np.testing.assert_allclose([a.min(), np.median(a), a.max()], [0.9, 0.9495, 0.999], atol=5e-3)


def test_rglru_has_finite_gradients_where_its_gates_close():
    def loss(bias):
        gates = {"kernel": jnp.zeros((4, 8)), "bias": jnp.full(8, bias)}
        variables = {"params": {"gates": gates, "decay": jnp.full(4, -5.0)}}
        return jnp.sum(recurrent_cells.RGLRU().apply(variables, jnp.ones((1, 3, 4)), jnp.ones((1, 1, 4)))[0])

    for bias in (-200.0, -100.0, 200.0):
        assert np.isfinite(jax.jit(jax.grad(loss))(bias))


@pytest.mark.parametrize("length", [1, 2, 13])
def test_formulations_of_the_recurrence_agree_with_a_loop_and_their_gradients_with_differences(length):
    a, b = RNG.uniform(0.5, 1, (2, length, 3)).astype(np.float32), RNG.normal(size=(2, length, 3)).astype(np.float32)
    start, weight = RNG.normal(size=(2, 3)).astype(np.float32), RNG.normal(size=(2, length, 3)).astype(np.float32)
    h, wanted = start, []
    for t in range(length):
        h = a[:, t] * h + b[:, t]
        wanted.append(h)
    gradients = {}
    for how in ("associative", "sequential"):
        run = jax.jit(functools.partial(recurrent_cells.recurrence, how=how))
        np.testing.assert_allclose(run(a, b, start), np.stack(wanted, 1), atol=1e-5)
        jax.test_util.check_grads(run, (a, b, start), order=1, modes=("rev",), atol=1e-2, rtol=1e-2)
        loss = jax.jit(jax.grad(lambda *args, run=run: jnp.sum(weight * run(*args)), (0, 1, 2)))
        gradients[how] = loss(a, b, start)
    for one, other in zip(*gradients.values(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert [recurrent_cells.implementation(backend) for backend in ("cpu", "gpu")] == ["sequential", "associative"]


def test_causal_convolution_is_that_of_numpy_by_channel():
    conv, x, past = CausalConv(), RNG.normal(size=(2, 7, 3)), RNG.normal(size=(2, 3, 3))
    kernel, bias = RNG.normal(size=(4, 3)).astype(np.float32), RNG.normal(size=3).astype(np.float32)
    found, after = jax.jit(conv.apply)({"params": {"kernel": kernel, "bias": bias}}, *map(np.float32, (x, past)))
    whole = np.concatenate([past, x], axis=1)
    for i, c in itertools.product(range(2), range(3)):
        wanted = np.convolve(whole[i, :, c], kernel[::-1, c], "valid") + bias[c]  # the last tap is for the step itself
        np.testing.assert_allclose(found[i, :, c], wanted, atol=1e-5)
    np.testing.assert_allclose(after, x[:, -3:], atol=1e-6)


# -- Rows: what a CPU computes with products of ones is what others compute by broadcasting and adding


@pytest.mark.parametrize("label", [None, np.array([0, 2])])
def test_rows_are_the_same_on_every_backend(label, monkeypatch):
    norm, linear = sequence_layers.AdaRMSNorm(0 if label is None else 2), sequence_layers.Linear(5, use_bias=True)
    x = RNG.normal(size=(2, 3, 4)).astype(np.float32)

    def loss(variables, x):
        y = linear.apply(variables[1], norm.apply(variables[0], x, label))
        return jnp.sum(jnp.sin(y)), y

    variables = norm.init(jax.random.key(0), x, label), linear.init(jax.random.key(1), x)
    variables = jax.tree.map(lambda leaf: RNG.normal(size=leaf.shape).astype(np.float32), variables)
    found = [jax.jit(jax.grad(loss, (0, 1), has_aux=True))(variables, x)]
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    found.append(jax.jit(jax.grad(lambda *args: loss(*args), (0, 1), has_aux=True))(variables, x))
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-5), *found)
    p, q = variables[0]["params"], variables[1]["params"]
    y = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * p["scale"]
    if label is not None:
        scale, shift = np.split(p["class"]["embedding"][label][:, None], 2, axis=-1)
        y = y + x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * scale + shift
    np.testing.assert_allclose(found[0][1], y @ q["kernel"] + q["bias"], atol=1e-5)


# -- Places


def test_neighbors_of_a_cell_of_a_color_image_and_of_its_context():
    grid, context = (4, 6, 3), (2, 3, 1)
    table, outside = token_grid.neighbors(grid, context), 4 * 6 * 3 + 6
    row, column, channel = 1, 2, 1
    around = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)] + [(-2, 0), (0, -2), (0, 2), (2, 0)]
    wanted = []
    for i, j in around:
        for k in (1, 2, 0):  # its own channel first
            inside = 0 <= row + i < 4 and 0 <= column + j < 6
            wanted.append(((row + i) * 6 + column + j) * 3 + k if inside else outside)
    itself = (row * 6 + column) * 3 + channel
    wanted.remove(itself)
    wanted += [outside, outside, outside, 72, 73, 74, 75, 76, 77]  # around row 0, column 1 of the context
    assert table[itself].tolist() == wanted
    corner = table[72].tolist()  # the first of the context sees the context alone
    assert sorted(position for position in corner if position < outside) == [73, 74, 75, 76]
    assert table.shape[0] == outside
    assert not (table == np.arange(outside)[:, None]).any()  # nothing is around itself


def test_every_position_has_its_own_coordinates():
    table = token_grid.coordinates((3, 4, 3), (2, 2, 1))
    assert table.shape == (36 + 4 + 1, 3 + 4 + 3 + 2 + 2 + 1)
    assert table.sum(1).tolist() == [3.0] * 40 + [0.0]
    assert len(np.unique(table, axis=0)) == 41


@pytest.mark.parametrize("order", ["raster", "random"])
def test_seen_is_what_came_earlier(order):
    net = network(grids="context")
    tokens, positions, _ = sequences(net, order=order)
    found = np.asarray(token_grid.causal_neighbors(tokens, positions, net.grid, net.context))
    table = token_grid.neighbors(net.grid, net.context)
    for i, t in itertools.product(range(len(tokens)), range(tokens.shape[1])):
        known = dict(zip(positions[i, :t].tolist(), tokens[i, :t].tolist(), strict=True))
        assert found[i, t].tolist() == [known.get(p, -1) for p in table[positions[i, t]].tolist()]


# -- The network


@pytest.mark.parametrize(
    ("cell", "grids", "order"),
    [*((cell, "plain", "random") for cell in CELLS), ("rglru", "color", "raster"), ("rglru", "context", "random")],
)
@pytest.mark.parametrize("how", ["sequential", "associative"])  # of the linear recurrences
def test_steps_give_the_logits_of_sequences(cell, grids, order, how, monkeypatch):
    net = network(cell, grids)
    params, (tokens, positions, label) = params_of(net), sequences(net, order=order)
    monkeypatch.setattr(recurrent_cells, "implementation", lambda: how)
    whole = np.asarray(jax.jit(lambda *args: net.apply(*args))(params, tokens, positions, label))
    assert whole.shape == (*tokens.shape, net.vocabulary)
    assert whole.dtype == np.float32
    assert whole.std() > 0.3
    np.testing.assert_allclose(step_by_step(net, params, tokens, positions, label), whole, atol=1e-4)


def test_the_state_has_the_same_size_at_every_step():
    net = network("lstm", "context")
    some = np.zeros(2, np.int32)
    carry = net.initialize_carry(2)
    args = (carry, np.zeros((2, 16), np.int32), some, some, some, some)
    _, after = jax.eval_shape(functools.partial(net.apply, method="step"), params_of(net), *args)
    shapes = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), state) for state in (carry, after)]
    assert shapes[0] == shapes[1]
    assert sum(leaf.size for leaf in jax.tree.leaves(carry)) == 2 * (4 + 2 * (3 + 2) * 16)


@pytest.mark.parametrize("neighbors", [True, False])
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 0, 3, 1]])
def test_likelihoods_of_all_sequences_sum_to_one(order, neighbors):
    net = network(vocabulary=3, grid=(2, 2, 1), neighbors=neighbors)
    tokens = np.array(list(itertools.product(range(3), repeat=4)), np.int32)
    positions = np.tile(np.array(order, np.int32), (81, 1))
    for label in (0, 3):
        logits = jitted(net)(params_of(net), tokens, positions, np.full(81, label, np.int32))
        log_p = np.asarray(jax.nn.log_softmax(logits), np.float64)
        per_sequence = np.take_along_axis(log_p, tokens[..., None], axis=-1).sum((1, 2))
        assert np.exp(per_sequence).sum() == pytest.approx(1, abs=1e-5)
        assert np.exp(per_sequence).std() > 1e-3  # and they are not all alike


@pytest.mark.parametrize("cell", CELLS)
def test_logits_depend_on_all_earlier_tokens_and_on_no_others(cell):
    net = network(cell, "context")
    (tokens, positions, label), params = sequences(net, b=1), params_of(net)
    n = tokens.shape[1]
    changed = np.tile(tokens, (n, 1))  # row i with another token i
    changed[np.arange(n), np.arange(n)] = (changed[np.arange(n), np.arange(n)] + 1) % net.vocabulary
    both = np.concatenate([tokens, changed])
    logits = np.asarray(jitted(net)(params, both, np.tile(positions, (n + 1, 1)), np.tile(label[:1], n + 1)))
    moved = np.abs(logits[1:] - logits[:1]).max(-1)  # [n n]: token i, logits t
    assert moved[np.tril_indices(n)].max() < 5e-6  # rounding, which differs between rows of a product
    assert moved[np.triu_indices(n, 1)].min() > 5e-5


def test_gradients_reach_all_earlier_steps_and_no_others():
    net = network(grids="plain", neighbors=False)
    label, params = np.array([1]), params_of(net)
    x = RNG.normal(size=(1, 12, 16)).astype(np.float32)

    def logits(x):  # from the inputs of the stack: the input of step t is made of s_<t
        return net.apply(params, x, net.initialize_carry(1)[1], label, method="_run")[0][0]

    size = np.abs(jax.jit(jax.jacrev(logits))(x)[:, :, 0]).max((1, 3))  # [t u]
    assert (size[np.triu_indices(12, 1)] == 0).all()
    assert (size[np.tril_indices(12)] > 0).all()


def test_only_earlier_positions_matter():
    net = network(grids="context")
    (tokens, positions, label), params = sequences(net, b=1), params_of(net)
    swapped = positions.copy()
    swapped[:, [9, 14]] = swapped[:, [14, 9]]
    one, other = (np.asarray(jitted(net)(params, tokens, p, label)) for p in (positions, swapped))
    np.testing.assert_array_equal(one[:, :9], other[:, :9])
    assert (np.abs(one - other).max(-1)[:, 9:] > 0).all()


def test_context_matters_where_it_is_asked_for():
    """A context token far down changes the logits at its place more than those that are drawn soon after it."""
    net = network(grids="context", grid=(8, 8, 1), context=(4, 4, 1), layers=1)
    tokens, positions, label = sequences(net, b=1, order="raster")
    changed = tokens.copy()
    changed[0, 13] = (changed[0, 13] + 1) % 5
    one, other = (np.asarray(jitted(net)(params_of(net), s, positions, label))[0, 16:] for s in (tokens, changed))
    moved = np.abs(one - other).max(-1).reshape(8, 8)
    assert moved[4:, :6].mean() > 10 * moved[1:4].mean()  # the 3 x 3 context cells around those that it covers


def test_classes_matter_after_training_and_not_before():
    net = network()
    tokens, positions, _ = sequences(net, b=4)
    tokens, positions, label = tokens[[0] * 4], positions[[0] * 4], np.arange(4, dtype=np.int32)
    fresh = jax.jit(net.init)(jax.random.key(0), tokens, positions, label)
    before, after = (np.asarray(jitted(net)(p, tokens, positions, label)) for p in (fresh, params_of(net)))
    assert (before == before[:1]).all()
    assert all(np.abs(a - b).max() > 0.1 for a, b in itertools.combinations(after, 2))


def test_without_classes_no_label_is_used():
    net = network(num_classes=0)
    tokens, positions, label = sequences(net)
    one, other = (jitted(net)(params_of(net), tokens, positions, given) for given in (None, label))
    np.testing.assert_array_equal(one, other)


def test_batch_is_singles_and_jit_is_eager():
    net = network(grids="context", layers=1)
    (tokens, positions, label), params = sequences(net), params_of(net)
    batch = jitted(net)(params, tokens, positions, label)
    singles = [jitted(net)(params, tokens[i : i + 1], positions[i : i + 1], label[i : i + 1])[0] for i in range(3)]
    np.testing.assert_allclose(batch, singles, atol=1e-5)
    np.testing.assert_allclose(net.apply(params, tokens, positions, label), batch, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_finite_and_reach_every_parameter(cell):
    net = network(cell, "context")
    tokens, positions, label = sequences(net)

    def loss(params):
        log_p = jax.nn.log_softmax(net.apply(params, tokens, positions, label))
        return -jnp.take_along_axis(log_p, tokens[..., None], axis=-1).mean()

    for path, grad in jax.tree_util.tree_leaves_with_path(jax.jit(jax.grad(loss))(params_of(net))):
        assert np.isfinite(grad).all(), path
        assert np.abs(grad).max() > 0, path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "task.network.width=0; allowed: more than 0"),
        ({"expansion": -1.0}, "task.network.expansion=-1.0; allowed: more than 0"),
    ],
)
def test_wrong_fields_are_refused(changes, message):
    network().check("task.network")
    with pytest.raises(InputError) as caught:
        Recurrent(**({"width": 16, "layers": 1} | changes)).check("task.network")
    assert str(caught.value).startswith(message)
