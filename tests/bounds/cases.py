"""Random fits and calls of all kinds: families, features, shapes, types, memory orders, algorithms."""

import itertools
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from memory import at_an_edge

from fastem import GaussianMixture, PoissonMixture, Source, Stepwise, StudentTMixture

FAMILIES = ("full", "tied", "diag", "spherical", "poisson", "t-full", "t-tied", "t-diag", "t-spherical")
FEATURES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 20, 23, 24, 25, 31, 32, 33, 40]
COMPONENTS = [1, 2, 3, 4, 5, 7, 8, 9, 17, 40]
ROWS = [1, 2, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 129, 191, 193, 257, 383, 385, 1000, 3073, 6145, 12289]
MOST_WORK = {False: 4e6, True: 4e5}  # rows times components times features squared, by whether rows are incomplete
CALLS = ("predict", "predict_proba", "score_samples", "score", "bic", "icl")
FREE = ("weights", "source", "prior", "incremental", "stepwise", "squarem", "anderson")  # these compile nothing new


class Setup(NamedTuple):
    """The settings that decide which passes are compiled."""

    family: str
    order: str = "C"
    dtype: type = np.float64
    features: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join([self.family, self.order, np.dtype(self.dtype).name, *self.features])


def setups(families: Sequence[str] = FAMILIES) -> Iterator[Setup]:
    """All setups: each feature with each family, and orders and types in turn."""
    kinds = [(order, dtype) for dtype in (np.float64, np.float32) for order in "CFA"]
    for shift, family in enumerate(families):
        for order, dtype in kinds:
            yield Setup(family, order, dtype)
        special: list[tuple[str, ...]] = [("hard",), ("stochastic",), ("sparse",), ("labels",)]
        if family == "poisson":
            special += [("missing",), ("missing", "labels")]
        elif not family.startswith("t-"):
            special += [("missing",)]
        if family in ("full", "tied", "diag", "spherical"):
            special += [("background",), ("missing", "background", "labels"), ("noise",), ("variances", "missing")]
            special += [("projection",), ("projection", "noise", "labels")]
        for i, features in enumerate(special):
            yield Setup(family, *kinds[(i + shift) % len(kinds)], features)


def few_setups(*, most: bool) -> list[Setup]:
    """A few setups, which compile in half a minute, or in a quarter without `most`."""
    if not most:
        return [Setup("tied", "C", np.float32), Setup("diag", "F", np.float64, ("background",))]
    return [
        Setup("full"),
        Setup("spherical", "F", np.float32, ("labels",)),
        Setup("full", "A", np.float64, ("missing", "noise")),
        Setup("poisson", "C", np.float64, ("missing",)),
        Setup("t-tied", "C", np.float32),
    ]


class Outcome(NamedTuple):
    """Numbers of fits and calls that succeeded, and the message of a refused fit."""

    fits: int
    calls: int
    refused: str = ""


def attempt(setup: Setup, rng: np.random.Generator, describe) -> Outcome:
    """Fit a random model of a kind and call its methods; `describe` gets a description of it first."""
    d, n_components, n = shape = _shape(setup, rng)
    features = {*setup.features, *(name for name in FREE if rng.random() < 0.25)}
    X = _values(setup, shape, rng)
    options, beside, known = _options(setup, features, shape, rng)
    end = bool(rng.random() < 0.8)
    describe(f"{setup}: d={d} K={n_components} n={n} {sorted(features)} {'end' if end else 'start'}")
    X, beside, known = at_an_edge(X, end=end), _at_edges(beside, end), _at_edges(known, end)
    fit = {**beside, **known}
    data: Any = X
    if "source" in features:
        data, fit, known = _source(X, fit, rng), {}, {}
    model = PoissonMixture if setup.family == "poisson" else GaussianMixture
    model = StudentTMixture if setup.family.startswith("t-") else model
    calls = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fitted = model(n_components, random_state=int(rng.integers(1000)), tol=0.0, **options).fit(data, **fit)
        except ValueError as error:
            return Outcome(0, 0, str(error))
        names = [*CALLS, "impute"] if "missing" in features and not known and data is X else CALLS
        for name in names:
            try:
                getattr(fitted, name)(data, **known)
                calls += 1
            except (TypeError, ValueError):  # some methods take no noise, some no source
                pass
    return Outcome(1, calls)


def _shape(setup: Setup, rng: np.random.Generator) -> tuple[int, int, int]:
    """Numbers of features, components and rows."""
    incomplete = bool({"missing", "noise", "projection", "variances"} & set(setup.features))
    while True:
        d, n_components, n = (int(rng.choice(choices)) for choices in (FEATURES, COMPONENTS, ROWS))
        if incomplete and rng.random() < 0.7:
            d = 1 + d % 9
        if n >= n_components and n * n_components * d**2 <= MOST_WORK[incomplete]:
            return d, n_components, n


def _values(setup: Setup, shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    d, _, n = shape
    if setup.family == "poisson":
        X = rng.poisson(rng.uniform(0.5, 8.0, size=d), size=(n, d)).astype(setup.dtype)
    else:
        X = (rng.normal(size=(n, d)) + rng.choice([0.0, 4.0], size=(n, 1)) + rng.choice([0.0, 1e3])).astype(setup.dtype)
    if "missing" in setup.features:
        X[rng.random(X.shape) < rng.choice([0.05, 0.3, 0.6])] = np.nan
        X[:2] = rng.poisson(4.0, size=X[:2].shape)  # no column is empty
    if setup.order == "A":
        wide = np.zeros((2 * n, 3 * d), setup.dtype)
        wide[::2, ::3] = X
        return wide[::2, ::3]
    return np.asarray(X, order=setup.order)


def _options(setup: Setup, features: set[str], shape: tuple[int, int, int], rng: np.random.Generator):
    """Arguments of the constructor, of `fit` alone, and of all methods."""
    d, n_components, n = shape
    options: dict[str, Any] = {
        "max_iter": int(rng.integers(1, 4)),
        "init_params": str(rng.choice(["random", "kmeans"])),
    }
    beside: dict[str, Any] = {}
    known: dict[str, Any] = {}
    chosen: dict[str, Any] = {}
    if setup.family != "poisson":
        options |= {"covariance_type": setup.family.removeprefix("t-"), "reg_covar": 1e-2}
        if setup.family.startswith("t-"):
            options["df"] = [4.0, "shared", "component"][0 if {"sparse", "incremental"} & features else rng.integers(3)]
        elif "prior" in features:
            options["prior"] = "conjugate"
    if "missing" in features:
        options["missing"] = "marginalize"
    if "background" in features:
        options["background"] = True
    for name in ("anderson", "squarem", "stepwise", "incremental", "hard", "stochastic", "sparse"):
        if name in features:  # the last of them is used
            which = "acceleration" if name in ("anderson", "squarem") else "algorithm"
            chosen = {which: Stepwise(batch_size=50) if name == "stepwise" else name}
    options |= chosen
    if "weights" in features:
        weights = rng.uniform(0.0, 2.0, size=n) * (rng.random(n) < 0.8)
        weights[:n_components] = 1.0
        beside["sample_weight"] = weights
    if "labels" in features:
        beside["labels"] = _labels(n, n_components, rng, background="background" in features)
    if "noise" in features:
        roots = 0.3 * rng.normal(size=(n, d, d))
        known["noise"] = roots @ roots.transpose(0, 2, 1)
    if "variances" in features:
        known["noise"] = rng.uniform(0.0, 1.0, size=(n, d))
    if "projection" in features:
        known["projection"] = rng.normal(size=(n, d, d + int(rng.integers(-1, 3)) or 1))
    return options, beside, known


def _labels(n: int, n_components: int, rng: np.random.Generator, *, background: bool) -> np.ndarray:
    """Labels (n,) of some rows, or plausibilities (n, K) of all."""
    if rng.random() < 0.5:
        plausible = rng.uniform(0.0, 1.0, size=(n, n_components + background))
        return np.where(rng.random(plausible.shape) < 0.2, 0.0, plausible) + 0.01 * (np.arange(n)[:, None] % 2 == 0)
    labels = np.where(rng.random(n) < 0.3, rng.integers(0, n_components, size=n), -1)
    labels[:n_components] = np.arange(n_components)
    return labels


def _source(X: np.ndarray, beside: dict[str, Any], rng: np.random.Generator) -> Source:
    """The same rows in chunks and blocks of random sizes."""
    bounds = [0, *np.sort(rng.integers(0, len(X) + 1, size=3)).tolist(), len(X)]
    chunks = [
        {"X": X[a:b], **{name: array[a:b] for name, array in beside.items()}}
        for a, b in itertools.pairwise(bounds)
        if b > a
    ]
    return Source(chunks, chunk_bytes=int(rng.choice([512, 4096, 2**16])))


def _at_edges(arrays: dict[str, Any], end: bool) -> dict[str, Any]:
    return {name: at_an_edge(array, end=end) for name, array in arrays.items()}
