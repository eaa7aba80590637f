"""How good and how varied images are: sets with features, all metrics of them, cards that say what was measured."""

from gen.evaluation.comparison import Question
from gen.evaluation.evaluator import Best, Evaluator, NoEvaluator, evaluator
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
from gen.evaluation.samples import about, made_images

__all__ = [
    "GROUPS",
    "METRICS",
    "Best",
    "Evaluator",
    "FeatureSet",
    "Metric",
    "MetricResult",
    "NoEvaluator",
    "Question",
    "Reference",
    "about",
    "check_groups",
    "compare",
    "evaluator",
    "extract_features",
    "folder_reference",
    "made_images",
    "measure",
    "random_subset",
    "reference",
]
