"""Mixture models fitted by expectation-maximisation, compiled with numba."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastem.checkpoint import Checkpoint
    from fastem.gaussian_mixture import GaussianMixture
    from fastem.iteration import fixed_point
    from fastem.persistence import load
    from fastem.poisson_mixture import PoissonMixture
    from fastem.priors import NormalInverseWishart
    from fastem.reading import Source
    from fastem.schemes import Batch, Hard, Incremental, Sparse, Stepwise, Stochastic

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "Checkpoint",
    "GaussianMixture",
    "Hard",
    "Incremental",
    "NormalInverseWishart",
    "PoissonMixture",
    "Source",
    "Sparse",
    "Stepwise",
    "Stochastic",
    "__version__",
    "fixed_point",
    "load",
]

# The estimators bring scikit-learn with them, which takes a second: the command line's help need not wait for that.
_HOMES = {
    "Checkpoint": "fastem.checkpoint",
    "GaussianMixture": "fastem.gaussian_mixture",
    "fixed_point": "fastem.iteration",
    "PoissonMixture": "fastem.poisson_mixture",
    "NormalInverseWishart": "fastem.priors",
    "load": "fastem.persistence",
    "Source": "fastem.reading",
    **dict.fromkeys(("Batch", "Hard", "Incremental", "Sparse", "Stepwise", "Stochastic"), "fastem.schemes"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
