"""Mixtures that scikit-learn has fitted, as mixtures of this package."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import mixture
from sklearn.utils.validation import check_is_fitted

from fastem.mixtures.counterpart import shared_attributes, shared_parameters
from fastem.mixtures.gaussian import GaussianMixture

BAYESIAN = (
    "a sklearn.mixture.BayesianGaussianMixture cannot become a GaussianMixture: its densities take expectations under "
    "the posterior of weights and precisions, and are those of no mixture of normal distributions"
)


def from_sklearn(model: mixture.GaussianMixture) -> GaussianMixture:
    """Take over a mixture that scikit-learn has fitted.

    The result has the same densities, labels and criteria, and can be saved, sampled, and fitted further with
    ``warm_start=True``. It shares no memory with the original.

    Parameters
    ----------
    model : sklearn.mixture.GaussianMixture
        A fitted mixture, not of a subclass, which may have densities of its own.

    Returns
    -------
    GaussianMixture
        A mixture with the same parameters of the constructor, and the same fitted attributes: arrays keep their types,
        columns their names. A 'tied' covariance that rounding has left without its symmetry gets it back. `history_` is
        empty, because scikit-learn keeps none, and `stop_reason_` is 'tol' or 'max_iter'.

    Raises
    ------
    TypeError
        If the model is of another class. The densities of a `sklearn.mixture.BayesianGaussianMixture` take expectations
        under the posterior of weights and precisions, which no plain mixture has.
    NotFittedError
        If the model is not fitted.
    ValueError
        If its fitted attributes contradict each other, or the constructor's parameters.

    See Also
    --------
    GaussianMixture.to_sklearn : The reverse.

    Examples
    --------
    >>> import fastem
    >>> from sklearn.mixture import GaussianMixture
    >>> X = [[0.0], [1.0], [10.0], [11.0]]
    >>> theirs = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> ours = fastem.from_sklearn(theirs)
    >>> ours.predict([[0.2], [10.2]]) == theirs.predict([[0.2], [10.2]])
    array([ True,  True])
    >>> round(ours.icl(X), 2)
    18.28
    """
    _check_class(model)
    check_is_fitted(model, "weights_")
    ours = GaussianMixture(**shared_parameters(model, GaussianMixture))
    ours.__dict__.update(shared_attributes(model))
    if ours.covariance_type == "tied" and hasattr(ours, "covariances_"):
        ours.covariances_ = _symmetric(ours.covariances_)
    if hasattr(ours, "converged_"):
        ours.stop_reason_ = "tol" if ours.converged_ else "max_iter"
        ours.history_ = []
    ours._fitted()
    return ours


def _symmetric(covariance: NDArray[Any]) -> NDArray[Any]:
    """The matrix whose factor scikit-learn has computed: it reads the lower triangle only.

    Its shared covariance is a difference of second moments, and far from zero their rounding is not symmetric.
    """
    return np.tril(covariance) + np.tril(covariance, -1).T


def _check_class(model: Any) -> None:
    """Raise TypeError for what has, or may have, other densities."""
    if isinstance(model, mixture.BayesianGaussianMixture):
        raise TypeError(BAYESIAN)
    if type(model) is not mixture.GaussianMixture:
        found = model if isinstance(model, type) else type(model)
        kind = "the class" if isinstance(model, type) else "a"
        raise TypeError(
            f"expected a fitted sklearn.mixture.GaussianMixture, not {kind} {found.__module__}.{found.__qualname__}"
        )
