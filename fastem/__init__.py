"""Mixture models fitted by expectation-maximisation, compiled with numba."""

from fastem.gaussian_mixture import GaussianMixture
from fastem.persistence import load
from fastem.poisson_mixture import PoissonMixture

__version__ = "0.1.0"

__all__ = ["GaussianMixture", "PoissonMixture", "__version__", "load"]
