"""Marginal and conditional distributions of a fitted mixture, regression, and samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array

from fastem.data.frames import is_frame
from fastem.data.namespaces import namespace_of
from fastem.data.numeric import is_whole, real_array
from fastem.em.parameters import WEIGHTS_TOLERANCE, Parameters
from fastem.em.priors import without_arrays
from fastem.em.problem import BASE_ROWS
from fastem.families._host import Regression
from fastem.mixtures.fitted import NOTHING_KNOWN, Float
from fastem.mixtures.unfitted import UnfittedMixture

Model = TypeVar("Model", bound=BaseEstimator)


class Conditioning(UnfittedMixture):
    """Methods for some of the columns of a fitted mixture."""

    def _regression(self, parameters: Parameters, target: list[int], given: list[int]) -> Regression:
        """Regression of the target columns on the given columns, in each component."""
        return parameters.family.host.regression(parameters.described, target, given)

    def _marginal(self, parameters: Parameters, columns: list[int]) -> Self:
        """Marginal mixture of some of the columns."""
        described = parameters.family.host.marginal(parameters.described, columns)
        return self._derived(self._attribute("weights"), self._parameters_from(described, columns), columns)

    def _parameters_from(self, described: Mapping[str, Float], columns: list[int]) -> dict[str, Any]:
        """Fitted attributes, without the weights, of a mixture of some columns, in the type of this mixture's.

        `described` may lack parameters that follow from others.
        """
        blank = self._blank()
        family = blank._components()
        names = {parameter.name for parameter in family.parameters}
        found = {name: np.ascontiguousarray(array) for name, array in described.items() if name in names}
        if family.complete is not None and len(found) < len(family.parameters):
            found = family.complete(found)
        dtype = self._locations().dtype
        attributes = blank._published(self._attribute("weights"), found, np.zeros(len(columns)), dtype)
        del attributes["weights_"]
        return attributes

    def marginal(self, columns: Sequence[int | str]) -> Self:
        """Return the marginal distribution of some of the columns, which is a mixture again.

        Parameters
        ----------
        columns : sequence of int or str
            Indices, or names if the mixture was fitted to named columns, in the order of the result's columns.

        Returns
        -------
        mixture : object
            A fitted mixture of the same class. It has parameters, but no history: it was not fitted itself.

        Raises
        ------
        ValueError
            If a column does not exist or appears twice, or no column is given; if a background is given by its volume.

        Examples
        --------
        >>> from fastem import GaussianMixture
        >>> X = [[0.0, 5.0], [1.0, 7.0], [10.0, 1.0], [11.0, 2.0]]
        >>> model = GaussianMixture(2, covariance_type="diag", random_state=0).fit(X)
        >>> model.marginal([0]).means_
        array([[10.5],
               [ 0.5]])
        """
        return self._marginal(self._fitted(), self._columns(columns))

    def conditional(self, given: Mapping[int | str, float]) -> Self:
        """Return the distribution of the other columns given values of some, which is a mixture again.

        The weights of the components are their responsibilities for the given values. So the density of the result,
        times that of `marginal` of the given columns, is the density of the mixture itself.

        Parameters
        ----------
        given : mapping of int or str to float
            Values by index or name of the column.

        Returns
        -------
        mixture : object
            A fitted mixture of the same class, of the columns that are left in their order.

        Raises
        ------
        ValueError
            If a column does not exist or appears twice, if none or all are given, or a value is not finite; if a
            background is given by its volume; if the conditional distributions are not mixtures of the same family.

        Examples
        --------
        >>> import numpy as np
        >>> from fastem import GaussianMixture
        >>> X = np.random.default_rng(0).multivariate_normal([0, 0], [[1.0, 0.8], [0.8, 1.0]], size=10000)
        >>> model = GaussianMixture().fit(X).conditional({0: 2.0})
        >>> model.means_.round(1), model.covariances_.round(2)
        (array([[1.6]]), array([[[0.36]]]))
        """
        parameters = self._fitted()
        self._components().refuse(["conditional"], type(self).__name__)
        chosen, rest = self._split(list(given))
        values = real_array([list(given.values())], "given", place=lambda index: f"column {list(given)[index[1]]!r}")
        values = check_array(values, dtype=np.float64, input_name="given")
        weights = without_names(self._marginal(parameters, chosen))._responsibilities(values)[0]
        described = parameters.family.host.conditional(parameters.described, rest, chosen, values[0])
        return self._derived(weights, self._parameters_from(described, rest), rest)

    def regress(self, X: ArrayLike, target: int | str | Sequence[int | str]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Predict columns from all others: mean and variance of their conditional distribution.

        Gaussian mixture regression (Ghahramani and Jordan, 1994, Supervised learning from incomplete data via an EM
        approach, Advances in Neural Information Processing Systems 6, 120-127).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features - n_targets)
            The other columns, in their order. Names of a data frame are compared with those of the fit.
        target : int, str, or sequence of them
            The columns to predict.

        Returns
        -------
        mean, variance : ndarray of shape (n_samples,), or (n_samples, n_targets) if `target` is a sequence
            Conditional mean and variance of each target.

        Raises
        ------
        ValueError
            If a column does not exist or appears twice, if none or all are targets, or X has another width or other
            names; if a background is given by its volume.

        Examples
        --------
        >>> import numpy as np
        >>> from fastem import GaussianMixture
        >>> x = np.linspace(-3, 3, 2000)
        >>> y = abs(x) + 0.1 * np.random.default_rng(0).normal(size=2000)
        >>> model = GaussianMixture(2, random_state=0).fit(np.column_stack([x, y]))
        >>> mean, variance = model.regress([[-2.0], [2.0]], target=1)
        >>> mean.round(1)
        array([2., 2.])
        """
        parameters = self._fitted()
        several = not isinstance(target, int | np.integer | str)
        targets, given = self._split([target] if isinstance(target, int | np.integer | str) else list(target))
        marginal = self._marginal(parameters, given)
        if not is_frame(X) and np.ndim(X) == 2 and np.shape(X)[1] != len(given):
            raise ValueError(f"X has {np.shape(X)[1]} columns, where {len(given)} are left beside the target")
        values = marginal._values(X, NOTHING_KNOWN, ensure_all_finite=True)
        parts = self._regression(parameters, targets, given)
        marginal = without_names(marginal)
        mean, variance = (np.empty((len(values), len(targets)), values.dtype) for _ in range(2))
        for start in range(0, len(values), BASE_ROWS):
            rows = values[start : start + BASE_ROWS].astype(np.float64)
            share = marginal._responsibilities(rows)
            means = parts.intercept + np.einsum("ktg,ng->nkt", parts.slope, rows)
            average = np.einsum("nk,nkt->nt", share, means)
            inflation = 1.0 if parts.inflation is None else parts.inflation(rows)[:, :, None]
            spread = parts.variances * inflation + (means - average[:, None]) ** 2
            mean[start : start + BASE_ROWS] = average
            variance[start : start + BASE_ROWS] = np.einsum("nk,nkt->nt", share, spread)
        mean, variance = (mean, variance) if several else (mean[:, 0], variance[:, 0])
        where = namespace_of(X)
        return where.holding(mean), where.holding(variance)

    def sample(
        self, n_samples: int = 1, *, given: Mapping[int | str, float] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Draw rows from the fitted mixture.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        given : mapping of int or str to float, default=None
            Values of some columns, by index or name, which all rows then have.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The rows, ordered by component.
        y : ndarray of shape (n_samples,)
            The component of each row; -1 for the background, which comes last.

        Examples
        --------
        >>> from fastem import GaussianMixture
        >>> X = [[0.0, 5.0], [1.0, 7.0], [10.0, 1.0], [11.0, 2.0]]
        >>> model = GaussianMixture(2, covariance_type="diag", random_state=0).fit(X)
        >>> rows, labels = model.sample(3)
        >>> rows.shape, labels.shape
        ((3, 2), (3,))
        >>> model.sample(2, given={0: 10.5})[1]
        array([0, 0])
        """
        if given is None:
            return self._in_place(*self._draw(n_samples))
        drawn, labels = self.conditional(given)._draw(n_samples)
        chosen, rest = self._split(list(given))
        rows = np.empty((n_samples, len(chosen) + len(rest)), np.result_type(drawn, np.float32))
        rows[:, rest] = drawn
        rows[:, chosen] = list(given.values())
        return self._in_place(rows, labels)

    def _columns(self, columns: Sequence[int | str]) -> list[int]:
        """Indices of columns that are given by index or name."""
        if isinstance(columns, str):
            raise TypeError(f"columns is a sequence of indices or names, not the string {columns!r}")
        n_features = self._locations().shape[1]
        names = list(getattr(self, "feature_names_in_", []))
        chosen = []
        for column in columns:
            known = column in names if isinstance(column, str) else _is_index(column, n_features)
            if not known:
                there = f"names {', '.join(map(repr, names))}" if names else "no names"
                raise ValueError(f"there is no column {column!r}: the mixture has {n_features} columns, and {there}")
            chosen.append(names.index(column) if isinstance(column, str) else int(column) % n_features)
        if not chosen:
            raise ValueError("no column is named")
        if len(set(chosen)) < len(chosen):
            raise ValueError(f"a column appears twice: {list(columns)!r}")
        return chosen

    def _split(self, columns: Sequence[int | str]) -> tuple[list[int], list[int]]:
        """Indices of these columns and of the other columns, of which there must be at least one."""
        chosen = self._columns(columns)
        rest = [column for column in range(self._locations().shape[1]) if column not in chosen]
        if not rest:
            raise ValueError("all columns are named: there are none left")
        return chosen, rest

    def _blank(self) -> Self:
        """An unfitted mixture of some of the columns."""
        starts = {*self._arguments().values(), "fixed"}  # these have the shape of all columns
        parameters = self.get_params(deep=False)
        parameters |= dict.fromkeys(starts & parameters.keys()) | dict(self._components().host.of_columns)
        if "prior" in parameters:
            parameters["prior"] = without_arrays(parameters["prior"])
        return type(self)(**parameters)

    def _derived(self, weights: NDArray[Any], attributes: dict[str, Any], columns: list[int]) -> Self:
        """A mixture of these columns, with weights (K,) and other fitted attributes."""
        model = self._blank()
        where, total = namespace_of(self.weights_), weights.sum()
        weights = weights if abs(total - 1.0) <= WEIGHTS_TOLERANCE else weights / total  # a start's may sum to less
        for name, value in {**attributes, "weights_": weights}.items():
            setattr(model, name, where.holding(value))
        model.n_features_in_ = len(columns)
        if hasattr(self, "feature_names_in_"):
            model.feature_names_in_ = self.feature_names_in_[columns]
        return model


def without_names(model: Model) -> Model:
    """Copy of a mixture without names of columns, so that it evaluates arrays without names."""
    if not hasattr(model, "feature_names_in_"):
        return model
    model = copy(model)
    del model.feature_names_in_
    return model


def _is_index(column: Any, n_features: int) -> bool:
    return is_whole(column, least=-n_features) and column < n_features
