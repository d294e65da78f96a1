"""Benchmarks of the service. Only this package imports `app` and `worker`."""
