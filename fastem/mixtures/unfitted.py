"""Preparation of a fit: checks of data and parameters, the problem that the loop runs on, and its starts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import validate_data

from fastem.data import Mixture, Range, validation
from fastem.data.cluster.schedulers import scheduler_for
from fastem.data.fingerprints import fingerprint
from fastem.data.frames import same_names
from fastem.data.row_info_checks import Known, annotate
from fastem.data.streams import Reader, Source, as_source
from fastem.em.collected import pose_collection
from fastem.em.initialization import given
from fastem.em.initialization.start import Blocks, begin, draw_responsibilities, start_beside_background
from fastem.em.parameters import Parameters
from fastem.em.priors import Moments, concentration
from fastem.em.problem import Problem, check_squares
from fastem.em.setup import Posed, pose_array, pose_source
from fastem.em.subsample import Sample
from fastem.em.survey import Model
from fastem.engine.threads import limit_threads
from fastem.families import ComponentError
from fastem.families._contract import Prior
from fastem.mixtures.criteria import Criteria
from fastem.mixtures.fitted import Float
from fastem.system.records import encode_all, version

USE_FLOAT64 = " The numerical accuracy can also be improved by passing float64 data instead of float32."
COLUMNS = ("n_features_in_", "feature_names_in_")
UNIDENTIFYING = ("verbose", "verbose_interval", "n_jobs")  # parameters that change no result


def unchanged_on_failure(method: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a method: if it fails before it sets parameters, number and names of the columns stay as they were."""

    @functools.wraps(method)
    def kept(self: Any, *args: Any, **kwargs: Any) -> Any:
        attributes = vars(self)
        weights, columns = attributes.get("weights_"), [attributes.get(name) for name in COLUMNS]
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            if attributes.get("weights_") is weights:
                for name, value in zip(COLUMNS, columns, strict=True):
                    attributes.pop(name, None)
                    if value is not None:
                        attributes[name] = value
            raise

    return kept


class UnfittedMixture(Criteria):
    """Methods that prepare a fit."""

    weights_init: Any

    # Methods and attributes that a public class may override

    reg_covar: float = 0.0
    weights_prior: Any

    def _prior(self) -> Prior:
        """Prior of a start's M-step, as far as it does not depend on the data; nothing is fixed in it."""
        return Prior(float(self.reg_covar), concentration=concentration(self.weights_prior, self._n_weights()))

    def _prior_from(self, problem: Problem, moments: Moments) -> tuple[Prior, Moments]:
        """The whole prior, and the moments of the data that it uses; `moments` holds those that are known."""
        return self._prior(), moments

    def _start(self, sample: Sample | None, origin: Float, blocks: Blocks | None, prior: Prior) -> Mixture:
        """Starting mixture, without a background.

        It has the user's initial parameters; others come from responsibilities (`blocks`) of the sample's rows.
        """
        family, initial = self._components(), self._initial(origin.size)
        weights = initial.pop("weights", None)
        described: dict[str, Float] = {}
        if sample is not None and blocks is not None:
            started = begin(family, sample, origin, blocks, prior, beside=bool(self.background))
            weights, described = started.weights if weights is None else weights, started.described
        for name, value in initial.items():
            follow = [parameter.name for parameter in family.parameters if parameter.follows_from == name]
            for other in follow:
                described.pop(other, None)
            described[name] = value - origin if name == family.parameters[0].name else value
        assert weights is not None
        return Mixture(np.array(weights[: self.n_components], dtype=np.float64), family.restore(described))

    def _published(self, weights: Float, parameters: Mapping[str, Float], origin: Float, dtype: Any) -> dict[str, Any]:
        """Fitted attributes for weights (K,) and described parameters about an origin (d,), in the type of the data."""
        family, described = self._family(), dict(parameters)
        log_density = described.pop("background_log_density", None)
        first = family.parameters[0].name
        described[first] = described[first] + origin
        narrow = validation.in_type_of_data({**described, **family.host.attributes(described)}, dtype)
        attributes: dict[str, Any] = {f"{name}_": value if value.ndim else value[()] for name, value in narrow.items()}
        if log_density is not None:
            attributes["background_log_density_"] = float(log_density)
        return {"weights_": weights.astype(dtype), **attributes}

    def _publish(self, mixture: Mixture, origin: Float, dtype: Any) -> dict[str, Any]:
        """Fitted attributes that describe `mixture`."""
        family = self._family()
        described = family.describe(mixture.params)
        if family.posterior is not None:
            described |= family.posterior.describe(mixture.posterior)
        return self._published(mixture.weights, described, origin, dtype)

    def _surrounded(self, mixture: Mixture, extent: Range | None) -> Mixture:
        """The mixture, with a background for data of this range if it should have one."""
        return mixture

    def _divisible(self) -> bool:
        """Whether the density of a background is a product over the columns, so that it is known for some of them."""
        return True

    def _placed(self, extent: Range | None, dtype: Any) -> dict[str, Any]:
        """Fitted attributes for the box of the background, if there is one; without an extent the box stays."""
        return {}

    def _published_prior(self, problem: Problem, dtype: Any) -> dict[str, Any]:
        """Fitted attributes for the prior, if the class has any."""
        return {}

    def _explain(self, error: ComponentError, dtype: Any) -> ValueError:
        """Error that says which component degenerated, and what to do."""
        family = self._components()
        message = family.host.degenerate + (USE_FLOAT64 if dtype == np.float32 else "")
        shared = [parameter.singular for parameter in family.parameters[1:] if parameter.shared]
        if error.component is None or shared:
            return ValueError(f"{message} It is the {shared[0] if shared else 'form'} that all components share.")
        if error.mass is None:
            return ValueError(f"{message} It is component {error.component}.")
        size, total = error.mass[error.component], error.mass.sum()
        return ValueError(f"{message} It is component {error.component}, whose size is {size:.6g} of {total:.6g} rows.")

    # Methods that all public classes share

    def _initial(self, n_features: int) -> dict[str, Float]:
        """Initial parameters that the user gave, by name, checked."""
        weights, names = self.weights_init, getattr(self, "feature_names_in_", None)
        found = {} if weights is None else {"weights": validation.check_weights(weights, self._n_weights())}
        for initial in self._family().host.initial:
            given = getattr(self, initial.argument)
            if given is not None:
                if initial.axes in ("kd", "dd"):
                    same_names(given, names, initial.argument)
                values = validation.check_initial(given, initial, self.n_components, n_features)
                found |= initial.described(values)
        return found

    def _initial_parameters_suffice(self) -> bool:
        """Whether the user gave every initial parameter."""
        return all(getattr(self, name) is not None for name in self._arguments().values())

    def _model(self) -> Model:
        """Description of this estimator for the functions that set up a problem."""
        names = getattr(self, "feature_names_in_", None)
        missing = self.missing == "marginalize"
        return Model(self._family(), self._prior(), type(self).__name__, missing, names, self._divisible())

    def _validate(
        self,
        X: ArrayLike,
        sample_weight: ArrayLike | None,
        known: Known,
        *,
        first: bool = True,
        whole: bool = True,
    ) -> Sample:
        """Check data and annotations: `first` for a new fit, `whole` if labels must allow rows of each component."""
        values = self._values(X, known, first=first, ensure_min_samples=2 if first else 1)
        weights = validation.sample_weights(sample_weight, values)
        annotations = annotate(known, values.shape, self._n_weights(), weights, whole=whole)
        rows = Sample(values, weights, annotations)
        if first and known.projection is not None:  # the columns of X are not the features
            self.n_features_in_ = rows.annotations.n_features(values.shape[1])
            if hasattr(self, "feature_names_in_"):
                del self.feature_names_in_
        return rows

    def _pose(
        self, X: Any, sample_weight: ArrayLike | None, known: Known, random_state: np.random.RandomState
    ) -> Posed:
        """Set up the problem that the loop runs on, from an array or a source."""
        source = None if type(X) is np.ndarray else as_source(X)
        if source is None:
            rows = self._validate(X, sample_weight, known)
            posed = self._pose_rows(rows, random_state, begins=not self._continues())
        elif source.partitioned:
            posed = self._pose_collection(source.beside(sample_weight, known), random_state)
        else:
            validation.nothing_beside(sample_weight, known)
            posed = self._pose_source(source, random_state)
        return self._checked(posed)

    def _pose_source(self, source: Source, random_state: np.random.RandomState) -> Posed:
        """Set up the problem of a source."""
        self._check_no_given_start()
        reader = Reader(source, missing=self.missing == "marginalize")
        posed = pose_source(self._model(), reader, self._n_weights(), self._sample_size(), random_state)
        self._see_columns(reader.header, posed, projected=reader.known.projection is not None)
        validation.at_least_two(reader.n_rows)
        return posed

    def _pose_collection(self, source: Source, random_state: np.random.RandomState) -> Posed:
        """Set up the problem of a collection."""
        self._check_no_given_start()
        scheduler, size = scheduler_for(source.client), self._sample_size()
        found = pose_collection(self._model(), source.collection(), scheduler, self._n_weights(), size, random_state)
        self._see_columns(found.header, found.posed, projected=found.projected)
        validation.at_least_two(found.posed.problem.source.n_rows)
        return found.posed

    def _check_no_given_start(self) -> None:
        """Raise ValueError if the user gave a start for each row, but rows do not come as one array."""
        if self._starts_from_array() and not self._continues():
            given.check_possible(self.n_init, chunks=True)

    def _sample_size(self) -> int:
        """Largest number of rows for a start; 0 if no rows are needed."""
        return 0 if self._initial_parameters_suffice() or self._continues() else int(self.init_size)

    def _see_columns(self, header: Any, posed: Posed, *, projected: bool) -> None:
        """Set number and names of the columns, from a data frame or an array without rows."""
        header = np.empty((0, posed.problem.source.n_features)) if projected else header
        validate_data(self, header, skip_check_array=True, reset=True)

    def _starts_from_array(self) -> bool:
        """Whether the user gave labels or responsibilities to start from."""
        return not isinstance(self.init_params, str)

    def _pose_rows(self, rows: Sample, random_state: np.random.RandomState, *, begins: bool) -> Posed:
        """Set up the problem of rows in one array; `begins` if there is a start, which the user may have given."""
        if not (begins and self._starts_from_array()):
            return pose_array(self._model(), rows, self.init_size, random_state)
        given.check_possible(self.n_init, chunks=False)
        n_rows = len(rows.values)
        start = given.read_start(self.init_params, n_rows, self.n_components)
        posed = pose_array(self._model(), rows, n_rows, random_state)
        return posed._replace(given=start if rows.weights is None else start[rows.weights > 0.0])

    def _checked(self, posed: Posed) -> Posed:
        """Check that there are enough rows, and initial parameters that the fit does not use."""
        if not posed.n_present:
            raise ValueError("Sample weights must contain at least one non-zero number.")
        if posed.n_present < self.n_components:
            raise ValueError(
                "Expected n_samples >= n_components "
                f"but got n_components = {self.n_components}, n_samples = {posed.n_present}"
            )
        if self._continues():  # otherwise they are checked when they are used
            self._initial(posed.problem.source.n_features)
        samples = posed.given is None and not (self._initial_parameters_suffice() or self._continues())
        if samples and self.init_size < self.n_components:
            raise ValueError(
                f"init_size={self.init_size} is less than n_components={self.n_components}: a start needs as many rows"
            )
        return posed

    def _identity(self, posed: Posed) -> dict[str, Any]:
        """Values that must be the same when a fit is resumed."""
        parameters = {name: value for name, value in self.get_params(deep=False).items() if name not in UNIDENTIFYING}
        if self.convergence == "bound":  # the default, which older checkpoints do not hold
            del parameters["convergence"]
        if isinstance(self.random_state, np.random.RandomState):
            parameters["random_state"] = "a RandomState"
        if self._starts_from_array():  # the array is as long as the data, so its fingerprint is kept as theirs is
            parameters["init_params"] = fingerprint([("init_params", posed.given)])
        return {
            "fastem": version(),
            "estimator": type(self).__name__,
            **encode_all(parameters),
            "the warm start": float(self.lower_bound_) if self._continues() else None,
            "n_samples": posed.problem.source.n_rows,
            "n_features": posed.problem.source.n_features,
            "the type of X": str(posed.dtype),
            "the fingerprint of X": posed.problem.source.digest(),
        }

    def _under_prior(self, problem: Problem, moments: Moments) -> tuple[Problem, Moments]:
        """The problem with the prior of its starts, and the moments of the data that the prior uses."""
        with limit_threads(self.n_jobs):
            prior, moments = self._prior_from(problem, moments)
        return replace(problem, prior=prior), moments

    def _fixed_prior(self, prior: Prior, origin: Float) -> Prior:
        """The prior with the fixed parameters, in coordinates about the origin (d,)."""
        fixed = self._fixed()
        initial = self._initial(origin.size) if fixed else {}
        arguments, locations = self._arguments(), self._family().parameters[0].name
        for name, mask in fixed.items():
            if getattr(self, arguments[name]) is None:
                raise ValueError(f"fixed={name!r} needs {arguments[name]}: the values to keep")
            if name == "weights":
                prior = prior._replace(weights=np.where(mask, initial[name], np.nan))
            elif name == locations:
                prior = prior._replace(means=np.where(mask[:, None], initial[name] - origin, np.nan))
            else:
                prior = prior._replace(kept={**prior.kept, name: mask})
        return prior

    def _continues(self) -> bool:
        """Whether a fit continues from the fitted parameters."""
        return bool(self.warm_start and hasattr(self, "converged_"))

    def _starts(
        self, posed: Posed, random_state: np.random.RandomState, fitted: Parameters | None
    ) -> Iterator[Callable[[], Mixture]]:
        """Functions that make the start of each run, or a single one that continues from fitted parameters."""
        origin, family, prior = posed.problem.source.origin, posed.problem.family, posed.problem.prior

        def begun(sample: Sample | None, blocks: Blocks | None) -> Mixture:
            return self._surrounded(self._start(sample, origin, blocks, prior), posed.extent)

        def draw(sample: Sample) -> Mixture:
            return begun(sample, draw_responsibilities(self.init_params, sample, self.n_components, random_state))

        def start() -> Mixture:
            if self._initial_parameters_suffice():
                return begun(None, None)
            sample = posed.sample()
            if family.translation_invariant:
                check_squares(sample.features, origin)
            if posed.given is not None:
                return begun(sample, given.blocks_of(posed.given, self.n_components))
            return start_beside_background(family, sample, origin, draw) if family.background else draw(sample)

        if fitted is not None:
            if fitted.locations.shape[1] != origin.size:
                raise ValueError(
                    f"warm_start cannot continue from parameters of {fitted.locations.shape[1]} features where X has "
                    f"{origin.size}"
                )
            return iter([lambda: self._surrounded(fitted.about(origin), posed.extent)])
        return iter([start] * self.n_init)
