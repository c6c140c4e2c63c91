"""GaussianMixture: a drop-in for scikit-learn's."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from fastem.data import range_of
from fastem.em import priors
from fastem.em.initialization.start import given_blocks
from fastem.em.priors import Moments, NormalInverseWishart
from fastem.em.problem import Problem
from fastem.em.setup import problem_of
from fastem.em.subsample import Sample
from fastem.families import BACKGROUND, get_family
from fastem.families._contract import Prior
from fastem.families.gaussian import FORMS, STRUCTURES
from fastem.mixtures.background import Background
from fastem.mixtures.base import INIT_SIZE, BaseMixture
from fastem.mixtures.conditioning import Conditioning
from fastem.mixtures.counterpart import counterpart_of
from fastem.mixtures.imputation import Denoising

if TYPE_CHECKING:
    from sklearn import mixture


class GaussianMixture(Background, Denoising, Conditioning, BaseMixture):
    """Mixture of normal distributions.

    A drop-in for `sklearn.mixture.GaussianMixture`: the same parameters, attributes, methods, defaults and warnings,
    and from the same seed the same start and the same iterations.

    Parameters
    ----------
    n_components : int, default=1
        Number of components.
    covariance_type : {'full', 'tied', 'diag', 'spherical'} or three letters, default='full'
        Each component has a covariance matrix of its own ('full'), all share one ('tied'), each has a diagonal one
        ('diag'), or each has one variance for all features ('spherical'). Three letters, such as 'VEV', name one of the
        14 structures of mclust: volume, shape and orientation of the covariances are equal (E) or vary (V) between
        components; shape and orientation may also be those of the identity (I). See Notes.
    tol : float, default=1e-3
        The fit ends when an iteration changes the mean log-likelihood of a row by less than this; see `convergence`.
    reg_covar : float, default=1e-6
        Added to the diagonal of every covariance, so that none is singular. Its unit is the square of the data's: scale
        it with the data. 0 gives the maximum-likelihood estimate, or the mode of the posterior if there is a `prior`. A
        structure is imposed after the addition.
    max_iter : int, default=100
        Largest number of iterations of a run.
    n_init : int, default=1
        Number of runs; the one with the largest lower bound is kept.
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data'} or array-like, default='kmeans'
        How a run starts: from the clusters of k-means, from rows chosen by k-means++, from random responsibilities, or
        from rows chosen at random. An array gives the component of each row of X, of shape (n_samples,), or the
        responsibilities for each row, of shape (n_samples, n_components): see Notes.
    weights_init : array-like of shape (n_components,), default=None
        Mixing weights to start from; with a background n_components + 1 weights, the last for the background.
    means_init : array-like of shape (n_components, n_features), default=None
        Means to start from.
    precisions_init : array-like, default=None
        Precisions (inverse covariances) to start from, shaped like `precisions_`.
    random_state : int, RandomState instance or None, default=None
        Seeds starts and samples.
    warm_start : bool, default=False
        Whether `fit` continues from the last fit.
    verbose : int, default=0
        1 prints iterations, 2 also prints times and changes.
    verbose_interval : int, default=10
        Number of iterations between prints.
    init_size : int, default=100000
        Starts are computed on at most this many rows, drawn at random if X has more, so that k-means never takes longer
        than the fit. If X has no more rows, starts are those of scikit-learn. With the default, k-means took as long as
        12 iterations over a million rows with 2 features and 5 components, and as long as 4 iterations with 10 features
        and 10 components (``python asv_benchmarks/init_size.py``).
    fixed : str, list of str, or dict, default=None
        Parameters that keep their initial values, of 'weights', 'means' and 'covariances' (`precisions_init`): names,
        or a dict of names with one truth value for each component. A background has only a weight. The fit estimates
        the other parameters. Covariances that share something are fixed in all components or in none.
    prior : {'conjugate'} or NormalInverseWishart, default=None
        Prior of means and covariances, which keeps every component from being singular: 'conjugate' is
        `fastem.NormalInverseWishart` with its defaults, after Fraley and Raftery. None estimates by maximum likelihood.
    weights_prior : float or array-like of shape (n_components,), default=None
        Concentration of a Dirichlet prior of the mixing weights, one number for all components or one for each. Weights
        are then proportional to the components' sums of responsibilities + `weights_prior` - 1. It is at least 1: 1 is
        a uniform prior, and above 1 no weight becomes 0. The fit finds the mode of the posterior, see `lower_bound_`.
        With a background there are n_components + 1 numbers, the last for the background.
    background : bool or float, default=False
        Whether the mixture has one more component, for outliers, with the uniform density 1 / V: a background, like the
        noise component of mclust (Banfield and Raftery, 1993). True takes as V the volume of the box that holds the
        rows of positive weight; a number is V itself, in units of the data. The density is the same everywhere, also
        outside of the box, so rows that are far from all components belong to the background. `partial_fit` takes the
        box of its first batch. `prior` does not apply to the background: its defaults use `n_components`, which does
        not count the background, and the moments of all rows.
    missing : {'raise', 'marginalize'}, default='raise'
        How to treat NaN in X, and values that are masked, None or NA: 'raise' raises an error, 'marginalize' treats
        them as missing at random. The likelihood is then that of the observed values, and no value is filled in.
    algorithm : {'em', 'incremental', 'sparse', 'stepwise', 'hard', 'stochastic'} or object, default='em'
        Algorithm that maximises the likelihood, by name or as an object with options, such as
        `Incremental(n_blocks=16)`. See `fastem.Batch`, `Incremental`, `Sparse`, `Stepwise`, `Hard` and `Stochastic` for
        what each guarantees, how much memory it takes, and when to use it.
    acceleration : {'squarem', 'anderson'}, default=None
        Extrapolation of the iterations of 'em', which helps if a fit takes many. If an extrapolation lowers the bound,
        it is undone.
    convergence : {'bound', 'parameters', 'aitken'}, default='bound'
        Quantity that must fall below `tol` for a fit to end. 'bound' is the change of the lower bound, as in
        scikit-learn. 'parameters' is the largest change of any parameter, with means and covariances in units of the
        component's covariance. 'aitken' is the gain of the lower bound that remains, extrapolated from its last three
        values, so that a fit does not end early while EM makes slow progress.
    n_jobs : int, default=None
        Number of threads; None takes numba's number, -1 all cores. Results do not depend on it, to the last bit.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Mixing weights; with a background n_components + 1 weights, the last for the background.
    means_ : ndarray of shape (n_components, n_features)
        Means of the components.
    covariances_ : ndarray
        Covariances, of shape (n_components, n_features, n_features) if 'full', (n_features, n_features) if 'tied',
        (n_components, n_features) if 'diag' and (n_components,) if 'spherical'; those of any three-letter structure are
        of shape (n_components, n_features, n_features).
    precisions_ : ndarray
        Inverses of the covariances, of the same shape. No method reads them.
    precisions_cholesky_ : ndarray
        Upper-triangular factors U of the precisions U U' (inverse standard deviations if 'diag' or 'spherical'), of the
        same shape.
    volumes_ : ndarray of shape (n_components,)
        det(covariance) ** (1 / n_features) of each component, if the covariances have a three-letter structure. No
        method reads this attribute and the next two.
    shapes_ : ndarray of shape (n_components, n_features)
        Eigenvalues of these covariances divided by the volume, in descending order. If components share eigenvectors,
        the order is by the mean share of an eigenvalue in the trace; if these are the axes, it is that of the features.
    orientations_ : ndarray of shape (n_components, n_features, n_features)
        Eigenvectors of these covariances in columns, in the order of `shapes_`. The largest entry of each is positive.
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
    All methods of a fitted model read its attributes, which you may also set: `covariances_` and `precisions_cholesky_`
    together, or one of the two if the other is absent. Parameters of the constructor are those of the next fit. If
    `n_components`, `covariance_type` or `background` contradict the attributes, or these contradict each other, methods
    raise ValueError, also `partial_fit` and a warm start; `fit` without a warm start begins a new fit.

    A covariance is volume * orientation @ diag(shape) @ orientation.T. The structures of Banfield and Raftery (1993)
    are EII, VII, EEI, VEI, EVI, VVI, EEE, VEE, EVE, VVE, EEV, VEV, EVV and VVV. VII equals 'spherical', VVI 'diag', EEE
    'tied' and VVV 'full', except for the shape of the attributes. Estimates are those of Celeux and Govaert (1995). For
    VEI, VEE and VEV the M-step alternates between volumes and shared factors until it converges. For EVE and VVE, which
    may have several optima, it rotates the eigenvectors in one plane after the other, and never lowers the likelihood.
    A subset of the columns may lack the structure: `marginal` and `conditional` return a mixture of 'VVI' for EVI,
    and of 'VVV' for EVE, VVE, EEV, VEV and EVV. Under a `prior` each covariance has the prior density, restricted to
    the structure; its normalising constant is left out if several covariances share something. The prior's `scale` has
    the shape for 'spherical' if the structure is EII or VII, for 'diag' if another structure ends in I, and for 'full'
    otherwise.

    If `init_params` is an array, the fit starts with an M-step on all rows, whatever `init_size`: with the given
    responsibilities, or with responsibility 1 for the given components. Components are integers from 0 to
    n_components - 1. Responsibilities are at least 0 and sum to 1 in each row, up to 1e-6, like `z` in mclust. Other
    values raise a ValueError that names the first wrong row. `n_init` above 1, with which all runs would be the same,
    and data in chunks raise one too. A component without rows gets weight 0 and keeps it; if `reg_covar` is 0, it is an
    error. A background has no label and no column in the array, and starts with its usual weight. The `labels` of `fit`
    apply from the first E-step on. `partial_fit` uses the array with its first batch; a warm start ignores it.

    See Also
    --------
    PoissonMixture : Mixtures of Poisson distributions, for counts.
    from_sklearn : Converts a mixture that scikit-learn has fitted.

    References
    ----------
    A. P. Dempster, N. M. Laird and D. B. Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm,
    Journal of the Royal Statistical Society B 39, 1-38.
    J. D. Banfield and A. E. Raftery (1993), Model-based Gaussian and non-Gaussian clustering, Biometrics 49, 803-821.
    G. Celeux and G. Govaert (1995), Gaussian parsimonious clustering models, Pattern Recognition 28, 781-793.

    Examples
    --------
    >>> import numpy as np
    >>> from fastem import GaussianMixture
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> model = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> model.means_
    array([[10.,  2.],
           [ 1.,  2.]])
    >>> model.predict([[0, 0], [12, 3]])
    array([1, 0])

    With a background, rows that are far from all components are labelled -1:

    >>> random = np.random.default_rng(0)
    >>> X = np.vstack([random.normal(size=(200, 2)), random.uniform(-20, 20, size=(50, 2))])
    >>> model = GaussianMixture(1, background=True, random_state=0).fit(X)
    >>> model.weights_.round(1)
    array([0.8, 0.2])
    >>> model.predict([[0, 0], [12, 3]])
    array([ 0, -1])
    """

    SHAPING = ("covariance_type", "background")
    PASSING = BaseMixture.PASSING | {"volumes_", "shapes_", "orientations_"}
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMixture._parameter_constraints,
        "covariance_type": [StrOptions({*FORMS, *STRUCTURES})],
        "prior": [StrOptions({"conjugate"}), NormalInverseWishart, None],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "background": ["boolean", Interval(Real, 0.0, None, closed="neither")],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str | ArrayLike = "kmeans",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        init_size: int = INIT_SIZE,
        fixed: Any = None,
        prior: str | NormalInverseWishart | None = None,
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
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.init_size = init_size
        self.fixed = fixed
        self.prior = prior
        self.weights_prior = weights_prior
        self.background = background
        self.missing = missing
        self.algorithm = algorithm
        self.acceleration = acceleration
        self.convergence = convergence
        self.n_jobs = n_jobs

    def to_sklearn(self) -> mixture.GaussianMixture:
        """Convert to scikit-learn's mixture with the same fitted parameters, which does not need fastem.

        It has the same densities, labels and responsibilities for complete rows without errors. Features that its class
        lacks are left out: priors, algorithms, `missing` and so on, and `fixed`, so that its `bic` and `aic` count all
        parameters as free.

        Returns
        -------
        sklearn.mixture.GaussianMixture
            A fitted mixture with the parameters of the constructor and the fitted attributes that both classes have. It
            shares no memory with this one.

        Raises
        ------
        NotFittedError
            If the mixture is not fitted.
        ValueError
            If it has a background, or its fitted attributes contradict each other or the constructor's parameters.

        See Also
        --------
        fastem.from_sklearn : Convert a mixture that scikit-learn has fitted.

        Examples
        --------
        >>> from fastem import GaussianMixture
        >>> X = [[0.0], [1.0], [10.0], [11.0]]
        >>> model = GaussianMixture(n_components=2, random_state=0).fit(X)
        >>> theirs = model.to_sklearn()
        >>> type(theirs).__module__.partition(".")[0], theirs.predict([[0.2], [10.2]])
        ('sklearn', array([1, 0]))
        """
        return counterpart_of(self)

    def _kind(self) -> str:
        return f"gaussian-{self.covariance_type}"

    def _prior_from(self, problem: Problem, moments: Moments) -> tuple[Prior, Moments]:
        if self.prior is None:
            return self._prior(), moments
        given = priors.checked(self.prior, self.covariance_type, problem.source.n_features)
        plain = get_family(problem.family.name.removesuffix(BACKGROUND))
        single = replace(problem.unrestricted(), family=plain)
        moments = priors.supplied(moments, given, single, self.covariance_type)
        conjugate = priors.conjugate(given, self.n_components, problem.source.origin, moments)
        return self._prior()._replace(conjugate=conjugate), moments

    # Private methods of scikit-learn's class, which other code may call

    def _initialize(self, X: NDArray[Any], resp: NDArray[Any] | None) -> None:
        """Set the initial parameters from responsibilities (n_samples, n_components)."""
        values = np.asarray(X)
        origin = np.zeros(values.shape[1])
        blocks = None if resp is None else given_blocks(resp)
        rows = Sample(values, None)
        extent = range_of(values) if self.background else None
        model = copy(self)  # with as many components as `resp` has columns, as in scikit-learn
        model.n_components = self.n_components if resp is None else np.shape(resp)[1]
        problem, _ = model._under_prior(problem_of(model._model(), rows, origin), Moments())
        mixture = model._surrounded(model._start(rows, origin, blocks, problem.prior), extent)
        attributes = self._publish(mixture, origin, values.dtype)
        for name, value in {**attributes, **self._placed(extent, values.dtype)}.items():
            setattr(self, name, value)

    def _get_parameters(self) -> tuple[NDArray[Any], ...]:
        """Weights, means, covariances and Cholesky factors of the precisions."""
        return self.weights_, self.means_, self.covariances_, self.precisions_cholesky_

    def _set_parameters(self, params: tuple[NDArray[Any], ...]) -> None:
        """Inverse of `_get_parameters`; sets the precisions too."""
        self.weights_, self.means_, self.covariances_, self.precisions_cholesky_ = params
        described = {"precisions_cholesky": self.precisions_cholesky_}
        for name, value in self._components().host.attributes(described).items():
            setattr(self, f"{name}_", value)
