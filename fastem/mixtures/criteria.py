"""Information criteria that compare mixtures, and the number of free parameters that they use."""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if

from fastem.data.row_info_checks import Known
from fastem.families._parameters import count_free
from fastem.mixtures.predictions import Predicting


def has_likelihood(model: Any) -> bool:
    """Whether a mixture is fitted by its likelihood, and so has criteria and `partial_fit`."""
    return bool(model.LIKELIHOOD)


class Criteria(Predicting):
    """Information criteria of a fitted mixture."""

    @available_if(has_likelihood)
    def bic(
        self,
        X: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        noise: ArrayLike | None = None,
        projection: ArrayLike | None = None,
    ) -> float:
        """Compute the Bayesian information criterion (Schwarz, 1978); lower is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or source
            The data; a source, see `fastem.Source`, is read once.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; their sum takes the place of the number of rows.
        noise, projection : array-like, default=None
            Errors and projections of the rows, see `fit`; densities are then those of the measured values.

        Returns
        -------
        bic : float
            -2 log-likelihood + parameters * log(rows).

        Examples
        --------
        >>> from fastem import GaussianMixture
        >>> X = [[0.0], [1.0], [10.0], [11.0]]
        >>> model = GaussianMixture(n_components=2, random_state=0).fit(X)
        >>> round(model.bic(X), 2)
        18.28
        """
        log_likelihood, _, total = self._totals(X, sample_weight, Known(None, noise, projection))
        return self._bic(log_likelihood, total)

    @available_if(has_likelihood)
    def aic(
        self,
        X: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        noise: ArrayLike | None = None,
        projection: ArrayLike | None = None,
    ) -> float:
        """Compute the Akaike information criterion (Akaike, 1974); lower is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or source
            The data; a source, see `fastem.Source`, is read once.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        noise, projection : array-like, default=None
            Errors and projections of the rows, see `fit`; densities are then those of the measured values.

        Returns
        -------
        aic : float
            -2 log-likelihood + 2 * parameters.

        Examples
        --------
        >>> from fastem import GaussianMixture
        >>> X = [[0.0], [1.0], [10.0], [11.0]]
        >>> model = GaussianMixture(n_components=2, random_state=0).fit(X)
        >>> round(model.aic(X), 2)
        21.35
        """
        return -2.0 * self._totals(X, sample_weight, Known(None, noise, projection))[0] + 2.0 * self._n_parameters()

    @available_if(has_likelihood)
    def icl(
        self,
        X: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        noise: ArrayLike | None = None,
        projection: ArrayLike | None = None,
    ) -> float:
        """Compute the integrated completed likelihood criterion (Biernacki, Celeux and Govaert, 2000); lower is better.

        It is the BIC plus twice the entropy of the responsibilities, and so prefers components that do not overlap.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or source
            The data; a source, see `fastem.Source`, is read once.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        noise, projection : array-like, default=None
            Errors and projections of the rows, see `fit`; densities are then those of the measured values.

        Returns
        -------
        icl : float
            bic + 2 * entropy.

        Examples
        --------
        >>> from fastem import GaussianMixture
        >>> X = [[0.0], [1.0], [10.0], [11.0]]
        >>> model = GaussianMixture(n_components=2, random_state=0).fit(X)
        >>> round(model.icl(X), 2)
        18.28
        """
        log_likelihood, entropy, total = self._totals(X, sample_weight, Known(None, noise, projection), entropy=True)
        return self._bic(log_likelihood, total) + 2.0 * entropy

    def _bic(self, log_likelihood: float, total: float) -> float:
        return -2.0 * log_likelihood + self._n_parameters() * math.log(total)

    @property
    def n_parameters_(self) -> int:
        """Number of free parameters that `bic` and `aic` use; fixed parameters are not free."""
        if not self.LIKELIHOOD:
            raise AttributeError(f"{type(self).__name__!r} has no attribute 'n_parameters_': it has a posterior")
        self._fitted()
        return self._n_parameters()

    def _n_parameters(self) -> int:
        """Number of free parameters; scikit-learn has this method by this name."""
        n_free = {name: int((~mask).sum()) for name, mask in self._fixed().items()}
        n_weights = n_free.pop("weights", len(self._attribute("weights")))
        return count_free(self._family().parameters, self._locations().shape, n_free) + max(n_weights - 1, 0)
