"""Components of independent columns, for rows in which some cells are missing.

Made from a family: its parameters, statistics and M-step stay what they are. A missing cell has no part in the density,
and in the statistics it stands for what the component expects there.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.families import _gaussian
from fastem.families._arithmetic import logarithm
from fastem.families._contract import Family, Float, Params
from fastem.kernels import cells
from fastem.kernels.jit import inlined
from fastem.kernels.posterior import active_vectors


class CellParams(NamedTuple):
    """What passes read of Gaussian components: each column's density by itself."""

    centres: Float  # (K, d)
    inverse_deviation: Float  # (K, d)
    offset: Float  # (K, d)
    log_scale: Float  # (K, d), logarithms of the inverse deviations
    log_constant: Float  # (K,)
    log_widths: Float  # (d,), of a background, see `fastem.families.background`


@inlined
def log_prob(params, tile, scratch, out):  # type: ignore[no-untyped-def]
    """Component log-densities of a tile, without powers of 2 pi."""
    cells.log_densities(params.inverse_deviation, params.offset, params.log_scale, params.log_constant, tile, out)


@inlined
def accumulate(params, tile, weight, resp, mass, scratch, stats):  # type: ignore[no-untyped-def]
    """Per component: mass, first and second moments (d,) of the cells that are there."""
    n_features = tile.shape[0]
    vectors = scratch[-1].view(np.int64)
    for k in range(resp.shape[0]):
        active = vectors[: active_vectors(resp[k], mass[k], vectors)]
        if active.size > 0:
            cells.weighted_moments(resp[k], active, tile, params.centres[k], 3 * k * n_features, stats)


@inlined
def log_prob_counts(params, tile, scratch, out):  # type: ignore[no-untyped-def]
    """Component log-probabilities of a tile, without log x!."""
    cells.log_counts(params.log_rates, params.rates, params.log_constant, tile, out)


@inlined
def accumulate_counts(params, tile, weight, resp, mass, scratch, stats):  # type: ignore[no-untyped-def]
    """Per component: mass and counts (d,) of the cells that are there."""
    n_features = tile.shape[0]
    vectors = scratch[-1].view(np.int64)
    for k in range(resp.shape[0]):
        active = vectors[: active_vectors(resp[k], mass[k], vectors)]
        if active.size > 0:
            cells.weighted_counts(resp[k], active, tile, 2 * k * n_features, stats)


def prepare(params: Params, rows: Any) -> CellParams:
    """Gaussian columns one by one."""
    centres, inverse = _gaussian.columns_of(params)
    constant, widths = np.zeros(len(centres)), np.zeros(centres.shape[1])
    return CellParams(centres, inverse, centres * inverse, logarithm(inverse), constant, widths)


def prepare_counts(params: Params, rows: Any) -> Params:
    """Poisson columns one by one; nothing of a density is constant."""
    return params._replace(log_constant=np.zeros_like(params.log_constant))


def vary(base: Family) -> Family:
    """The family for rows with missing cells."""
    name, key = f"{base.name}.cells", f"{base.kernel_key}.cells"
    if base.name == "poisson":
        return base._replace(
            name=name,
            kernels_of=key,
            log_prob=log_prob_counts,
            accumulate=accumulate_counts,
            prepare=prepare_counts,
            n_raw=lambda n_features, n_components: 2 * n_components * n_features,
            finish=finish_counts,
            log_base=lambda values: _log_base_counts(base, values),
            in_domain=lambda values: np.isnan(values) | _in_domain(base, values),
        )

    def finish(mass: Float, raw: Float, params: Params) -> Float:
        centres, inverse = _gaussian.columns_of(params)
        count, first, second = np.moveaxis(raw.reshape(len(centres), 3, centres.shape[1]), 1, 0)
        missing = np.maximum(mass[:, None] - count, 0.0)
        stats = np.stack([first, second + missing * (1.0 / inverse) ** 2], axis=1).ravel()
        return base.shift(mass, stats, centres, params.means)

    return base._replace(
        name=name,
        kernels_of=key,
        log_prob=log_prob,
        accumulate=accumulate,
        prepare=prepare,
        n_raw=lambda n_features, n_components: 3 * n_components * n_features,
        finish=finish,
        log_base=_gaussian.log_base,
        few=None,
    )


def finish_counts(mass: Float, raw: Float, params: Params) -> Float:
    """Counts, and where they are missing the rates."""
    count, sums = np.moveaxis(raw.reshape(len(mass), 2, -1), 1, 0)
    missing = np.maximum(mass[:, None] - count, 0.0)
    return np.asarray(sums + missing * params.rates).ravel()


def _log_base_counts(base: Family, values: NDArray[Any]) -> Float:
    """-sum_j log x_j! of the counts that are there: 0! is 1."""
    assert base.log_base is not None
    return base.log_base(np.where(np.isnan(values), 0.0, values))


def _in_domain(base: Family, values: NDArray[Any]) -> NDArray[np.bool_]:
    assert base.in_domain is not None
    with np.errstate(invalid="ignore"):
        return base.in_domain(values)
