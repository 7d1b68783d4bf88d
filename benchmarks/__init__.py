"""Benchmarks against baselines: ``python -m benchmarks KIND``."""
