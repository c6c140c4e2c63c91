"""One step of EM in extended precision, for Gaussian and Poisson families and all annotations of rows.

It shares no code with fastem. A row is x = R v + error, as in `reference_incomplete`: v is drawn from the mixture, R is
the row's projection and S the covariance of its error. With T = R V R' + S and its Cholesky factor C, the density of x
and the conditional mean b and covariance B of v are, for each row and each component with mean m and covariance V,

    log N(x; R m, T) = -(e'e + log det T + p log 2 pi) / 2,   e = C^-1 (x - R m)
    b = m + G' e,   B = V - G' G,   G = C^-1 R V

where p is the number of observed values. A missing value has zeros in its row of R and a one on the diagonal of T, so
that it does not change the other values. Complete rows have R = I and S = 0, which leaves b = x and B = 0.

All covariances are matrices (K, d, d) here, and arrays that all rows share have a leading axis of length one.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammaln, multigammaln

L = np.longdouble
PI = 4 * np.arctan(L(1))
MANY = 20  # counts above which the next term of Stirling's series is below 1e-14


@dataclass(frozen=True)
class Rows:
    values: np.ndarray  # (n, m), NaN where missing
    weights: np.ndarray  # (n,)
    plausible: np.ndarray  # (n or 1, number of components), which multiplies the densities
    noise: np.ndarray  # (n or 1, m, m)
    projection: np.ndarray  # (n or 1, m, d)
    log_widths: np.ndarray | None = None  # (m,), of a background's box


@dataclass(frozen=True)
class Mixture:
    """`means` are the rates of "poisson", which has no covariances. A background has an additional last weight."""

    family: str
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray | None = None


@dataclass(frozen=True)
class Conjugate:
    """A normal-inverse-Wishart prior, whose scale is a matrix (d, d) in all families."""

    mean: np.ndarray
    strength: float
    degrees: float
    scale: np.ndarray


@dataclass(frozen=True)
class Knowledge:
    """Priors of an M-step, and by name the masks `fixed` of components that keep their parameters."""

    fixed: dict
    reg_covar: float = 0.0
    concentration: np.ndarray | float = 1.0
    conjugate: Conjugate | None = None


def step(rows, mixture, known, hard=False):
    """The bound at a mixture per unit of weight, the next mixture, and the share of the rows of each component."""
    joint = log_joint(rows, mixture) + _log(rows.plausible)
    log_density = joint.max(axis=1) if hard else log_sum(joint)
    counted = rows.weights > 0
    total = rows.weights.sum()
    bound = (rows.weights * log_density)[counted].sum() / total + log_prior(mixture, known) / total
    chosen = np.eye(joint.shape[1])[joint.argmax(axis=1)] if hard else np.exp(joint - log_density[:, None])
    mass = np.where(counted[:, None], rows.weights[:, None] * chosen, 0)
    return bound, maximise(rows, mixture, known, mass), mass.sum(axis=0) / total


def score_samples(rows, mixture):
    return log_sum(log_joint(rows, mixture))


def predict_proba(rows, mixture):
    joint = log_joint(rows, mixture)
    return np.exp(joint - log_sum(joint)[:, None])


def log_joint(rows, mixture):
    """Log of weight times density (n, K) of each row under each component, a background as the last."""
    densities = log_counts(rows, mixture) if mixture.family == "poisson" else behind(rows, mixture)[0]
    if len(mixture.weights) > len(mixture.means):
        uniform = -np.where(np.isnan(rows.values), 0, rows.log_widths).sum(axis=1)
        densities = np.column_stack([densities, uniform])
    return _log(mixture.weights) + densities


def behind(rows, mixture):
    """Log-densities (n, K), and conditional mean (n, K, d) and covariance (n or 1, K, d, d) of v for each row."""
    there = ~np.isnan(rows.values)
    if there.all():
        there = there[:1]
    R = there[:, None, :, None] * rows.projection[:, None]
    S = there[:, None, :, None] * there[:, None, None, :] * rows.noise[:, None]
    S = S + (~there)[:, None, :, None] * np.eye(there.shape[1], dtype=L)
    V = mixture.covariances
    C = cholesky(R @ V @ _T(R) + S)
    residuals = np.where(np.isnan(rows.values), 0, rows.values)[:, None] - (R @ mixture.means[..., None])[..., 0]
    e = forward(C, np.where(there[:, None], residuals, 0)[..., None])
    G = forward(C, R @ V)
    log_determinant = 2 * np.log(np.einsum("nkii->nki", C)).sum(axis=2)
    squares = (e**2).sum(axis=(2, 3)) + log_determinant + there.sum(axis=1)[:, None] * np.log(2 * PI)
    return -squares / 2, mixture.means + (_T(G) @ e)[..., 0], V - _T(G) @ G


def log_counts(rows, mixture):
    """Log-probabilities (n, K) of the observed counts."""
    x, rates = rows.values[:, None], mixture.means
    with np.errstate(divide="ignore", invalid="ignore"):
        few = np.where(x == 0, 0, x * np.log(rates)) - rates - log_factorial(x)
        # for large counts the terms cancel; use log x! = x log x - x + log(2 pi x) / 2 + delta
        many = x - rates - x * np.log1p((x - rates) / rates) - np.log(2 * PI * x) / 2 - stirling_error(x)
    return np.where(np.isnan(x), 0, np.where(x > MANY, many, few)).sum(axis=2)


def maximise(rows, mixture, known, mass):
    """The M-step: the mode of the expected log-posterior, given the mass (n, ...) of each row in each component."""
    weights = _weights(mass.sum(axis=0), mixture.weights, known)
    mass = mass[:, : len(mixture.means)]
    n = mass.sum(axis=0)
    if mixture.family == "poisson":
        x = np.where(np.isnan(rows.values[:, None]), mixture.means, rows.values[:, None])
        means = _keep(known, "means", mixture.means, np.einsum("nk,nkd->kd", mass, x) / n[:, None])
        return replace(mixture, weights=weights, means=means)
    _, b, B = behind(rows, mixture)
    prior = known.conjugate or Conjugate(L(0), 0, 0, L(0))
    sums = np.einsum("nk,nkd->kd", mass, b) + prior.strength * prior.mean
    means = _keep(known, "means", mixture.means, sums / (n + prior.strength)[:, None])
    spread, pull = b - means, means - prior.mean
    scatters = _T(spread.transpose(1, 0, 2)) @ (mass.T[..., None] * spread.transpose(1, 0, 2))
    scatters += np.einsum("nk,nkde->kde", mass, np.broadcast_to(B, (len(mass), *B.shape[1:])))
    scatters += prior.strength * pull[:, :, None] * pull[:, None, :]
    covariances = _covariances(mixture.family, scatters, n, known)
    return replace(
        mixture, weights=weights, means=means, covariances=_keep(known, "covariances", mixture.covariances, covariances)
    )


def _covariances(family, scatters, n, known):
    """Covariances of a family from scatters (K, d, d) and masses (K,)."""
    n_components, d = scatters.shape[:2]
    unit = np.eye(d, dtype=L)
    scale, rows = np.zeros((d, d), L), 0  # of the prior: its scale matrix, and the number that it adds to the rows
    if known.conjugate is not None:
        more = {"full": d + 2, "tied": d + n_components + 1, "diag": 3, "spherical": d + 2}
        scale, rows = known.conjugate.scale, known.conjugate.degrees + more[family]
    if family == "tied":
        result = np.repeat((scale + scatters.sum(axis=0))[None] / (n.sum() + rows), n_components, axis=0)
    elif family == "spherical":
        variances = (scale[0, 0] + np.trace(scatters, axis1=1, axis2=2)) / (n * d + rows)
        result = variances[:, None, None] * unit
    else:
        result = (scale + scatters) / (n + rows)[:, None, None]
        result = result * unit if family == "diag" else result
    return result + known.reg_covar * unit


def _weights(mass, before, known):
    """Mixing weights; the free ones share what the fixed ones leave."""
    weights = mass + known.concentration - 1
    fixed = np.asarray(known.fixed.get("weights", np.zeros(len(mass), bool)))
    left = 1 - before[fixed].sum()
    return np.where(fixed, before, weights * left / weights[~fixed].sum() if not fixed.all() else before)


def log_prior(mixture, known):
    """Log-density of the parameters under the priors."""
    total = L(0)
    concentration = np.broadcast_to(known.concentration, mixture.weights.shape)
    if (concentration != 1).any():
        total += gammaln(concentration.sum()) - gammaln(concentration).sum()
        total += ((concentration - 1) * np.log(mixture.weights)).sum()
    if known.conjugate is None:
        return total
    prior, d = known.conjugate, mixture.means.shape[1]
    C = cholesky(mixture.covariances)
    white = forward(C, (mixture.means - prior.mean)[..., None])[..., 0]
    log_determinants = 2 * np.log(np.einsum("kii->ki", C)).sum(axis=1)
    total -= (
        prior.strength * (white**2).sum(axis=1) + log_determinants + d * np.log(2 * PI / prior.strength)
    ).sum() / 2
    if mixture.family in ("full", "tied"):
        distinct = slice(1 if mixture.family == "tied" else None)
        scale = cholesky(prior.scale)
        trace = (forward(C[distinct], np.broadcast_to(scale, C[distinct].shape)) ** 2).sum(axis=(1, 2))
        constant = prior.degrees * np.log(np.diagonal(scale)).sum() - prior.degrees * d / 2 * np.log(L(2))
        constant -= multigammaln(prior.degrees / 2, d)
        return total + (constant - (prior.degrees + d + 1) / 2 * log_determinants[distinct] - trace / 2).sum()
    columns = slice(1 if mixture.family == "spherical" else None)  # inverse-gamma of each variance
    variances = np.einsum("kii->ki", mixture.covariances)[:, columns]
    scale = np.diagonal(prior.scale)[columns]
    constant = prior.degrees / 2 * np.log(scale / 2) - gammaln(prior.degrees / 2)
    return total + (constant - (prior.degrees / 2 + 1) * np.log(variances) - scale / (2 * variances)).sum()


def log_factorial(x):
    """log(x!) as a sum of logarithms, for x up to `MANY`."""
    logarithms = np.cumsum(np.log(np.maximum(np.arange(MANY + 1, dtype=L), 1)))
    return logarithms[np.where(x <= MANY, x, 0).astype(int)]


def stirling_error(x):
    return 1 / (12 * x) - 1 / (360 * x**3) + 1 / (1260 * x**5) - 1 / (1680 * x**7)


def log_sum(joint):
    top = joint.max(axis=1)
    return top + np.log(np.exp(joint - top[:, None]).sum(axis=1))


def cholesky(A):
    """Lower factors of matrices (..., m, m)."""
    C = np.zeros_like(A, dtype=L)
    for j in range(A.shape[-1]):
        column = A[..., j:, j] - (C[..., j:, :j] @ C[..., j, :j, None])[..., 0]
        C[..., j:, j] = column / np.sqrt(column[..., :1])
    return C


def forward(C, B):
    """C^-1 B for lower triangular C (..., m, m) and B (..., m, r)."""
    shape = np.broadcast_shapes(C.shape[:-2], B.shape[:-2])
    X = np.zeros((*shape, *B.shape[-2:]), L)
    for i in range(C.shape[-1]):
        X[..., i, :] = (B[..., i, :] - (C[..., i, None, :i] @ X[..., :i, :])[..., 0, :]) / C[..., i, i, None]
    return X


def inverse(A):
    """Inverses of positive definite matrices (..., m, m)."""
    half = forward(cholesky(A), np.broadcast_to(np.eye(A.shape[-1], dtype=L), A.shape))
    return _T(half) @ half


def _keep(known, name, before, after):
    """Values before the M-step for fixed components, and after it for the others."""
    fixed = np.asarray(known.fixed.get(name, np.zeros(len(before), bool)))
    return np.where(fixed.reshape(-1, *[1] * (before.ndim - 1)), before, after)


def _log(x):
    with np.errstate(divide="ignore"):
        return np.log(x)


def _T(A):
    return np.swapaxes(A, -1, -2)
