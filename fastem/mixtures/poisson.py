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
        An iteration that changes the mean log-likelihood of a row by less ends the fit. Components of counts overlap
        more than Gaussians do and EM is slow on them: for parameters to many digits choose 1e-10 or less.
    max_iter : int, default=100
        Largest number of iterations of a run.
    n_init : int, default=1
        Number of runs; the best is kept.
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data'} or array-like, default='kmeans'
        How a run starts: from the clusters of k-means, from rows chosen by k-means++, from random responsibilities, or
        from rows chosen at random. An array is the component of each row of X, of shape (n_samples,), or each row's
        responsibilities, of shape (n_samples, n_components): see Notes.
    weights_init : array-like of shape (n_components,), default=None
        Mixing weights to start from.
    rates_init : array-like of shape (n_components, n_features), default=None
        Rates to start from.
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
        Parameters that keep their initial values, of 'weights' and 'rates': by name, or as a mapping of names to truth
        values, one for each component. Maximum likelihood estimates what is left.
    weights_prior : float or array-like of shape (n_components,), default=None
        Concentration of a Dirichlet prior of the weights, for all components or each: weights are proportional to the
        components' masses + `weights_prior` - 1. At least 1, which prefers none; above, no component dies out. The mode
        of the posterior is estimated, see `lower_bound_`.
    missing : {'raise', 'marginalize'}, default='raise'
        What NaN in X means, and a value that is masked, None or NA: an error, or a value that is missing at random.
        Then the likelihood is that of the values that are there, and nothing is filled in.
    algorithm : {'em', 'incremental', 'sparse', 'stepwise', 'hard', 'stochastic'} or object, default='em'
        How the likelihood is climbed, by name or as an object with options, such as `Incremental(n_blocks=16)`: see
        `fastem.Batch`, `Incremental`, `Sparse`, `Stepwise`, `Hard` and `Stochastic` for what each guarantees, what
        memory it takes, and when to use it.
    acceleration : {'squarem', 'anderson'}, default=None
        Extrapolates the iterations of 'em', which helps where they are many; a bound that falls takes an extrapolation
        back.
    convergence : {'bound', 'parameters', 'aitken'}, default='bound'
        What has to be below `tol` for a fit to end. 'bound' is the change of the lower bound. 'parameters' is the
        largest change of any parameter: of mixing weights as they are, of rates in their standard deviations. 'aitken'
        is what the lower bound is still to gain, extrapolated from its last three values: it does not stop early where
        EM creeps.
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
        Number of columns.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X was a data frame.

    Notes
    -----
    A fitted model is its attributes: all methods read them, and they may be set by hand. Parameters of the constructor
    are those of the next fit: if `n_components` contradicts the attributes, methods raise ValueError, and so do a warm
    start and `partial_fit`; `fit` without a warm start fits anew.

    An array as `init_params` starts the fit with the M-step of these responsibilities, or of responsibilities one for
    these components, on all rows, whatever `init_size`. Components are integers from 0 to n_components - 1;
    responsibilities are not negative and sum to one in each row, up to 1e-6, as `z` does in mclust. Anything else is a
    ValueError that names the first wrong row. So are `n_init` above 1, as all runs would be the same, and data in
    chunks. A component without rows has weight 0, and keeps it. What `fit` is told of `labels` holds from the first
    E-step on, whatever the start. `partial_fit` reads the array with its first batch, and a warm start does not.

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
