"""The interface of a family of component distributions.

Kernels work on tiles, arrays (d, b) of b rows, see `fastem.kernels`; host functions are plain numpy. An origin near the
data is subtracted from the rows before they reach a family, and parameters refer to these shifted coordinates. Shapes
are given with K components, d features and S statistics. The mass of a component is the sum of its responsibilities.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

from fastem.families._host import Host
from fastem.families._parameters import Parameter

Float: TypeAlias = NDArray[np.float64]
NOTHING_KEPT: Mapping[str, NDArray[np.bool_]] = {}
Params: TypeAlias = Any  # a NamedTuple of arrays, its own type for each family; one of them is log_constant (K,)


class Conjugate(NamedTuple):
    """A normal-inverse-Wishart prior of each component's mean and covariance, see `fastem.NormalInverseWishart`.

    Attributes
    ----------
    mean : ndarray of shape (d,)
        Mean of the components' means, relative to the origin.
    strength, degrees : float
        Number of rows that `mean` counts as, and the degrees of freedom of the covariance's prior.
    scale : ndarray
        Scale of the covariance's prior: (d, d) for matrices, (d,) for a variance per feature, () for one variance.
    """

    mean: Float
    strength: float
    degrees: float
    scale: Float


class Prior(NamedTuple):
    """Priors, fixed parameters and regularisation of an M-step.

    Attributes
    ----------
    reg_covar : float
        Added to the diagonal of covariances.
    weights : ndarray of shape (K,), optional
        Fixed mixing weights; NaN for weights that are estimated.
    means : ndarray of shape (K, d), optional
        Fixed means, relative to the origin, or fixed rates; NaN for components whose means are estimated.
    kept : dict of str to ndarray of bool of shape (K,)
        For other parameters, by name: the components in which the parameter keeps its current value.
    concentration : ndarray of shape (K,), optional
        Concentration of the weights' Dirichlet prior, at least 1; None for no prior.
    conjugate : Conjugate, or another prior that the family's `m_step` and `log_prior` know, optional
        Prior of the components' parameters; None for maximum likelihood.
    statistics_kept : bool
        Whether the statistics of some rows were computed at earlier parameters than the current ones. Then an M-step
        may only maximise the expected log-density that `Family.expected` computes.
    """

    reg_covar: float = 0.0
    weights: Float | None = None
    means: Float | None = None
    kept: Mapping[str, NDArray[np.bool_]] = NOTHING_KEPT
    concentration: Float | None = None
    conjugate: Any = None
    statistics_kept: bool = False

    @property
    def informative(self) -> bool:
        """Whether weights or parameters have a prior density."""
        return self.concentration is not None or self.conjugate is not None

    def weigh(self, mass: Float) -> Float:
        """Mixing weights (K,) of greatest posterior density, given the mass (K,) of each component."""
        return self.settle(mass if self.concentration is None else mass + (self.concentration - 1.0))

    def log_density(self, weights: Float) -> float:
        """Logarithm of the prior density of mixing weights."""
        if self.concentration is None:
            return 0.0
        constant = gammaln(self.concentration.sum()) - gammaln(self.concentration).sum()
        return float(constant + xlogy(self.concentration - 1.0, weights).sum())

    def settle(self, weights: Float) -> Float:
        """Scale weights (K,) to unit sum: fixed weights keep their values, the others their proportions."""
        if self.weights is None:
            return weights / weights.sum()
        free = np.isnan(self.weights)
        rest, total = max(1.0 - self.weights[~free].sum(), 0.0), weights[free].sum()
        others = weights * (rest / total) if total > 0.0 else np.full(weights.shape, rest / max(free.sum(), 1))
        return np.where(free, others, self.weights)

    def centre(self, means: Float) -> Float:
        """Means (K, d), with fixed means put in place of the given ones."""
        return means if self.means is None else np.where(np.isnan(self.means), means, self.means)

    def step(self, sums: Float, mass: Float, means: Float) -> Float:
        """Change of the means (K, d) in an M-step: sums of residuals (K, d) over mass (K,), zero for fixed means.

        `means` (K, d) must come from `centre`. The mean of a conjugate prior counts as `strength` further rows.
        """
        if self.conjugate is not None:
            sums = sums + self.conjugate.strength * (self.conjugate.mean - means)
            mass = mass + self.conjugate.strength
        return self.hold(safe_ratio(sums, mass))

    def hold(self, step: Float) -> Float:
        """The step (K, d), set to zero for fixed means."""
        return step if self.means is None else np.where(np.isnan(self.means), step, 0.0)

    def keeps(self, name: str, component: int) -> bool:
        """Whether a parameter of a component is fixed."""
        return name in self.kept and bool(self.kept[name][component])


class Kernels(NamedTuple):
    """Kernels that replace a family's `log_prob` and `accumulate`."""

    log_prob: Callable[..., None]
    accumulate: Callable[..., None]


class Family(NamedTuple):
    """A family of component distributions.

    Attributes
    ----------
    name : str
        Kind and options, such as "gaussian-full": `fastem.families.get_family` makes the family from it.
    kernels_of : str, optional
        Name of another family whose kernels this family uses: the two differ in host functions only.
    log_prob : kernel (params, tile (d, b), scratch, out (K, b))
        Compute component log-densities, without terms that all components have in common. Each sum begins with
        `params.log_constant[k]`, to which the pass has added the logarithm of the mixing weight.
    accumulate : kernel (params, tile (d, b), weight (b,), resp (K, b), mass (K,), scratch, stats (S,))
        Add the tile's expected sufficient statistics. Second moments are about the component's current mean, never
        E[x^2] - mu^2. `resp` are responsibilities times the rows' weights. `mass` is the sum of `resp` over the tiles
        so far, this one included, so that rows with a negligible share can be skipped. `weight` is the sum of `resp`
        over the components. The kernel may overwrite `resp` and `weight`. `scratch` has d + max(d, K) + 8 rows of b
        numbers, or as many as `scratch_rows` says, and still holds what `log_prob` wrote there.
    n_stats : (d, K) -> S
        A variation may append further statistics: they are zero for complete rows, and `partial_fit` drops them.
    params_at : (means (K, d), variances (K, d) or None) -> Params
        Parameters with these means, and with these variances if the family has any. The first statistics of a fit are
        about these means.
    shift : (mass (K,), stats (S,), means (K, d), to (K, d)) -> stats (S,)
        Convert statistics about `means` into statistics about `to`. `accumulate` and `m_step` read `params.means`, and
        `log_prob` does not: so a scheme that keeps statistics while parameters move can replace `params.means`.
    expected : (mass (K,), stats (S,), params) -> float
        Sum of the components' log-densities times responsibilities, from statistics about `params.means`.
    select : (params, components) -> Params
        The parameters of some components.
    embed : (stats of some components, components, stats (S,), d, K) -> None
        Add statistics computed with the parameters from `select` to the statistics of all components.
    pack : (params) -> vector
        The parameters as unconstrained numbers.
    unpack : (vector, params) -> Params
        The inverse of `pack`; `params` are parameters of the same shapes.
    change : (before, after) -> float
        The largest change of any parameter, in units that do not depend on the units of the data.
    m_step : (mass (K,), stats (S,), params, Prior) -> Params
        Maximise the expected log-density plus the log-prior, or at least do not lower it. It sees all components, so
        that tied parameters are no special case. Without a prior, its result scales with the units of the data. Raises
        `ComponentError` for a component that has no valid maximum.
    describe : (params) -> dict of str to array
        The parameters by the names that users know. "means" are relative to the origin.
    restore : (described) -> Params
        The inverse of `describe`.
    parameters : tuple of Parameter
        The parameters that `restore` takes: their shapes, domains and numbers of free values. The first has one row per
        component and is its location, which `Prior.means` can fix.
    complete : (described) -> described, or None
        Compute the parameters that follow from others; `ComponentError` for a component whose parameters are invalid.
    contradiction : (described, eps) -> str or None
        Message on the first contradiction between parameters that were rounded to the precision `eps`.
    log_prior : (params, Prior.conjugate) -> float, or None
        Logarithm of the parameters' prior density, which `m_step` takes into account; None if there is no such prior.
    background : bool
        Whether the last component is a background, see `fastem.families.background`: it has a weight and a constant
        density, no other parameters, and every selection of components contains it.
    translation_invariant : bool
        Whether densities do not change when data and parameters are shifted together.
    single : (params) -> float, or None
        The largest inverse deviation, if float32 data may be evaluated in float32, because rounding errors grow with
        the residuals and not with the values; None if they may not.
    log_base : (values (n, d)) -> (n,), or None
        The terms that `log_prob` leaves out. They do not depend on parameters, so a fit sums them once.
    in_domain : (values (n, d)) -> mask (n, d), or None
        Which values the family allows; None if it allows any finite number.
    domain : str
        Description of these values for error messages.
    exact_below : float
        Largest value whose log-densities lose no relevant digits; larger values need the variation "deviance".

    missing : str, optional
        Variation of the family for rows with missing values, a module of `fastem.families`; None if there is none.
    errors : str, optional
        The same for rows with measurement errors or projections.
    unsupported : tuple of (str, str)
        Features that the family refuses, written as in a call, such as "algorithm='sparse'", each with the reason.
    host : Host
        Functions of fitted components that users' methods call.
    linear : (params) -> LinearColumns, or None
        Given if a log-density is a sum over columns of terms that are linear in x.
    arrange : (first moments (K, d), second moments (K, d, d)) -> stats (S,), or None
        Convert moments to statistics, if the statistics are moments of normal vectors.
    few : Kernels, optional
        Kernels for rows of at most `fastem.kernels.small.LARGEST` columns. They are chosen before compilation, so that
        no pass contains both kinds.

    The next attributes are for families whose kernels take other parameters, or compute other sums, than the M-step.
    They are None for other families.

    load_errors : kernel (rows, start, stop, part (p, b))
        Fill the part of the tile after the values: covariances of the errors, and projections.
    prepare : (params, Rows) -> parameters that kernels take for such rows
    n_raw : (d, K) -> number of sums of a pass
    singular : (params) -> int or None
        A component whose covariance is so close to singular that the density of some rows may not have been computed.
    finish : (mass (K,), sums of a pass, params) -> stats (S,)
    scratch_rows : (m, d, K, b) -> rows of scratch memory, for m observed columns and d features
    patterns : PatternAlgebra, for groups of rows with the same missing values

    The last attribute is for variational Bayes, where parameters have a posterior distribution:

    posterior : PosteriorAlgebra
    """

    name: str
    log_prob: Callable[..., None]
    accumulate: Callable[..., None]
    n_stats: Callable[[int, int], int]
    params_at: Callable[..., Params]
    m_step: Callable[[Float, Float, Params, Prior], Params]
    shift: Callable[[Float, Float, Float, Float], Float]
    expected: Callable[[Float, Float, Params], float]
    select: Callable[[Params, Any], Params]
    embed: Callable[[Float, Any, Float, int, int], None]
    pack: Callable[[Params], Float]
    unpack: Callable[[Float, Params], Params]
    change: Callable[[Params, Params], float]
    describe: Callable[[Params], dict[str, Float]]
    restore: Callable[[dict[str, Float]], Params]
    parameters: tuple[Parameter, ...]
    host: Host
    translation_invariant: bool
    background: bool = False
    single: Callable[[Params], float] | None = None
    complete: Callable[[dict[str, Float]], dict[str, Float]] | None = None
    contradiction: Callable[[dict[str, Float], float], str | None] | None = None
    log_prior: Callable[[Params, Any], float] | None = None
    log_base: Callable[[NDArray[Any]], Float] | None = None
    in_domain: Callable[[NDArray[Any]], NDArray[np.bool_]] | None = None
    domain: str = "numbers"
    exact_below: float = math.inf
    missing: str | None = None
    errors: str | None = None
    unsupported: tuple[tuple[str, str], ...] = ()
    linear: Callable[[Params], "LinearColumns"] | None = None
    arrange: Callable[[Float, Float], Float] | None = None
    few: Kernels | None = None
    kernels_of: str | None = None
    load_errors: Callable[..., None] | None = None
    prepare: Callable[[Params, Any], Params] | None = None
    n_raw: Callable[[int, int], int] | None = None
    singular: Callable[[Params], int | None] | None = None
    finish: Callable[[Float, Float, Params], Float] | None = None
    scratch_rows: Callable[[int, int, int, int], int] | None = None
    patterns: "PatternAlgebra | None" = None
    posterior: "PosteriorAlgebra | None" = None

    @property
    def kernel_key(self) -> str:
        """Name of the family whose kernels are in the compiled passes."""
        return self.kernels_of or self.name

    def refuse(self, features: Iterable[str], who: str) -> None:
        """Raise ValueError for the first of these features that the family does not support."""
        reasons = dict(self.unsupported)
        for feature in features:
            if feature in reasons:
                raise ValueError(f"{who} does not support {feature}: {reasons[feature]}")


class LinearColumns(NamedTuple):
    """Columns with log-density x * `natural` - `normaliser`, up to terms common to all components, and mean `means`."""

    natural: Float  # (K, d)
    normaliser: Float  # (K, d)
    means: Float  # (K, d)


class PosteriorAlgebra(NamedTuple):
    """The parameters that a variational posterior has beside those of the passes, and their description by name.

    Attributes
    ----------
    kind : type
        Class of the posterior, a NamedTuple of arrays. One of them is `log_weights` (K,), which passes add to the
        components' log-densities in place of the logarithms of the weights.
    describe : (posterior) -> dict of str to array
    restore : (described) -> posterior
    """

    kind: type
    describe: Callable[[Any], dict[str, Float]]
    restore: Callable[[dict[str, Float]], Any]


class PatternAlgebra(NamedTuple):
    """Functions to evaluate rows with the same missing values by the passes of another family, for complete rows.

    A pattern is the set of columns that a row observes; P patterns of m observed columns are evaluated together.

    Attributes
    ----------
    family : str
        Name of the other family.
    factors : (params) -> factors of the covariances that `marginal` and `collect` take
    marginal : (factors, log_weights (K,), columns (P, m)) -> the other family's parameters for the P patterns
    pick : kernel (parameters, p) -> parameters of pattern p
    expand : (masses (P, K), statistics (P, S') of the other family, parameters) -> tuple of arrays
        Expected moments of all features, and further sums, added up over the patterns.
    collect : (mass (K,), these sums, factors, params) -> stats (S,)
    """

    family: str
    factors: Callable[[Params], Any]
    marginal: Callable[[Any, Float, NDArray[np.int64]], Params]
    pick: Callable[..., Params]
    expand: Callable[[Float, Float, Params], tuple[Float, ...]]
    collect: Callable[[Float, tuple[Float, ...], Any, Params], Float]


def select_rows(params: Params, components: Any) -> Params:
    """Parameters of some components, for families whose arrays all have one row per component."""
    return type(params)(*(array[components] for array in params))


def embed_rows(some: Float, components: Any, stats: Float, n_features: int, n_components: int) -> None:
    """Add statistics of some components, for families whose components all have the same number of statistics."""
    stats.reshape(n_components, -1)[components] += some.reshape(len(components), -1)


class ComponentError(ValueError):
    """A component has no valid parameters.

    Parameters
    ----------
    component : int or None
        Index of the component; None if the components share the invalid parameter.
    mass : ndarray of shape (K,), optional
        Mass of all components, added by a caller that knows it.
    """

    def __init__(self, component: int | None, mass: Float | None = None) -> None:
        super().__init__(f"component {component} is degenerate")
        self.component = component
        self.mass = mass


def safe_ratio(sums: Float, mass: Float) -> Float:
    """Sums (K, ...) over mass (K,), zero for components without mass."""
    shape = (-1,) + (1,) * (sums.ndim - 1)
    if mass.min() > 0.0:
        return sums / mass.reshape(shape)
    divisor = np.where(mass > 0.0, mass, 1.0).reshape(shape)
    return np.where((mass > 0.0).reshape(shape), sums / divisor, 0.0)
