"""How good and how varied images are: sets with features, all metrics of them, cards that say what was measured."""

from gen.quality.board import GROUPS, METRICS, Metric, check_groups, measure
from gen.quality.cards import Card, compare
from gen.quality.comparison import Question
from gen.quality.made import about, made_images
from gen.quality.sets import Images, Reference, described, folder_reference, part, reference
from gen.quality.watch import Best, NoWatch, Watch, watch_of

__all__ = [
    "GROUPS",
    "METRICS",
    "Best",
    "Card",
    "Images",
    "Metric",
    "NoWatch",
    "Question",
    "Reference",
    "Watch",
    "about",
    "check_groups",
    "compare",
    "described",
    "folder_reference",
    "made_images",
    "measure",
    "part",
    "reference",
    "watch_of",
]
