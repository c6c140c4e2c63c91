"""PoissonMixture: mixtures of independent Poisson columns."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fastem.mixtures.base import INIT_SIZE, BaseMixture
from fastem.mixtures.conditioning import Conditioning
from fastem.mixtures.imputation import Imputing


class PoissonMixture(Conditioning, Imputing, BaseMixture):
    """Mixture of Poisson distributions for counts; columns are independent given the component.

    Parameters
    ----------
    n_components : int, default=1
        Number of components.
    tol : float, default=1e-3
        The fit ends when an iteration changes the mean log-likelihood of a row by less than this; see `convergence`.
        Components of counts overlap more than Gaussian ones, and EM converges slowly. For parameters that are accurate
        to many digits, choose 1e-10 or less.
    max_iter : int, default=100
        Largest number of iterations of a run.
    n_init : int, default=1
        Number of runs; the one with the largest lower bound is kept.
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data'} or array-like, default='kmeans'
        How a run starts: from the clusters of k-means, from rows chosen by k-means++, from random responsibilities, or
        from rows chosen at random. An array gives the component or the responsibilities of each row; see the Notes
        of `GaussianMixture`.
    weights_init : array-like of shape (n_components,), default=None
        Mixing weights to start from.
    rates_init : array-like of shape (n_components, n_features), default=None
        Rates to start from.
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
        Parameters that keep their initial values, of 'weights' and 'rates': names, or a dict of names with one truth
        value for each component. The fit estimates the other parameters.
    weights_prior : float or array-like of shape (n_components,), default=None
        Concentration of a Dirichlet prior of the mixing weights, at least 1: one number for all components or one for
        each, see `GaussianMixture`.
    missing : {'raise', 'marginalize'}, default='raise'
        How to treat NaN in X, and values that are masked, None or NA: 'raise' raises an error, 'marginalize' treats
        them as missing at random. The likelihood is then that of the observed values, and no value is filled in.
    algorithm : {'em', 'incremental', 'sparse', 'stepwise', 'hard', 'stochastic'} or object, default='em'
        Algorithm that maximises the likelihood, by name or as an object with options, such as
        `Incremental(n_blocks=16)`. See `fastem.Batch`, `Incremental`, `Sparse`, `Stepwise`, `Hard` and `Stochastic`.
    acceleration : {'squarem', 'anderson'}, default=None
        Extrapolation of the iterations of 'em', see `GaussianMixture`.
    convergence : {'bound', 'parameters', 'aitken'}, default='bound'
        Quantity that must fall below `tol` for a fit to end, see `GaussianMixture`. 'parameters' is the largest change
        of a mixing weight, or of a rate in units of its standard deviation.
    n_jobs : int, default=None
        Number of threads; None takes numba's number, -1 all cores. Results do not depend on it.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Mixing weights.
    rates_ : ndarray of shape (n_components, n_features)
        Mean count of each column in each component.
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
        Number of columns.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X was a data frame.

    Notes
    -----
    All methods of a fitted model read its attributes, which you may also set. Parameters of the constructor are those
    of the next fit. If `n_components` contradicts the attributes, methods raise ValueError, also `partial_fit` and a
    warm start; `fit` without a warm start begins a new fit.

    See Also
    --------
    GaussianMixture : Mixtures of normal distributions.

    References
    ----------
    V. Hasselblad (1969), Estimation of finite mixtures of distributions from the exponential family, Journal of the
    American Statistical Association 64, 1459-1471.

    Examples
    --------
    >>> import numpy as np
    >>> from fastem import PoissonMixture
    >>> deaths = np.arange(10).reshape(-1, 1)  # deaths of women over 80 in a day, The Times, 1910-12
    >>> days = [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]
    >>> model = PoissonMixture(2, tol=1e-10, max_iter=5000, random_state=0).fit(deaths, sample_weight=days)
    >>> (model.rates_.ravel()[model.rates_.ravel().argsort()]).round(2)
    array([1.26, 2.66])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMixture._parameter_constraints,
        "rates_init": ["array-like", None],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        tol: float = 1e-3,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str | ArrayLike = "kmeans",
        weights_init: ArrayLike | None = None,
        rates_init: ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        init_size: int = INIT_SIZE,
        fixed: Any = None,
        weights_prior: float | ArrayLike | None = None,
        missing: str = "raise",
        algorithm: Any = "em",
        acceleration: str | None = None,
        convergence: str = "bound",
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.rates_init = rates_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.init_size = init_size
        self.fixed = fixed
        self.weights_prior = weights_prior
        self.missing = missing
        self.algorithm = algorithm
        self.acceleration = acceleration
        self.convergence = convergence
        self.n_jobs = n_jobs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    def _kind(self) -> str:
        return "poisson"
