"""Benchmarks that every commit can run, for the chart of the project's history."""
