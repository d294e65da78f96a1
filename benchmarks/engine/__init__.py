"""Benchmarks of the measurement code (`layerscope/core`)."""
