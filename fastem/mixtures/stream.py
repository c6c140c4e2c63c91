"""Streams: the state of stepwise EM between calls of `partial_fit`, as a fitted attribute."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.data import Mixture, Sweep
from fastem.data.namespaces import is_foreign, on_host
from fastem.em.algorithms.stepwise import State
from fastem.em.parameters import Frame, checked
from fastem.em.priors import Moments
from fastem.families import Family

Float = NDArray[np.float64]


class Stream(NamedTuple):
    """State of stepwise EM after some batches, in float64 and in coordinates about an origin near the data.

    The next batch continues from this state if the fitted attributes are those that were set with it. If they have been
    set since, it begins a new stream from the fitted attributes.

    Attributes
    ----------
    family : str
        Name of the family.
    weights : ndarray
        Mixing weights.
    parameters : dict of str to ndarray
        The components' parameters by name.
    origin : ndarray of shape (n_features,)
        Origin of the coordinates.
    mass, statistics, about : ndarray
        Running averages of the sums of responsibilities and of the expected sufficient statistics, and the means about
        which moments are taken, or None for 0.
    n_batches : int
        Number of batches.
    seen : float
        Total weight of their rows.
    moments : tuple
        Mean and covariance of the first batch that the prior's defaults use; None for those that they do not use.
    published : str
        Digest of the fitted attributes that were set with this state.
    """

    family: str
    weights: Float
    parameters: dict[str, Any]
    origin: Float
    mass: Float
    statistics: Float
    about: Float | None
    n_batches: int
    seen: float
    moments: tuple[Float | None, Float | None]
    published: str

    def goes_with(self, family: Family, n_weights: int, attributes: Mapping[str, Any]) -> bool:
        """Whether the stream is of this family and number of weights, and was set with these attributes."""
        same = self.family == family.name and self.weights.shape == (n_weights,)
        return same and self.published == digest(family, attributes)

    def state(self, family: Family, varied: Family) -> State:
        """State to continue from with a batch for a variation of the family, which may have more statistics.

        Raises
        ------
        ValueError
            If an array does not have the shape that follows from the family and the number of components.
        """
        self._check(family)
        mixture = Mixture(self.weights, family.restore(self.parameters))
        more = varied.n_stats(self.origin.size, self.weights.size) - self.statistics.size
        sweep = Sweep(self.mass, np.pad(self.statistics, (0, more)), 0.0)
        return State(mixture, sweep, self.about, self.n_batches, 0, self.seen, None, 0)

    def check(self, family: Family) -> None:
        """Check shapes and values, as a stream from a file requires.

        Raises
        ------
        ValueError
            If `partial_fit` cannot have made the stream.
        """
        self._check(family)
        n_components = self.weights.size - int(family.background)
        given = {f"{name}_": value for name, value in {"weights": self.weights, **self.parameters}.items()}
        try:
            checked(family, Frame(given, n_components, self.origin.size, ()))
        except ValueError as error:
            raise ValueError(f"stream_: {error}") from None
        sums = (self.mass, self.statistics, self.origin, *(() if self.about is None else (self.about,)))
        if not all(np.isfinite(array).all() for array in sums) or self.mass.min() < 0.0:
            raise ValueError("stream_ holds statistics of no data: they are not finite, or masses are below 0")

    def _check(self, family: Family) -> None:
        """Check which arrays there are, their shapes and types."""
        n_weights, n_features = self.weights.size, self.origin.size
        n_components = n_weights - int(family.background)
        arrays = {**self.parameters, **{name: getattr(self, name) for name in SIZES}}
        shapes = {parameter.name: parameter.shape(n_components, n_features) for parameter in family.parameters}
        shapes |= {
            "weights": (n_weights,),
            "origin": (n_features,),
            "mass": (n_weights,),
            "statistics": (family.n_stats(n_features, n_weights),),
        }
        if family.translation_invariant:
            arrays["about"], shapes["about"] = self.about, (n_components, n_features)
        if arrays.keys() != shapes.keys() or not (self.n_batches >= 1 and self.seen > 0.0):
            raise ValueError(f"stream_ holds {sorted(arrays)}, and should hold {sorted(shapes)}")
        for name, shape in shapes.items():
            if np.shape(arrays[name]) != shape or getattr(arrays[name], "dtype", None) != np.float64:
                raise ValueError(f"{name} of stream_ has shape {np.shape(arrays[name])}, and should have {shape}")


SIZES = ("weights", "origin", "mass", "statistics")
PUBLISHED = (
    *("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_", "rates_"),
    *("background_", "background_log_density_"),
)
KNOWN = frozenset(name.removesuffix("_") for name in PUBLISHED)


def stream_of(
    family: Family,
    state: State,
    parameters: dict[str, Any],
    origin: Float,
    moments: Moments,
    attributes: Mapping[str, Any],
) -> Stream:
    """Stream after a batch, from described parameters about an origin (d,) and the fitted attributes set with it."""
    assert state.statistics is not None
    n_stats = family.n_stats(origin.size, state.mixture.weights.size)
    return Stream(
        family.name,
        state.mixture.weights,
        parameters,
        origin,
        state.statistics.mass,
        state.statistics.stats[:n_stats],
        state.means,
        state.n_batches,
        state.seen,
        (moments.mean, moments.covariance),
        digest(family, attributes),
    )


def digest(family: Family, attributes: Mapping[str, Any]) -> str:
    """Digest of the fitted parameters among attributes: their names, types, shapes and bytes."""
    content = hashlib.blake2b(digest_size=16)
    others = [parameter.name + "_" for parameter in family.parameters if parameter.name not in KNOWN]
    for name in (*PUBLISHED, *others):
        value = attributes.get(name)
        if value is not None:
            array = value if type(value) is np.ndarray else np.asarray(on_host(value) if is_foreign(value) else value)
            content.update(f"{name}{array.dtype.str}{array.shape}".encode())
            content.update(array.tobytes())
    return content.hexdigest()
