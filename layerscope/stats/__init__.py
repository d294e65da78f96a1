"""Statistics over the numbers of many texts: moments, intervals, ranks, comparisons of domains.

Pure functions on arrays, with numpy, scipy and statsmodels. They import neither models nor databases.
"""

CONFIDENCE = 0.95  # level of every interval
