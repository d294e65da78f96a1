"""Benchmarks of the measurement code and of the service: `make bench`, or `python -m benchmarks --help`.

No part of the service uses this package, and the tests time nothing. Implementations that are compared run in
turns on the same texts; results are medians with quartiles. All entries go to LOG.md, favourable or not.
"""
