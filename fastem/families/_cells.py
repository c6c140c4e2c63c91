"""Host functions of independent normal columns with missing cells; t components use them too."""

from typing import Any, NamedTuple

import numpy as np

from fastem.families import _gaussian
from fastem.families._arithmetic import logarithm
from fastem.families._contract import Float, Params


class CellParams(NamedTuple):
    """Parameters that passes read, for Gaussian components whose columns are evaluated one by one."""

    centres: Float  # (K, d)
    inverse_deviation: Float  # (K, d)
    offset: Float  # (K, d)
    log_scale: Float  # (K, d), logarithms of the inverse deviations
    log_constant: Float  # (K,)
    log_widths: Float  # (d,), of a background's box, see `fastem.families.background`


def prepare(params: Params, rows: Any) -> CellParams:
    """Parameters of the passes from those of a Gaussian family."""
    centres, inverse = _gaussian.columns_of(params)
    constant, widths = np.zeros(len(centres)), np.zeros(centres.shape[1])
    return CellParams(centres, inverse, centres * inverse, logarithm(inverse), constant, widths)


def expected_moments(mass: Float, raw: Float, centres: Float, inverse: Float) -> Float:
    """Expected moments (2 K d,) of all cells about `centres` (K, d), from the sums `raw` (3 K d,) of a pass.

    Missing cells are at the component's mean in expectation, with the component's variance.
    """
    count, first, second = np.moveaxis(raw.reshape(len(centres), 3, centres.shape[1]), 1, 0)
    missing = np.maximum(mass[:, None] - count, 0.0)
    return np.stack([first, second + missing * (1.0 / inverse) ** 2], axis=1).ravel()
