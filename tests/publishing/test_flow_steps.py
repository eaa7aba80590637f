"""A flow step by step, as whoever runs its model.onnx must take it, against the sampling of gen."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from untrained import untrained

from gen.publishing import flow_steps, sampler
from gen.runs import trained_run
from gen.tasks import ode


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained_run.load(untrained(tmp_path_factory.mktemp("runs") / "flow", tiny.flow_spec()))


def changed(run, **changes):
    return dataclasses.replace(run, task=dataclasses.replace(run.task, **changes))


def evaluated(run):
    """Returns the velocity of a run by jax, as a session of onnxruntime would have it."""
    function, inputs = flow_steps.velocity(run, run.task)
    weights, compiled = sampler.flat(run.ema_params), jax.jit(function)
    return lambda given: np.asarray(compiled(weights, {name: given[name] for name in inputs}))


@pytest.mark.parametrize(
    "changes",
    [
        {"guidance": 1.0, "steps": 5},
        {"guidance": 3.0, "steps": 4},
        {"guidance": 0.0, "steps": 1},
        {"guidance": 2.0, "steps": 6, "guidance_times": (0.3, 0.7)},
        {"steps": 3, "last_time": 0.5, "prediction": "image"},
        {"steps": 5, "time_logits": (1.0, 1.0)},
        {"steps": 60},
    ],
)
def test_the_steps_make_the_images_of_gen(run, changes):
    run = changed(run, **changes)
    of = sampler.of_run(run)
    drawn = of.draw((0, 5, 9))
    made = flow_steps.images(evaluated(run), run.task, drawn)
    wanted = np.asarray(jax.jit(of.function)(sampler.flat(run.ema_params), drawn))
    assert made.dtype == np.float32
    assert made.std() > 0.05
    np.testing.assert_allclose(made, wanted, atol=2e-6)


def test_a_flow_without_classes_has_neither_label_nor_guidance(tmp_path):
    task = tiny.flow_spec(conditional=False, guidance=1.0)
    run = trained_run.load(untrained(tmp_path / "flow", task))
    of = sampler.of_run(run)
    drawn = of.draw((1, 2))
    assert list(flow_steps.velocity(run, run.task)[1]) == ["z", "time"]
    assert flow_steps.guidance(run.task) is None
    wanted = np.asarray(of.function(sampler.flat(run.ema_params), drawn))
    np.testing.assert_allclose(flow_steps.images(evaluated(run), run.task, drawn), wanted, atol=2e-6)


def test_guidance_is_that_which_sampling_allows(run):
    assert flow_steps.guidance(run.task) == 1.5
    assert flow_steps.guidance(changed(run, guidance=1.0).task) == 1.0
    assert flow_steps.guidance(changed(run, guidance=1.0, drop_labels_probability=0.0).task) is None


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 20, 50, 333])
@pytest.mark.parametrize("last_time", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("mean", [0.0, 0.4, 1.0, 1.4, -2.0])
def test_times_are_those_of_the_solver_and_to_the_bit_where_none_is_shifted(run, steps, last_time, mean):
    task, seen = changed(run, last_time=last_time, time_logits=(mean, 1.0)).task, list[float]()

    def velocity(z, t):
        jax.debug.callback(lambda t: seen.append(float(t)), t, ordered=True)
        return jnp.zeros_like(z)

    given = {"last": task.last_step, "shift": task.time_shift}
    jax.jit(lambda steps: ode.solve(velocity, jnp.zeros((1, 2)), steps=steps, **given))(steps)
    jax.effects_barrier()
    times = flow_steps.times(task, steps)
    assert times.shape == (steps,)
    made = [*seen[:-1:2], seen[-1]]  # each step begins at the first of its two
    assert made[0] == 1
    assert made == times.tolist() if mean == 0.0 else made == pytest.approx(times.tolist(), rel=1e-6)
