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
        An iteration that changes the mean log-likelihood of a row by less ends the fit.
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
    probabilities_init : array-like of shape (n_components, n_features), default=None
        Probabilities of ones to start from.
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
        Parameters that keep their initial values, of 'weights' and 'probabilities': by name, or as a mapping of names
        to truth values, one for each component. Maximum likelihood estimates what is left.
    prior : float or (float, float), default=None
        Beta prior of each probability of a one, with density proportional to p ** (a - 1) (1 - p) ** (b - 1): a and b,
        or one number for both. At least 1, which prefers no probability; above, none becomes 0 or 1, and each counts as
        a - 1 ones and b - 1 zeros that were seen in every component. 2 is Laplace's rule. None estimates by maximum
        likelihood: then a column that is constant in a component has the probability 0 or 1, and a row that differs
        density zero.
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
        largest change of any mixing weight or probability. 'aitken'
        is what the lower bound is still to gain, extrapolated from its last three values: it does not stop early where
        EM creeps.
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

    Columns of float32 are evaluated in float32, which reads half the memory: give 0 and 1 as float32 where there are
    many. Columns of truth values and integers are converted to float64.

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
    """The two shapes of a Beta distribution, from two numbers or one for both."""
    shapes = (prior, prior) if is_real(prior) else tuple(np.asarray(prior, dtype=object).ravel())
    if len(shapes) != 2 or not all(is_real(shape) and 1.0 <= shape < math.inf for shape in shapes):
        raise ValueError(f"prior must be a number or two, each finite and at least 1, not {prior!r}")
    return float(shapes[0]), float(shapes[1])
