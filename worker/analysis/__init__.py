"""What can be said of many texts' numbers: intervals, ranks, comparisons of domains.

Pure functions on arrays, with numpy, scipy and statsmodels; they know neither models nor databases.
"""

from worker.analysis.comparison import Difference, Sample, paired, sample_of, welch
from worker.analysis.corrections import benjamini_hochberg, holm
from worker.analysis.estimators import ESTIMATORS
from worker.analysis.intervals import BEYOND, bca_interval
from worker.analysis.length import Adjusted, adjusted, adjusted_paired
from worker.analysis.ranks import Ranks, TextGroups

__all__ = [
    "BEYOND",
    "ESTIMATORS",
    "Adjusted",
    "Difference",
    "Ranks",
    "Sample",
    "TextGroups",
    "adjusted",
    "adjusted_paired",
    "bca_interval",
    "benjamini_hochberg",
    "holm",
    "paired",
    "sample_of",
    "welch",
]
