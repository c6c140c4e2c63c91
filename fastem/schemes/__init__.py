"""Schemes: what is done with the statistics. Each is a pair of functions, see `fastem.schemes.batch`."""

from fastem.schemes.batch import BATCH, Scheme, Step

__all__ = ["BATCH", "Scheme", "Step"]
