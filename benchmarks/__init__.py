"""What the engine costs, and what it saves: `make bench`, or `python -m benchmarks --help`.

Nothing here is part of the service, and nothing here is timed by the tests. Everything that is compared runs
interleaved, on the same texts, and is reported as medians with quartiles; entries go to LOG.md, good or bad.
"""
