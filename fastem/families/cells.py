"""Components of independent columns, for rows in which some cells are missing.

The variation keeps the parameters, statistics and M-step of a family. A missing cell does not enter the density, and
the statistics contain its expectation under the component.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.families import _gaussian
from fastem.families._cells import expected_moments, prepare
from fastem.families._contract import Family, Float, Params
from fastem.kernels import cells
from fastem.kernels.jit import inlined
from fastem.kernels.posterior import active_vectors


@inlined
def log_prob(params, tile, scratch, out):  # type: ignore[no-untyped-def]
    """Component log-densities of a tile, without powers of 2 pi."""
    cells.log_densities(params.inverse_deviation, params.offset, params.log_scale, params.log_constant, tile, out)


@inlined
def accumulate(params, tile, weight, resp, mass, scratch, stats):  # type: ignore[no-untyped-def]
    """Per component: mass, first and second moments (d,) of the observed cells."""
    n_features = tile.shape[0]
    vectors = scratch[-1].view(np.int64)
    for k in range(resp.shape[0]):
        active = vectors[: active_vectors(resp[k], mass[k], vectors)]
        if active.size > 0:
            cells.weighted_moments(resp[k], active, tile, params.centres[k], 3 * k * n_features, stats)


class LinearCells(NamedTuple):
    """Parameters that passes read, of columns with log-densities x * natural - normaliser."""

    natural: Float  # (K, d)
    normaliser: Float  # (K, d)
    log_constant: Float  # (K,)


@inlined
def log_prob_linear(params, tile, scratch, out):  # type: ignore[no-untyped-def]
    """Component log-densities of a tile, without terms that all components have in common."""
    cells.log_counts(params.natural, params.normaliser, params.log_constant, tile, out)


@inlined
def accumulate_linear(params, tile, weight, resp, mass, scratch, stats):  # type: ignore[no-untyped-def]
    """Per component: mass and sums (d,) of the observed cells."""
    n_features = tile.shape[0]
    vectors = scratch[-1].view(np.int64)
    for k in range(resp.shape[0]):
        active = vectors[: active_vectors(resp[k], mass[k], vectors)]
        if active.size > 0:
            cells.weighted_counts(resp[k], active, tile, 2 * k * n_features, stats)


def vary(base: Family) -> Family:
    """The family for rows with missing cells."""
    names = f"{base.name}.cells", f"{base.kernel_key}.cells"
    return _vary_gaussian(base, *names) if base.linear is None else _vary_linear(base, *names)


def _vary_gaussian(base: Family, name: str, key: str) -> Family:
    def finish(mass: Float, raw: Float, params: Params) -> Float:
        centres, inverse = _gaussian.columns_of(params)
        return base.shift(mass, expected_moments(mass, raw, centres, inverse), centres, params.means)

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


def _vary_linear(base: Family, name: str, key: str) -> Family:
    of_columns, of_rows, allowed = base.linear, base.log_base, base.in_domain
    assert of_columns is not None

    def prepare(params: Params, rows: Any) -> LinearCells:
        columns = of_columns(params)
        return LinearCells(columns.natural, columns.normaliser, np.zeros_like(params.log_constant))

    def finish(mass: Float, raw: Float, params: Params) -> Float:
        count, sums = np.moveaxis(raw.reshape(len(mass), 2, -1), 1, 0)
        missing = np.maximum(mass[:, None] - count, 0.0)
        return np.asarray(sums + missing * of_columns(params).means).ravel()

    def in_domain(values: NDArray[Any]) -> NDArray[np.bool_]:
        assert allowed is not None
        with np.errstate(invalid="ignore"):
            return np.isnan(values) | allowed(values)

    def log_base(values: NDArray[Any]) -> Float:
        assert of_rows is not None
        return of_rows(np.where(np.isnan(values), 0.0, values))

    return base._replace(
        name=name,
        kernels_of=key,
        log_prob=log_prob_linear,
        accumulate=accumulate_linear,
        prepare=prepare,
        n_raw=lambda n_features, n_components: 2 * n_components * n_features,
        finish=finish,
        log_base=None if of_rows is None else log_base,
        in_domain=None if allowed is None else in_domain,
    )
