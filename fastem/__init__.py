"""Mixture models fitted by expectation-maximisation, compiled with Numba."""

__version__ = "0.1.0"
