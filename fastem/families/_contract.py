"""What a family of component distributions provides, written once.

Kernels work on tiles, (n_features, b), see `fastem.kernels`; host functions are plain numpy. Rows arrive shifted by an
origin near the data, and parameters live in the shifted coordinates.
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
        About the origin.
    strength, degrees : float
        How many rows the mean stands for, and the degrees of freedom of the covariance.
    scale : ndarray
        Of the covariance: (d, d), (d,) or () as the family has matrices, a variance a feature, or one variance.
    """

    mean: Float
    strength: float
    degrees: float
    scale: Float


class Prior(NamedTuple):
    """What an M-step knows beside the data.

    Attributes
    ----------
    reg_covar : float
        Added to the diagonal of covariances.
    weights : ndarray of shape (K,), optional
        Mixing weights that are fixed; NaN for those that are not.
    means : ndarray of shape (K, d), optional
        Means, about the origin, or rates that are fixed; NaN for components whose are not.
    kept : dict of str to ndarray of bool of shape (K,)
        Components that keep another parameter that they have, by its name.
    concentration : ndarray of shape (K,), optional
        Of the weights' Dirichlet prior, at least 1; None if none is preferred.
    conjugate : Conjugate, or another that the family's `m_step` and `log_prior` know, optional
        Prior of the components' parameters; None for maximum likelihood.
    statistics_kept : bool
        Whether those of some rows were taken at other parameters than the current ones: then an M-step must do with
        what `Family.expected` says of them.
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
        """Whether some parameters are more probable than others before there are data."""
        return self.concentration is not None or self.conjugate is not None

    def weigh(self, mass: Float) -> Float:
        """Weights of greatest posterior density, given the mass of each component."""
        return self.settle(mass if self.concentration is None else mass + (self.concentration - 1.0))

    def log_density(self, weights: Float) -> float:
        """Logarithm of the prior density of mixing weights."""
        if self.concentration is None:
            return 0.0
        constant = gammaln(self.concentration.sum()) - gammaln(self.concentration).sum()
        return float(constant + xlogy(self.concentration - 1.0, weights).sum())

    def settle(self, weights: Float) -> Float:
        """Weights of unit sum: the fixed ones, and the others in their proportions."""
        if self.weights is None:
            return weights / weights.sum()
        free = np.isnan(self.weights)
        rest, total = max(1.0 - self.weights[~free].sum(), 0.0), weights[free].sum()
        others = weights * (rest / total) if total > 0.0 else np.full(weights.shape, rest / max(free.sum(), 1))
        return np.where(free, others, self.weights)

    def centre(self, means: Float) -> Float:
        """The means with the fixed ones in their places."""
        return means if self.means is None else np.where(np.isnan(self.means), means, self.means)

    def step(self, sums: Float, mass: Float, means: Float) -> Float:
        """How far `means` move, which lie where `centre` puts them; zero if fixed.

        That is sums of residuals over mass, where the prior's mean counts as so many rows as its strength is.
        """
        if self.conjugate is not None:
            sums = sums + self.conjugate.strength * (self.conjugate.mean - means)
            mass = mass + self.conjugate.strength
        return self.hold(safe_ratio(sums, mass))

    def hold(self, step: Float) -> Float:
        """The step of the means that are not fixed, zero for the others."""
        return step if self.means is None else np.where(np.isnan(self.means), step, 0.0)

    def keeps(self, name: str, component: int) -> bool:
        """Whether a parameter of a component is fixed."""
        return name in self.kept and bool(self.kept[name][component])


class Kernels(NamedTuple):
    """Kernels of a family that take the place of its `log_prob` and `accumulate`."""

    log_prob: Callable[..., None]
    accumulate: Callable[..., None]


class Family(NamedTuple):
    """A family of component distributions.

    Attributes
    ----------
    name : str
        Kind and options, such as "gaussian-full": `fastem.families.get_family` makes the family from it.
    kernels_of : str, optional
        Name of the family whose kernels it has, if they are not its own: then only host functions differ.
    log_prob : kernel (params, tile (d, b), scratch, out (K, b))
        Component log-densities without terms common to all components. Each is a sum that begins with
        `params.log_constant[k]`, to which a pass has added the logarithm of the mixing weight.
    accumulate : kernel (params, tile (d, b), weight (b,), resp (K, b), mass (K,), scratch, stats (S,))
        Add the tile's expected sufficient statistics. Second moments are about the component's current mean: never
        E[x^2] - mu^2. `resp` carries the rows' weights; `mass` is its sum up to and with this tile, so that negligible
        rows can be left out. `weight` is the sum of `resp` over the components; both may be written over. `scratch` has
        d + max(d, K) + 8 rows of b, or `scratch_rows`, and holds what `log_prob` has left there.
    n_stats : (d, K) -> S
        A variation may have more, behind those of the family: zeros for complete rows, which `partial_fit` drops.
    params_at : (means (K, d), variances (K, d) or None) -> Params
        Some parameters with these means, and variances where they have any: the first statistics of a fit are taken
        about them.
    shift : (mass (K,), stats (S,), means (K, d), to (K, d)) -> stats (S,)
        Statistics about the means `means`, taken about `to` instead. The `accumulate` and `m_step` read
        `params.means`, and `log_prob` does not: a scheme that keeps statistics while parameters move gives other means.
    expected : (mass (K,), stats (S,), params) -> float
        Expected log-density of the rows, each in its component, from statistics about `params.means`.
    select : (params, components) -> Params
        The parameters of some components.
    embed : (stats of some components, components, stats (S,), d, K) -> None
        Add statistics that were taken with parameters of `select` to those of all components.
    pack : (params) -> vector
        The parameters as numbers that may have any value.
    unpack : (vector, params) -> Params
        The inverse of `pack`; `params` are some of the same shape.
    change : (before, after) -> float
        The largest change of any parameter, in units that make it the same whatever the data's.
    m_step : (mass (K,), stats (S,), params, Prior) -> Params
        Maximise; sees all components, so tied parameters are no special case. Free of scale without a prior. Raises
        `ComponentError` for a component that has no valid maximum.
    describe : (params) -> dict of str to array
        The parameters by name, as a user knows them. "means" are about the origin.
    restore : (described) -> Params
        The inverse of `describe`.
    parameters : tuple of Parameter
        What `restore` takes: shapes, domains, and how many numbers of them are free. The first has a row for each
        component, and is what "means" fixes: where the component is.
    complete : (described) -> described, or None
        Add the parameters that follow from others; `ComponentError` for a component whose others are invalid.
    contradiction : (described, eps) -> str or None
        In words, the first contradiction between parameters that were rounded to a precision `eps`.
    log_prior : (params, Prior.conjugate) -> float, or None
        Logarithm of the prior density of the parameters, which `m_step` maximises too; None if there is no such prior.
    background : bool
        Whether the last component is a background, see `fastem.families.background`: it has a weight and a constant
        density, no other parameters, and belongs to every selection.
    translation_invariant : bool
        Whether densities do not change when data and parameters are shifted together.
    single : (params) -> float, or None
        The largest inverse deviation, if float32 data may be evaluated in float32: errors grow with residuals, not with
        values.
    log_base : (values (n, d)) -> (n,), or None
        The terms that `log_prob` leaves out. They do not depend on parameters, so a fit sums them once.
    in_domain : (values (n, d)) -> mask (n, d), or None
        Which values the family allows; None if any finite number.
    domain : str
        The same in words.
    exact_below : float
        Values up to which log-densities lose no digits that matter; larger ones need the variation "deviance".

    missing : str, optional
        The variation of the family for rows with missing values, a module of `fastem.families`; None if it has none,
        and `unsupported` says why.
    errors : str, optional
        The same for rows with errors of measurement or projections.
    unsupported : tuple of (str, str)
        Other features that the family refuses, in the words of a call, such as "algorithm='sparse'", and why.
    host : Host
        What users' methods ask of fitted components.
    linear : (params) -> LinearColumns, or None
        If log-densities are sums over columns of x times a number, and a number.
    arrange : (first moments (K, d), second moments (K, d, d)) -> stats (S,), or None
        Moments as statistics, if these are moments of normal vectors.
    few : Kernels, optional
        For rows of at most `fastem.kernels.small.LARGEST` columns. They are chosen before anything is compiled, so that
        no pass holds both kinds.

    What follows is for families whose passes do not see, or do not sum, what the M-step takes; None for the others.

    load_errors : kernel (rows, start, stop, part (p, b))
        Fill the part of the tile behind the values.
    prepare : (params, Rows) -> parameters that kernels take, for rows of a kind
    n_raw : (d, K) -> number of sums of a pass
    singular : (params) -> int or None
        The component whose covariance is so near to singular that rows may have been given no density.
    finish : (mass (K,), sums of a pass, params) -> stats (S,)
    scratch_rows : (m, d, K, b) -> rows of scratch memory, for m observed columns and d features
    patterns : PatternAlgebra, for rows that share which values are missing

    And for mixtures that are posterior distributions of a mixture:

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
        """Name of the family whose kernels compiled passes hold."""
        return self.kernels_of or self.name

    def refuse(self, features: Iterable[str], who: str) -> None:
        """Raise ValueError for the first of these features that the family does not support."""
        reasons = dict(self.unsupported)
        for feature in features:
            if feature in reasons:
                raise ValueError(f"{who} does not support {feature}: {reasons[feature]}")


class LinearColumns(NamedTuple):
    """Log-densities x `natural` - `normaliser` of each column, up to what all components share, and `means` of x."""

    natural: Float  # (K, d)
    normaliser: Float  # (K, d)
    means: Float  # (K, d)


class PosteriorAlgebra(NamedTuple):
    """How what a posterior has beside the parameters of passes is described, as part of the family's `parameters`.

    Attributes
    ----------
    kind : type
        Of such a posterior, a NamedTuple of arrays, one of which is `log_weights` (K,): what passes add to the
        components' log-densities, in place of the logarithms of the weights.
    describe : (posterior) -> dict of str to array
    restore : (described) -> posterior
    """

    kind: type
    describe: Callable[[Any], dict[str, Float]]
    restore: Callable[[dict[str, Float]], Any]


class PatternAlgebra(NamedTuple):
    """How rows with the same values missing are served by the passes of another family, of complete rows.

    Attributes
    ----------
    family : str
        Name of that family.
    factors : (params) -> what the others need of the parameters
    marginal : (factors, log_weights (K,), columns (P, m)) -> that family's parameters of P patterns
    pick : kernel (parameters, p) -> those of pattern p
    expand : (masses (P, K), its statistics (P, S'), parameters) -> tuple of arrays
        Expected moments of all features and the like, which are summed over patterns.
    collect : (mass (K,), these sums, factors, params) -> stats (S,)
    """

    family: str
    factors: Callable[[Params], Any]
    marginal: Callable[[Any, Float, NDArray[np.int64]], Params]
    pick: Callable[..., Params]
    expand: Callable[[Float, Float, Params], tuple[Float, ...]]
    collect: Callable[[Float, tuple[Float, ...], Any, Params], Float]


def select_rows(params: Params, components: Any) -> Params:
    """Parameters of some components, where all arrays have a row for each."""
    return type(params)(*(array[components] for array in params))


def embed_rows(some: Float, components: Any, stats: Float, n_features: int, n_components: int) -> None:
    """Add statistics of some components, where each component has as many of its own."""
    stats.reshape(n_components, -1)[components] += some.reshape(len(components), -1)


class ComponentError(ValueError):
    """A component has no valid parameters.

    Parameters
    ----------
    component : int or None
        Index of the component; None if all share what failed.
    mass : ndarray (K,), optional
        Of all components; added where it is known.
    """

    def __init__(self, component: int | None, mass: Float | None = None) -> None:
        super().__init__(f"component {component} is degenerate")
        self.component = component
        self.mass = mass


def safe_ratio(sums: Float, mass: Float) -> Float:
    """Sums / mass along the leading axis, zero where a component has no mass at all."""
    shape = (-1,) + (1,) * (sums.ndim - 1)
    if mass.min() > 0.0:
        return sums / mass.reshape(shape)
    divisor = np.where(mass > 0.0, mass, 1.0).reshape(shape)
    return np.where((mass > 0.0).reshape(shape), sums / divisor, 0.0)
