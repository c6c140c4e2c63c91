"""Schemes: how iterations use the statistics. Each is a pair of functions, see `fastem.em.algorithms.base`."""

from typing import Any

import numpy as np

from fastem.em.algorithms.accelerated import accelerate
from fastem.em.algorithms.base import Scheme, Step
from fastem.em.algorithms.batch import BATCH, Batch, Hard, Stochastic
from fastem.em.algorithms.extrapolation import METHODS
from fastem.em.algorithms.incremental import Incremental
from fastem.em.algorithms.sparse import Sparse
from fastem.em.algorithms.stepwise import Stepwise

ALGORITHMS: dict[str, Any] = {
    "em": Batch(),
    "hard": Hard(),
    "incremental": Incremental(),
    "sparse": Sparse(),
    "stepwise": Stepwise(),
    "stochastic": Stochastic(),
}
CLASSES = tuple(type(algorithm) for algorithm in ALGORITHMS.values())

__all__ = [
    "ALGORITHMS",
    "BATCH",
    "CLASSES",
    "METHODS",
    "Batch",
    "Hard",
    "Incremental",
    "Scheme",
    "Sparse",
    "Step",
    "Stepwise",
    "Stochastic",
    "make_scheme",
]


def make_scheme(algorithm: Any, acceleration: str | None, random_state: np.random.RandomState) -> Scheme:
    """Scheme of an algorithm, given by name or as an object, and an acceleration, if any.

    Raises
    ------
    ValueError
        If options of the algorithm are out of range, or acceleration is asked for another algorithm than EM.
    """
    algorithm = ALGORITHMS[algorithm] if isinstance(algorithm, str) else algorithm
    if acceleration is None:
        scheme: Scheme = algorithm.scheme(random_state)
        return scheme
    if not isinstance(algorithm, Batch):
        raise ValueError(
            f"acceleration={acceleration!r} goes with algorithm='em' only, not with {type(algorithm).__name__}"
        )
    return accelerate(acceleration)
