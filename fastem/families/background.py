"""A family with a background: one more component, the last, whose density is the same everywhere.

It models outliers as a Poisson process of constant intensity: J. D. Banfield and A. E. Raftery (1993), Model-based
Gaussian and non-Gaussian clustering, Biometrics 49, 803-821; C. Fraley and A. E. Raftery (2002), Model-based
clustering, discriminant analysis, and density estimation, Journal of the American Statistical Association 97, 611-631.

Parameters are those of the family, except that `log_constant` (K + 1,) has the background's log-density as its last
entry. So passes add the logarithm of its weight there, as for any component. It has no statistics beside its mass.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastem.families._contract import Conjugate, Family, Float, Kernels, Params, Prior
from fastem.families._parameters import LOG_DENSITY, Parameter
from fastem.kernels.jit import bound
from fastem.kernels.uniform import claimed, log_density, log_density_of_parts

VOLUME = (
    "a background whose volume is a number cannot be divided between the values that a row has and those that are "
    "missing: use background=True, whose box has a width for each column"
)
__placeholders__ = ("log_prob_of_others", "accumulate_others")


def log_prob(params, tile, scratch, out):  # type: ignore[no-untyped-def]
    """Component log-densities of a tile."""
    last = out.shape[0] - 1
    log_prob_of_others(params, tile, scratch, out[:last])  # type: ignore[name-defined]  # noqa: F821
    log_density(params.log_constant, last, out)


def accumulate(params, tile, weight, resp, mass, scratch, stats):  # type: ignore[no-untyped-def]
    """Statistics of the other components; the weight of a row is the sum of their responsibilities for it."""
    last = resp.shape[0] - 1
    claimed(resp[:last], weight)
    accumulate_others(params, tile, weight, resp[:last], mass[:last], scratch, stats)  # type: ignore[name-defined]  # noqa: F821


def log_prob_of_parts(params, tile, scratch, out):  # type: ignore[no-untyped-def]
    """`log_prob` for rows with missing values or errors."""
    last = out.shape[0] - 1
    log_prob_of_others(params, tile, scratch, out[:last])  # type: ignore[name-defined]  # noqa: F821
    log_density_of_parts(params.log_constant, params.log_widths, last, tile, out)


def surround(params: Params, log_density: Any) -> Params:
    """Parameters with a background of this log-density, from parameters with or without a background."""
    others = params.log_constant[: len(params.means)]
    return params._replace(log_constant=np.append(others, log_density))


def others_of(params: Params) -> Params:
    """The parameters without the background."""
    return params._replace(log_constant=params.log_constant[:-1])


def vary(family: Family) -> Family:
    """A family of K + 1 components: the first K are of `family`, and the last is a background.

    Numbers of components include the background, and it is the last component of every selection.
    """
    evaluate = log_prob if family.prepare is None else log_prob_of_parts
    return family._replace(
        name=f"{family.name}.background",
        kernels_of=f"{family.kernel_key}.background",
        background=True,
        **_beside(Kernels(family.log_prob, family.accumulate), evaluate)._asdict(),
        few=None if family.few is None else _beside(family.few, evaluate),
        n_stats=lambda n_features, n_components: family.n_stats(n_features, n_components - 1),
        parameters=(*family.parameters, Parameter("background_log_density", "", LOG_DENSITY)),
        params_at=lambda means, variances=None: surround(family.params_at(means, variances), 0.0),
        shift=lambda mass, stats, means, to: family.shift(mass[:-1], stats, means, to),
        expected=_expected(family),
        m_step=_m_step(family),
        select=_select(family),
        change=_change(family),
        embed=_embed(family),
        pack=lambda params: family.pack(others_of(params)),
        unpack=lambda vector, params: surround(family.unpack(vector, others_of(params)), params.log_constant[-1]),
        describe=lambda params: {
            **family.describe(others_of(params)),
            "background_log_density": params.log_constant[-1],
        },
        log_prior=_log_prior(family),
        restore=lambda described: surround(family.restore(described), described["background_log_density"]),
        prepare=None if family.prepare is None else _prepare(family),
        n_raw=None if family.n_raw is None else _n_raw(family),
        finish=None if family.finish is None else _finish(family),
        patterns=None,
    )


def _beside(others: Kernels, evaluate: Callable[..., None]) -> Kernels:
    """Kernels of the background together with those of the other components."""
    return Kernels(
        bound(evaluate, {"log_prob_of_others": others.log_prob}),
        bound(accumulate, {"accumulate_others": others.accumulate}),
    )


def _prepare(family: Family) -> Callable[[Params, Any], Params]:
    of_others = family.prepare
    assert of_others is not None

    def prepare(params: Params, rows: Any) -> Params:
        prepared = of_others(others_of(params), rows)
        log_constant = np.append(prepared.log_constant, params.log_constant[-1])
        return prepared._replace(log_constant=log_constant, log_widths=_log_widths(rows))

    return prepare


def _log_widths(rows: Any) -> Float:
    """Logarithms (m,) of the widths of the box, to marginalise the background over missing values.

    They are zeros if no value is missing: then only the powers of 2 pi matter that the other components leave out.
    """
    if rows.projection.shape[0] > 0:
        raise ValueError("a background takes no projections: its density is that of features, not of their projections")
    if rows.log_widths.size:
        return np.array(rows.log_widths[0], dtype=np.float64)
    if np.isnan(rows.values).any():
        raise ValueError(VOLUME)
    return np.zeros(rows.values.shape[1])


def _n_raw(family: Family) -> Callable[[int, int], int]:
    of_others = family.n_raw
    assert of_others is not None
    return lambda n_features, n_components: of_others(n_features, n_components - 1)


def _finish(family: Family) -> Callable[[Float, Float, Params], Float]:
    of_others = family.finish
    assert of_others is not None
    return lambda mass, raw, params: of_others(mass[:-1], raw, others_of(params))


def _expected(family: Family) -> Callable[[Float, Float, Params], float]:
    def expected(mass: Float, stats: Float, params: Params) -> float:
        others = family.expected(mass[:-1], stats, others_of(params))
        return others + float(mass[-1] * params.log_constant[-1])

    return expected


def _m_step(family: Family) -> Callable[[Float, Float, Params, Prior], Params]:
    def m_step(mass: Float, stats: Float, params: Params, prior: Prior) -> Params:
        with np.errstate(invalid="ignore", divide="ignore"):  # if all rows belong to the background
            others = family.m_step(mass[:-1], stats, others_of(params), prior)
        return surround(others, params.log_constant[-1])

    return m_step


def _log_prior(family: Family) -> Callable[[Params, Conjugate], float] | None:
    of_others = family.log_prior
    return None if of_others is None else lambda params, conjugate: of_others(others_of(params), conjugate)


def _change(family: Family) -> Callable[[Params, Params], float]:
    return lambda before, after: family.change(others_of(before), others_of(after))


def _select(family: Family) -> Callable[[Params, Any], Params]:
    def select(params: Params, components: Any) -> Params:
        return surround(family.select(others_of(params), components[:-1]), params.log_constant[-1])

    return select


def _embed(family: Family) -> Callable[[Float, Any, Float, int, int], None]:
    def embed(some: Float, components: Any, stats: Float, n_features: int, n_components: int) -> None:
        if len(components) > 1:
            family.embed(some, components[:-1], stats, n_features, n_components - 1)

    return embed
