"""The models and the texts of the benchmarks."""
