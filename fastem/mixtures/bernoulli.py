"""BernoulliMixture: mixtures of independent columns of zeros and ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fastem.data.numeric import is_real
from fastem.em.priors import Moments
from fastem.em.problem import Problem
from fastem.families._contract import Prior
from fastem.mixtures.base import INIT_SIZE, BaseMixture
from fastem.mixtures.conditioning import Conditioning
from fastem.mixtures.imputation import Imputing


class BernoulliMixture(Conditioning, Imputing, BaseMixture):
    """Mixture of Bernoulli distributions, for columns of zeros and ones: the latent class model.

    Columns are independent given the component.

    Parameters
    ----------
    n_components : int, default=1
        Number of components.
    tol : float, default=1e-3
        The fit ends when an iteration changes the mean log-likelihood of a row by less than this; see `convergence`.
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
    probabilities_init : array-like of shape (n_components, n_features), default=None
        Probabilities of ones to start from.
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
        Parameters that keep their initial values, of 'weights' and 'probabilities': names, or a dict of names with one
        truth value for each component. The fit estimates the other parameters.
    prior : float or (float, float), default=None
        Beta prior of each probability of a one, with density proportional to p ** (a - 1) (1 - p) ** (b - 1): a and b,
        or one number for both, each at least 1. The prior counts as a - 1 ones and b - 1 zeros in each column of each
        component; 1 is a uniform prior, 2 is Laplace's rule. Above 1 no probability becomes 0 or 1. None estimates by
        maximum likelihood: if a column is constant in a component, its probability is 0 or 1, and a row with the other
        value has density 0 there.
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
        of a mixing weight or probability.
    n_jobs : int, default=None
        Number of threads; None takes numba's number, -1 all cores. Results do not depend on it.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Mixing weights.
    probabilities_ : ndarray of shape (n_components, n_features)
        Probability of a one in each column of each component.
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

    float32 data are evaluated in float32, which reads half the memory: use it for large data. Truth values and integers
    are converted to float64.

    See Also
    --------
    PoissonMixture : Mixtures of Poisson distributions, for counts.

    References
    ----------
    P. F. Lazarsfeld and N. W. Henry (1968), Latent structure analysis, Houghton Mifflin.
    C. M. Bishop (2006), Pattern recognition and machine learning, Springer, section 9.3.3.

    Examples
    --------
    >>> from fastem import BernoulliMixture
    >>> X = [[1, 1, 0], [1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 1, 1]]
    >>> model = BernoulliMixture(2, random_state=0).fit(X)
    >>> model.predict(X)
    array([1, 1, 1, 0, 0, 0])
    >>> model.probabilities_.round(2)
    array([[0.  , 0.33, 1.  ],
           [1.  , 0.67, 0.  ]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMixture._parameter_constraints,
        "probabilities_init": ["array-like", None],
        "prior": [Real, tuple, list, None],
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
        probabilities_init: ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        init_size: int = INIT_SIZE,
        fixed: Any = None,
        prior: float | Sequence[float] | None = None,
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
        self.probabilities_init = probabilities_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.init_size = init_size
        self.fixed = fixed
        self.prior = prior
        self.weights_prior = weights_prior
        self.missing = missing
        self.algorithm = algorithm
        self.acceleration = acceleration
        self.convergence = convergence
        self.n_jobs = n_jobs

    def _kind(self) -> str:
        return "bernoulli"

    def _prior_from(self, problem: Problem, moments: Moments) -> tuple[Prior, Moments]:
        if self.prior is None:
            return self._prior(), moments
        from fastem.families.bernoulli import Beta

        return self._prior()._replace(conjugate=Beta(*_shapes(self.prior))), moments


def _shapes(prior: float | Sequence[float]) -> tuple[float, float]:
    """The two shape parameters of a Beta distribution, from two numbers or one for both."""
    shapes = (prior, prior) if is_real(prior) else tuple(np.asarray(prior, dtype=object).ravel())
    if len(shapes) != 2 or not all(is_real(shape) and 1.0 <= shape < math.inf for shape in shapes):
        raise ValueError(f"prior must be a number or two, each finite and at least 1, not {prior!r}")
    return float(shapes[0]), float(shapes[1])
