"""Mixture models fitted by expectation-maximisation, compiled with numba."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastem.data.streams import Source
    from fastem.em.algorithms import Batch, Hard, Incremental, Sparse, Stepwise, Stochastic
    from fastem.em.fixed_point import fixed_point
    from fastem.em.priors import NormalInverseWishart
    from fastem.mixtures.conversion import from_sklearn
    from fastem.mixtures.gaussian import GaussianMixture
    from fastem.mixtures.poisson import PoissonMixture
    from fastem.persistence.checkpoint import Checkpoint
    from fastem.persistence.models import load

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
    "from_sklearn",
    "load",
]

# The estimators bring scikit-learn with them, which takes a second: the command line's help need not wait for that.
_HOMES = {
    "Checkpoint": "fastem.persistence.checkpoint",
    "GaussianMixture": "fastem.mixtures.gaussian",
    "fixed_point": "fastem.em.fixed_point",
    "from_sklearn": "fastem.mixtures.conversion",
    "PoissonMixture": "fastem.mixtures.poisson",
    "NormalInverseWishart": "fastem.em.priors",
    "load": "fastem.persistence.models",
    "Source": "fastem.data.streams",
    **dict.fromkeys(("Batch", "Hard", "Incremental", "Sparse", "Stepwise", "Stochastic"), "fastem.em.algorithms"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
