"""The data of a run again: where they are now, and whether they are still what the run learned from."""

from __future__ import annotations

from collections.abc import Mapping

from gen.config import Spec, build
from gen.config.resolve import arguments, resolve
from gen.data import DatasetSplits
from gen.errors import InputError
from gen.runs.trained_run import TrainedRun


def load_data(run: TrainedRun, *, moved: Mapping[str, str] | None = None) -> DatasetSplits:
    """Loads the data that a run learned from.

    moved: where they are now, as other values of arguments of the data: {"path": "/new/place"}. Raises InputError for
    data that are not found, or have changed.
    """
    spec = run.config.data
    for name in moved or {}:
        if name not in (takes := arguments(resolve(spec["call"], "data")).types):
            raise InputError(f"--config.data.{name}: the data of this run take {', '.join(takes)}")
    try:
        splits: DatasetSplits = build(Spec({**spec, **(moved or {})}), "data")
    except InputError as error:
        place = next((name for name in ("path", "data_dir") if spec.get(name)), None)
        hint = f"; if the data have moved: --config.data.{place}=NEW" if place else ""
        raise InputError(f"{error}{hint}") from error
    now, then = splits.metadata.get("digest"), run.data_metadata.get("digest")
    if then and now != then:
        raise InputError(f"the data of the run have changed since (digest {str(now)[:12]}, was {str(then)[:12]})")
    return splits
