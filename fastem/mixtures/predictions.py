"""Densities, labels and responsibilities of rows under a fitted mixture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastem.data import Wanted
from fastem.data.namespaces import namespace_of
from fastem.data.row_info_checks import Known
from fastem.data.streams import as_source, is_partitioned
from fastem.mixtures import collections
from fastem.mixtures.fitted import NOTHING_KNOWN, FittedMixture


class Predicting(FittedMixture):
    """Methods of a fitted mixture that evaluate rows."""

    @collections.lazy_on_collections(collections.densities)
    def score_samples(
        self, X: ArrayLike, *, noise: ArrayLike | None = None, projection: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Compute the log-density of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or source
            The data; a source, see `fastem.Source`, is read once.
        noise, projection : array-like, default=None
            Errors and projections of the rows, see `fit`; densities are then those of the measured values.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            Natural logarithm of the mixture's density.

        Examples
        --------
        >>> from fastem import GaussianMixture
        >>> X = [[0.0], [1.0], [10.0], [11.0]]
        >>> model = GaussianMixture(n_components=2, random_state=0).fit(X)
        >>> model.score_samples([[0.5]]).round(4)
        array([-0.9189])
        """
        self._check_same(X, "score_samples")
        found: NDArray[Any] = namespace_of(X).holding(self._densities(X, Known(None, noise, projection)))
        return found

    def _densities(self, X: Any, known: Known = NOTHING_KNOWN) -> NDArray[Any]:
        """Log-densities of rows (n,), in the type of the rows."""
        evaluation = self._evaluate(X, Wanted(densities=True), known=known)
        with np.errstate(over="ignore"):
            return evaluation.scores.rows.densities.astype(evaluation.dtype, copy=False)

    def _totals(
        self, X: ArrayLike, sample_weight: ArrayLike | None, known: Known, *, entropy: bool = False
    ) -> tuple[float, float, float]:
        """Total log-likelihood, entropy of the responsibilities, and weight of the rows of X."""
        wanted = Wanted(entropy=entropy)
        if is_partitioned(X):
            source = as_source(X)
            assert source is not None
            found = collections.totals_of(self, source.beside(sample_weight, known), wanted)
            return found.log_likelihood + found.base, found.entropy, found.weight
        evaluation = self._evaluate(X, wanted, sample_weight, known)
        scores = evaluation.scores
        return scores.log_likelihood + evaluation.base, scores.entropy, evaluation.weight

    def score(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        sample_weight: ArrayLike | None = None,
        noise: ArrayLike | None = None,
        projection: ArrayLike | None = None,
    ) -> float:
        """Compute the mean log-likelihood of a row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or source
            The data; a source, see `fastem.Source`, is read once.
        y : Ignored
            Present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        noise, projection : array-like, default=None
            Errors and projections of the rows, see `fit`; densities are then those of the measured values.

        Returns
        -------
        log_likelihood : float
            Weighted mean of the rows' log-densities.

        Examples
        --------
        >>> from fastem import GaussianMixture
        >>> X = [[0.0], [1.0], [10.0], [11.0]]
        >>> model = GaussianMixture(n_components=2, random_state=0).fit(X)
        >>> round(model.score(X), 4)
        -1.4189
        """
        if (
            sample_weight is None
            and not is_partitioned(X)
            and str(getattr(X, "dtype", "")).rpartition(".")[2] == "float32"
        ):
            # in float32, as in scikit-learn: users compare it with the mean of score_samples
            return float(self._densities(X, Known(None, noise, projection)).mean())
        log_likelihood, _, total = self._totals(X, sample_weight, Known(None, noise, projection))
        return log_likelihood / total

    @collections.lazy_on_collections(collections.labels)
    def predict(
        self, X: ArrayLike, *, noise: ArrayLike | None = None, projection: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Label each row with its most probable component.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or source
            The data; a source, see `fastem.Source`, is read once.
        noise, projection : array-like, default=None
            Errors and projections of the rows, see `fit`; densities are then those of the measured values.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Indices of components; -1 for the background, if the mixture has one.

        Examples
        --------
        >>> from fastem import GaussianMixture
        >>> X = [[0.0], [1.0], [10.0], [11.0]]
        >>> model = GaussianMixture(n_components=2, random_state=0).fit(X)
        >>> model.predict([[0.2], [10.2]])
        array([1, 0])
        """
        self._check_same(X, "predict")
        wanted = Wanted(labels=True, posterior=False)
        labels = self._evaluate(X, wanted, known=Known(None, noise, projection)).scores.rows.labels
        labels = self._labels()[labels] if self._family().background else labels
        found: NDArray[np.int64] = namespace_of(X).holding(labels)
        return found

    @collections.lazy_on_collections(collections.responsibilities)
    def predict_proba(
        self, X: ArrayLike, *, noise: ArrayLike | None = None, projection: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Compute the responsibilities: the probability of each component given the row; a background comes last.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or source
            The data; a source, see `fastem.Source`, is read once.
        noise, projection : array-like, default=None
            Errors and projections of the rows, see `fit`; densities are then those of the measured values.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
            Rows sum to 1. A row to which every component gives density zero gets the mixing weights.

        Examples
        --------
        >>> from fastem import GaussianMixture
        >>> X = [[0.0], [1.0], [10.0], [11.0]]
        >>> model = GaussianMixture(n_components=2, random_state=0).fit(X)
        >>> model.predict_proba([[0.2], [10.2]]).round(3)
        array([[0., 1.],
               [1., 0.]])
        """
        self._check_same(X, "predict_proba")
        found: NDArray[Any] = namespace_of(X).holding(self._responsibilities(X, Known(None, noise, projection)))
        return found

    def _responsibilities(self, X: Any, known: Known = NOTHING_KNOWN) -> NDArray[Any]:
        """Responsibilities of rows (n, K), in the type of the rows."""
        return self._evaluate(X, Wanted(responsibilities=True), known=known).scores.rows.responsibilities
