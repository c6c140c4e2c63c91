"""Mixture models fitted by expectation-maximisation, compiled with numba."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastem.mixtures import FACES

if TYPE_CHECKING:
    from fastem.data.streams import Source
    from fastem.em.algorithms import Batch, Hard, Incremental, Sparse, Stepwise, Stochastic
    from fastem.em.fixed_point import fixed_point
    from fastem.em.priors import NormalInverseWishart
    from fastem.mixtures import *  # noqa: F403  # of the classes that FACES names
    from fastem.mixtures.conversion import from_sklearn
    from fastem.persistence.checkpoint import Checkpoint
    from fastem.persistence.models import load

__version__ = "0.1.0"

# Importing an estimator imports scikit-learn, which takes a second. The command line's help does not need it.
_HOMES = {
    "Checkpoint": "fastem.persistence.checkpoint",
    "fixed_point": "fastem.em.fixed_point",
    "from_sklearn": "fastem.mixtures.conversion",
    "NormalInverseWishart": "fastem.em.priors",
    "load": "fastem.persistence.models",
    "Source": "fastem.data.streams",
    **dict.fromkeys(("Batch", "Hard", "Incremental", "Sparse", "Stepwise", "Stochastic"), "fastem.em.algorithms"),
    **{name: f"fastem.mixtures.{face.module}" for name, face in FACES.items()},
}

__all__ = [
    "Batch",
    "Checkpoint",
    "Hard",
    "Incremental",
    "NormalInverseWishart",
    "Source",
    "Sparse",
    "Stepwise",
    "Stochastic",
    "__version__",
    "fixed_point",
    "from_sklearn",
    "load",
]
__all__ += list(FACES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
