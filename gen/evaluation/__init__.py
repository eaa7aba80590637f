"""Evaluates images: sets with their features, the metrics of them, and results that say what was measured."""

from gen.evaluation.comparison import Comparison
from gen.evaluation.evaluator import Evaluator, NoEvaluator, evaluator
from gen.evaluation.feature_sets import (
    FeatureSet,
    Reference,
    extract_features,
    folder_reference,
    random_subset,
    reference,
)
from gen.evaluation.metric_suite import GROUPS, METRICS, Metric, check_groups, measure
from gen.evaluation.results import MetricResult, compare
from gen.evaluation.samples import model_images, subject

__all__ = [
    "GROUPS",
    "METRICS",
    "Comparison",
    "Evaluator",
    "FeatureSet",
    "Metric",
    "MetricResult",
    "NoEvaluator",
    "Reference",
    "check_groups",
    "compare",
    "evaluator",
    "extract_features",
    "folder_reference",
    "measure",
    "model_images",
    "random_subset",
    "reference",
    "subject",
]
