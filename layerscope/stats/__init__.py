"""Statistics over the numbers of many texts: moments, intervals, ranks, comparisons of domains.

Pure functions on arrays that use numpy, scipy and statsmodels. They know no models and no databases.
"""

CONFIDENCE = 0.95  # the level of every confidence interval
