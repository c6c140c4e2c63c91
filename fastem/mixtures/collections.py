"""Evaluation of collections of Dask by partitions, on the workers that hold them."""

from __future__ import annotations

import copy
import functools
import inspect
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from sklearn.utils import check_random_state

from fastem.data import Wanted
from fastem.data.cluster.collections import Collection
from fastem.data.cluster.pieces import naming_partition
from fastem.data.cluster.schedulers import scheduler_for
from fastem.data.numeric import is_whole
from fastem.data.row_info_checks import Known
from fastem.data.streams import Source, as_source, is_partitioned

Method = TypeVar("Method", bound=Callable[..., Any])
LARGEST_SEED = 2**31 - 1


class Result(NamedTuple):
    """Shape and type of a method's result: the axes `first`, the axis of the rows, the axes `tail`."""

    tail: tuple[int, ...]
    dtype: Any
    first: tuple[int, ...] = ()


class Totals(NamedTuple):
    """Sums over rows: log-likelihood, entropy of responsibilities, terms that passes leave out (`base`), weight."""

    log_likelihood: float
    entropy: float
    base: float
    weight: float


Results = Callable[[Any, Collection, Mapping[str, Any]], list[Result]]
"""Function of a mixture, a collection and options of a method that describes the method's results for the rows."""


def lazy_on_collections(results: Results) -> Callable[[Method], Method]:
    """Decorate a method that evaluates rows: for a collection it returns lazy arrays, computed by partitions."""

    def decorate(method: Method) -> Method:
        signature = inspect.signature(method)

        @functools.wraps(method)
        def answer(self: Any, X: Any, *args: Any, **options: Any) -> Any:
            if type(X) is np.ndarray or not is_partitioned(X):
                return method(self, X, *args, **options)
            given = signature.bind(self, X, *args, **options).arguments
            options = {name: given[name] for name in given if name not in ("self", "X")}
            return lazily(self, method.__name__, results, options, X)

        return cast(Method, answer)

    return decorate


def labels(model: Any, collection: Collection, options: Mapping[str, Any]) -> list[Result]:
    """One component for each row."""
    return [Result((), np.dtype(np.int64))]


def responsibilities(model: Any, collection: Collection, options: Mapping[str, Any]) -> list[Result]:
    """Probabilities of the components for each row."""
    return [Result((len(model.weights_),), collection.dtype)]


def densities(model: Any, collection: Collection, options: Mapping[str, Any]) -> list[Result]:
    """One log-density for each row."""
    return [Result((), collection.dtype)]


def completed_rows(model: Any, collection: Collection, options: Mapping[str, Any]) -> list[Result]:
    """Completed rows, or several draws of them."""
    n_draws = options.get("n_draws")
    return [Result((collection.n_columns,), collection.dtype, () if n_draws is None else (int(n_draws),))]


def means_and_covariances(model: Any, collection: Collection, options: Mapping[str, Any]) -> list[Result]:
    """Posterior mean and covariance of the value behind each row."""
    n_features, double = model._locations().shape[1], np.dtype(np.float64)
    return [Result((n_features,), double), Result((n_features, n_features), double)]


def lazily(model: Any, method: str, given_for: Results, options: dict[str, Any], X: Any) -> Any:
    """Results of a method for the rows of X, as arrays of Dask with the partitions of X."""
    from dask import delayed

    model._fitted()  # raises errors of the model now, and not when the arrays are computed
    source = as_source(X)
    assert source is not None
    known = Known(*(options.pop(name, None) for name in Known._fields))
    weights = options.pop("sample_weight", None)
    if weights is not None or any(given is not None for given in known):
        source = source.beside(weights, known)
    collection = source.collection()
    _check_request(model, known, options, collection)
    results = given_for(model, collection, options)
    held = delayed(_without_callbacks(model), pure=False, traverse=False)
    seeds = _seeds(model, len(collection.pieces)) if options.get("n_draws") is not None else [None]
    call = delayed(call_method, pure=False, nout=len(results))
    calls = [
        call(
            held, method, collection.names[index], options, seeds[index % len(seeds)], results, piece.make, *piece.parts
        )
        for index, piece in enumerate(collection.pieces)
    ]
    arrays = tuple(_joined([each[r] for each in calls], collection, result) for r, result in enumerate(results))
    return arrays if len(arrays) > 1 else arrays[0]


def _without_callbacks(model: Any) -> Any:
    """A copy of a mixture for workers: callbacks are for fits, and may hold what cannot be pickled, such as a lock."""
    found = copy.copy(model)
    vars(found).pop("_skl_callbacks", None)
    return found


def _check_request(model: Any, known: Known, options: Mapping[str, Any], collection: Collection) -> None:
    """Raise ValueError now for errors that each partition would raise when it is computed."""
    check_n_draws(options.get("n_draws"))
    n_features, n_columns = model._locations().shape[1], collection.n_columns
    if known.projection is None and n_columns != n_features:
        name = type(model).__name__
        raise ValueError(f"X has {n_columns} features, but {name} is expecting {n_features} features as input.")


def check_n_draws(n_draws: Any) -> None:
    """Raise ValueError unless it is None or a number of draws."""
    if n_draws is not None and not is_whole(n_draws, least=1):
        raise ValueError(f"n_draws must be None or an integer above 0, not {n_draws!r}")


def _seeds(model: Any, n_partitions: int) -> list[Any]:
    """One seed for each partition, drawn from the mixture's random state."""
    return check_random_state(model.random_state).randint(LARGEST_SEED, size=n_partitions).tolist()


def _joined(parts: Sequence[Any], collection: Collection, result: Result) -> Any:
    """An array of Dask whose chunks are the results of the partitions."""
    import dask.array as da
    from dask.highlevelgraph import HighLevelGraph

    sizes = (np.nan,) * len(parts) if collection.sizes is None else collection.sizes
    before, after = (0,) * len(result.first), (0,) * len(result.tail)
    name = f"fastem-{uuid.uuid4().hex}"
    layer = {(name, *before, i, *after): part.key for i, part in enumerate(parts)}
    graph = HighLevelGraph.from_collections(name, layer, dependencies=list(parts))
    whole = [[(size,) for size in sizes_of_axes] for sizes_of_axes in (result.first, result.tail)]
    return da.Array(graph, name, (*whole[0], sizes, *whole[1]), dtype=result.dtype)


def call_method(
    model: Any,
    method: str,
    name: str,
    options: Mapping[str, Any],
    seed: int | None,
    results: Sequence[Result],
    make: Callable[..., Mapping[str, Any]],
    *parts: Any,
) -> tuple[Any, ...]:
    """Call a method for the partition `make(*parts)`, on the worker that holds the parts or reads them."""
    rows = make(*parts)
    if not len(rows["X"]):
        return tuple(np.empty((*result.first, 0, *result.tail), result.dtype) for result in results)
    if seed is not None:
        model = copy.copy(model)
        model.random_state = seed
    accepted = inspect.signature(getattr(model, method)).parameters
    beside = {key: value for key, value in rows.items() if key in accepted}
    with naming_partition(name):
        found = getattr(model, method)(**beside, **options)
    return found if isinstance(found, tuple) else (found,)


def evaluate_piece(piece: Mapping[str, Any], name: str, request: tuple[Any, Wanted]) -> Totals:
    """Sums over the rows of a partition, which may have no rows, or none of positive weight."""
    weights = piece.get("sample_weight")
    if not len(piece["X"]) or (weights is not None and not np.any(weights)):
        return Totals(0.0, 0.0, 0.0, 0.0)
    model, wanted = request
    known = Known(None, piece.get("noise"), piece.get("projection"))
    with naming_partition(name):
        found = model._evaluate(piece["X"], wanted, weights, known)
    return Totals(found.scores.log_likelihood, found.scores.entropy, found.base, found.weight)


def add_totals(totals: Sequence[Totals]) -> Totals:
    """Sums over the rows of several partitions."""
    return Totals(*(sum(numbers) for numbers in zip(*totals, strict=True)))


def totals_of(model: Any, source: Source, wanted: Wanted) -> Totals:
    """Sums over all rows of a collection."""
    model._fitted()
    collection = source.collection()
    held = scheduler_for(source.client).read(collection.pieces)
    try:
        found: Totals = held.fold(evaluate_piece, collection.names, (_without_callbacks(model), wanted), add_totals)
    finally:
        held.release()
    if not found.weight > 0.0:
        raise ValueError("X has no row of positive weight")
    return found
