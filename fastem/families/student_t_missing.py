"""T components for rows with missing values, made from the family for complete rows.

Squared distances for full and tied scale matrices are computed row by row, or pattern by pattern, as for normal
components, see `fastem.families.incomplete`; those for diagonal matrices cell by cell, see `fastem.families.cells`.
`fastem.kernels.student_t_missing` computes t densities from the distances.
"""

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np

from fastem.families import _cells, _gaussian, _incomplete
from fastem.families._arithmetic import product
from fastem.families._contract import Family, Float, Params, PatternAlgebra
from fastem.families._student_t import components_of
from fastem.families._student_t_missing import (
    OnePattern,
    Partial,
    PatternFactors,
    expand,
    factors,
    marginal,
    normalisers,
)
from fastem.kernels.incomplete import add_statistics, load_errors, log_levels
from fastem.kernels.jit import inlined
from fastem.kernels.posterior import active_vectors
from fastem.kernels.student_t_missing import (
    OWN_ROWS,
    count_values,
    log_densities,
    log_levels_of_cells,
    n_sums,
    parts,
    shared_moments,
    weigh_parts,
)

# Parameters beside those of normal components: 1 / df, or 0; minus half the degrees of freedom; log-densities at the
# centre less the normal ones, by number of observed values; expected logarithm of the latent weight of a complete row
# at the centre
OWN = ("inverse_df", "exponent", "normaliser", "log_weight")
MatrixParams = namedtuple("MatrixParams", (*_incomplete.IncompleteParams._fields, *OWN))  # type: ignore[misc]
CellParams = namedtuple("CellParams", (*_cells.CellParams._fields, *OWN))  # type: ignore[misc]


@inlined
def log_prob(params, tile, scratch, out):  # type: ignore[no-untyped-def]
    """Component log-densities of a tile, without powers of 2 pi; `scratch` keeps what `accumulate` needs."""
    halves, logarithms, _, _, values, _, rest = parts(scratch, out.shape[0])
    count_values(tile, values)
    log_levels(params, tile, rest, halves, out)
    log_densities(params, values, halves, logarithms, out)


@inlined
def accumulate(params, tile, weight, resp, mass, scratch, stats):  # type: ignore[no-untyped-def]
    """Sums of `incomplete` with latent weights of the rows, then those of `student_t_missing.weigh_parts`."""
    n_components, n_own = resp.shape[0], n_sums(tile.shape[0])
    first = stats.size - n_components * n_own
    weigh_parts(params, tile, resp, mass, scratch, stats[first:].reshape(n_components, n_own))
    _, _, whole, _, _, _, rest = parts(scratch, n_components)
    add_statistics(params, tile, resp, whole, mass, rest, stats[:first])


@inlined
def log_prob_of_cells(params, tile, scratch, out):  # type: ignore[no-untyped-def]
    """`log_prob` for diagonal scale matrices."""
    halves, logarithms, _, _, values, _, _ = parts(scratch, out.shape[0])
    count_values(tile, values)
    log_levels_of_cells(
        params.inverse_deviation, params.offset, params.log_scale, params.log_constant, tile, halves, out
    )
    log_densities(params, values, halves, logarithms, out)


@inlined
def accumulate_cells(params, tile, weight, resp, mass, scratch, stats):  # type: ignore[no-untyped-def]
    """Per component: mass and weighted first and second moments (d,) of observed cells, then sums of `weigh_parts`."""
    n_components, n_features, n_own = resp.shape[0], tile.shape[0], n_sums(tile.shape[0])
    last = 3 * n_components * n_features
    weigh_parts(params, tile, resp, mass, scratch, stats[last:].reshape(n_components, n_own))
    _, _, whole, _, _, vectors, _ = parts(scratch, n_components)
    places = vectors.view(np.int64)
    for k in range(n_components):
        active = places[: active_vectors(resp[k], mass[k], places)]
        if active.size > 0:
            shared_moments(resp[k], whole[k], active, tile, params.centres[k], 3 * k * n_features, stats)


def prepare_matrices(params: Params, rows: Any) -> Params:
    """Parameters of the passes for rows like `rows`, full and tied scale matrices."""
    return _prepared(MatrixParams, _incomplete.prepare(params, rows), params)


def prepare_cells(params: Params, rows: Any) -> Params:
    """Parameters of the passes for diagonal scale matrices."""
    return _prepared(CellParams, _cells.prepare(params, rows), params)


def _prepared(kind: Callable[..., Any], of_normal: Params, params: Params) -> Params:
    exponent = np.where(params.degrees > 0.0, -0.5 * params.degrees, 0.0)
    return kind(*of_normal, params.inverse_df, exponent, normalisers(params), params.log_weight)


def vary(base: Family) -> Family:
    """The variation of a family of t components for rows with missing values."""
    _, form, degrees = base.name.split("-")
    partial = Partial(components_of(form, degrees), base)
    varied = base._replace(
        name=f"{base.name}.student_t_missing",
        kernels_of=f"{base.kernel_key}.student_t_missing",
        n_stats=partial.n_stats,
        m_step=partial.m_step,
        shift=partial.shift,
        expected=partial.expected,
        embed=partial.embed,
        log_base=_gaussian.log_base,
        few=None,
    )
    return _of_matrices(varied, partial) if form in ("full", "tied") else _of_cells(varied, partial)


def _of_matrices(varied: Family, partial: Partial) -> Family:
    normal = partial.components.normal

    def n_raw(n_features: int, n_components: int) -> int:
        return _incomplete.n_raw(n_features, n_components) + n_components * int(n_sums(n_features))

    def arrange(mass: Float, weights: Float, moments: tuple[Float, Float], given: PatternFactors) -> Float:
        (centres, lower), (first, excess) = given.normal, moments
        second = excess + mass[:, None, None] * product(lower, np.swapaxes(lower, 1, 2))
        assert normal.arrange is not None
        return normal.shift(weights.copy(), normal.arrange(first, second), centres, given.params.means)

    def finish(mass: Float, raw: Float, params: Params) -> Float:
        own = len(mass) * int(n_sums(params.means.shape[1]))
        total, none, counts = partial.complete(raw[-own:], params)
        given = factors(params)
        moments = arrange(mass, total[:, 0], _incomplete.expand_sums(given.normal[1], raw[:-own]), given)
        return partial.gather(moments, total, none, counts)

    def collect(mass: Float, sums: tuple[Float, ...], given: PatternFactors, params: Params) -> Float:
        first, excess, total, none, counts = sums
        return partial.gather(arrange(mass, total[:, 0], (first, excess), given), total, none, counts)

    return varied._replace(
        log_prob=log_prob,
        accumulate=accumulate,
        load_errors=load_errors,
        prepare=prepare_matrices,
        singular=_incomplete.singular,
        n_raw=n_raw,
        finish=finish,
        scratch_rows=lambda m, d, K, b: 4 * K + OWN_ROWS + _incomplete.scratch_rows(m, d, K, b),
        patterns=PatternAlgebra("student_t-full-fixed", factors, marginal, pick, expand, collect),
        single=None,
    )


def _of_cells(varied: Family, partial: Partial) -> Family:
    normal = partial.components.normal

    def n_raw(n_features: int, n_components: int) -> int:
        return n_components * (3 * n_features + int(n_sums(n_features)))

    def finish(mass: Float, raw: Float, params: Params) -> Float:
        centres, inverse = _gaussian.columns_of(params)
        first = 3 * centres.size
        total, none, counts = partial.complete(raw[first:], params)
        moments = _cells.expected_moments(mass, raw[:first], centres, inverse)
        moments = normal.shift(total[:, 0].copy(), moments, centres, params.means)
        return partial.gather(moments, total, none, counts)

    return varied._replace(
        log_prob=log_prob_of_cells,
        accumulate=accumulate_cells,
        prepare=prepare_cells,
        n_raw=n_raw,
        finish=finish,
        scratch_rows=lambda m, d, K, b: 4 * K + OWN_ROWS,
    )


@inlined
def pick(params, p):  # type: ignore[no-untyped-def]
    """Parameters of a pattern."""
    return OnePattern(
        params.means[p],
        params.lower[p],
        params.lower[p],
        params.offset[p],
        params.log_constant[p],
        params.inverse_df,
        params.exponent,
        params.log_weight,
        params.nothing,
    )
