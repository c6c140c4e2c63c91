"""Kernels and parameters of t components, made from those of Gaussian components."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastem.families._contract import Family, Float, Kernels
from fastem.kernels.jit import bound, inlined
from fastem.kernels.posterior import active_vectors
from fastem.kernels.student_t import N_SUMS, log_densities, weigh
from fastem.kernels.uniform import claimed

__placeholders__ = ("NormalParams", "normal", "log_prob_of_normal", "accumulate_normal", "reweigh")

# Parameters (K,) beside those of normal components: degrees of freedom, 0 if infinite and -1 before the first M-step;
# 1 / df, or 0; the exponent of the densities; expected logarithm of the latent weight of a row at the centre;
# log_constant of the normal components; zeros in place of log_constant, for kernels that compute distances only
OWN = ("degrees", "inverse_df", "exponent", "log_weight", "normal_constant", "nothing")
FULL = ("means", "covariances", "lower", "offset", "log_constant")  # of normal components
TIED = ("means", "covariances", "lower", "offset", "unit", "log_constant")
DIAG = ("means", "covariances", "inverse_deviation", "offset", "log_constant")
SPHERICAL = ("means", "centres", "covariances", "inverse_deviation", "log_constant")
FullStudent = NamedTuple("FullStudent", [(name, Float) for name in (*FULL, *OWN)])  # type: ignore[misc]
TiedStudent = NamedTuple("TiedStudent", [(name, Float) for name in (*TIED, *OWN)])  # type: ignore[misc]
DiagStudent = NamedTuple("DiagStudent", [(name, Float) for name in (*DIAG, *OWN)])  # type: ignore[misc]
SphericalStudent = NamedTuple("SphericalStudent", [(name, Float) for name in (*SPHERICAL, *OWN)])  # type: ignore[misc]


def full(p):  # type: ignore[no-untyped-def]
    """Parameters of normal components with full covariances, without constants."""
    return NormalParams(p.means, p.covariances, p.lower, p.offset, p.nothing)  # type: ignore[name-defined]  # noqa: F821


def tied(p):  # type: ignore[no-untyped-def]
    """The same with a tied covariance."""
    return NormalParams(p.means, p.covariances, p.lower, p.offset, p.unit, p.nothing)  # type: ignore[name-defined]  # noqa: F821


def diag(p):  # type: ignore[no-untyped-def]
    """The same with diagonal covariances."""
    return NormalParams(p.means, p.covariances, p.inverse_deviation, p.offset, p.nothing)  # type: ignore[name-defined]  # noqa: F821


def spherical(p):  # type: ignore[no-untyped-def]
    """The same with spherical covariances."""
    return NormalParams(p.means, p.centres, p.covariances, p.inverse_deviation, p.nothing)  # type: ignore[name-defined]  # noqa: F821


class Shape(NamedTuple):
    """Class of the parameters of t components of one form, and templates of its kernels.

    `normal` converts them to parameters of normal components. `reweigh` updates the rows' weights (b,) after the
    responsibilities have been multiplied by latent weights.
    """

    params: Callable[..., Any]
    normal: Callable[..., Any]
    reweigh: Callable[..., Any]


@inlined
def not_read(resp, weight):  # type: ignore[no-untyped-def]
    """Do not update the rows' weights, because normal components of this form do not read them."""


SHAPES = {
    "full": Shape(FullStudent, full, not_read),
    "tied": Shape(TiedStudent, tied, claimed),
    "diag": Shape(DiagStudent, diag, not_read),
    "spherical": Shape(SphericalStudent, spherical, not_read),
}


def log_prob(params, tile, scratch, out):  # type: ignore[no-untyped-def]
    """Component log-densities of a tile; `scratch` keeps distances and logarithms for `accumulate`."""
    n_components = out.shape[0]
    halves, logarithms = scratch[:n_components], scratch[n_components : 2 * n_components]
    log_prob_of_normal(normal(params), tile, scratch[2 * n_components :], halves)  # type: ignore[name-defined]  # noqa: F821
    log_densities(params.inverse_df, params.exponent, params.log_constant, halves, logarithms, out)


def accumulate(params, tile, weight, resp, mass, scratch, stats):  # type: ignore[no-untyped-def]
    """Moments of normal components with latent weights of the rows, then seven sums for each component."""
    n_components = resp.shape[0]
    halves, logarithms = scratch[:n_components], scratch[n_components : 2 * n_components]
    rest = scratch[2 * n_components :]
    first = stats.size - N_SUMS * n_components
    vectors = rest[-1].view(np.int64)
    for k in range(n_components):
        active = vectors[: active_vectors(resp[k], mass[k], vectors)]
        sums = stats[first + N_SUMS * k : first + N_SUMS * (k + 1)]
        weigh(params.inverse_df, params.log_weight, k, tile.shape[0], active, halves, logarithms, resp, sums)
    reweigh(resp, weight)  # type: ignore[name-defined]  # noqa: F821
    accumulate_normal(normal(params), tile, weight, resp, mass, rest, stats[:first])  # type: ignore[name-defined]  # noqa: F821


def kernels_from(shape: Shape, normal: Family) -> tuple[Kernels, Kernels | None]:
    """Kernels of t components from those of normal components, and those for few columns or None."""
    params = bound(shape.normal, {"NormalParams": params_of(normal)})

    def of(kernels: Kernels | Family) -> Kernels:
        own = {"normal": params, "reweigh": shape.reweigh}
        return Kernels(
            bound(log_prob, {"log_prob_of_normal": kernels.log_prob, **own}),
            bound(accumulate, {"accumulate_normal": kernels.accumulate, **own}),
        )

    return of(normal), None if normal.few is None else of(normal.few)


def params_of(family: Family) -> Callable[..., Any]:
    """The class of a family's parameters."""
    return type(family.params_at(np.zeros((1, 1))))
