"""Host algebra of independent normal columns of which cells are missing, and of components made from them."""

from typing import Any, NamedTuple

import numpy as np

from fastem.families import _gaussian
from fastem.families._arithmetic import logarithm
from fastem.families._contract import Float, Params


class CellParams(NamedTuple):
    """What passes read of Gaussian components: each column's density by itself."""

    centres: Float  # (K, d)
    inverse_deviation: Float  # (K, d)
    offset: Float  # (K, d)
    log_scale: Float  # (K, d), logarithms of the inverse deviations
    log_constant: Float  # (K,)
    log_widths: Float  # (d,), of a background, see `fastem.families.background`


def prepare(params: Params, rows: Any) -> CellParams:
    """Gaussian columns one by one."""
    centres, inverse = _gaussian.columns_of(params)
    constant, widths = np.zeros(len(centres)), np.zeros(centres.shape[1])
    return CellParams(centres, inverse, centres * inverse, logarithm(inverse), constant, widths)


def expected_moments(mass: Float, raw: Float, centres: Float, inverse: Float) -> Float:
    """First and second moments about the means of all cells, of which missing ones have the components' variances."""
    count, first, second = np.moveaxis(raw.reshape(len(centres), 3, centres.shape[1]), 1, 0)
    missing = np.maximum(mass[:, None] - count, 0.0)
    return np.stack([first, second + missing * (1.0 / inverse) ** 2], axis=1).ravel()
