"""The training loop: resume, step, log, evaluate, preview, save, stop. It knows Tasks, not what they do."""

from __future__ import annotations

import datetime
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gen import cli, devices, processes, provenance
from gen.config import Config, build, build_task, digest
from gen.data import Batch, BatchSampler, DatasetSplits, quick_audit
from gen.data.loader import DeviceLoader
from gen.evaluation import Evaluator, NoEvaluator, evaluator
from gen.files import storage_fault
from gen.membership import Membership
from gen.processes import Watch
from gen.publishing import cards
from gen.runs import digests, identity, sessions
from gen.runs.checkpoint import Checkpoints
from gen.runs.identity import data_metadata
from gen.runs.lock import RunLock
from gen.runs.run_folder import RunFolder
from gen.runs.sessions import Session
from gen.runs.trained_run import abstract, init_from_runs
from gen.sampling import by_seed
from gen.tasks import Metrics, Task
from gen.tasks.parts import accumulating
from gen.tasks.state import TrainState
from gen.training.interrupt import Interrupt, interrupts
from gen.training.monitor import GONE, Monitor
from gen.training.skips import SKIPPED, NonFiniteError, Skips
from gen.training.usage import Profile, Usage, flops

Step = Callable[[TrainState, Mapping[str, jax.Array]], tuple[TrainState, Metrics]]
STORAGE_FAILED = 74  # exit code, EX_IOERR of sysexits.h
FIRST_SAVE_SECONDS = 60.0  # after compiling, of a run that has no checkpoint
_IN_FLIGHT = 2  # steps that the host may be ahead of the devices: enough to hide it, few enough to stop quickly


def train(
    config: Config,
    workdir: Path,
    *,
    accept_changed_data: bool = False,
    command: str = "",
    member: Membership | None = None,
    log_to: str = "",
    profile: tuple[int, int] | None = None,
) -> int:
    """Runs `config` to its end, from its newest valid checkpoint in `workdir` if there is one.

    accept_changed_data: go on although that checkpoint learned from other data, see gen/runs/identity.py. command: the
    command line, for the model card; "": there is none. member: which processes train together; None: this one alone.
    log_to: "package.module:function" that is told what is logged, see docs/runs.md. profile: first and last step of a
    trace in the folder `profile` of the run.

    Returns the exit code: 0 finished, 1 stopped at a quantity that is not finite, 74 stopped as the disk or the run
    folder failed, 130 after Ctrl-C, 143 after SIGTERM. Ends the process with 75 when another one is lost, or a step
    takes longer than config.max_step_seconds. Raises InputError for what the person who runs it can mend, one
    of which is that another process trains in `workdir`; OSError when the disk fails before the first step.
    """
    logging.basicConfig(format="gen: %(message)s")
    devices.tune_allocator()
    processes.join(member)
    RunFolder(workdir).refuse_links()
    with (
        interrupts() as stop,
        Watch(hung=config.max_step_seconds) as watch,
        RunLock(workdir, holds=jax.process_index() == 0) as lock,
    ):
        stop.before_exit = watch.before_exit = lock.release
        traced = None if profile is None else Profile(RunFolder(workdir).path / "profile", *profile)
        code = _train(config, workdir, stop, watch, accept_changed_data, command, log_to, traced)
        if code == STORAGE_FAILED:
            watch.ends_all(code, "its disk or the run folder failed")
        return code


def _train(
    config: Config,
    workdir: Path,
    stop: Interrupt,
    watch: Watch,
    accept_changed_data: bool,
    command: str,
    log_to: str,
    profile: Profile | None,
) -> int:
    """Trains in a folder whose lock is held."""
    mesh = devices.mesh(config.mesh.data, config.mesh.fsdp)
    devices.check_batch(config.batch_size, mesh, parts=config.accumulate)
    source: DatasetSplits = build(config.data, "data")
    processes.meet("data")  # one may have decoded or copied for long
    task: Task = build_task(config, source.image_shape, source.num_classes, source.caption_length)
    folder = RunFolder(workdir)
    begun = identity.begin(folder, config, data_metadata(source), accept_changed_data=accept_changed_data)
    if jax.process_index() == 0 and (line := quick_audit.line(source.metadata, source.name)):
        cli.say(line)
    marks = {"identity": begun.identity, "notes": begun.notes}
    images = config.batch_size * task.real_images_per_sample
    loader = DeviceLoader(
        BatchSampler(source.train, images, config.seed, caption_length=getattr(task, "caption_length", 0)), mesh
    )
    with jax.set_mesh(mesh), Checkpoints(folder.checkpoints, keep=config.keep_checkpoints, **marks) as checkpoints:
        state, start = restore_or_init(task, config, mesh, checkpoints)
        program = by_seed.compiled(task, mesh) if task.can_sample else None  # for previews and measurements
        evaluate = evaluator(config, task, source, mesh, workdir, start, program=program)
        if jax.process_index() == 0:
            identity.write(folder, config, begun)
        monitor = Monitor(config, workdir, begun.facts, source, task, mesh, start, log_to=log_to, program=program)
        run = _Run(config, task, mesh, loader, checkpoints, evaluate, monitor, stop, watch, profile)
        try:
            status, code = _loop(run, state, start)
        except (NonFiniteError, OSError) as error:
            status, code = _stopped(error, folder, checkpoints)
        finally:
            if profile is not None and not profile.close():
                monitor.say("--profile: none of these steps was trained now, and nothing was traced")
        monitor.close(status)
        if jax.process_index() == 0 and folder.config.exists():
            _describe(folder, mesh, start, status, command)
    return code


def _describe(folder: RunFolder, mesh: Mesh, start: int, status: str, command: str) -> None:
    """Records what trained from `start` on, and writes the cards of the run; training has ended well or not already."""
    reached = digests.steps(folder.checkpoints)
    if not reached:
        return
    kind = mesh.devices.flat[0].device_kind
    session = Session(
        first_step=start,
        last_step=reached[-1],
        devices=f"{mesh.size} x {kind}" + (f" ({os.cpu_count()} cores)" if kind == "cpu" else ""),
        software=provenance.software(),
        command=command,
        ended=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        status=status,
    )
    try:
        if reached[-1] > start:
            sessions.append(folder, session)
        cards.renew(folder.path)
    except OSError as error:
        cli.say(f"{storage_fault(error)}; the cards of the run are not written")


class _Run(NamedTuple):
    """What the loop works with."""

    config: Config
    task: Task
    mesh: Mesh
    loader: DeviceLoader
    checkpoints: Checkpoints
    evaluate: Evaluator | NoEvaluator
    monitor: Monitor
    stop: Interrupt
    watch: Watch
    profile: Profile | None


def _loop(run: _Run, state: TrainState, start: int) -> tuple[str, int]:
    """Steps from `start` to the end; returns the status for the report and the exit code."""
    config, task, mesh, loader, checkpoints, evaluate, monitor, stop, watch, profile = run
    total = config.total_steps
    if start >= total:
        monitor.say(f"nothing to do: step {start} of {total} is done; raise --config.total_images to go on")
        return "finished", 0
    evaluate.check(state.ema_params)
    checkpoints.best = evaluate.best_step
    monitor.say(f"{config_line(config, mesh)}; compiling")
    began = time.monotonic()
    train_step = compile_step(task, config, mesh, state, loader(start))
    monitor.say(f"compiled in {time.monotonic() - began:.0f} s")
    evaluate.begin(time.monotonic() - began)
    processes.meet("compiled")
    monitor.begin(state, start)
    began, unsaved = time.monotonic(), start == 0
    counted = flops(train_step) if config.accumulate == 1 else None  # else as if there were one part
    usage = Usage(counted, mesh.devices.flat[0].device_kind)
    pending, skips = deque[Metrics](), Skips(config.max_skipped)
    for step in range(start + 1, total + 1):
        watch.alive()
        usage.step()
        if profile is not None:
            profile.before(step)
        with usage.waiting():
            batch = loader(step - 1)
        state, metrics = train_step(state, batch)
        stop.saves = True
        pending.append(metrics)
        if len(pending) > _IN_FLIGHT:
            jax.block_until_ready(pending[-1 - _IN_FLIGHT])
        code = stop.exit_code(step % config.log_every == 0)
        last = step == total or code != 0
        log, preview, save = (
            last or step % every == 0 for every in (config.log_every, config.preview_every, config.checkpoint_every)
        )
        save = save or (unsaved and _first_save_due(config, step, began))
        measure, for_best = evaluate.due(step, total), False
        if profile is not None and profile.after(step, metrics):
            monitor.say(f"traced steps to {step}: tensorboard --logdir {profile.folder}, with the extra profile")
        if log or preview or save or measure:
            jax.block_until_ready(metrics)
            watch.pause()  # what the run writes and measures may take longer than a step
            usage.pause()
            try:
                averages = skips.average(pending, step)
            except NonFiniteError:
                checkpoints.wait()
                newer = skips.first - 1 > max(checkpoints.steps(), default=0)
                if processes.of_first(newer):  # what was learned before is good
                    checkpoints.save(step, state)
                raise
            if measure:
                _require_finite(state, step)
                averages |= evaluate(state.ema_params, step, total)
                for_best = not save and evaluate.best_step == step
            monitor.log(step, averages, usage.measure() if log else {})
        if preview:
            monitor.preview(state, step)
        if save or for_best:
            saving = time.monotonic()
            _require_finite(state, step)
            checkpoints.best = evaluate.best_step
            checkpoints.save(step, state)
            evaluate.remember()
            evaluate.charge(time.monotonic() - saving if for_best else 0.0)
            unsaved = False
        usage.resume()
        if last:
            checkpoints.wait()
            return ("interrupted", code) if code else ("finished", 0)
    raise AssertionError("unreachable: the last step returns")


def _stopped(error: NonFiniteError | OSError, folder: RunFolder, checkpoints: Checkpoints) -> tuple[str, int]:
    """Returns the status and the exit code after an error, with the newest checkpoint that is left."""
    code = 1 if isinstance(error, NonFiniteError) else STORAGE_FAILED
    try:
        checkpoints.wait()
    except OSError as another:  # the last save, beside what ended the loop
        error = another
    if not folder.config.exists():
        return f"stopped: {folder.path}: {GONE}", STORAGE_FAILED
    saved = checkpoints.steps()
    told = storage_fault(error) if isinstance(error, OSError) else error
    return f"stopped: {told}; newest checkpoint: {saved[-1] if saved else 'none'}", code


def _first_save_due(config: Config, step: int, began: float) -> bool:
    """Returns whether a run without a checkpoint is due for one. Several processes decide at steps where all log."""
    due = time.monotonic() - began >= FIRST_SAVE_SECONDS
    if jax.process_count() == 1:
        return due
    if step % config.log_every:
        return False
    return bool(multihost_utils.process_allgather(np.array(due)).all())


def config_line(config: Config, mesh: Mesh) -> str:
    """Describes what runs where, in one line."""
    kind = mesh.devices.flat[0].device_kind
    shape = f"{mesh.shape['data']} data x {mesh.shape['fsdp']} fsdp"
    return (
        f"config {digest(config)[:12]}, {mesh.size} x {kind} ({shape}), "
        f"{config.total_steps:,} steps of {config.batch_size} images"
    )


def restore_or_init(task: Task, config: Config, mesh: Mesh, checkpoints: Checkpoints) -> tuple[TrainState, int]:
    """Restores the newest valid checkpoint, or initializes the state with the weights that `init_from` names.

    Returns it, on the devices of `mesh`, and its step.
    """
    key = jax.random.key(config.seed)
    shapes = abstract(task)
    shardings = devices.state_sharding(mesh, shapes)
    placed = jax.tree.map(lambda leaf, s: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=s), shapes, shardings)
    restored = checkpoints.restore(placed)
    if restored is not None:
        return restored
    return init_from_runs(jax.jit(task.init, out_shardings=shardings)(key), config.init_from), 0


def make_step(task: Task, config: Config) -> Step:
    """Makes the pure function that the loop compiles: uint8 batch to [0, 1], mirrored if asked for, the task's step.

    Its randomness is a function of (seed, step). A step whose metrics or parameters are not finite changes nothing but
    the number of the step; the metric SKIPPED, 1 then, 0 else, says so.
    """

    def step(state: TrainState, batch: Mapping[str, jax.Array]) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(jax.random.key(config.seed), state.step)
        image = batch["image"].astype(jnp.float32) / 255
        if config.mirror:
            flip = devices.constrain(jax.random.bernoulli(jax.random.fold_in(key, 1), shape=image.shape[:1]))
            image = jnp.where(flip[:, None, None, None], image[:, :, ::-1], image)
        with accumulating(config.accumulate):
            stepped, metrics = task.step(state, {**batch, "image": image}, jax.random.fold_in(key, 2))
        leaves = jax.tree.leaves((stepped.params, stepped.opt_state))
        checked = (*metrics.values(), *(leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.inexact)))
        finite = jnp.stack([jnp.isfinite(value).all() for value in checked]).all()
        kept = jax.tree.map(lambda new, old: jnp.where(finite, new, old), stepped, state)
        return kept.replace(step=stepped.step), {**metrics, SKIPPED: 1.0 - finite}

    return step


def compile_step(task: Task, config: Config, mesh: Mesh, state: TrainState, batch: Batch) -> Any:
    """Compiles the step for `mesh`. It donates the state: the old one is gone after the call."""
    state_shardings = jax.tree.map(lambda leaf: leaf.sharding, state)
    jitted = jax.jit(
        make_step(task, config),
        in_shardings=(state_shardings, devices.batch_sharding(mesh)),
        out_shardings=(state_shardings, NamedSharding(mesh, P())),
        donate_argnums=0,
    )
    return jitted.lower(state, batch).compile(devices.training_options())


@jax.jit
def _finite(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.isfinite(leaf).all(), tree)


def _require_finite(state: TrainState, step: int) -> None:
    """Raises NonFiniteError unless the state is finite, which metrics would show only one step later."""
    for path, finite in jax.tree.leaves_with_path(jax.device_get(_finite(state))):
        if not finite:
            raise NonFiniteError(f"step {step}: {jax.tree_util.keystr(path, simple=True, separator='/')} is not finite")
