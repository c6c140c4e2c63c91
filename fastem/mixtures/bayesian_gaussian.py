"""BayesianGaussianMixture: a drop-in for scikit-learn's."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from fastem.data import Mixture
from fastem.em.initialization.start import Blocks
from fastem.em.priors import Moments
from fastem.em.problem import Problem
from fastem.em.subsample import Sample
from fastem.families._contract import Prior
from fastem.mixtures.base import INIT_SIZE, BaseMixture
from fastem.mixtures.counterpart import posterior_of
from fastem.mixtures.fitted import Float
from fastem.mixtures.imputation import Denoising

if TYPE_CHECKING:
    from sklearn import mixture

WEIGHTS = {"dirichlet_process": "process", "dirichlet_distribution": "distribution"}


class BayesianGaussianMixture(Denoising, BaseMixture):
    """Mixture of normal distributions whose parameters have a posterior distribution, found by variational Bayes.

    A drop-in for `sklearn.mixture.BayesianGaussianMixture`: the same parameters, attributes, methods, defaults and
    warnings, and from the same seed the same start and the same iterations. Beyond that it takes weights, labels,
    missing values, errors of measurement and sources. Components that the data do not need lose their weight, so
    `n_components` is the most that there may be.

    Parameters
    ----------
    n_components : int, default=1
        The largest number of components. How many have weight in the end depends on the data and on
        `weight_concentration_prior`.
    covariance_type : {'full', 'tied', 'diag', 'spherical'}, default='full'
        Each component has a covariance matrix of its own ('full'), all share one ('tied'), each has a diagonal one
        ('diag'), or each has one variance for all features ('spherical').
    tol : float, default=1e-3
        The fit ends when an iteration changes the lower bound by less than this; see `convergence`. The bound is the
        sum over all rows. Rounding of float32 rows changes it by about 1e-8 of its value.
    reg_covar : float, default=1e-6
        Added to the diagonal of the covariance of each component's rows, in squared units of the data.
    max_iter : int, default=100
        Largest number of iterations of a run.
    n_init : int, default=1
        Number of runs; the one with the largest lower bound is kept.
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data'} or array-like, default='kmeans'
        How a run starts: from the clusters of k-means, from rows chosen by k-means++, from random responsibilities, or
        from rows chosen at random. An array gives the component or the responsibilities of each row; see the Notes
        of `GaussianMixture`.
    weight_concentration_prior_type : {'dirichlet_process', 'dirichlet_distribution'}, default='dirichlet_process'
        Prior of the mixing weights: a Dirichlet process, in its stick-breaking form truncated at the last component, or
        a symmetric Dirichlet distribution.
    weight_concentration_prior : float, default=None
        Concentration of this prior: small numbers put all weight on few components. None takes 1 / n_components.
    mean_precision_prior : float, default=None
        Number of rows that the prior of each mean counts as. None takes 1.
    mean_prior : array-like of shape (n_features,), default=None
        Mean of the prior of each mean. None takes the mean of the data.
    degrees_of_freedom_prior : float, default=None
        Degrees of freedom of the Wishart prior of the precisions, above n_features - 1. None takes n_features.
    covariance_prior : float or array-like, default=None
        Inverse of the scale of the Wishart prior: a matrix of shape (n_features, n_features) for 'full' and 'tied',
        variances of shape (n_features,) for 'diag', and a number for 'spherical'. None takes the covariance of the
        data, their variances, or the mean of the variances, each with the number of rows - 1 in the denominator.
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
    missing : {'raise', 'marginalize'}, default='raise'
        How to treat NaN in X, and values that are masked, None or NA: 'raise' raises an error, 'marginalize' treats
        them as missing at random. The missing values then have a posterior too, and no value is filled in.
    convergence : {'bound', 'parameters', 'aitken'}, default='bound'
        Quantity that must fall below `tol` for a fit to end, see `GaussianMixture`.
    n_jobs : int, default=None
        Number of threads; None takes numba's number, -1 all cores. Results do not depend on it, to the last bit.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Expected weights of the components.
    means_ : ndarray of shape (n_components, n_features)
        Expected means.
    covariances_ : ndarray
        Inverses of the expected precisions, of shape (n_components, n_features, n_features) if 'full',
        (n_features, n_features) if 'tied', (n_components, n_features) if 'diag' and (n_components,) if 'spherical'.
    precisions_ : ndarray
        Expected precisions, of the same shape. No method reads them.
    precisions_cholesky_ : ndarray
        Upper-triangular factors U of the precisions U U' (their square roots if 'diag' or 'spherical'), of the same
        shape.
    weight_concentration_ : ndarray of shape (n_components,), or (2, n_components) for a Dirichlet process
        Concentrations of the weights' Dirichlet distribution, or the two parameters of each stick's beta distribution.
    mean_precision_ : ndarray of shape (n_components,)
        Number of rows that each mean counts as, those of the prior included.
    degrees_of_freedom_ : ndarray of shape (n_components,), or float if 'tied'
        Degrees of freedom of the precisions' Wishart distributions.
    weight_concentration_prior_, mean_precision_prior_, degrees_of_freedom_prior_ : float
        Parameters of the prior, with defaults filled in.
    mean_prior_ : ndarray of shape (n_features,)
        The same, for the mean.
    covariance_prior_ : float or ndarray
        The same, for the covariance.
    converged_ : bool
        Whether the best run converged.
    n_iter_ : int
        Number of iterations of the best run.
    lower_bound_ : float
        Lower bound of the log-evidence of all rows after the best run's last iteration, without terms that depend only
        on the prior and the number of rows.
    lower_bounds_ : list of float
        The same after each iteration of the best run.
    stop_reason_ : {'tol', 'max_iter', 'callback', 'interrupt'}
        Why the best run ended.
    history_ : list of HistoryRecord
        One record for each iteration of each run: restart, iteration, lower_bound, change, seconds, passes.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X was a data frame.

    Notes
    -----
    `score_samples`, `predict` and the other methods that evaluate rows use exp(E[log p]) as the density of a row in a
    component, as scikit-learn does. It is smaller than the predictive density, and its integral is not 1. `sample`,
    `impute` and `denoise` use the expected parameters.

    All methods of a fitted model read its attributes, which you may also set. `weights_` follow from
    `weight_concentration_`, from which densities are computed.

    A posterior has no number of free parameters, so there are no `bic`, `aic` and `icl`. There is no `partial_fit`,
    which needs stepwise EM, and no `algorithm` and `acceleration`, which are for likelihoods.

    See Also
    --------
    GaussianMixture : Estimates parameters by maximum likelihood, or by maximum posterior density.

    References
    ----------
    H. Attias (2000), A variational Bayesian framework for graphical models, Advances in Neural Information Processing
    Systems 12, 209-215.
    D. M. Blei and M. I. Jordan (2006), Variational inference for Dirichlet process mixtures, Bayesian Analysis 1,
    121-143.

    Examples
    --------
    >>> import numpy as np
    >>> from fastem import BayesianGaussianMixture
    >>> random = np.random.default_rng(0)
    >>> X = np.concatenate([random.normal(-5, 1, size=(300, 2)), random.normal(5, 1, size=(100, 2))])
    >>> model = BayesianGaussianMixture(n_components=6, max_iter=500, random_state=0).fit(X)
    >>> model.weights_.round(2)
    array([0.75, 0.25, 0.  , 0.  , 0.  , 0.  ])
    >>> model.predict([[-4, -5], [6, 5]])
    array([0, 1])
    """

    SHAPING = ("covariance_type", "weight_concentration_prior_type")
    LIKELIHOOD = False
    algorithm, acceleration = "em", None
    weights_init = weights_prior = fixed = None
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMixture._parameter_constraints,
        "covariance_type": [StrOptions({"spherical", "tied", "diag", "full"})],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "weight_concentration_prior_type": [StrOptions(set(WEIGHTS))],
        "weight_concentration_prior": [None, Interval(Real, 0.0, None, closed="neither")],
        "mean_precision_prior": [None, Interval(Real, 0.0, None, closed="neither")],
        "mean_prior": [None, "array-like"],
        "degrees_of_freedom_prior": [None, Interval(Real, 0.0, None, closed="neither")],
        "covariance_prior": [None, "array-like", Interval(Real, 0.0, None, closed="neither")],
    }

    def __init__(
        self,
        *,
        n_components: int = 1,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str | ArrayLike = "kmeans",
        weight_concentration_prior_type: str = "dirichlet_process",
        weight_concentration_prior: float | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: ArrayLike | None = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: float | ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        init_size: int = INIT_SIZE,
        missing: str = "raise",
        convergence: str = "bound",
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weight_concentration_prior_type = weight_concentration_prior_type
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.init_size = init_size
        self.missing = missing
        self.convergence = convergence
        self.n_jobs = n_jobs

    def _kind(self) -> str:
        return f"bayesian_gaussian-{self.covariance_type}-{WEIGHTS[self.weight_concentration_prior_type]}"

    def sample(self, n_samples: int = 1) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Draw rows from the mixture with the expected parameters.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The rows, ordered by component.
        y : ndarray of shape (n_samples,)
            The component of each row.

        Examples
        --------
        >>> from fastem import BayesianGaussianMixture
        >>> X = [[0.0], [1.0], [10.0], [11.0]]
        >>> rows, labels = BayesianGaussianMixture(n_components=2, random_state=0).fit(X).sample(3)
        >>> rows.shape, labels.shape
        ((3, 1), (3,))
        """
        drawn: tuple[NDArray[Any], NDArray[np.int64]] = self._in_place(*self._draw(n_samples))
        return drawn

    def to_sklearn(self) -> mixture.BayesianGaussianMixture:
        """Convert to scikit-learn's mixture with the same posterior, which does not need fastem.

        Returns
        -------
        sklearn.mixture.BayesianGaussianMixture
            A fitted mixture with the parameters of the constructor and the fitted attributes that both classes have. It
            shares no memory with this one.

        Raises
        ------
        NotFittedError
            If the mixture is not fitted.
        ValueError
            If its fitted attributes contradict each other or the constructor's parameters.

        See Also
        --------
        fastem.from_sklearn : Convert a mixture that scikit-learn has fitted.

        Examples
        --------
        >>> from fastem import BayesianGaussianMixture
        >>> X = [[0.0], [1.0], [10.0], [11.0]]
        >>> model = BayesianGaussianMixture(n_components=2, random_state=0).fit(X)
        >>> type(model.to_sklearn()).__module__.partition(".")[0]
        'sklearn'
        """
        return posterior_of(self)

    def _prior_from(self, problem: Problem, moments: Moments) -> tuple[Prior, Moments]:
        from fastem.em.variational import hyperparameters

        return Prior(conjugate=hyperparameters(self, problem)), moments

    def _under_prior(self, problem: Problem, moments: Moments) -> tuple[Problem, Moments]:
        from fastem.em.variational import VariationalProblem

        problem, moments = super()._under_prior(problem, moments)
        return VariationalProblem(**vars(problem)), moments

    def _start(self, sample: Sample | None, origin: Float, blocks: Blocks | None, prior: Prior) -> Mixture:
        from fastem.em.variational import start_from

        assert sample is not None
        assert blocks is not None
        return start_from(self._family(), sample, origin, blocks, prior.conjugate)

    def _published_prior(self, problem: Problem, dtype: Any) -> dict[str, Any]:
        prior = problem.prior.conjugate
        return {
            "weight_concentration_prior_": prior.concentration,
            "mean_precision_prior_": prior.mean_precision,
            "mean_prior_": (prior.mean + problem.source.origin).astype(dtype),
            "degrees_of_freedom_prior_": prior.degrees_of_freedom,
            "covariance_prior_": prior.covariance.astype(dtype) if prior.covariance.ndim else float(prior.covariance),
        }
