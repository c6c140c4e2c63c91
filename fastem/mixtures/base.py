"""Base class of the mixture estimators, with `fit` and `fit_predict`."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from numbers import Integral, Real
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metadata_routing import UNUSED

from fastem.data import Mixture, Wanted, unchanged, validation
from fastem.data.namespaces import HOST, namespace_of
from fastem.data.row_info_checks import Known, annotate
from fastem.data.streams import Source, as_source, is_partitioned
from fastem.em import loop
from fastem.em.algorithms import ALGORITHMS, CLASSES, METHODS, make_scheme
from fastem.em.algorithms.base import Scheme
from fastem.em.callbacks import CallbackBridge
from fastem.em.convergence import RULES
from fastem.em.parameters import Parameters
from fastem.em.priors import Moments
from fastem.em.setup import Posed
from fastem.em.subsample import Sample
from fastem.engine.threads import limit_threads
from fastem.families import ComponentError
from fastem.mixtures import collections
from fastem.mixtures.representation import Represented
from fastem.mixtures.streaming import Streaming
from fastem.mixtures.unfitted import unchanged_on_failure
from fastem.persistence.checkpoint import Checkpoint, Journal
from fastem.persistence.resuming import Sizes, check_arrays

INIT_SIZE = 100_000


class BaseMixture(CallbackSupportMixin, Represented, Streaming):
    """Base class of the mixture estimators: scikit-learn's conventions around one loop for all families."""

    __metadata_request__fit: ClassVar[dict[str, str]] = {"checkpoint": UNUSED, "resume": UNUSED}
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions({"kmeans", "random", "random_from_data", "k-means++"}), "array-like"],
        "weights_init": ["array-like", None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "init_size": [Interval(Integral, 1, None, closed="left")],
        "fixed": [str, list, tuple, dict, None],
        "weights_prior": [Real, "array-like", None],
        "missing": [StrOptions({"raise", "marginalize"})],
        "algorithm": [StrOptions(set(ALGORITHMS)), *CLASSES],
        "acceleration": [StrOptions(set(METHODS)), None],
        "convergence": [StrOptions(set(RULES))],
        "n_jobs": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Integral, None, -1, closed="right"),
            None,
        ],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    @unchanged_on_failure
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        noise: ArrayLike | None = None,
        projection: ArrayLike | None = None,
        checkpoint: str | PathLike[str] | Checkpoint | None = None,
        resume: bool = False,
    ) -> Self:
        """Estimate the parameters by expectation-maximisation.

        The fit makes `n_init` runs, and keeps the parameters with the largest lower bound. Each run alternates E-steps
        and M-steps, with one reading of the data in each iteration, until the mean log-likelihood changes by less than
        `tol`. With a prior it is the mean posterior log-density: the log-likelihood plus the logarithm of the prior
        density of the parameters, divided by the weight of the rows. If `warm_start` is true and the model is fitted,
        one run continues from the fitted parameters. To see the progress of a fit, call
        `set_callbacks(sklearn.callback.ProgressBar())` before it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or source
            The data: an array, memory map or data frame. float32 and float64 arrays are read in place, whatever their
            strides. Other real numbers are converted to float64; integers that float64 would round are an error, as are
            dates, strings and complex numbers. Values that are masked, None or NA count as NaN. Data that do not fit
            into memory are given as a source, see `fastem.Source`. A source is read once more than there are passes, or
            twice more if there are counts above 2**17.
        y : Ignored
            Present by convention; only passed to callbacks.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows. A row of weight 0 counts as absent, a row of weight 2 as two rows. None gives every row
            the weight 1. A source yields its weights with its chunks. The sum must be between 1e-200 and 1e200.
        labels : array-like of shape (n_samples,) or (n_samples, n_components), default=None
            Known components of the rows: the index of a row's component, to which the row belongs throughout the fit,
            or -1, masked or null if it is not known. Or the plausibility of each component for each row, by which its
            density is multiplied, such as 1 for components that are allowed and 0 for the others. A background comes
            after the components. The parameter is not `y`, which pipelines pass to estimators that must ignore it.
        noise : array-like, default=None
            Covariances of the rows' measurement errors, of shape (n_samples, n_features, n_features), or
            (n_features, n_features) if all rows share one, or variances, of shape (n_samples, n_features). The mixture
            is then that of the values without errors. In squared units of the data. Gaussian mixtures only.
        projection : array-like of shape (n_samples, n_columns, n_features), default=None
            Matrices from features to the columns of X: row i of X is `projection[i] @ value` plus an error. None means
            that the columns are the features. Gaussian mixtures only.
        checkpoint : str, path-like or Checkpoint, default=None
            File in which the fit saves its progress after each iteration; a `fastem.Checkpoint` sets a least number of
            minutes between writes. None saves nothing. The file remains after the fit.
        resume : bool, default=False
            Whether to continue from the checkpoint, if it exists. With the same data and parameters, in any process,
            the result is the same, to the last bit, as that of a fit without interruption.

        Returns
        -------
        self : object
            The fitted mixture.

        Raises
        ------
        ValueError
            If X is not valid for the mixture (NaN, too few rows, values outside the domain), or a component
            degenerates; if X is float32 and parameters overflow float32; if a label is not the index of a component, or
            labels leave a component without rows; if noise is not a covariance, with the first such row; if a source is
            empty, its chunks do not fit together, or they differ when they are read again; if a memory map has changed
            during the fit. If the checkpoint file is not a checkpoint, is damaged, belongs to a fit with other data or
            parameters, or is in use by another fit.
        FileExistsError
            If `resume` is false and the file is the checkpoint of a fit that has not ended, or is not a checkpoint.
        OSError
            If the checkpoint cannot be written before the first iteration, or is not a regular file.
        KeyboardInterrupt
            After an interrupt; the best parameters so far have been set.

        Warns
        -----
        ConvergenceWarning
            If the best run ended at `max_iter`.
        RuntimeWarning
            If the checkpoint cannot be written after an iteration. The file stays as it was, and the fit continues.

        Examples
        --------
        >>> from fastem import GaussianMixture
        >>> X = [[0.0], [1.0], [10.0], [11.0]]
        >>> model = GaussianMixture(n_components=2, random_state=0).fit(X, sample_weight=[1, 1, 2, 2])
        >>> model.weights_.round(3)
        array([0.667, 0.333])
        """
        random_state = check_random_state(self.random_state)
        with _journal(checkpoint, resume, random_state) as journal:
            return self._fit(X, y, sample_weight, Known(labels, noise, projection), random_state, journal)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None,
        known: Known,
        random_state: np.random.RandomState,
        journal: loop.Journal,
    ) -> Self:
        self._check_supported(self.algorithm)
        scheme = make_scheme(self.algorithm, self.acceleration, random_state)
        fitted = self._fitted() if self._continues() else None
        with closing(self._pose(X, sample_weight, known, random_state)) as posed:
            return self._run(posed, scheme, fitted, (X, y, sample_weight, known), random_state, journal)

    def _run(
        self,
        posed: Posed,
        scheme: Scheme,
        fitted: Parameters | None,
        data: tuple[Any, Any, ArrayLike | None, Known],
        random_state: np.random.RandomState,
        journal: loop.Journal,
    ) -> Self:
        """Run the loop on a problem, and set the fitted attributes."""
        X, _, sample_weight, known = data
        if isinstance(journal, Journal):
            n_features = posed.problem.source.n_features

            def check(progress: loop.Progress) -> None:
                check_arrays(progress, Sizes(posed.problem.family, self._n_weights(), n_features))
                if progress.run is not None:
                    begun = scheme.init(posed.problem, progress.run.mixture)
                    if type(progress.state) is not type(begun):
                        raise ValueError(f"it holds a {type(progress.state).__name__} for a {type(begun).__name__}")

            journal.identify(self._identity(posed), check)
        problem, _ = self._under_prior(posed.problem, Moments())
        starts = self._starts(posed._replace(problem=problem), random_state, fitted)
        origin, dtype, where = problem.source.origin, posed.dtype, HOST if type(X) is np.ndarray else namespace_of(X)
        place = {**self._placed(posed.extent, dtype), **self._published_prior(problem, dtype)}
        problem = replace(problem, policy=scheme.policy, prior=self._fixed_prior(problem.prior, origin))
        previous = self.lower_bound_ if fitted is not None else -math.inf
        control = loop.Control(self.max_iter, self.tol, previous, self.convergence)

        def publish(mixture: Mixture) -> dict[str, Any]:
            attributes = {**self._publish(mixture, origin, dtype), **place}
            return {name: where.holding(value) for name, value in attributes.items()}

        mapped = any(isinstance(given, np.memmap) for given in (X, sample_weight, *known))
        observers: list[loop.Observer] = []
        if self.verbose:
            observers.append(loop.ConsoleReport(self.verbose, self.verbose_interval))
        bridge = None
        if getattr(self, "_skl_callbacks", []) or hasattr(self, "_parent_callback_ctx"):
            bridge = CallbackBridge(
                self,
                self.n_init,
                publish,
                problem.source.n_rows,
                *_scored(*data),
            )
            observers.append(bridge)
        try:
            with limit_threads(self.n_jobs), unchanged(problem.source) if mapped else nullcontext():
                run, history = loop.run_restarts(problem, starts, control, observers, scheme, journal)
        except ComponentError as error:
            raise self._explain(error, dtype) from None
        except loop.Interrupted as interruption:
            if interruption.best is not None:
                self._set_run(interruption.best, interruption.history, publish(interruption.best.mixture))
            raise KeyboardInterrupt from None
        self._set_run(run, history, publish(run.mixture))
        if bridge is not None:
            bridge.end_fit()
        return self

    def _has_parameters(self) -> bool:
        """Whether some parameter of the components is set, by a fit or by hand."""
        attributes = vars(self)
        if not any(name.endswith("_") for name in attributes):
            return False  # without an import of compiled code
        names = ("weights", *(parameter.name for parameter in self._family().parameters))
        return any(f"{name}_" in attributes for name in names)

    def fit_predict(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        noise: ArrayLike | None = None,
        projection: ArrayLike | None = None,
    ) -> NDArray[np.int64]:
        """Fit the mixture and label the rows of X: as `fit(X).predict(X)` does, but known labels are kept.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data.
        y : Ignored
            Present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        labels, noise, projection : array-like, default=None
            Known components, errors and projections of the rows, see `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The most probable component of each row.

        Examples
        --------
        >>> from fastem import GaussianMixture
        >>> X = [[0.0], [1.0], [10.0], [11.0]]
        >>> GaussianMixture(n_components=2, random_state=0).fit_predict(X)
        array([1, 1, 0, 0])
        """
        self.fit(X, y, sample_weight=sample_weight, labels=labels, noise=noise, projection=projection)
        if labels is None and not (isinstance(X, Source) and X.partitioned and X.columns.label is not None):
            return self.predict(X, noise=noise, projection=projection)
        found = self._predict_labelled(
            X, sample_weight=sample_weight, labels=labels, noise=noise, projection=projection
        )
        return found

    @collections.lazy_on_collections(collections.labels)
    def _predict_labelled(
        self,
        X: Any,
        *,
        labels: ArrayLike | None,
        sample_weight: ArrayLike | None = None,
        noise: ArrayLike | None = None,
        projection: ArrayLike | None = None,
    ) -> NDArray[np.int64]:
        """Label rows (n,) with the most probable component among those that `labels` allow."""
        values = self._values(X, Known(None, noise, projection))
        weights, n_weights = validation.sample_weights(sample_weight, values), self._n_weights()
        annotations = annotate(Known(labels, noise, projection), values.shape, n_weights, weights, whole=False)
        plausible = annotations.plausible(n_weights)
        assert plausible is not None
        plausible = np.where((plausible > 0.0).any(axis=1, keepdims=True), plausible, 1.0)  # for rows of weight 0
        annotations = annotations._replace(labels=None, plausibility=plausible)
        with limit_threads(self.n_jobs):
            rows = Sample(values, None, annotations)
            wanted = Wanted(labels=True, posterior=False)
            found = self._evaluate_rows(rows, wanted, self._fitted(), restricted=True).scores.rows.labels
        # if all densities of a row are zero: the component of largest weight that is allowed
        heaviest = (self._attribute("weights").astype(np.float64) * plausible).argmax(axis=1)
        allowed = np.take_along_axis(plausible, found[:, None], axis=1)[:, 0] > 0.0
        chosen: NDArray[np.int64] = namespace_of(X).holding(self._labels()[np.where(allowed, found, heaviest)])
        return chosen


def _scored(X: Any, y: Any, sample_weight: ArrayLike | None, known: Known) -> tuple[Any, Any, ArrayLike | None]:
    """Data that callbacks score: X, y and weights, or a source of one chunk if there are errors or projections."""
    if is_partitioned(X):
        source = as_source(X)
        assert source is not None
        return source.beside(sample_weight, known._replace(labels=None)), y, None
    if not known.errors:
        return X, y, sample_weight
    chunk = {"X": X, "sample_weight": sample_weight, "noise": known.noise, "projection": known.projection}
    return Source([{name: value for name, value in chunk.items() if value is not None}]), y, None


def _journal(
    checkpoint: str | PathLike[str] | Checkpoint | None, resume: bool, random_state: np.random.RandomState
) -> AbstractContextManager[loop.Journal]:
    """Journal that saves the progress of a fit, or saves nothing if there is no checkpoint."""
    if checkpoint is not None:
        return Journal(checkpoint, resume, random_state)
    if resume:
        raise ValueError("resume=True needs the checkpoint to continue from: give checkpoint=")
    return nullcontext(loop.FORGETFUL)
