"""`partial_fit`, which updates a mixture with one batch of rows after the other, and how fitted attributes are set."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any, ClassVar, Self

from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from fastem.data import Range, validation
from fastem.data.cluster.collections import Beside
from fastem.data.cluster.pieces import naming_partition
from fastem.data.cluster.schedulers import one_by_one, scheduler_for
from fastem.data.namespaces import HOST, namespace_of
from fastem.data.row_info_checks import Known
from fastem.data.streams import as_source, is_partitioned
from fastem.em import loop
from fastem.em.algorithms import Stepwise
from fastem.em.algorithms.stepwise import State, begin
from fastem.em.parameters import Parameters
from fastem.em.priors import Moments
from fastem.em.problem import Problem, check_domain
from fastem.em.setup import problem_of
from fastem.em.subsample import Sample
from fastem.engine.threads import limit_threads
from fastem.families import ComponentError
from fastem.mixtures.criteria import has_likelihood
from fastem.mixtures.stream import Stream, stream_of
from fastem.mixtures.unfitted import UnfittedMixture, unchanged_on_failure

NOTHING_MORE: dict[str, Any] = {}


class Streaming(UnfittedMixture):
    """`partial_fit`: steps of stepwise EM, whose state is a fitted attribute."""

    algorithm: Any
    n_jobs: int | None

    PASSING: ClassVar[frozenset[str]] = frozenset({"background_", "background_log_density_", "stream_"})
    """Fitted attributes that not every fit sets."""

    @available_if(has_likelihood)
    @_fit_context(prefer_skip_nested_validation=True)
    @unchanged_on_failure
    def partial_fit(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        noise: ArrayLike | None = None,
        projection: ArrayLike | None = None,
    ) -> Self:
        """Update the mixture with a batch of rows, by a step of stepwise EM, see `fastem.Stepwise`.

        The first call computes a start from its batch, as `fit` does, or continues from fitted parameters if there are
        any. Its batch should hold rows of all components. If `algorithm` is a `Stepwise`, its options are used. A
        stream continues after pickling, or saving and loading, with the same results to the last bit. If parameters are
        set by hand or `fit` is called in between, the next batch begins a new stream from the fitted parameters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The batch; or a collection of Dask, or a `fastem.Source` of files with a client: its partitions are batches,
            one after the other.
        y : Ignored
            Present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        labels, noise, projection : array-like, default=None
            Known components, errors and projections of the rows, see `fit`.

        Returns
        -------
        self : object
            The mixture after the step. `lower_bound_` is the mean log-likelihood of the batch before the step; with a
            prior, the logarithm of its density before the step is added, divided by the weight of all rows so far.
            `n_iter_` is the number of batches so far.

        Raises
        ------
        ValueError
            If X is not valid for the mixture or has another number of features than the batches before; if a component
            degenerates; if constructor parameters such as `n_components` contradict the fitted parameters. After an
            error the mixture is unchanged.

        Examples
        --------
        >>> import numpy as np
        >>> from fastem import GaussianMixture
        >>> rng, model = np.random.default_rng(0), GaussianMixture(2, random_state=0)
        >>> for _ in range(50):
        ...     model = model.partial_fit(rng.normal(size=(200, 1)) + 5 * rng.integers(2, size=(200, 1)))
        >>> sorted(model.means_.round().ravel().tolist())
        [0.0, 5.0]
        """
        options = self.algorithm if isinstance(self.algorithm, Stepwise) else Stepwise()
        self._check_supported(options)
        options.check()
        if is_partitioned(X):
            return self._partial_fit_each(X, Beside(sample_weight, Known(labels, noise, projection)))
        validation.no_source(X)
        stream = self._stream()
        fitted = self._fitted() if stream is None and hasattr(self, "weights_") else None
        known, begins = Known(labels, noise, projection), stream is None
        rows = self._validate(X, sample_weight, known, first=begins and fitted is None, whole=begins)
        rows = rows if begins and fitted is None else self._boxed(rows)
        dtype = rows.values.dtype
        try:
            problem, state, moments, extent = (
                self._begun(rows, fitted) if stream is None else self._taken_up(rows, stream)
            )
            problem = replace(problem, prior=self._fixed_prior(problem.prior, problem.source.origin))
            log_prior = problem.log_prior(state.mixture)
            with limit_threads(self.n_jobs):
                state, log_likelihood = options.update(problem, state)
        except ComponentError as error:
            raise self._explain(error, dtype) from None
        origin = problem.source.origin
        bound = (log_likelihood + problem.base) / problem.source.total_weight + log_prior / state.seen
        family, run = self._family(), loop.Run(0, state.mixture, bound, stop_reason="max_iter")
        described = family.describe(state.mixture.params)
        found = self._published(state.mixture.weights, described, origin, dtype)
        attributes = {**found, **self._placed(extent, dtype)}
        stream = stream_of(family, state, described, origin, moments, attributes)
        where = namespace_of(X)
        held = attributes if where is HOST else {name: where.holding(value) for name, value in attributes.items()}
        self._set_run(run, [], held, {"n_iter_": state.n_batches, "stream_": stream})
        return self

    def _partial_fit_each(self, X: Any, beside: Beside) -> Self:
        """Update the mixture with the partitions of a collection, one after the other."""
        source = as_source(X)
        assert source is not None
        collection = source.beside(*beside).collection()
        with closing(one_by_one(scheduler_for(source.client), collection.pieces)) as partitions:
            for name, rows in zip(collection.names, partitions, strict=True):
                if len(rows["X"]):
                    with naming_partition(name):
                        self.partial_fit(**rows)
        return self

    def _begun(self, rows: Sample, fitted: Parameters | None) -> tuple[Problem, State, Moments, Range | None]:
        """Problem and state of a stream whose first batch is `rows`, from a start or from fitted parameters.

        Also the moments that the prior uses, and the range of the rows if a new background needs it.
        """
        random_state = check_random_state(self.random_state)
        posed = self._checked(self._pose_rows(rows, random_state, begins=fitted is None))
        problem, moments = self._under_prior(posed.problem, Moments())
        if fitted is None:
            start = next(self._starts(posed._replace(problem=problem), random_state, None))
            return problem, begin(start()), moments, posed.extent
        self._check_width(rows, fitted.locations.shape[1])
        return problem, begin(fitted.about(problem.source.origin)), moments, None

    def _taken_up(self, rows: Sample, stream: Stream) -> tuple[Problem, State, Moments, None]:
        """The same for a stream whose next batch is `rows`."""
        self._check_width(rows, stream.origin.size)
        problem = problem_of(self._model(), rows, stream.origin)
        check_domain(problem.family, rows.values, type(self).__name__)
        problem, moments = self._under_prior(problem, Moments(*stream.moments))
        return problem, stream.state(self._family(), problem.family), moments, None

    def _stream(self) -> Stream | None:
        """Stream that `partial_fit` continues; None if there is none, or fitted parameters have been set since."""
        stream: Stream | None = vars(self).get("stream_")
        if stream is None or not stream.goes_with(self._family(), self._n_weights(), vars(self)):
            return None
        if self._family().background:
            self._fitted()  # checks the background's volume, which a user may have changed
        return stream

    def _check_state(self) -> None:
        """Check the fitted attributes, when they are saved or have been loaded."""
        self._fitted()
        stream = vars(self).get("stream_")
        if stream is not None:
            if not isinstance(stream, Stream):
                raise ValueError(f"stream_ must be a Stream, not {type(stream).__name__}")
            stream.check(self._family())

    def _set_run(
        self,
        run: loop.Run,
        history: list[loop.HistoryRecord],
        attributes: dict[str, Any],
        rest: dict[str, Any] = NOTHING_MORE,
    ) -> None:
        """Set the fitted attributes, all at once, and delete optional ones that no longer apply."""
        learned = {
            **attributes,
            "converged_": run.converged,
            "n_iter_": len(run.bounds),
            "lower_bound_": run.lower_bound,
            "lower_bounds_": run.bounds,
            "history_": history,
            "stop_reason_": run.stop_reason,
            **rest,
        }
        self.__dict__.update(learned)
        for name in vars(self).keys() & self.PASSING - learned.keys():
            delattr(self, name)
