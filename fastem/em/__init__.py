"""Expectation-maximisation: problems, starts, algorithms, and the loop that runs them."""
