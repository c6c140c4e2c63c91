"""Fitted mixtures: checked access to their attributes, and passes that evaluate rows."""

from __future__ import annotations

import functools
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
from fastem.persistence import models

Float = NDArray[np.float64]
NOTHING_KNOWN = Known()


class _Evaluation(NamedTuple):
    """Scores of rows, the sum of the terms that passes leave out of log-densities, and the total weight."""

    scores: Scores
    base: float
    weight: float
    dtype: Any  # of the rows


class FittedMixture(DensityMixin, BaseEstimator, metaclass=ABCMeta):
    """Methods of a fitted mixture. They read the fitted attributes, which may have been set by hand."""

    SHAPING: ClassVar[tuple[str, ...]] = ()  # constructor parameters that decide which fitted attributes there are
    LIKELIHOOD: ClassVar[bool] = True  # whether a fit maximises a likelihood: then there are criteria and streams
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
        """Fitted locations (K, d) of the components, such as means or rates, in their own type."""
        return self._attribute(self._family().parameters[0].name)

    def _attribute(self, name: str) -> NDArray[Any]:
        """A fitted parameter as it was set, copied to a numpy array if another library or device holds it."""
        value = vars(self)[f"{name}_"]
        return on_host(value) if is_foreign(value) else value

    def _sample_component(
        self, parameters: Parameters, component: int, n_samples: int, random_state: np.random.RandomState
    ) -> NDArray[Any]:
        """Draw rows (n_samples, d) from one component."""
        return parameters.family.host.sample(parameters.described, component, n_samples, random_state)

    def _check_same(self, X: Any, method: str) -> None:
        """Raise ValueError if X is an array of another library or device than the fitted parameters."""
        if "weights_" in vars(self):
            check_same(X, self, method)

    def _check_supported(self, algorithm: Any) -> None:
        """Raise ValueError if the user asked for a feature that the family does not support; it names the feature."""
        family, who = self._components(), type(self).__name__
        if not family.unsupported:
            return
        name = algorithm if isinstance(algorithm, str) else type(algorithm).__name__.lower()
        features = [f"algorithm={name!r}", f"acceleration={self.acceleration!r}", f"missing={self.missing!r}"]
        family.refuse(features, who)

    def _arguments(self) -> dict[str, str]:
        """Names of parameters that can be fixed, and of the constructor's parameters that give their values."""
        return {"weights": "weights_init", **{start.fixes: start.argument for start in self._family().host.initial}}

    @classmethod
    @functools.cache
    def _get_param_names(cls) -> list[str]:
        """Names of the parameters, cached: scikit-learn would read them from the signature in every fit."""
        return super()._get_param_names()

    def _fitted(self) -> Parameters:
        """Check and return the fitted parameters, which a user may have set: the only way from attributes to kernels.

        Raises
        ------
        NotFittedError
            If the mixture is not fitted.
        ValueError
            If they contradict each other, or the constructor's parameters, which are those of the next fit.
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
        """Checked values (n, m) of an array: `first` for a new fit, `missing` if NaN is allowed in any case."""
        if known.errors:
            validation.check_errors(known.errors, self._family(), type(self).__name__)
        finite = "allow-nan" if missing or self.missing == "marginalize" else True
        if self._is_plain(X, options.get("ensure_min_samples", 1), first=first):
            if first:
                self.n_features_in_ = X.shape[1]
            return validation.native(X)
        options = {"dtype": validation.FLOATS, "ensure_all_finite": finite, **options}
        with config_context(assume_finite=False):  # `_is_plain` too checks this whatever the user's setting
            return self._validated(X, known, options, first=first)

    def _validated(self, X: Any, known: Known, options: dict[str, Any], *, first: bool) -> NDArray[Any]:
        """Values (n, m) of an array or data frame, checked by scikit-learn."""
        X = frames.tabular(X)
        values = numeric.real_array(X, "X", missing=options["ensure_all_finite"] == "allow-nan")
        if known.projection is not None and not first:  # columns are not features
            return validation.native(check_array(values, **options))
        if frames.is_frame(X):
            frames.same_names(known.noise, frames.feature_names(X), "noise")
            validate_data(self, X, skip_check_array=True, reset=first)
            return validation.native(check_array(values, estimator=self, input_name="X", **options))
        described = values if values.ndim == 2 else X  # scikit-learn's message says what is wrong with X
        return validation.native(validate_data(self, described, reset=first, **options))

    def _is_plain(self, X: Any, n_samples: int, *, first: bool) -> bool:
        """Whether `validate_data` would accept X as it is; that call takes a tenth of a fit to a hundred rows."""
        if hasattr(self, "feature_names_in_") or not validation.is_plain(X, n_samples):
            return False
        return first or getattr(self, "n_features_in_", -1) == X.shape[1]

    def _boxed(self, rows: Sample) -> Sample:
        """Rows with the box of the fitted background in their annotations, if there is one."""
        return rows

    def _check_width(self, rows: Sample, n_features: int) -> None:
        """Check that rows have the fitted number of features: `n_features_in_` may be absent."""
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
        """Score the blocks of a source, one after the other."""
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
        """Score checked rows, with the terms of log-densities that a pass leaves out.

        `missing` says that NaN may be present in any case, `restricted` that known components of rows are respected.
        """
        values, locations = rows.values, self._locations()
        missing = (missing or self.missing == "marginalize") and has_nan(values)
        annotations = self._boxed(rows).annotations if missing else rows.annotations
        family = family_for(parameters.family, missing=missing, errors=annotations.has_errors)
        check_domain(family, values, type(self).__name__, place)
        family = exact_for(family, values)
        self._check_width(rows, locations.shape[1])
        if annotations.projection is not None:
            check_densities(values, annotations, place)
        plain = not family.translation_invariant or annotations.projection is not None
        narrow = values.dtype == np.float32
        origin, mixture = parameters.nearby(None if plain else values.dtype if narrow else locations.dtype)
        if narrow and locations.dtype != np.float32:  # parameters may have more digits than float32 has
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

    def _n_weights(self) -> int:
        """Number of mixing weights of a fit: components, and the background if there is one."""
        return int(self.n_components) + int(self._family().background)

    def _labels(self) -> NDArray[np.int64]:
        """Labels for rows of each component (K,): its index, or -1 for the background, which is last."""
        labels = np.arange(len(self._attribute("weights")))
        if self._family().background:
            labels[-1] = -1
        return labels

    def _fixed(self) -> dict[str, NDArray[np.bool_]]:
        """Masks (K,) of the components in which a parameter is fixed, by name; with a background, weights (K + 1,)."""
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
        """Draw rows (n_samples, d), ordered by component, and the label of each (n_samples,)."""
        parameters = self._fitted()
        if not numeric.is_whole(n_samples, least=1):
            raise ValueError(f"Invalid value for 'n_samples': {n_samples} . The sampling requires at least one sample.")
        random_state = check_random_state(self.random_state)
        weights = self._attribute("weights").astype(np.float64)
        counts = random_state.multinomial(n_samples, weights / weights.sum())
        rows = [self._sample_component(parameters, k, int(n), random_state) for k, n in enumerate(counts)]
        return np.vstack(rows), np.repeat(self._labels(), counts)

    def _in_place(self, *arrays: NDArray[Any]) -> Any:
        """Arrays in the library and on the device of the fitted parameters."""
        where = namespace_of(self.weights_)
        return tuple(map(where.holding, arrays))

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model to a JSON file, whole or not at all; `fastem.load` reads it back exactly.

        Parameters
        ----------
        path : str or path-like
            The file to write. An existing file is replaced.

        Examples
        --------
        >>> from fastem import GaussianMixture
        >>> X = [[0.0], [1.0], [10.0], [11.0]]
        >>> model = GaussianMixture(n_components=2, random_state=0).fit(X)
        >>> model.save("model.json")  # doctest: +SKIP
        """
        models.save(self, path)
