"""The models and texts that all benchmarks measure."""
