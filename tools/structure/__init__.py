"""Computes the limits of docs/architecture.md from the source code and reports violations.

Run it with `make structure` or `python -m tools.structure`. It needs only the standard library.
"""
