"""The loop: exact resume after every kind of end, the same run on any devices, stopping, and what it writes."""

from __future__ import annotations

import dataclasses
import datetime
import errno
import functools
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from counter import Counter

from gen import devices
from gen.config import Config, EvaluationConfig, Spec, build, build_task, from_json, spec
from gen.data import BatchSampler, DatasetSplits, Examples
from gen.data.loader import DeviceLoader
from gen.errors import InputError
from gen.evaluation import pace
from gen.main import main, parse_command
from gen.models.autoencoder import Autoencoder as Network
from gen.models.bottleneck import FSQ, DiagonalGaussian
from gen.models.r3gan import Discriminator, Generator
from gen.models.recurrent import Recurrent
from gen.models.unet import UNet
from gen.report import page
from gen.report import report as report_module
from gen.runs import digests, sessions
from gen.runs.checkpoint import Checkpoints
from gen.runs.lock import RunLock
from gen.runs.trained_run import RunFolder, load
from gen.sample import SampleOptions, sample
from gen.tasks.state import TrainState
from gen.training import loop, monitor
from gen.training.monitor import by_class
from gen.training.skips import SKIPPED, NonFiniteError, Skips

ROOT = Path(__file__).resolve().parents[2]
STEPS = 6


@pytest.fixture(scope="module", autouse=True)
def _data_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEN_CACHE", str(tmp_path_factory.mktemp("data")))
        yield


def config(steps: int = STEPS, *, kind: str = "gan", **changes) -> Config:
    return tiny.config(**{"total_images": 8 * steps, "task": tiny.TASKS[kind](), **changes})


def parts(config: Config) -> tuple[DatasetSplits, loop.Task]:
    source = build(config.data, "data")
    facts = {"image_shape": source.image_shape, "num_classes": source.num_classes}
    return source, build(config.task, "task", batch_size=config.batch_size, **facts)


def whole_state(workdir: Path, step: int) -> dict[str, tuple]:
    """Every leaf of a checkpoint with its dtype, shape and bits."""
    _, task = parts(from_json(RunFolder(workdir).config.read_text()))
    with Checkpoints(RunFolder(workdir).checkpoints) as checkpoints:
        state, restored = checkpoints.restore(jax.eval_shape(task.init, jax.random.key(0)), step=step)
    assert restored == step == int(state.step)
    leaves, _ = jax.tree.flatten_with_path(state)
    return {
        jax.tree_util.keystr(path): (str(leaf.dtype), leaf.shape, np.asarray(leaf).tobytes()) for path, leaf in leaves
    }


def lines(workdir: Path) -> list[dict]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def numbers(workdir: Path) -> list[dict]:
    """The lines without times."""
    return [
        {name: line[name] for name in line if "second" not in name and "time" not in name} for line in lines(workdir)
    ]


def saved(workdir: Path) -> list[str]:
    return sorted(path.name for path in (workdir / "checkpoints").iterdir())


def when_fed(monkeypatch, step: int, action) -> None:
    """Does `action` when the loop asks for the batch of step + 1, once."""
    original, done = DeviceLoader.__call__, []

    def call(self, at):
        if at == step and not done:
            done.append(1)
            action()
        return original(self, at)

    monkeypatch.setattr(DeviceLoader, "__call__", call)


@pytest.fixture(scope="module", params=tiny.TASKS)
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, kind) -> Path:
    workdir = tmp_path_factory.mktemp("uninterrupted")
    assert loop.train(config(kind=kind, preview_every=4), workdir) == 0
    return workdir


def test_training_ends_with_cards_of_what_it_made(uninterrupted):
    model = load(uninterrupted)
    text = (uninterrupted / "MODEL_CARD.md").read_text()
    for known in (f"`{model.weights_digest}`", f"| Step | {model.step} of {model.step} |", "| Hardware | `8 x cpu ("):
        assert known in text
    assert "`shapes`" in (uninterrupted / "DATA_CARD.md").read_text()
    (session,) = sessions.read(RunFolder(uninterrupted))
    assert (session.first_step, session.last_step, session.status) == (0, model.step, "finished")


# -- Exact resume: every end of a run for one task, and all of them after one another for the others

with_one_task = pytest.mark.parametrize("kind", ["gan"], indirect=True, scope="module")
with_the_others = pytest.mark.parametrize(
    "kind", [kind for kind in tiny.TASKS if kind != "gan"], indirect=True, scope="module"
)


def die():
    raise SystemError("killed")


def flip_a_bit(checkpoint: Path) -> None:
    damaged = max(checkpoint.rglob("d/*"), key=lambda path: path.stat().st_size)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 0b100
    damaged.write_bytes(content)


@with_the_others
def test_ctrl_c_a_larger_budget_a_kill_and_a_flipped_bit_change_nothing(
    uninterrupted, kind, tmp_path, monkeypatch, caplog
):
    with monkeypatch.context() as patch:
        when_fed(patch, 1, lambda: signal.raise_signal(signal.SIGINT))
        assert loop.train(config(3, kind=kind), tmp_path) == 130
    assert saved(tmp_path) == ["2"]
    with monkeypatch.context() as patch:
        when_fed(patch, 5, die)
        with pytest.raises(SystemError, match="killed"):
            loop.train(config(kind=kind, checkpoint_every=2), tmp_path)
    assert saved(tmp_path) == ["2", "4"]
    flip_a_bit(tmp_path / "checkpoints" / "4")
    assert loop.train(config(kind=kind, checkpoint_every=2), tmp_path) == 0
    assert "checkpoint 4 is corrupt" in caplog.text
    assert whole_state(tmp_path, STEPS) == whole_state(uninterrupted, STEPS)
    assert numbers(tmp_path) == numbers(uninterrupted)


@with_one_task
def test_measuring_changes_nothing_and_the_best_checkpoint_stays_and_is_sampled(
    uninterrupted, kind, tmp_path, monkeypatch
):
    monkeypatch.setattr(pace, "SHARE", 1e9)  # as if each step took hours
    measured = EvaluationConfig(num_samples=24)
    assert loop.train(config(kind=kind, checkpoint_every=2, keep_checkpoints=1, evaluation=measured), tmp_path) == 0
    assert whole_state(tmp_path, STEPS) == whole_state(uninterrupted, STEPS)
    assert all(one.items() <= two.items() for one, two in zip(numbers(uninterrupted), numbers(tmp_path), strict=True))
    found = {line["step"]: line["FD-random"] for line in lines(tmp_path)}
    assert list(found) == [1, 2, 3, 4, 5, 6]
    assert lines(tmp_path)[-1].keys() >= {"precision", "recall", "density", "coverage"}
    best = json.loads((tmp_path / "best.json").read_text())
    assert best["metric"] == "FD-random"
    assert best["value"] == min(found.values()) >= 3 / 4 * found[best["step"]]
    assert saved(tmp_path) == sorted({str(best["step"]), "6"})
    options = {"workdir": tmp_path, "seeds": "0-1", "out": tmp_path / "images"}
    assert sample(SampleOptions(**options)).step == best["step"]
    assert sample(SampleOptions(**options, step="newest")).step == 6
    assert "FD-random" in (tmp_path / "report.html").read_text()  # its curve


@with_one_task
def test_stopped_by_its_budget_and_given_a_larger_one(uninterrupted, kind, tmp_path, capsys):
    assert loop.train(config(1, kind=kind), tmp_path) == 0
    assert saved(tmp_path) == ["1"]
    assert loop.train(config(kind=kind), tmp_path) == 0
    assert whole_state(tmp_path, STEPS) == whole_state(uninterrupted, STEPS)
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3, 4, 5, 6]
    capsys.readouterr()
    assert loop.train(config(kind=kind), tmp_path) == 0
    said = capsys.readouterr().err
    assert "nothing to do: step 6 of 6 is done; raise --config.total_images to go on" in said
    assert "finished; report: " in said


@with_one_task
def test_killed_between_checkpoints(uninterrupted, kind, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        when_fed(patch, 4, die)
        with pytest.raises(SystemError, match="killed"):
            loop.train(config(kind=kind, checkpoint_every=3), tmp_path)
    assert saved(tmp_path) == ["3"]
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3, 4]  # of which the last will be done again
    assert loop.train(config(kind=kind, checkpoint_every=3), tmp_path) == 0
    assert whole_state(tmp_path, STEPS) == whole_state(uninterrupted, STEPS)
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3, 4, 5, 6]
    assert numbers(tmp_path) == numbers(uninterrupted)


@with_one_task
def test_a_clock_that_jumps_changes_nothing(uninterrupted, kind, tmp_path, monkeypatch):
    months = itertools.cycle([0, -3, 3])  # with each look at the clock

    class Jumping(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime.fromtimestamp(jumping(), tz)

    real = time.time

    def jumping():
        return real() + 30 * 86_400 * next(months)

    monkeypatch.setattr(time, "time", jumping)
    monkeypatch.setattr(datetime, "datetime", Jumping)
    with monkeypatch.context() as patch:
        when_fed(patch, 5, die)
        with pytest.raises(SystemError, match="killed"):
            loop.train(config(kind=kind, checkpoint_every=2), tmp_path)
    for number, path in enumerate(sorted(tmp_path.rglob("*"))):  # as if step 4 were from long before step 2
        os.utime(path, (10 + number, 10 + number) if "4" in path.parts else (4e9 - number, 4e9 - number))
    assert loop.train(config(kind=kind, checkpoint_every=2), tmp_path) == 0
    assert whole_state(tmp_path, STEPS) == whole_state(uninterrupted, STEPS)
    assert numbers(tmp_path) == numbers(uninterrupted)
    seconds = [line["seconds"] for line in lines(tmp_path)]
    assert seconds == sorted(seconds)
    assert seconds[-1] < 600


@with_one_task
def test_ctrl_c_saves_and_exits_and_handlers_are_put_back(uninterrupted, kind, tmp_path, monkeypatch, capsys):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        when_fed(patch, 1, lambda: signal.raise_signal(signal.SIGINT))
        assert loop.train(config(kind=kind, log_every=100), tmp_path) == 130
    assert saved(tmp_path) == ["2"]
    assert "interrupted" in (tmp_path / "report.html").read_text()
    assert "gen: interrupted; report: " in capsys.readouterr().err
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert loop.train(config(kind=kind), tmp_path) == 0
    assert whole_state(tmp_path, STEPS) == whole_state(uninterrupted, STEPS)


def test_sigterm_to_the_program_and_the_same_command_again(tmp_path, monkeypatch):
    steps = 60
    here, there = tmp_path / "interrupted", tmp_path / "uninterrupted"
    arguments = [f"--config={tiny.experiment(tmp_path)}", f"--config.total_images={8 * steps}"]
    command = [sys.executable, "-m", "gen.main", *arguments, f"--workdir={here}"]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    program = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths})
    said = []
    for line in program.stderr:
        said.append(line)
        if line.startswith(f"step 2/{steps}"):
            program.send_signal(signal.SIGTERM)
            break
    rest = program.communicate(timeout=300)[1]
    assert program.returncode == 143, "".join(said) + rest
    stopped = int(saved(here)[-1])
    assert 2 <= stopped < steps
    assert "interrupted; report: " in rest
    assert "interrupted" in (here / "report.html").read_text()
    monkeypatch.chdir(tmp_path)
    assert main(parse_command(["gen.main", *arguments, f"--workdir={here}"])) == 0
    assert main(parse_command(["gen.main", *arguments, f"--workdir={there}"])) == 0
    assert whole_state(here, steps) == whole_state(there, steps)
    assert [line["step"] for line in lines(here)] == list(range(1, steps + 1))


@with_one_task
def test_a_flipped_bit_costs_one_checkpoint_and_not_the_run(uninterrupted, kind, tmp_path, caplog):
    assert loop.train(config(4, kind=kind, checkpoint_every=2), tmp_path) == 0
    assert saved(tmp_path) == ["2", "4"]
    flip_a_bit(tmp_path / "checkpoints" / "4")
    assert loop.train(config(kind=kind), tmp_path) == 0
    assert whole_state(tmp_path, STEPS) == whole_state(uninterrupted, STEPS)
    assert saved(tmp_path) == ["2", "6", "corrupt-4"]
    assert "checkpoint 4 is corrupt" in caplog.text
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3, 4, 5, 6]


# -- Weights of other runs


def finished(folder: Path, steps: int = 1, **changes) -> Path:
    folder.mkdir()
    assert loop.train(config(steps, **changes), folder) == 0
    return folder


def test_roles_start_with_the_weights_of_other_runs(tmp_path, caplog):
    task = tiny.autoencoder_spec(network=tiny.tokenizer())
    tokenizer = finished(tmp_path / "tokenizer", 2, task=task)
    prior = finished(tmp_path / "prior", 2, kind="prior", init_from={"autoencoder": str(tokenizer)})
    learned, used = (load(folder).ema_params["autoencoder"] for folder in (tokenizer, prior))
    jax.tree.map(np.testing.assert_array_equal, learned, used)
    assert "is not trained" not in caplog.text
    finished(tmp_path / "random", kind="prior")
    assert "autoencoder is not trained, and init_from.autoencoder does not say from where" in caplog.text
    finished(tmp_path / "again", task=task, init_from={"discriminator": f"{tokenizer}:discriminator"})


def test_weights_that_do_not_fit(tmp_path):
    gan = finished(tmp_path / "gan")
    for init_from, message in (
        (
            {"autoencodr": gan},
            "init_from.autoencodr: there is no such role; did you mean 'autoencoder'?; allowed: prior",
        ),
        ({"autoencoder": gan}, "gan has no role 'autoencoder'; it has: discriminator, generator"),
        ({"autoencoder": f"{gan}:generator"}, "is nothing there, "),
        ({"autoencoder": f"{gan}none"}, "there is no such folder"),
    ):
        with pytest.raises(InputError) as error:
            finished(
                tmp_path / message[:9].strip(),
                kind="prior",
                init_from={role: str(run) for role, run in init_from.items()},
            )
        assert message in str(error.value)


# -- Devices


def wide_gan() -> Spec:
    network = {**tiny.NETWORK, "widths": (32, 32)}
    return tiny.task_spec(
        generator=spec(Generator, **network, latent=8),
        discriminator=spec(Discriminator, **network),
        conditional=False,  # with labels, these alone would spread the generator over the devices
        penalty_stride=2,
        augmentation=(0.5, 0.5),
        operation_weights={"flip": 1.0},
    )


def wide_autoencoder() -> Spec:
    network = {**tiny.AUTOENCODER, "widths": (32, 32), "bottleneck": spec(DiagonalGaussian, size=4)}
    discriminator = spec(Discriminator, **{**tiny.NETWORK, "widths": (32, 32)})
    return tiny.autoencoder_spec(network=spec(Network, **network), discriminator=discriminator)


def wide_prior() -> Spec:
    tokenizer = spec(Network, **{**tiny.AUTOENCODER, "widths": (32, 32)}, bottleneck=spec(FSQ, levels=(4, 4)))
    return tiny.prior_spec(network=spec(Recurrent, width=64, layers=1), tokenizer=tokenizer)


def wide_flow() -> Spec:
    return tiny.flow_spec(network=spec(UNet, widths=(32,), blocks=1, embedding=32))


WIDE = {"gan": wide_gan, "autoencoder": wide_autoencoder, "flow": wide_flow, "prior": wide_prior}


def on_mesh(
    kind: str, data: int, fsdp: int, folder: Path, steps: int = 3
) -> tuple[dict[str, np.ndarray], float, TrainState]:
    """Metrics of a few steps, the compiled FLOPs of each device, and the state."""
    settings = tiny.config(task=WIDE[kind](), batch_size=64, mirror=True)
    source, task = parts(settings)
    mesh = devices.mesh(data, fsdp, devices=jax.devices()[: data * fsdp])
    feed = DeviceLoader(
        BatchSampler(source.train, settings.batch_size * task.real_images_per_sample, settings.seed), mesh
    )
    with jax.set_mesh(mesh), Checkpoints(folder) as checkpoints:
        state, start = loop.restore_or_init(task, settings, mesh, checkpoints)
        assert start == 0
        step = loop.compile_step(task, settings, mesh, state, feed(0))
        history = []
        for n in range(steps):
            state, metrics = step(state, feed(n))
            history.append(jax.device_get(metrics))
    cost = step.cost_analysis()
    return {name: np.array([m[name] for m in history]) for name in history[0]}, cost["flops"], state


@pytest.fixture(scope="module")
def alone(tmp_path_factory, kind):
    return on_mesh(kind, 1, 1, tmp_path_factory.mktemp("alone"))


@pytest.mark.parametrize(("data", "fsdp"), [(8, 1), (4, 2)])
def test_more_devices_do_the_same_with_a_share_of_the_work(alone, kind, tmp_path, data, fsdp):
    metrics, flops, state = on_mesh(kind, data, fsdp, tmp_path)
    for name, values in alone[0].items():
        np.testing.assert_allclose(metrics[name], values, rtol=1e-4, atol=1e-4, err_msg=name)
    assert flops <= 0.15 * alone[1]
    split = [leaf for leaf in jax.tree.leaves(state) if not leaf.sharding.is_fully_replicated]
    # Kernels, with the moments of their optimizer (Adam has two, Muon one) and the average.
    assert len(split) >= (6 if kind == "flow" else 8) if fsdp > 1 else not split, len(split)


# -- Stopping


@pytest.mark.parametrize("checkpoint_every", [1, 100])
def test_a_quantity_that_is_not_finite_stops_the_run(tmp_path, capsys, monkeypatch, checkpoint_every):
    monkeypatch.setattr("gen.tasks.gan.check_numbers", lambda task, **bounds: None)  # it would refuse such a rate
    task = tiny.task_spec(learning_rate=(1e30, 1e30))
    settings = config(task=task, checkpoint_every=checkpoint_every, max_skipped=0)
    assert loop.train(settings, tmp_path) == 1
    said = capsys.readouterr().err
    line = next(line for line in said.splitlines() if "newest checkpoint: none; report: " in line)
    assert line.startswith(("gen: stopped: step 1: ", "gen: stopped: step 2: "))
    assert any(told in line for told in ("_loss is nan", "_loss is inf", "a gradient or a parameter is not finite"))
    assert "stopped: step" in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "checkpoints").exists(), saved(tmp_path)


@pytest.fixture
def _counter_allowed(monkeypatch):
    monkeypatch.setenv("GEN_PACKAGES", "counter")


@pytest.mark.usefixtures("_counter_allowed")
def test_the_first_bad_quantity_is_named_with_its_step(tmp_path, capsys):
    settings = config(20, task=spec(Counter, nan_at=9), log_every=7, checkpoint_every=4, max_skipped=0)
    assert loop.train(settings, tmp_path) == 1
    assert "gen: stopped: step 9: luck is nan; newest checkpoint: 8; report: " in capsys.readouterr().err
    assert saved(tmp_path) == ["4", "8"]
    assert [line["step"] for line in lines(tmp_path)] == [4, 7, 8]
    assert "stopped: step 9: luck is nan" in (tmp_path / "report.html").read_text()


def counted(workdir: Path, step: int) -> np.ndarray:
    """The parameters of a Counter in a checkpoint."""
    (leaf,) = (leaf for path, leaf in whole_state(workdir, step).items() if "counter" in path)
    return np.frombuffer(leaf[2], leaf[0])


@pytest.mark.usefixtures("_counter_allowed")
def test_what_was_learned_before_a_broken_step_is_saved(tmp_path, capsys):
    settings = config(20, task=spec(Counter, breaks_at=8), log_every=7, checkpoint_every=4, max_skipped=0)
    assert loop.train(settings, tmp_path) == 1
    told = "stopped: step 8: a gradient or a parameter is not finite; newest checkpoint: 8; report: "
    assert told in capsys.readouterr().err
    assert saved(tmp_path) == ["4", "8"]
    assert np.isfinite(counted(tmp_path, 8)).all()


@pytest.mark.usefixtures("_counter_allowed")
@pytest.mark.parametrize("broken", ["nan_at", "breaks_at"])
def test_a_step_that_is_not_finite_is_skipped_and_counted(tmp_path, broken):
    settings = config(20, task=spec(Counter, **{broken: 9}), log_every=5, checkpoint_every=20)
    assert loop.train(settings, tmp_path) == 0
    assert [line.get("skipped", 0) for line in lines(tmp_path)] == pytest.approx([0, 0.2, 0, 0])
    assert all(np.isfinite(line["luck"]) for line in lines(tmp_path))
    assert np.isfinite(counted(tmp_path, 20)).all()


def test_a_skipped_step_changes_nothing_but_its_number():
    settings = config(task=tiny.task_spec())
    task = build_task(settings, tiny.IMAGE_SHAPE, tiny.NUM_CLASSES, 0)
    state = jax.jit(task.init)(jax.random.key(0))
    batch = {"image": np.zeros((16, *tiny.IMAGE_SHAPE), np.uint8), "label": np.zeros(16, np.int32)}
    step = jax.jit(loop.make_step(task, settings))
    good, metrics = step(state, batch)
    assert metrics[SKIPPED] == 0
    spoiled = good.replace(params=jax.tree.map(lambda leaf: leaf.at[(0,) * leaf.ndim].set(jnp.nan), good.params))
    after, metrics = step(spoiled, batch)
    assert metrics[SKIPPED] == 1
    assert after.step == good.step + 1
    for old, new in zip(jax.tree.leaves(spoiled.opt_state), jax.tree.leaves(after.opt_state), strict=True):
        np.testing.assert_array_equal(old, new)


def test_many_skipped_steps_in_a_row_end_the_run_with_the_first_reason():
    skips = Skips(2)
    bad, good = ({"loss": np.float32(x), SKIPPED: np.float32(x != 1)} for x in (np.inf, 1))
    assert skips.average(deque([good, bad, bad]), 3) == {"loss": 1.0, SKIPPED: pytest.approx(2 / 3)}
    assert skips.average(deque([good, bad]), 5) == {"loss": 1.0, SKIPPED: 0.5}
    assert skips.average(deque([bad]), 6) == {SKIPPED: 1.0}
    with pytest.raises(NonFiniteError, match="step 5: loss is inf; 3 steps in a row were skipped"):
        skips.average(deque([bad]), 7)


# -- Parts of a batch


@pytest.mark.parametrize("kind", tiny.TASKS)
def test_accumulated_parts_make_the_step_of_the_whole_batch(kind):
    settings = config(task=tiny.TASKS[kind](), batch_size=16)
    task = build_task(settings, tiny.IMAGE_SHAPE, tiny.NUM_CLASSES, 0)
    rng = np.random.default_rng(0)
    count = 16 * task.real_images_per_sample
    batch = {
        "image": rng.integers(0, 256, (count, *tiny.IMAGE_SHAPE), np.uint8),
        "label": rng.integers(0, tiny.NUM_CLASSES, count).astype(np.int32),
    }
    state = jax.jit(task.init)(jax.random.key(0))
    whole, parts = (
        jax.jit(loop.make_step(task, dataclasses.replace(settings, accumulate=k)))(state, batch) for k in (1, 4)
    )
    for name, value in whole[1].items():
        np.testing.assert_allclose(parts[1][name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    moved = [np.abs(np.asarray(a) - np.asarray(b)).max() for a, b in pairs_of(whole[0].params, state.params)]
    between = [np.abs(np.asarray(a) - np.asarray(b)).max() for a, b in pairs_of(whole[0].params, parts[0].params)]
    assert max(between) <= 0.02 * max(moved)


def pairs_of(first, second):
    return zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)


def test_parts_must_divide_the_batch(tmp_path):
    with pytest.raises(InputError, match="accumulate=3 does not divide batch_size=8"):
        loop.train(config(accumulate=3), tmp_path)


# -- Disks, folders, other processes


FULL = "No space left on device"


@pytest.mark.usefixtures("_counter_allowed")
@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, FULL),
        ValueError(f"RESOURCE_EXHAUSTED: Error writing \"x\" in OCDBT: {FULL} [os_error_code='28' y]"),  # tensorstore
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_checkpoint_that_cannot_be_saved_ends_the_run_with_one_line(tmp_path, monkeypatch, capsys, error):
    settings = config(20, task=spec(Counter), log_every=4, checkpoint_every=4)
    write = digests.write

    def full(directory, step, *arguments):
        if step == 8:
            raise error
        write(directory, step, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(digests, "write", full)
        assert loop.train(settings, tmp_path) == 74
    told = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("step")][-1]
    assert told.startswith(f"gen: stopped: {tmp_path}/checkpoints/8: cannot be saved: {FULL} (")
    assert f" MB are free in {tmp_path}/checkpoints); newest checkpoint: 4; report: " in told
    assert saved(tmp_path) == ["4"]
    assert "stopped: " in (tmp_path / "report.html").read_text()
    assert not (tmp_path / ".lock").exists()
    assert loop.train(settings, tmp_path) == 0
    assert [line["step"] for line in lines(tmp_path)] == [4, 8, 12, 16, 20]


@pytest.mark.usefixtures("_counter_allowed")
@pytest.mark.parametrize("checkpoint_every", [7, 100])
def test_a_run_folder_that_is_removed_ends_the_run_and_is_not_made_again(
    tmp_path, monkeypatch, capsys, checkpoint_every
):
    workdir = tmp_path / "run"
    when_fed(monkeypatch, 6, lambda: shutil.rmtree(workdir))
    settings = config(20, task=spec(Counter), checkpoint_every=checkpoint_every)
    assert loop.train(settings, workdir) == 74
    told = capsys.readouterr().err
    assert f"gen: stopped: {workdir}: the run folder was removed, or cannot be reached; the report could not" in told
    assert not workdir.exists()


@pytest.mark.usefixtures("_counter_allowed")
def test_what_training_does_not_need_is_tried_again_and_loses_nothing(tmp_path, monkeypatch, capsys):
    metrics = tmp_path / "metrics.jsonl"
    when_fed(monkeypatch, 3, lambda: (metrics.unlink(), metrics.mkdir()))
    when_fed(monkeypatch, 6, metrics.rmdir)
    assert loop.train(config(9, task=spec(Counter)), tmp_path) == 0
    assert [line["step"] for line in lines(tmp_path)] == list(range(1, 10))
    told = capsys.readouterr().err
    assert told.count("training goes on, and writing metrics is tried again") == 1
    assert f"gen: {metrics}: Is a directory; training" in told


@pytest.mark.usefixtures("_counter_allowed")
def test_a_report_that_cannot_be_written_whole_is_written_without_pictures(tmp_path, monkeypatch, capsys):
    write = report_module.atomic_write

    def nearly_full(path, content):
        if len(content) > 40_000:
            raise OSError(errno.ENOSPC, FULL, str(path))
        write(path, content)

    monkeypatch.setattr(report_module, "atomic_write", nearly_full)
    monkeypatch.setattr(report_module, "_embed", lambda path, step: page.Picture("x" * 40_000, 1, step))
    assert loop.train(config(3, task=spec(Counter)), tmp_path) == 0
    assert f"{tmp_path}/report.html: {FULL}" in capsys.readouterr().err
    assert "finished" in (tmp_path / "report.html").read_text()


@pytest.mark.usefixtures("_counter_allowed")
def test_a_checkpoint_exists_after_the_first_minute(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "FIRST_SAVE_SECONDS", 0.0)
    settings = config(9, task=spec(Counter))
    with monkeypatch.context() as patch:
        when_fed(patch, 4, die)
        with pytest.raises(SystemError, match="killed"):
            loop.train(settings, tmp_path)
    assert saved(tmp_path) == ["1"]
    assert loop.train(settings, tmp_path) == 0
    assert saved(tmp_path) == ["1", "9"]
    assert [line["step"] for line in lines(tmp_path)] == list(range(1, 10))


@pytest.mark.usefixtures("_counter_allowed")
def test_only_one_process_trains_in_a_folder_and_a_refused_start_makes_none(tmp_path):
    settings = config(1, task=spec(Counter))
    with RunLock(tmp_path / "run"):
        with pytest.raises(InputError, match="is in use: process "):
            loop.train(settings, tmp_path / "run")
        assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]
    with pytest.raises(InputError, match="batch_size=7 is not divisible"):
        loop.train(dataclasses.replace(settings, batch_size=7), tmp_path / "new" / "run")
    assert list(tmp_path.iterdir()) == []


# -- What it writes


LOGGED = {
    "gan": {"d_loss", "g_loss", "r1", "r2"},
    "flow": {"loss", "grad_norm"},
    "prior": {"bits", "accuracy", "grad_norm", "random_order", "region_first_probability"},
    "autoencoder": {"loss", "psnr", "d_loss", "g_loss", "r1", "rate_bits", "feature_distance"},
}


def test_log_previews_and_report(uninterrupted, kind):
    history = lines(uninterrupted)
    assert not (uninterrupted / "best.json").exists()  # it was too short to be measured
    assert [line["step"] for line in history] == [1, 2, 3, 4, 5, 6]
    assert [line["images"] for line in history] == [8, 16, 24, 32, 40, 48]
    assert history[0].keys() >= {"seconds", "learning_rate", "steps_per_second", "images_per_second"} | LOGGED[kind]
    assert all(0 < one["seconds"] <= two["seconds"] for one, two in itertools.pairwise(history))
    assert sorted(path.name for path in (uninterrupted / "previews").iterdir()) == [
        "000000000.png",
        "000000004.png",
        "000000006.png",
    ]
    assert (uninterrupted / "real.png").exists()
    facts = json.loads((uninterrupted / "data.json").read_text())
    assert facts["image_shape"] == [16, 16, 3]
    assert (facts["num_classes"], facts["num_train"], facts["num_held_out"]) == (8, 64, 8)
    assert from_json((uninterrupted / "config.json").read_text()) == config(kind=kind, preview_every=4)
    assert "finished" in (uninterrupted / "report.html").read_text()
    assert saved(uninterrupted) == ["6"]


@pytest.mark.usefixtures("_counter_allowed")
def test_metrics_are_averaged_between_lines_and_progress_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(monitor, "Progress", functools.partial(monitor.Progress, stream=sys.stderr))
    settings = config(7, task=spec(Counter), log_every=3, preview_every=100, mirror=True)
    assert loop.train(settings, tmp_path) == 0
    assert [line["step"] for line in lines(tmp_path)] == [3, 6, 7]
    source, _ = parts(settings)
    dataset = BatchSampler(source.train, 8, settings.seed)
    brightness = [dataset.batch(n)["image"].mean() / 255 for n in range(7)]  # mirrored or not
    averages = [np.mean(brightness[:3]), np.mean(brightness[3:6]), brightness[6]]
    assert [line["brightness"] for line in lines(tmp_path)] == pytest.approx(averages, rel=1e-4)
    assert len({line["luck"] for line in lines(tmp_path)}) == 3  # each step has a key of its own
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("gen: config ")
    assert "8 x cpu (8 data x 1 fsdp), 7 steps of 8 images" in said[0]
    progress = [line for line in said if line.startswith("step ")]
    assert [line.split(" · ")[:2] for line in progress] == [
        ["step 3/7", "42 %"],
        ["step 6/7", "85 %"],
        ["step 7/7", "100 %"],
    ]
    assert "images/s" in progress[0]
    assert "ETA" in progress[0]
    assert "brightness 0." in progress[0]


def test_total_steps_show_at_least_the_images_asked_for():
    assert [tiny.config(total_images=n).total_steps for n in (1, 8, 9, 16)] == [1, 1, 2, 2]


def test_real_images_stand_in_the_order_of_previews():
    images = np.arange(12, dtype=np.uint8)[:, None, None, None]
    labels = np.array([0, 0, 0, 0, 0, 2, 2, 1, 1, 1, 1, 1], np.int32)
    source = DatasetSplits("x", Examples(images, labels), Examples(images, labels), ("a", "b", "c"))
    assert by_class(source, 10).ravel().tolist() == [
        0,
        7,
        5,
        1,
        8,
        6,
        2,
        9,
        5,
        3,
    ]  # the third c is the first again
    unlabeled = dataclasses.replace(source, class_names=())
    assert by_class(unlabeled, 4).ravel().tolist() == [0, 1, 2, 3]


# -- The step


class Mirror:
    """Gives the images that a task sees back as metrics."""

    def step(self, state, batch, key):
        return state, {"image": batch["image"], "luck": jax.random.uniform(key)}


def seen(step: int, *, mirror: bool, seed: int = 0) -> tuple[np.ndarray, np.ndarray, float]:
    """Images uint8 that a step was given, those float that the task saw, and a number drawn from its key."""
    images = np.random.default_rng(0).integers(0, 256, (512, 4, 3, 1), np.uint8)
    state = TrainState(step=jnp.int32(step), params={}, opt_state={}, ema_params={})
    made = loop.make_step(Mirror(), tiny.config(mirror=mirror, seed=seed))
    _, metrics = jax.jit(made)(state, {"image": images, "label": np.zeros(512, np.int32)})
    return images, np.asarray(metrics["image"]), float(metrics["luck"])


def test_images_arrive_in_0_to_1():
    given, found, _ = seen(0, mirror=False)
    assert (found.dtype, found.shape) == (np.float32, given.shape)
    np.testing.assert_allclose(found, given / 255, rtol=1e-6)


def test_mirror_flips_about_half_of_the_images_left_right():
    given, found, _ = seen(3, mirror=True)
    same = (np.abs(found - given / 255) < 1e-6).all((1, 2, 3))
    flipped = (np.abs(found - given[:, :, ::-1] / 255) < 1e-6).all((1, 2, 3))
    assert (same ^ flipped).all()
    assert 200 < flipped.sum() < 312  # 5 standard deviations
    np.testing.assert_array_equal(seen(3, mirror=True)[1], found)
    assert (seen(4, mirror=True)[1] != found).any()


def test_randomness_is_a_function_of_seed_and_step():
    draws = {(seed, step): seen(step, mirror=False, seed=seed)[2] for seed in (0, 1) for step in (0, 1)}
    assert len(set(draws.values())) == 4
    assert draws[0, 1] == seen(1, mirror=True, seed=0)[2]
