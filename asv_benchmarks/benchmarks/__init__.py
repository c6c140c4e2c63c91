"""Benchmarks of fastem, run by asv: times, memory, and the numbers that must not drift."""
