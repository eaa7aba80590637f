"""The description of a run: the Config and its components, experiment files, overrides, sweeps. Imports no jax."""

from gen.config.config import (
    FAST,
    PROVIDED,
    Config,
    EvaluationConfig,
    MeshConfig,
    MetricGroup,
    allowed,
    check_resumable,
    digest,
    from_json,
    to_json,
    validate,
    variant,
)
from gen.config.spec import Spec, build, build_task, check, spec

__all__ = [
    "FAST",
    "PROVIDED",
    "Config",
    "EvaluationConfig",
    "MeshConfig",
    "MetricGroup",
    "Spec",
    "allowed",
    "build",
    "build_task",
    "check",
    "check_resumable",
    "digest",
    "from_json",
    "spec",
    "to_json",
    "validate",
    "variant",
]
