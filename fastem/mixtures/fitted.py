"""What can be done with a fitted mixture: densities, labels, criteria, sampling, saving."""

from __future__ import annotations

import functools
import math
from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from contextlib import closing
from os import PathLike
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from fastem.data import Scores, Wanted, frames, numeric, validation
from fastem.data.namespaces import check_same, is_foreign, namespace_of, on_host
from fastem.data.projections import check_densities
from fastem.data.row_info_checks import Known, annotate
from fastem.data.streams import Block, Reader, Source, as_source
from fastem.em.parameters import Frame, Parameters, checked
from fastem.em.problem import BASE_ROWS, check_domain, exact_for, has_nan, source_for, sum_log_base
from fastem.em.subsample import Sample
from fastem.engine.compiled import get_passes
from fastem.engine.threads import held_tasks, limit_threads, pipelined
from fastem.families import BACKGROUND, Family, family_for, get_family
from fastem.families._parameters import count_free
from fastem.persistence import models

Float = NDArray[np.float64]
NOTHING_KNOWN = Known()


def has_likelihood(model: Any) -> bool:
    """Whether a mixture has the methods that are about a likelihood."""
    return bool(model.LIKELIHOOD)


class _Evaluation(NamedTuple):
    """Scores of rows, the sum of what passes leave out of their log-densities, and their weight."""

    scores: Scores
    base: float
    weight: float
    dtype: Any  # of the rows


class FittedMixture(DensityMixin, BaseEstimator, metaclass=ABCMeta):
    """Methods of a fitted mixture. They read the fitted attributes, which may have been set by hand."""

    SHAPING: ClassVar[tuple[str, ...]] = ()  # parameters that decide which fitted attributes there are
    LIKELIHOOD: ClassVar[bool] = True  # whether it is what a fit climbs: there are criteria then, and streams
    background: Any = False
    missing: str
    acceleration: str | None

    @abstractmethod
    def _kind(self) -> str:
        """Name of the components' family."""

    def _components(self) -> Family:
        """Family of the components without the background."""
        return get_family(self._kind())

    def _family(self) -> Family:
        """Family of the components, the background among them."""
        return get_family(self._kind() + (BACKGROUND if self.background else ""))

    def _locations(self) -> NDArray[Any]:
        """Fitted means of the components (K, d), or what else says where they are, in the type that they have."""
        return self._attribute(self._family().parameters[0].name)

    def _attribute(self, name: str) -> NDArray[Any]:
        """A fitted parameter in numpy's memory, as it was set."""
        value = vars(self)[f"{name}_"]
        return on_host(value) if is_foreign(value) else value

    def _sample_component(self, component: int, n_samples: int, random_state: np.random.RandomState) -> NDArray[Any]:
        """Draw rows from one component."""
        parameters = self._fitted()
        return parameters.family.host.sample(parameters.described, component, n_samples, random_state)

    def _check_same(self, X: Any, method: str) -> None:
        """Raise ValueError if X is an array of another library or device than the fitted parameters."""
        if "weights_" in vars(self):
            check_same(X, self, method)

    def _check_supported(self, algorithm: Any) -> None:
        """Raise ValueError that names a feature which the family does not support, if it was asked for."""
        family, who = self._components(), type(self).__name__
        if not family.unsupported and (family.missing is not None or self.missing != "marginalize"):
            return
        name = algorithm if isinstance(algorithm, str) else type(algorithm).__name__.lower()
        family.refuse([f"algorithm={name!r}", f"acceleration={self.acceleration!r}"], who)
        if self.missing == "marginalize" and family.missing is None:
            family.refuse(["missing='marginalize'"], who)
            raise ValueError(f"{who} does not support missing='marginalize'")

    def _arguments(self) -> dict[str, str]:
        """Parameters that can be fixed, and which of the constructor's their values come from."""
        return {"weights": "weights_init", **{start.fixes: start.argument for start in self._family().host.initial}}

    @classmethod
    @functools.cache
    def _get_param_names(cls) -> list[str]:
        """Names of the parameters, which scikit-learn would read anew from the signature in every fit."""
        return super()._get_param_names()

    def _fitted(self) -> Parameters:
        """The fitted parameters, which anybody may have set, checked: the only way from attributes to kernels.

        Raises
        ------
        NotFittedError
            If there are none.
        ValueError
            If they contradict each other or the constructor's parameters, which are those of the next fit.
        """
        attributes = vars(self)
        if "weights_" not in attributes:
            check_is_fitted(self, "weights_")
        try:
            family = self._family()
        except KeyError:
            self._validate_params()
            raise
        n_features = attributes.get("n_features_in_")
        parameters = checked(family, Frame(attributes, self.n_components, n_features, self.SHAPING))
        names = attributes.get("feature_names_in_")
        if names is not None and len(names) != parameters.locations.shape[1]:
            raise ValueError(
                f"feature_names_in_ has {len(names)} names, where there are {parameters.locations.shape[1]} features"
            )
        return parameters

    def _values(
        self, X: Any, known: Known, *, first: bool = False, missing: bool = False, **options: Any
    ) -> NDArray[Any]:
        """Checked values of an array; `first` if they are to be fitted to, `missing` if NaN is allowed in any case."""
        if known.errors:
            validation.check_errors(known.errors, self._family(), type(self).__name__)
        finite = "allow-nan" if missing or self.missing == "marginalize" else True
        if self._is_plain(X, options.get("ensure_min_samples", 1), first=first):
            if first:
                self.n_features_in_ = X.shape[1]
            return validation.native(X)
        options = {"dtype": validation.FLOATS, "ensure_all_finite": finite, **options}
        with config_context(assume_finite=False):  # the look that found X to be plain has been taken anyway
            return self._validated(X, known, options, first=first)

    def _validated(self, X: Any, known: Known, options: dict[str, Any], *, first: bool) -> NDArray[Any]:
        """Values that scikit-learn has looked at."""
        X = frames.tabular(X)
        values = numeric.real_array(X, "X", missing=options["ensure_all_finite"] == "allow-nan")
        if known.projection is not None and not first:  # columns are not features
            return validation.native(check_array(values, **options))
        if frames.is_frame(X):
            frames.same_names(known.noise, frames.feature_names(X), "noise")
            validate_data(self, X, skip_check_array=True, reset=first)
            return validation.native(check_array(values, estimator=self, input_name="X", **options))
        described = values if values.ndim == 2 else X  # which scikit-learn has words for
        return validation.native(validate_data(self, described, reset=first, **options))

    def _is_plain(self, X: Any, n_samples: int, *, first: bool) -> bool:
        """Whether `validate_data`, which takes a tenth of a fit to a hundred rows, would find nothing to say of X."""
        if hasattr(self, "feature_names_in_") or not validation.is_plain(X, n_samples):
            return False
        return first or getattr(self, "n_features_in_", -1) == X.shape[1]

    def _boxed(self, rows: Sample) -> Sample:
        """Rows that know the box of a background that has been fitted, if there is one."""
        return rows

    def _check_width(self, rows: Sample, n_features: int) -> None:
        """Check that rows have the fitted number of features, which `n_features_in_` may not tell."""
        found = rows.annotations.n_features(rows.values.shape[1])
        if found != n_features:
            raise ValueError(
                f"X has {found} features, but {type(self).__name__} is expecting {n_features} features as input."
            )

    def _evaluate(
        self,
        X: Any,
        wanted: Wanted,
        sample_weight: ArrayLike | None = None,
        known: Known = NOTHING_KNOWN,
    ) -> _Evaluation:
        """Run a score pass over an array or a source."""
        parameters = self._fitted()
        source = as_source(X)
        with limit_threads(self.n_jobs):
            if source is not None:
                validation.nothing_beside(sample_weight, known)
                return self._evaluate_source(source, wanted, parameters)
            values = self._values(X, known)
            weights = validation.sample_weights(sample_weight, values)
            rows = Sample(values, weights, annotate(known, values.shape, self._n_weights()))
            return self._evaluate_rows(rows, wanted, parameters)

    def _evaluate_source(self, source: Source, wanted: Wanted, parameters: Parameters) -> _Evaluation:
        """Score blocks one after the other."""
        reader = Reader(source, missing=self.missing == "marginalize")

        def evaluate(block: Block) -> _Evaluation:
            if not block.first:
                errors = reader.known.has_errors
                validation.check_errors(errors, self._family(), type(self).__name__)
            if not block.first and block.annotations.projection is None:
                validate_data(self, reader.header, skip_check_array=True, reset=False)
            rows = Sample(block.values, block.weights, block.annotations.unrestricted.sparing)
            return self._evaluate_rows(rows, wanted, parameters, block.place)

        with closing(reader.blocks(held_tasks())) as blocks:
            parts = list(pipelined(evaluate, blocks))
        scores = Scores.joined([part.scores for part in parts])
        base, weight = (sum(numbers) for numbers in zip(*((part.base, part.weight) for part in parts), strict=True))
        return _Evaluation(scores, base, weight, reader.dtype)

    def _evaluate_rows(
        self,
        rows: Sample,
        wanted: Wanted,
        parameters: Parameters,
        place: Callable[[int], str] = "row {}".format,
        *,
        missing: bool = False,
        restricted: bool = False,
    ) -> _Evaluation:
        """Score checked rows, with the terms of log-densities that a pass leaves out; `missing` if there may be NaN.

        What is known of their components counts if `restricted`.
        """
        values, locations = rows.values, self._locations()
        missing = (missing or self.missing == "marginalize") and has_nan(values)
        annotations = self._boxed(rows).annotations if missing else rows.annotations
        family = family_for(parameters.family, missing=missing, errors=annotations.has_errors)
        check_domain(family, values, type(self).__name__, place)
        family = exact_for(family, values)
        self._check_width(rows, locations.shape[1])
        check_densities(values, annotations, place)
        plain = not family.translation_invariant or annotations.projection is not None
        narrow = values.dtype == np.float32
        origin, mixture = parameters.nearby(None if plain else values.dtype if narrow else locations.dtype)
        if narrow and locations.dtype != np.float32:  # parameters may tell more than float32 can
            family = family._replace(single=None)
        source = source_for(family, values, rows.weights, origin, annotations, mixture.params)
        passes = get_passes(family, restrict="restrict" if restricted else "all_allowed")
        scores = source.score(passes, mixture, wanted)
        if wanted.densities and family.log_base is not None:
            for start in range(0, len(values), BASE_ROWS):
                part = slice(start, start + BASE_ROWS)
                scores.rows.densities[part] += family.log_base(values[part])
        by_row = wanted.labels or wanted.densities or wanted.responsibilities
        base = 0.0 if by_row else sum_log_base(family, values, rows.weights)
        return _Evaluation(scores, base, source.total_weight, values.dtype)

    def score_samples(
        self, X: ArrayLike, *, noise: ArrayLike | None = None, projection: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Compute the log-density of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or source
            The data; a source, see `fastem.Source`, is read once.
        noise, projection : array-like, default=None
            Of the errors with which the rows were measured, see `fit`: densities are then those of what was measured.

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
        """Log-densities of rows, in their type."""
        evaluation = self._evaluate(X, Wanted(densities=True), known=known)
        with np.errstate(over="ignore"):
            return evaluation.scores.rows.densities.astype(evaluation.dtype, copy=False)

    def _totals(
        self, X: ArrayLike, sample_weight: ArrayLike | None, known: Known, *, entropy: bool = False
    ) -> tuple[float, float, float]:
        """Total log-likelihood, entropy of the responsibilities, and weight of the rows of X."""
        evaluation = self._evaluate(X, Wanted(entropy=entropy), sample_weight, known)
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
            Of the errors with which the rows were measured, see `fit`: densities are then those of what was measured.

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
        if sample_weight is None and str(getattr(X, "dtype", "")).rpartition(".")[2] == "float32":
            # in float32, like scikit-learn: programs compare it with the mean of score_samples
            return float(self._densities(X, Known(None, noise, projection)).mean())
        log_likelihood, _, total = self._totals(X, sample_weight, Known(None, noise, projection))
        return log_likelihood / total

    def predict(
        self, X: ArrayLike, *, noise: ArrayLike | None = None, projection: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Label each row with its most probable component.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or source
            The data; a source, see `fastem.Source`, is read once.
        noise, projection : array-like, default=None
            Of the errors with which the rows were measured, see `fit`: densities are then those of what was measured.

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

    def predict_proba(
        self, X: ArrayLike, *, noise: ArrayLike | None = None, projection: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Compute the responsibilities: the probability of each component, given the row; the background's is the last.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or source
            The data; a source, see `fastem.Source`, is read once.
        noise, projection : array-like, default=None
            Of the errors with which the rows were measured, see `fit`: densities are then those of what was measured.

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
        """Responsibilities of rows, in their type."""
        return self._evaluate(X, Wanted(responsibilities=True), known=known).scores.rows.responsibilities

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
            Weights of the rows; their sum is the number of rows.
        noise, projection : array-like, default=None
            Of the errors with which the rows were measured, see `fit`: densities are then those of what was measured.

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
            Of the errors with which the rows were measured, see `fit`: densities are then those of what was measured.

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

        It adds to the BIC twice the entropy of the responsibilities, and so prefers components that do not overlap.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or source
            The data; a source, see `fastem.Source`, is read once.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        noise, projection : array-like, default=None
            Of the errors with which the rows were measured, see `fit`: densities are then those of what was measured.

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
        """Number of free parameters, as `bic` and `aic` count them: without those that are fixed."""
        if not self.LIKELIHOOD:
            raise AttributeError(f"{type(self).__name__!r} has no attribute 'n_parameters_': it has a posterior")
        self._fitted()
        return self._n_parameters()

    def _n_parameters(self) -> int:
        """Number of free parameters, by the name that scikit-learn has for it."""
        n_free = {name: int((~mask).sum()) for name, mask in self._fixed().items()}
        n_weights = n_free.pop("weights", len(self._attribute("weights")))
        return count_free(self._family().parameters, self._locations().shape, n_free) + max(n_weights - 1, 0)

    def _n_weights(self) -> int:
        """Number of components that a fit has, the background among them."""
        return int(self.n_components) + int(self._family().background)

    def _labels(self) -> NDArray[np.int64]:
        """What rows of each component are labelled with."""
        labels = np.arange(len(self._attribute("weights")))
        if self._family().background:
            labels[-1] = -1
        return labels

    def _fixed(self) -> dict[str, NDArray[np.bool_]]:
        """Which components' parameters are fixed (K,), by name; the background's weight may be as well (K + 1,)."""
        if self.fixed is None:
            return {}
        sizes = {**dict.fromkeys(self._arguments(), int(self.n_components)), "weights": self._n_weights()}
        fixed = validation.fixed_components(self.fixed, sizes)
        for parameter in self._family().parameters:
            if parameter.together and not fixed.get(parameter.name, np.ones(1, bool)).all():
                why = f"they share one {parameter.singular}" if parameter.shared else "their form is shared"
                raise ValueError(f"fixed[{parameter.name!r}] must be True for all components: {why}")
        return fixed

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "marginalize"
        tags.array_api_support = True
        return tags

    def _draw(self, n_samples: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Draw rows, ordered by component, and the component of each."""
        self._fitted()
        if not numeric.is_whole(n_samples, least=1):
            raise ValueError(f"Invalid value for 'n_samples': {n_samples} . The sampling requires at least one sample.")
        random_state = check_random_state(self.random_state)
        weights = self._attribute("weights").astype(np.float64)
        counts = random_state.multinomial(n_samples, weights / weights.sum())
        rows = [self._sample_component(k, int(n), random_state) for k, n in enumerate(counts)]
        return np.vstack(rows), np.repeat(self._labels(), counts)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model to a JSON file, whole or not at all; `fastem.load` reads it back exactly.

        Parameters
        ----------
        path : str or path-like
            Where to.

        Examples
        --------
        >>> from fastem import GaussianMixture
        >>> X = [[0.0], [1.0], [10.0], [11.0]]
        >>> model = GaussianMixture(n_components=2, random_state=0).fit(X)
        >>> model.save("model.json")  # doctest: +SKIP
        """
        models.save(self, path)
