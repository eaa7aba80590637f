"""The description of a run: the Config and its components, experiment files, overrides, sweeps. Imports no jax."""

from gen.config.config import (
    FAST,
    Config,
    EvaluationConfig,
    MeshConfig,
    MetricGroup,
    check_resumable,
    digest,
    flattened,
    from_json,
    to_json,
    validate,
    variant,
)
from gen.config.spec import Spec, build, build_task, spec

__all__ = [
    "FAST",
    "Config",
    "EvaluationConfig",
    "MeshConfig",
    "MetricGroup",
    "Spec",
    "build",
    "build_task",
    "check_resumable",
    "digest",
    "flattened",
    "from_json",
    "spec",
    "to_json",
    "validate",
    "variant",
]
