"""Gaussian components whose covariances share volume, shape or orientation, as a name of three letters says.

Passes are those of spherical, diagonal, tied or full covariances. Only the M-step differs, see
`fastem.families._structures`, and users see matrices (K, d, d) for every structure.

`reg_covar` is added to the diagonal of each component's average scatter, before the structure is imposed. With a prior,
average scatter and mass of each component include those of the prior. The prior density of the covariances is the
product of one inverse-Wishart density for each component, restricted to the structure. EII, EEI and EEE have one shared
covariance and so one density. Variances (EII to VVI) have inverse-gamma densities.
"""

import functools
from typing import Any

import numpy as np

from fastem.families import _gaussian, _gaussian_parameters, _structure_host, _structures
from fastem.families._arithmetic import logarithm
from fastem.families._contract import ComponentError, Conjugate, Family, Float, Params, Prior, safe_ratio

MATRICES = "covariances", "precisions_cholesky"


def family(name: str, base: Family) -> Family:
    """The family of components with a structure such as "VEV"; `base` is the family whose passes it uses."""
    seen = base._replace(
        name=f"gaussian-{name}",
        kernels_of=base.name,
        describe=functools.partial(describe, base),
        restore=functools.partial(restore, base),
        parameters=_structure_host.parameters(name),
        complete=_gaussian_parameters.complete_matrices,
        contradiction=functools.partial(_structure_host.contradiction, name),
        host=_structure_host.host(name, base.host),
    )
    if name not in _structures.ESTIMATES:
        return seen  # EEE and structures that share nothing have the M-step of `base`
    return seen._replace(
        m_step=functools.partial(m_step, name, base),
        params_at=functools.partial(params_at, base),
        unpack=functools.partial(unpack, name, base),
        log_prior=log_prior_of_one if name in _structures.ONE else base.log_prior,
    )


def params_at(base: Family, means: Float, variances: Float | None = None) -> Params:
    """Components that share the mean of these variances, or unit variances, as every structure allows."""
    same = None if variances is None else np.broadcast_to(variances.mean(axis=0), means.shape)
    return base.params_at(means, same)


def m_step(name: str, base: Family, mass: Float, stats: Float, params: Any, prior: Prior) -> Params:
    """Means from the moments about the current means, and covariances of the structure."""
    moments = stats.reshape(len(mass), -1, params.means.shape[1])
    step = prior.step(moments[:, 0], mass, params.means)
    means = params.means + step
    if prior.keeps("covariances", 0):
        return base.restore({**base.describe(params), "means": means})
    about = stats if prior.conjugate is None else base.shift(mass, stats, params.means, means)
    second = about.reshape(moments.shape)[:, 1:]
    if name in _structures.FULL:
        covariances = _matrices(name, mass, second, (params, step), prior)
    elif name in _structures.DIAGONAL:
        covariances = _columns(name, mass, second[:, 0], (params, step), prior)
    else:
        covariances = _one(name, mass, second[:, 0], (params, step), prior)
    return complete(base, means, covariances)


def complete(base: Family, means: Float, covariances: Float) -> Params:
    """Parameters of the family `base` with factors computed from covariances (K, d, d), (K, d) or (K,)."""
    described = {"means": means, "covariances": covariances}
    assert base.complete is not None
    return base.restore(base.complete(described))


def _matrices(name: str, mass: Float, second: Float, at: tuple[Any, Float], prior: Prior) -> Float:
    """Covariances (K, d, d), from second moments about the current means, or with a prior about the new means."""
    (params, step), n_features = at, second.shape[-1]
    if prior.conjugate is None:
        averages = safe_ratio(second, mass) - step[:, :, None] * step[:, None, :]
    else:
        pull = params.means + step - prior.conjugate.mean
        scatter = second + prior.conjugate.strength * pull[:, :, None] * pull[:, None, :] + prior.conjugate.scale
        mass = mass + prior.conjugate.degrees + n_features + 2.0
        averages = scatter / mass[:, None, None]
    averages = _gaussian.symmetric(averages)
    np.einsum("kii->ki", averages)[...] += prior.reg_covar
    return _structures.FULL[name](mass / mass.sum(), averages, _gaussian.symmetric(params.covariances))


def _columns(name: str, mass: Float, second: Float, at: tuple[Any, Float], prior: Prior) -> Float:
    """Variances (K, d) of a diagonal structure, from second moments (K, d) as for `_matrices`."""
    params, step = at
    if prior.conjugate is None:
        averages = safe_ratio(second, mass) - step**2
    else:
        squares = _with_pull(second, params.means + step, prior.conjugate) + prior.conjugate.scale
        mass = mass + prior.conjugate.degrees + 3.0
        averages = squares / mass[:, None]
    return _structures.DIAGONAL[name](mass / mass.sum(), averages + prior.reg_covar, params.covariances)


def _one(name: str, mass: Float, second: Float, at: tuple[Any, Float], prior: Prior) -> Float:
    """Variances that all components share, one for each feature (K, d) or one for all features (K,)."""
    (params, step), total = at, mass.sum()
    if prior.conjugate is None:
        variances = (second - mass[:, None] * step**2).sum(axis=0) / total
        variances = variances.mean(keepdims=True) if name == "EII" else variances
    else:
        squares, total = _with_pull(second, params.means + step, prior.conjugate).sum(axis=0), total + len(mass)
        if name == "EII":
            squares, total = squares.sum(keepdims=True), total * len(squares)
        variances = (squares + prior.conjugate.scale) / (total + prior.conjugate.degrees + 2.0)
    variances = variances + prior.reg_covar
    if not (variances > 0.0).all():
        raise ComponentError(None)
    return np.resize(variances, params.covariances.shape)


def _with_pull(squares: Float, means: Float, conjugate: Conjugate) -> Float:
    """Squared residuals (K, d) of the rows plus those of the prior's mean."""
    return squares + conjugate.strength * (means - conjugate.mean) ** 2


def log_prior_of_one(params: Any, conjugate: Conjugate) -> float:
    """Log-density of the means given the variances that all components share, plus that of these variances, once."""
    inverse = params.inverse_deviation.reshape(len(params.means), -1)
    white = (params.means - conjugate.mean) * inverse
    log_determinant = np.broadcast_to(logarithm(inverse), white.shape).sum(axis=1)
    normal = _gaussian.log_normal(white, log_determinant, conjugate.strength)
    return normal + _gaussian.log_inverse_gamma(inverse[0], conjugate)


def unpack(name: str, base: Family, vector: Float, params: Any) -> Params:
    """Inverse of `base.pack`, projected to the structure.

    Acceleration combines packed parameters, and the covariances of the result need not have the structure. They are
    replaced by the structure's estimate from them, which minimises the sum of Kullback-Leibler divergences.
    """
    free = base.unpack(vector, params)
    shares = np.full(len(free.means), 1.0 / len(free.means))
    covariances, before = free.covariances, params.covariances
    if name in _structures.FULL:
        covariances, before = _gaussian.symmetric(covariances), _gaussian.symmetric(before)
    return complete(base, free.means, _structures.ESTIMATES[name](shares, covariances, before))


def describe(base: Family, params: Any) -> dict[str, Float]:
    """Means, covariances and the upper-triangular Cholesky factors of the precisions as matrices (K, d, d)."""
    described, axes = base.describe(params), base.parameters[1].axes
    matrices = {name: _as_matrices(described[name], axes, *params.means.shape) for name in MATRICES}
    return {**described, **matrices}


def restore(base: Family, described: dict[str, Float]) -> Params:
    """Inverse of `describe`; covariances are computed where they are not given."""
    axes = base.parameters[1].axes
    given = {name: _from_matrices(described[name], axes) for name in MATRICES if name in described}
    return base.restore({**described, **given})


def _as_matrices(array: Float, axes: str, n_components: int, n_features: int) -> Float:
    """Matrices (K, d, d) from variances or matrices whose axes are those of the base's parameter."""
    if axes == "dd":
        return np.repeat(array[None], n_components, axis=0)
    if axes == "kdd":
        return array
    return array.reshape(n_components, -1, 1) * np.eye(n_features)


def _from_matrices(matrices: Float, axes: str) -> Float:
    """Inverse of `_as_matrices`."""
    if axes == "kdd":
        return matrices
    if axes == "dd":
        return np.ascontiguousarray(matrices[0])
    diagonals = matrices.diagonal(0, -2, -1)
    return np.ascontiguousarray(diagonals if axes == "kd" else diagonals[:, 0])
