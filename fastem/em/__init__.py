"""Expectation-maximisation: problems, starts, algorithms, and the one loop."""
