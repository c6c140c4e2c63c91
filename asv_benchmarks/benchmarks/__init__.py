"""Benchmarks of fastem, run by asv: times, memory, and results that must not change."""
