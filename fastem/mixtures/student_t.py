"""StudentTMixture: mixtures of multivariate t distributions, for clusters with heavy tails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions

from fastem.data import Mixture, Range
from fastem.em.algorithms.stepwise import State
from fastem.em.parameters import Parameters
from fastem.em.priors import Moments
from fastem.em.problem import Problem
from fastem.em.setup import Posed
from fastem.em.subsample import Sample
from fastem.mixtures.background import Background
from fastem.mixtures.base import INIT_SIZE, BaseMixture
from fastem.mixtures.conditioning import Conditioning
from fastem.mixtures.fitted import Float


class StudentTMixture(Background, Conditioning, BaseMixture):
    """Mixture of multivariate t distributions: clusters with heavy tails, which outliers do not widen.

    A t distribution with `df` degrees of freedom is a normal distribution whose covariance is, for each row, its scale
    matrix over a gamma variable of mean 1. The smaller `df`, the heavier its tails; infinitely many are a normal
    distribution.

    Parameters
    ----------
    n_components : int, default=1
        Number of components.
    covariance_type : {'full', 'tied', 'diag', 'spherical'}, default='full'
        Form of the scale matrices: one a component, one for all, diagonal ones, or multiples of the identity. Columns
        of one row share its gamma variable, so that they are not independent even where these matrices are diagonal.
    df : {'shared', 'component'}, float or array-like of shape (n_components,), default='shared'
        Degrees of freedom: one number that all components share and the fit estimates, or one for each component, or
        numbers that are given and stay, of which inf is one. Estimates begin at 30 and are at least 0.01; inf is an
        estimate like any other, where no tails are found that are heavier than a normal distribution's.
    tol : float, default=1e-3
        An iteration that changes the mean log-likelihood of a row by less ends the fit.
    reg_covar : float, default=1e-6
        Added to the diagonal of scale matrices.
    max_iter : int, default=100
        Largest number of iterations of a run.
    n_init : int, default=1
        Number of runs; the best is kept.
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data'} or array-like, default='kmeans'
        How a run starts: from the clusters of k-means, from rows chosen by k-means++, from random responsibilities, or
        from rows chosen at random. An array is the component of each row of X, of shape (n_samples,), or each row's
        responsibilities, of shape (n_samples, n_components): see Notes.
    weights_init : array-like of shape (n_components,), default=None
        Mixing weights to start from; with a background its weight is the last of n_components + 1.
    means_init : array-like of shape (n_components, n_features), default=None
        Means to start from.
    scales_init : array-like, default=None
        Scale matrices to start from, shaped like `scales_`.
    random_state : int, RandomState instance or None, default=None
        Seeds starts and samples.
    warm_start : bool, default=False
        Whether `fit` continues from the last fit.
    verbose : int, default=0
        1 prints iterations, 2 times and changes as well.
    verbose_interval : int, default=10
        Number of iterations between prints.
    init_size : int, default=100000
        Starts are computed on at most this many rows, drawn at random; see `GaussianMixture`.
    fixed : str, list of str, or dict, default=None
        Parameters that keep their initial values, of 'weights', 'means' and 'scales': by name, or as a mapping of names
        to truth values, one for each component. Maximum likelihood estimates what is left.
    weights_prior : float or array-like of shape (n_components,), default=None
        Concentration of a Dirichlet prior of the weights, for all components or each: weights are proportional to the
        components' masses + `weights_prior` - 1. At least 1, which prefers none; above, no component dies out. The mode
        of the posterior is estimated, see `lower_bound_`. With a background its entry is the last of n_components + 1.
    background : bool or float, default=False
        Whether there is one more component, for outliers that tails do not explain, with a uniform density: see
        `GaussianMixture`.
    missing : {'raise', 'marginalize'}, default='raise'
        What NaN in X means, and a value that is masked, None or NA: an error, or a value that is missing at random.
        Then the likelihood is that of the values that are there, by which rows are weighed too, and nothing is filled
        in.
    algorithm : {'em', 'incremental', 'sparse', 'stepwise', 'hard', 'stochastic'} or object, default='em'
        How the likelihood is climbed, by name or as an object with options: see `fastem.Batch`, `Incremental`,
        `Sparse`, `Stepwise`, `Hard` and `Stochastic`. 'incremental' and 'sparse' need `df` as a number.
    acceleration : {'squarem', 'anderson'}, default=None
        Extrapolates the iterations of 'em', which helps where they are many; a bound that falls takes an extrapolation
        back.
    convergence : {'bound', 'parameters', 'aitken'}, default='bound'
        What has to be below `tol` for a fit to end. 'bound' is the change of the lower bound. 'parameters' is the
        largest change of any parameter: of mixing weights as they are, of means and scale matrices in units of the
        component's scale, of n_features / df. 'aitken' is what the lower bound is still to gain, extrapolated from its
        last three values: it does not stop early where EM creeps.
    n_jobs : int, default=None
        Number of threads; None takes numba's number, -1 all cores. Results do not depend on it, to the last bit.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Mixing weights; with a background its weight is the last of n_components + 1.
    means_ : ndarray of shape (n_components, n_features)
        Centres of the components, which are their means if df > 1.
    scales_ : ndarray
        Scale matrices, of shape (n_components, n_features, n_features) if 'full', (n_features, n_features) if 'tied',
        (n_components, n_features) if 'diag' and (n_components,) if 'spherical'. The covariance of a component is its
        scale matrix times df / (df - 2) if df > 2, and infinite otherwise.
    df_ : ndarray of shape (n_components,)
        Degrees of freedom of each component; inf where it is normal.
    precisions_cholesky_ : ndarray
        Upper-triangular factors U of the inverse scale matrices U U' (inverse scales if 'diag' or 'spherical'), of the
        same shape.
    background_ : ndarray of shape (2, n_features)
        Lower and upper corner of the box that holds the data, if there is a background: it is sampled from the box.
    background_log_density_ : float
        Logarithm of the background's density.
    converged_ : bool
        Whether the best run converged.
    n_iter_ : int
        Number of its iterations.
    lower_bound_ : float
        Mean log-likelihood of a row at the beginning of its last iteration. With a prior, what is climbed is the
        posterior density: the logarithm of the parameters' prior density is then added, over the weight of all rows.
        `score`, `bic` and so on are of the likelihood alone.
    lower_bounds_ : list of float
        The same for each of its iterations.
    stop_reason_ : {'tol', 'max_iter', 'callback', 'interrupt'}
        Why it ended.
    history_ : list of HistoryRecord
        One record an iteration and run: restart, iteration, lower_bound, change, seconds, passes.
    stream_ : Stream
        After `partial_fit`, what the next batch goes on from beside these attributes.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X was a data frame.

    Notes
    -----
    A fitted model is its attributes: all methods read them, and they may be set by hand, scale matrices together with
    `precisions_cholesky_`, or one of the two without the other. Parameters of the constructor are those of the next
    fit: if `n_components` or `covariance_type` contradict the attributes, methods raise ValueError, and so do a warm
    start and `partial_fit`; `fit` without a warm start fits anew. Degrees of freedom that are given take the place of
    fitted ones in a warm start.

    An iteration reads the data once and raises the likelihood by one of two steps, whichever is sure to raise it more:
    means and scale matrices move as in parameter-expanded EM (Liu, Rubin and Wu, 1998), or degrees of freedom and the
    sizes of the scale matrices to the maximum of a bound of the likelihood that has its value, slope and curvature. So
    fits take tens of iterations where EM of Peel and McLachlan takes thousands.

    `regress` has infinite variances where df and the number of given columns are together at most 2. Errors of
    measurement are refused: a t variable with a normal error has no t distribution. So are conditional distributions
    of 'tied' components, whose scale matrices are different ones, given values.

    An array as `init_params` starts the fit with the M-step of these responsibilities, or of responsibilities one for
    these components, on all rows, whatever `init_size`. Components are integers from 0 to n_components - 1;
    responsibilities are not negative and sum to one in each row, up to 1e-6, as `z` does in mclust. Anything else is a
    ValueError that names the first wrong row. So are `n_init` above 1, as all runs would be the same, and data in
    chunks. What `fit` is told of `labels` holds from the first E-step on, whatever the start.

    See Also
    --------
    GaussianMixture : Mixtures of normal distributions.

    References
    ----------
    D. Peel and G. J. McLachlan (2000), Robust mixture modelling using the t distribution, Statistics and Computing 10,
    339-348.
    C. Liu, D. B. Rubin and Y. N. Wu (1998), Parameter expansion to accelerate EM: the PX-EM algorithm, Biometrika 85,
    755-770.

    Examples
    --------
    One component among outliers: its scale is that of the other rows.

    >>> import numpy as np
    >>> from fastem import GaussianMixture, StudentTMixture
    >>> random = np.random.default_rng(0)
    >>> X = np.vstack([random.normal(size=(200, 2)), random.uniform(-20, 20, size=(10, 2))])
    >>> GaussianMixture().fit(X).covariances_.round(1)
    array([[[8.4, 2.3],
            [2.3, 5.5]]])
    >>> model = StudentTMixture().fit(X)
    >>> model.scales_.round(1), model.df_.round(1)
    (array([[[0.7, 0.1],
            [0.1, 0.7]]]), array([2.4]))
    """

    SHAPING = ("covariance_type", "background")
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMixture._parameter_constraints,
        "covariance_type": [StrOptions({"full", "tied", "diag", "spherical"})],
        "df": [StrOptions({"shared", "component"}), Interval(Real, 0.0, np.inf, closed="right"), "array-like"],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "means_init": ["array-like", None],
        "scales_init": ["array-like", None],
        "background": ["boolean", Interval(Real, 0.0, None, closed="neither")],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        df: str | float | ArrayLike = "shared",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str | ArrayLike = "kmeans",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        scales_init: ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        init_size: int = INIT_SIZE,
        fixed: Any = None,
        weights_prior: float | ArrayLike | None = None,
        background: bool | float = False,
        missing: str = "raise",
        algorithm: Any = "em",
        acceleration: str | None = None,
        convergence: str = "bound",
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.df = df
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.scales_init = scales_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.init_size = init_size
        self.fixed = fixed
        self.weights_prior = weights_prior
        self.background = background
        self.missing = missing
        self.algorithm = algorithm
        self.acceleration = acceleration
        self.convergence = convergence
        self.n_jobs = n_jobs

    def _kind(self) -> str:
        return f"student_t-{self.covariance_type}-{self.df if isinstance(self.df, str) else 'fixed'}"

    def _given_df(self) -> Float | None:
        """Degrees of freedom that stay (K,); None if they are estimated."""
        if isinstance(self.df, str):
            return None
        try:
            given = np.asarray(self.df, dtype=np.float64)
            values = np.array(np.broadcast_to(given, self.n_components))
        except (TypeError, ValueError):
            raise ValueError(
                f"df must be 'shared', 'component', a number or {self.n_components} numbers, not {self.df!r}"
            ) from None
        if not (values > 0.0).all():
            raise ValueError(f"df must be positive, not {self.df!r}")
        return values

    def _initial(self, n_features: int) -> dict[str, Float]:
        given, found = self._given_df(), super()._initial(n_features)
        return found if given is None else {**found, "df": given}

    def _with_df(self, fitted: Parameters | None) -> Parameters | None:
        """Fitted parameters with degrees of freedom that are given."""
        given = self._given_df()
        if fitted is None or given is None:
            return fitted
        return replace(fitted, described={**fitted.described, "df": given}, _nearby={})

    def _starts(
        self, posed: Posed, random_state: np.random.RandomState, fitted: Parameters | None
    ) -> Iterator[Callable[[], Mixture]]:
        return super()._starts(posed, random_state, self._with_df(fitted))

    def _begun(self, rows: Sample, fitted: Parameters | None) -> tuple[Problem, State, Moments, Range | None]:
        return super()._begun(rows, self._with_df(fitted))
