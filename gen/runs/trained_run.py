"""Trained runs: their models without their data, and their weights for other runs.

A folder by gen.export stands for the run that it was made from, see gen/runs/exported.py.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gen import cli, provenance
from gen import config as configs
from gen.config.resolve import blamed
from gen.errors import InputError, nearest
from gen.files import expand, printable
from gen.runs import best, exported, identity, leaves
from gen.runs.best import Step
from gen.runs.checkpoint import Checkpoints
from gen.runs.run_folder import RunFolder, write_json
from gen.tasks import Task
from gen.tasks.state import TrainState, Tree

__all__ = ["RunFolder", "TrainedRun", "abstract", "init_from_runs", "load", "load_role", "write_json"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedRun:
    """A run, ready to sample from."""

    config: configs.Config
    data_metadata: dict[str, Any]  # data.json
    task: Task
    ema_params: dict[str, Tree]  # role -> averaged parameters
    step: int  # of the checkpoint
    name: str = ""  # of its folder; of an exported model that of its run

    @functools.cached_property
    def weights_digest(self) -> str:
        """The digest of the averaged weights, see `leaves.weights_digest`."""
        return leaves.weights_digest(self.ema_params)

    @property
    def class_names(self) -> list[str]:
        """The name of each class that the model knows, its number where the data has no names; empty if it knows none.

        A model of labeled data may have been learned without the labels.
        """
        if jax.eval_shape(self.task.label, jax.random.key(0)[None]) is None:
            return []
        count = self.data_metadata["num_classes"]
        return list(self.data_metadata.get("class_names") or map(str, range(count)))

    def record(self, **fields: Any) -> provenance.Record:
        """Makes the record of a file by this checkpoint, with these fields but None, see `gen.provenance.record`."""
        return provenance.record(**(self._facts | fields))

    @functools.cached_property
    def _facts(self) -> dict[str, Any]:
        """What the records of all its files say."""
        return {
            "run": self.name or None,
            "experiment": self.config.experiment or None,
            "config_digest": configs.digest(self.config),
            "step": self.step,
            "weights_digest": self.weights_digest,
            "data_digest": self.data_metadata.get("digest"),
            "audit": provenance.audited(self.data_metadata),
            "software": provenance.software(jax.devices()[0].device_kind),
        }


def load(workdir: str | Path, *, step: Step = "best", mesh: Mesh | None = None) -> TrainedRun:
    """Reads a run: its config, data facts and, of the checkpoint, only the averaged weights.

    step: which checkpoint; "best": by what training measured, see gen/runs/best.py, else the newest valid one; where it
    is another one, a line says so. mesh: the devices that each get a copy of the weights; None: the default device.
    Raises InputError when there is no such folder, run, or checkpoint.
    """
    folder = RunFolder(expand(workdir))
    config, data_metadata, task = described(folder)
    ema_params = abstract(task).ema_params
    if folder.is_exported:
        found = _exported(folder, folder.weights.name, config, ema_params, step, mesh)
        return TrainedRun(config, data_metadata, task, found.tree, found.step, found.run)
    part, restored_step = _restore(folder, config, data_metadata, {"ema_params": ema_params}, step, mesh)
    return TrainedRun(config, data_metadata, task, part["ema_params"], restored_step, folder.path.resolve().name)


def load_role(place: str, *, step: Step = "best", mesh: Mesh | None = None) -> Tree:
    """Loads the weights of one role of a run, averaged if it has averages; place: RUN:ROLE. step, mesh: as in `load`.

    Raises InputError when there is no such run, checkpoint or role.
    """
    path, _, name = place.rpartition(":")
    folder = RunFolder(expand(path))
    config, data_metadata, task = described(folder)
    state = abstract(task)
    kind = "ema_params" if name in state.ema_params else "params"
    roles = getattr(state, kind)
    if name not in roles:
        known = {**state.params, **state.ema_params}
        raise InputError(f"{path} has no role '{name}'{nearest(name, known)}; it has: {', '.join(known)}")
    if folder.is_exported:
        if kind == "ema_params":
            return _exported(folder, folder.weights.name, config, state.ema_params, step, mesh).tree[name]
        file = f"{name}.safetensors"
        if file != exported.DISCRIMINATOR or not os.path.lexists(folder.path / file):
            raise InputError(f"{printable(path)} is an exported model without the weights of '{name}'; use its run")
        return _exported(folder, file, config, {name: roles[name]}, step, mesh).tree[name]
    part, _ = _restore(folder, config, data_metadata, {kind: {name: roles[name]}}, step, mesh)
    return part[kind][name]


def init_from_runs(state: TrainState, init_from: Mapping[str, str]) -> TrainState:
    """Replaces weights of `state` by those of other runs: role -> RUN:ROLE, or RUN for the role of the same name.

    Warns of a frozen role that stays random. Raises InputError for an unknown role, or weights of another shape.
    """
    for name in state.ema_params:
        if name not in state.params and name not in init_from:
            _log.warning("%s is not trained, and init_from.%s does not say from where: it is random", name, name)
    for name, text in init_from.items():
        if name not in state.params and name not in state.ema_params:
            known = {**state.params, **state.ema_params}
            raise InputError(
                f"init_from.{name}: there is no such role{nearest(name, known)}; allowed: {', '.join(known)}"
            )
        given = load_role(text if ":" in text and not expand(text).is_dir() else f"{text}:{name}")
        for kind in ("params", "ema_params"):
            roles = getattr(state, kind)
            if name in roles:
                state = state.replace(**{kind: {**roles, name: _like(roles[name], given, f"init_from.{name}={text}")}})
    return state


def _like(tree: Any, given: Any, place: str) -> Any:
    """Puts `given` on the devices of `tree`. Raises InputError, with `place`, unless both have the same leaves."""
    mine, theirs = (dict(jax.tree.leaves_with_path(t)) for t in (tree, given))
    for path in [*mine, *theirs]:
        here, there = (list(t[path].shape) if path in t else "nothing" for t in (mine, theirs))
        if here != there:
            leaf = jax.tree_util.keystr(path, simple=True, separator="/")
            raise InputError(f"{place}: {leaf} is {there} there, {here} here; give both the same network")
    return jax.tree.map(lambda old, new: jax.device_put(np.asarray(new), old.sharding), tree, given)


def described(folder: RunFolder) -> tuple[configs.Config, dict[str, Any], Task]:
    """Reads a run without its weights. Raises InputError for whatever somebody wrote there."""
    config, data_metadata = folder.read_config(), folder.read_metadata()
    folder.refuse_links()
    try:
        configs.validate(config, with_data=False)
        captions = data_metadata.get("captions", {}).get("length", 0)
        task = configs.build_task(config, tuple(data_metadata["image_shape"]), data_metadata["num_classes"], captions)
    except InputError as error:
        raise InputError(f"{printable(folder.config)}: {error}") from error
    return config, data_metadata, task


def abstract(task: Task) -> TrainState:
    """Returns the shapes of a task's state. Raises InputError where its networks cannot be made."""
    with blamed("task"):
        return cast(TrainState, jax.eval_shape(task.init, jax.random.key(0)))


def _exported(
    folder: RunFolder, file: str, config: configs.Config, part: Tree, step: Step, mesh: Mesh | None
) -> exported.Weights:
    """Reads the weights of `part` from a file of an exported model."""
    digest = configs.digest(config)
    found = exported.read(folder.path / file, _placed(part, mesh), config_digest=digest)
    if step not in ("best", "newest", found.step):
        raise InputError(f"no checkpoint {step} in {printable(folder.path)}; this exported model is of {found.step}")
    return found


def _placed(part: Tree, mesh: Mesh | None) -> Tree:
    """Returns the shapes of `part` with the devices of `mesh`, each of which gets a copy."""
    sharding = NamedSharding(mesh, PartitionSpec()) if mesh else None
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), part)


def _restore(
    folder: RunFolder,
    config: configs.Config,
    data_metadata: Mapping[str, Any],
    part: Tree,
    step: Step,
    mesh: Mesh | None,
) -> tuple[Tree, int]:
    """Restores the leaves of `part` from a checkpoint; returns them and its step."""
    with Checkpoints(folder.checkpoints, identity=identity.marks_of(config, data_metadata)) as checkpoints:
        if not checkpoints.steps():
            raise InputError(
                f"{folder.path} has no checkpoint yet; its run saves one every {config.checkpoint_every} steps"
            )
        placed, chosen = _placed(part, mesh), best.find(folder) if step == "best" else None
        if chosen is None:
            return checkpoints.restore_part(placed, step=step if isinstance(step, int) else None)
        try:
            found = checkpoints.restore_part(placed, step=chosen.step)
        except InputError as error:
            _log.warning("%s: the newest is used", error)
            return checkpoints.restore_part(placed)
        if chosen.step != (newest := checkpoints.steps()[-1]):
            where = printable(folder.path)
            cli.say(f"{where}: checkpoint {chosen.step} is used, the best by {chosen.metric}; the newest is {newest}")
        return found
