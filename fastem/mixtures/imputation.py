"""Imputation of missing values, and estimates of values that were measured with errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from fastem.data import Wanted
from fastem.data.namespaces import namespace_of
from fastem.data.row_info import NOTHING, Annotations
from fastem.data.row_info_checks import Known, annotate
from fastem.em.latent_rows import Components, components_of, drawn_components, draws, mixed_expectations, mixed_means
from fastem.em.parameters import Parameters
from fastem.em.subsample import Sample
from fastem.engine.threads import limit_threads
from fastem.mixtures import collections
from fastem.mixtures.fitted import NOTHING_KNOWN, FittedMixture, Float

BLOCK_NUMBERS = 2**18  # values and responsibilities in a block of rows


class Imputing(FittedMixture):
    """Methods that fill in missing values."""

    def _expected(self, parameters: Parameters, responsibilities: Float, values: Float) -> Float:
        """Expected values (n, d) of all cells of rows, given the observed values."""
        host = parameters.family.host
        if host.cells is not None:
            return responsibilities @ host.cells(parameters.described, np.arange(responsibilities.shape[1]), None)
        weight = responsibilities.sum(axis=1, keepdims=True)  # less than 1 if there is a background
        share = np.where(weight > 0.0, responsibilities / np.where(weight > 0.0, weight, 1.0), 0.0)
        origin, components = self._components_nearby(parameters)
        return weight * (mixed_means(components, share, values - origin, NOTHING) + origin)

    def _drawn(
        self, parameters: Parameters, responsibilities: Float, values: Float, n_draws: int, random_state: Any
    ) -> Float:
        """Draws (n_draws, n, d) of all cells of rows, given the observed values."""
        host = parameters.family.host
        if host.cells is not None:
            chosen = np.stack([drawn_components(responsibilities, random_state) for _ in range(n_draws)])
            return host.cells(parameters.described, chosen, random_state)
        origin, components = self._components_nearby(parameters)
        drawn = draws(components, responsibilities, values - origin, NOTHING, n_draws, random_state)
        return np.asarray(drawn + origin)

    def _components_nearby(self, parameters: Parameters, *, projected: bool = False) -> tuple[Float, Components]:
        """An origin (d,) near the means, or zero for projected rows, and the components in coordinates about it."""
        origin, mixture = parameters.nearby(None if projected else self._locations().dtype)
        return origin, components_of(parameters.family, mixture.params)

    def _shares(self, rows: Sample, parameters: Parameters, first: int = 0) -> Float:
        """Responsibilities (n, K) in float64; NaN is a missing value, `first` the index of the first row in X."""
        with limit_threads(self.n_jobs):
            wanted = Wanted(responsibilities=True)
            found = self._evaluate_rows(rows, wanted, parameters, lambda row: f"row {first + row}", missing=True)
        return found.scores.rows.responsibilities.astype(np.float64)

    @collections.lazy_on_collections(collections.completed_rows)
    def impute(self, X: ArrayLike, n_draws: int | None = None) -> NDArray[Any]:
        """Fill in missing values by their expectations given the row's other values, or by draws.

        Draws keep the variance that expectations lose: an estimate that is computed from each draw and then averaged
        has the right uncertainty (Rubin, 1987, Multiple imputation for nonresponse in surveys). Draws of counts are
        whole numbers; the expectation of a count need not be.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, NaN where a value is missing.
        n_draws : int, default=None
            Number of draws from the conditional distribution, seeded by `random_state`; None gives its mean.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), or (n_draws, n_samples, n_features)
            The completed rows; observed values are unchanged.

        Raises
        ------
        ValueError
            If `n_draws` is not positive, or X has another number of features or infinite values.

        Examples
        --------
        >>> import numpy as np
        >>> from fastem import GaussianMixture
        >>> X = np.random.default_rng(0).multivariate_normal([0, 0], [[1.0, 0.8], [0.8, 1.0]], size=10000)
        >>> model = GaussianMixture(random_state=0).fit(X)
        >>> model.impute([[2.0, np.nan]]).round(1)
        array([[2. , 1.6]])
        >>> round(float(model.impute([[2.0, np.nan]], n_draws=1000)[:, 0, 1].std()), 1)
        0.6
        """
        parameters = self._fitted()
        collections.check_n_draws(n_draws)
        values = self._values(X, NOTHING_KNOWN, missing=True)
        random_state = None if n_draws is None else check_random_state(self.random_state)
        result = values.copy() if n_draws is None else np.repeat(values[None], n_draws, axis=0)
        n_rows = max(1, BLOCK_NUMBERS // (len(parameters.weights) + values.shape[1]))
        for start in range(0, len(values), n_rows):
            self._fill(
                result[..., start : start + n_rows, :], values[start : start + n_rows], parameters, start, random_state
            )
        found: NDArray[Any] = namespace_of(X).holding(result)
        return found

    def _fill(
        self, result: NDArray[Any], values: NDArray[Any], parameters: Parameters, first: int, random_state: Any
    ) -> None:
        """Write expectations (n, d), or draws (n_draws, n, d), over the missing values; `first` as in `_shares`."""
        shares = self._shares(Sample(values, None), parameters, first)
        missing = np.isnan(values)
        incomplete = missing.any(axis=1)
        some, shares = values[incomplete].astype(np.float64), shares[incomplete]
        if random_state is None:
            found = self._expected(parameters, shares, some)
        else:
            found = self._drawn(parameters, shares, some, len(result), random_state)
        result[..., incomplete, :] = np.where(missing[incomplete], found, some)


class Denoising(Imputing):
    """Methods that fill in missing values and, for Gaussian mixtures, estimate values behind measurement errors."""

    @collections.lazy_on_collections(collections.means_and_covariances)
    def denoise(
        self, X: ArrayLike, *, noise: ArrayLike | None = None, projection: ArrayLike | None = None
    ) -> tuple[Float, Float]:
        """Posterior means and covariances of the values behind rows that were measured with errors.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The measured values, NaN where a value is missing; with projections, X has a column for each of their rows.
        noise : array-like, default=None
            Variances or covariances of the errors, see `fit`.
        projection : array-like of shape (n_samples, n_columns, n_features), default=None
            Matrices from features to the columns of X, see `fit`.

        Returns
        -------
        mean : ndarray of shape (n_samples, n_features)
            Expected value behind each row, given the measured values.
        covariance : ndarray of shape (n_samples, n_features, n_features)
            Covariance of its posterior distribution, which is a mixture again.

        Raises
        ------
        ValueError
            If noise or projections have the wrong shape or are not valid; if the mixture has a background.

        References
        ----------
        J. Bovy, D. W. Hogg and S. T. Roweis (2011), Extreme deconvolution: inferring complete distribution functions
        from noisy, heterogeneous and incomplete observations, Annals of Applied Statistics 5, 1657-1677.

        Examples
        --------
        >>> import numpy as np
        >>> from fastem import GaussianMixture
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(scale=2.0, size=(10000, 1)) + rng.normal(size=(10000, 1))
        >>> model = GaussianMixture().fit(X, noise=[[1.0]])
        >>> mean, covariance = model.denoise([[5.0]], noise=[[1.0]])
        >>> mean.round(1).tolist(), covariance.round(1).tolist()
        ([[4.0]], [[[0.8]]])
        """
        parameters = self._fitted()
        if parameters.family.background:
            raise ValueError("denoise is not for mixtures with a background: its rows say nothing about true values")
        known = Known(None, noise, projection)
        values = self._values(X, known, missing=True)
        annotations = annotate(known, values.shape, self._n_weights())
        shares = self._shares(Sample(values, None, annotations), parameters)
        mean, covariance = self._posterior(parameters, shares, values.astype(np.float64), annotations)
        where = namespace_of(X)
        return where.holding(mean), where.holding(covariance)

    def _posterior(
        self, parameters: Parameters, shares: Float, values: Float, annotations: Annotations
    ) -> tuple[Float, Float]:
        """Means (n, d) and covariances (n, d, d) of the values behind rows, computed about an origin near the means."""
        origin, components = self._components_nearby(parameters, projected=annotations.projection is not None)
        shift = 0.0 if annotations.projection is not None else origin
        found, covariances = mixed_expectations(components, shares, values - shift, annotations)
        return found + origin, covariances
