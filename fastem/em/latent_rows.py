"""Latent values of incompletely observed rows: their expectations and draws, given a mixture.

The algebra is that of the passes, see `fastem.kernels.incomplete`, in numpy. A row is x = R v + e, with a projection R
and errors e of covariance S; in a component, the latent values v have mean mu and covariance V. Then

    q = x - R mu,  T = R V R' + S,  E[v | x] = mu + V R' T^-1 q,  cov[v | x] = V - V R' T^-1 R V.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.data.row_info import Annotations, Float
from fastem.families._contract import Family, Params

BLOCK_NUMBERS = 2**18  # numbers in the covariances of a block of rows, which then stay in a cache


class Components(NamedTuple):
    """Means (K, d), covariances or scale matrices (K, d, d), and 1 / df (K,), which is 0 for normal components."""

    means: Float
    covariances: Float
    inverse_df: Float


def components_of(family: Family, params: Params) -> Components:
    """Components of a family whose columns depend on each other like those of normal vectors."""
    hidden, tails = family.host.hidden, family.host.inverse_df
    assert hidden is not None
    centres, lower = hidden(params)
    inverse_df = np.zeros(len(centres)) if tails is None else tails(params)
    return Components(centres, lower @ np.swapaxes(lower, 1, 2), inverse_df)


class Observed(NamedTuple):
    """Rows: values (n, m), mask of observed values (n, m), projections (n, m, d), covariances of errors (n, m, m)."""

    values: Float
    there: Float
    projection: Float
    noise: Float


def observed(values: Float, annotations: Annotations) -> Observed:
    """Rows with all fields filled in; missing values get projections of zero, and independent errors of variance 1."""
    m = values.shape[1]
    d = annotations.n_features(m)
    there = (~np.isnan(values)).astype(np.float64)
    projection = np.eye(m)[None] if annotations.projection is None else annotations.projection.reshape(-1, m, d)
    noise = np.zeros((1, m)) if annotations.noise is None else annotations.noise
    noise = noise.reshape(-1, m, m) if noise.shape[1] == m * m else noise[:, :, None] * np.eye(m)
    noise = noise * there[:, :, None] * there[:, None, :] + (1.0 - there)[:, :, None] * np.eye(m)
    return Observed(np.where(there > 0.0, values, 0.0), there, projection * there[:, :, None], noise)


def expectations(components: Components, rows: Observed) -> tuple[Float, Float]:
    """Conditional means (n, K, d) and covariances (n, K, d, d) of the latent values, by component."""
    gain, seen = gains(components, rows)
    means = conditional_means(components, rows, gain)
    covariances = components.covariances - np.einsum("nkdm,nkme->nkde", gain, seen)
    return means, 0.5 * (covariances + np.swapaxes(covariances, 2, 3))


def conditional_means(components: Components, rows: Observed, gain: Float) -> Float:
    """Conditional means (n, K, d) of the latent values, by component."""
    return components.means + np.einsum("nkdm,nkm->nkd", gain, residuals(components, rows))


def residuals(components: Components, rows: Observed) -> Float:
    """Observed minus expected values (n, K, m); zero for missing values."""
    expected = np.einsum("nmd,kd->nkm", rows.projection, components.means)
    return np.asarray((rows.values[:, None] - expected) * rows.there[:, None])


def gains(components: Components, rows: Observed) -> tuple[Float, Float]:
    """V R' T^-1 (n, K, d, m) and R V (n, K, m, d)."""
    seen, total = seen_and_total(components, rows)
    return np.swapaxes(np.linalg.solve(total, seen), 2, 3), seen


def seen_and_total(components: Components, rows: Observed) -> tuple[Float, Float]:
    """R V (n, K, m, d) and T (n, K, m, m)."""
    seen = np.einsum("nmd,kde->nkme", rows.projection, components.covariances)
    return seen, np.einsum("nkme,nle->nkml", seen, rows.projection) + rows.noise[:, None]


def stretches(components: Components, rows: Observed) -> tuple[Float, Float]:
    """For t components, df + p and df + D (n, K), with p observed values at a squared distance D; infinite if normal.

    Given the observed values, the missing ones have a t distribution with df + p degrees of freedom. Its scale matrix
    is the conditional covariance of a normal component times (df + D) / (df + p).
    """
    missed, total = residuals(components, rows), seen_and_total(components, rows)[1]
    distances = (missed * np.linalg.solve(total, missed[..., None])[..., 0]).sum(axis=2)
    with np.errstate(divide="ignore"):
        df = 1.0 / components.inverse_df
    return df + rows.there.sum(axis=1)[:, None], df + distances


def blocks(components: Components, values: Float, annotations: Annotations) -> Iterator[tuple[slice, Observed]]:
    """Yield runs of rows that are so short that their matrices stay in a cache."""
    n_components, d = components.means.shape
    n_rows = max(1, BLOCK_NUMBERS // (n_components * d * max(d, values.shape[1])))
    for start in range(0, len(values), n_rows):
        part = slice(start, start + n_rows)
        yield part, observed(values[part], annotations.take(part))


def mixed_expectations(
    components: Components, responsibilities: Float, values: Float, annotations: Annotations
) -> tuple[Float, Float]:
    """Posterior means (n, d) and covariances (n, d, d) of the latent values of rows (n, m)."""
    d = components.means.shape[1]
    mean, covariance = np.empty((len(values), d)), np.empty((len(values), d, d))
    for part, rows in blocks(components, values, annotations):
        means, covariances = expectations(components, rows)
        share = responsibilities[part]
        mean[part] = np.einsum("nk,nkd->nd", share, means)
        spread = means - mean[part, None]
        covariance[part] = np.einsum("nk,nkde->nde", share, covariances)
        covariance[part] += np.einsum("nk,nkd,nke->nde", share, spread, spread)
    return mean, covariance


def mixed_means(components: Components, responsibilities: Float, values: Float, annotations: Annotations) -> Float:
    """Posterior means (n, d) of the latent values, without their covariances, which would take d times as much."""
    mean = np.empty((len(values), components.means.shape[1]))
    for part, rows in blocks(components, values, annotations):
        means = conditional_means(components, rows, gains(components, rows)[0])
        mean[part] = np.einsum("nk,nkd->nd", responsibilities[part], means)
    return mean


def draws(
    components: Components,
    responsibilities: Float,
    values: Float,
    annotations: Annotations,
    n_draws: int,
    random_state: np.random.RandomState,
) -> Float:
    """Draws (n_draws, n, d) of the latent values of rows (n, m) from their posterior.

    A component is drawn first, and then latent values and an observation of them from this component. The difference
    between the row and this observation corrects the latent values (Hoffman and Ribak, 1991, Constrained realizations
    of Gaussian fields, Astrophysical Journal 380, L5-L8): so no conditional covariance, which may be singular, has to
    be factored.
    """
    d = components.means.shape[1]
    result = np.empty((n_draws, len(values), d))
    factors = _roots(components.covariances)
    for part, rows in blocks(components, values, annotations):
        gain, _ = gains(components, rows)
        heavy = None
        if components.inverse_df.any():
            heavy = _Heavy(conditional_means(components, rows, gain), *stretches(components, rows))
        index = np.arange(len(rows.values))
        noise_factors = _roots(rows.noise)
        for draw in range(n_draws):
            k = drawn_components(responsibilities[part], random_state)
            normal = random_state.standard_normal(size=(len(index), d))
            value = components.means[k] + np.einsum("nde,ne->nd", factors[k], normal)
            error = np.einsum("nml,nl->nm", noise_factors, random_state.standard_normal(size=rows.values.shape))
            seen = np.einsum("nmd,nd->nm", rows.projection, value) + error
            missed = (rows.values - seen) * rows.there
            found = value + np.einsum("ndm,nm->nd", gain[index, k], missed)
            if heavy is not None:
                found = _stretched(found, heavy, k, random_state)
            result[draw, part] = found
    return result


class _Heavy(NamedTuple):
    """Conditional means (n, K, d) of rows, and their `stretches`."""

    means: Float
    df: Float
    spread: Float


def _stretched(found: Float, heavy: _Heavy, k: NDArray[np.int64], random_state: np.random.RandomState) -> Float:
    """Turn draws (n, d) from normal components k (n,) into draws from t components, by scaling about their means."""
    index = np.arange(len(k))
    means, df, spread = (array[index, k] for array in heavy)
    finite = df < np.inf
    squares = random_state.chisquare(np.where(finite, df, 1.0))
    root = np.sqrt(np.where(finite, np.where(finite, spread, 1.0) / squares, 1.0))
    return np.asarray(means + root[:, None] * (found - means))


def drawn_components(responsibilities: Float, random_state: np.random.RandomState) -> NDArray[np.int64]:
    """A component for each row (n,), drawn in proportion to its responsibilities."""
    cumulated = np.cumsum(responsibilities, axis=1)
    uniform = random_state.uniform(size=(len(cumulated), 1)) * cumulated[:, -1:]
    return np.minimum((uniform >= cumulated).sum(axis=1), cumulated.shape[1] - 1)


def _roots(covariances: Float) -> Float:
    """Matrices whose products with their transposes are the covariances, which may be singular."""
    values, vectors = np.linalg.eigh(covariances)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :])
