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

    A row of a t distribution with `df` degrees of freedom is normal given its gamma variable of mean 1: the covariance
    is the scale matrix divided by this variable. The smaller `df`, the heavier the tails; df = inf is a normal
    distribution.

    Parameters
    ----------
    n_components : int, default=1
        Number of components.
    covariance_type : {'full', 'tied', 'diag', 'spherical'}, default='full'
        Form of the scale matrices: one for each component, one for all, diagonal ones, or multiples of the identity.
        The columns of a row share its gamma variable, so they are not independent even if the matrices are diagonal.
    df : {'shared', 'component'}, float or array-like of shape (n_components,), default='shared'
        Degrees of freedom. 'shared' estimates one number for all components, 'component' one for each. A number, or an
        array of one for each component, stays as given; inf is allowed. Estimates start at 30 and are at least 0.01; an
        estimate is inf if the tails are not heavier than those of a normal distribution.
    tol : float, default=1e-3
        The fit ends when an iteration changes the mean log-likelihood of a row by less than this; see `convergence`.
    reg_covar : float, default=1e-6
        Added to the diagonal of scale matrices.
    max_iter : int, default=100
        Largest number of iterations of a run.
    n_init : int, default=1
        Number of runs; the one with the largest lower bound is kept.
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data'} or array-like, default='kmeans'
        How a run starts: from the clusters of k-means, from rows chosen by k-means++, from random responsibilities, or
        from rows chosen at random. An array gives the component or the responsibilities of each row; see the Notes
        of `GaussianMixture`.
    weights_init : array-like of shape (n_components,), default=None
        Mixing weights to start from; with a background n_components + 1 weights, the last for the background.
    means_init : array-like of shape (n_components, n_features), default=None
        Means to start from.
    scales_init : array-like, default=None
        Scale matrices to start from, shaped like `scales_`.
    random_state : int, RandomState instance or None, default=None
        Seeds starts and samples.
    warm_start : bool, default=False
        Whether `fit` continues from the last fit.
    verbose : int, default=0
        1 prints iterations, 2 also prints times and changes.
    verbose_interval : int, default=10
        Number of iterations between prints.
    init_size : int, default=100000
        Starts are computed on at most this many rows, drawn at random; see `GaussianMixture`.
    fixed : str, list of str, or dict, default=None
        Parameters that keep their initial values, of 'weights', 'means' and 'scales': names, or a dict of names with
        one truth value for each component. The fit estimates the other parameters.
    weights_prior : float or array-like of shape (n_components,), default=None
        Concentration of a Dirichlet prior of the mixing weights, at least 1: one number for all components or one for
        each, see `GaussianMixture`.
    background : bool or float, default=False
        Whether the mixture has one more component, with a uniform density, for outliers beyond the heavy tails; see
        `GaussianMixture`.
    missing : {'raise', 'marginalize'}, default='raise'
        How to treat NaN in X, and values that are masked, None or NA: 'raise' raises an error, 'marginalize' treats
        them as missing at random. The likelihood and the expected gamma variables are then those given the observed
        values, and no value is filled in.
    algorithm : {'em', 'incremental', 'sparse', 'stepwise', 'hard', 'stochastic'} or object, default='em'
        Algorithm that maximises the likelihood, by name or as an object with options. See `fastem.Batch`,
        `Incremental`, `Sparse`, `Stepwise`, `Hard` and `Stochastic`. 'incremental' and 'sparse' need given `df`.
    acceleration : {'squarem', 'anderson'}, default=None
        Extrapolation of the iterations of 'em', see `GaussianMixture`.
    convergence : {'bound', 'parameters', 'aitken'}, default='bound'
        Quantity that must fall below `tol` for a fit to end, see `GaussianMixture`. 'parameters' is the largest change
        of a mixing weight, of a mean or scale matrix in units of the component's scale, or of n_features / df.
    n_jobs : int, default=None
        Number of threads; None takes numba's number, -1 all cores. Results do not depend on it, to the last bit.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Mixing weights; with a background n_components + 1 weights, the last for the background.
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
        Lower and upper corner of the box that holds the data, if there is a background; `sample` draws from the box.
    background_log_density_ : float
        Logarithm of the background's density.
    converged_ : bool
        Whether the best run converged.
    n_iter_ : int
        Number of iterations of the best run.
    lower_bound_ : float
        Mean log-likelihood of a row at the beginning of the best run's last iteration. With a prior the fit maximises
        the posterior density: the logarithm of the prior density of the parameters, divided by the weight of all rows,
        is added. `score`, `bic` and the other methods use the likelihood alone.
    lower_bounds_ : list of float
        The same at the beginning of each iteration of the best run.
    stop_reason_ : {'tol', 'max_iter', 'callback', 'interrupt'}
        Why the best run ended.
    history_ : list of HistoryRecord
        One record for each iteration of each run: restart, iteration, lower_bound, change, seconds, passes.
    stream_ : Stream
        After `partial_fit`, the state that the next batch continues from, in addition to the parameters.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X was a data frame.

    Notes
    -----
    All methods of a fitted model read its attributes, which you may also set: `scales_` and `precisions_cholesky_`
    together, or one of the two if the other is absent. Parameters of the constructor are those of the next fit. If
    `n_components` or `covariance_type` contradict the attributes, methods raise ValueError, also `partial_fit` and a
    warm start; `fit` without a warm start begins a new fit. In a warm start, degrees of freedom that are given as `df`
    replace fitted ones.

    An iteration reads the data once, and takes that of two steps whose guaranteed increase of the likelihood is larger.
    One updates means and scale matrices as in parameter-expanded EM (Liu, Rubin and Wu, 1998). The other updates the
    degrees of freedom and the sizes of the scale matrices: it maximises a lower bound of the likelihood that has the
    same value, slope and curvature at the present parameters. So a fit takes tens of iterations where the EM of Peel
    and McLachlan takes thousands.

    `regress` returns infinite variances if df plus the number of given columns is at most 2. Measurement errors are
    refused, because a t variable plus a normal error has no t distribution. `conditional` refuses 'tied' components,
    because their scale matrices differ once values are given.

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
    One component and outliers: the fitted scale is that of the other rows.

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
        """Degrees of freedom (K,) that the user gave; None if they are estimated."""
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
        """Fitted parameters, with the degrees of freedom that the user gave, if any, in place of fitted ones."""
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
