"""Convert mixtures that scikit-learn has fitted to mixtures of this package."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import mixture
from sklearn.utils.validation import check_is_fitted

from fastem.mixtures.bayesian_gaussian import BayesianGaussianMixture
from fastem.mixtures.counterpart import shared_attributes, shared_parameters
from fastem.mixtures.gaussian import GaussianMixture


def from_sklearn(
    model: mixture.GaussianMixture | mixture.BayesianGaussianMixture,
) -> GaussianMixture | BayesianGaussianMixture:
    """Convert a mixture that scikit-learn has fitted.

    The result has the same densities, labels and criteria, and can be saved, sampled, and fitted further with
    ``warm_start=True``. It shares no memory with the original.

    Parameters
    ----------
    model : sklearn.mixture.GaussianMixture or sklearn.mixture.BayesianGaussianMixture
        A fitted mixture. Subclasses are refused, because they may define other densities.

    Returns
    -------
    GaussianMixture or BayesianGaussianMixture
        A mixture with the same parameters of the constructor, and the same fitted attributes: arrays keep their types,
        columns their names. A 'tied' covariance that is not symmetric because of rounding is made symmetric. `history_`
        is empty, because scikit-learn keeps none, and `stop_reason_` is 'tol' or 'max_iter'.

    Raises
    ------
    TypeError
        If the model is of another class.
    NotFittedError
        If the model is not fitted.
    ValueError
        If its fitted attributes contradict each other, or the constructor's parameters.

    See Also
    --------
    GaussianMixture.to_sklearn : Convert to a mixture of scikit-learn.

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
    own = _class_for(model)
    check_is_fitted(model, "weights_")
    ours: GaussianMixture | BayesianGaussianMixture = own(**shared_parameters(model, own))
    ours.__dict__.update(shared_attributes(model))
    if ours.covariance_type == "tied" and hasattr(ours, "covariances_"):
        ours.covariances_ = _symmetric(ours.covariances_)
    if hasattr(ours, "converged_"):
        ours.stop_reason_ = "tol" if ours.converged_ else "max_iter"
        ours.history_ = []
    ours._fitted()
    return ours


def _symmetric(covariance: NDArray[Any]) -> NDArray[Any]:
    """Symmetric matrix (d, d) with this lower triangle, the only part from which scikit-learn computes the factor.

    Its 'tied' covariance is a difference of second moments, whose rounding is not symmetric for data far from zero.
    """
    return np.tril(covariance) + np.tril(covariance, -1).T


def _class_for(model: Any) -> type[Any]:
    """Class of the converted model; TypeError for models that have, or may have, other densities."""
    own = {mixture.GaussianMixture: GaussianMixture, mixture.BayesianGaussianMixture: BayesianGaussianMixture}
    if type(model) not in own:
        found = model if isinstance(model, type) else type(model)
        kind = "the class" if isinstance(model, type) else "a"
        raise TypeError(
            "expected a fitted sklearn.mixture.GaussianMixture or BayesianGaussianMixture, not "
            f"{kind} {found.__module__}.{found.__qualname__}"
        )
    return own[type(model)]
