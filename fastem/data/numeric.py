"""Conversion of whatever a user gives to an array of real numbers, or an error that says what is wrong with it.

All numbers that a user gives are converted here: rows, chunks, weights, noise, labels, projections, initial values,
priors. The rules:

- Booleans, integers and floating-point numbers are real numbers; float32 and float64 stay as they are, others become
  float64. Dates, durations, strings, bytes, records and complex numbers are refused, in object arrays and columns of
  data frames too.
- A value that is masked, None or NA is missing: it becomes NaN where missing values are allowed, and else raises an
  error that names its place.
- An integer that float64 does not hold exactly is refused rather than rounded. Floating-point numbers are rounded.
"""

from __future__ import annotations

import datetime
import math
import numbers
from collections.abc import Callable
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from fastem.data.frames import is_frame, tabular
from fastem.data.namespaces import is_foreign, on_host

EXACT = 2**53  # float64 holds every integer up to this one
NO_NUMBERS = (str, bytes, complex, np.complexfloating, datetime.date, datetime.timedelta, np.datetime64, np.timedelta64)
CONVERT = "Convert your data to numeric values explicitly instead."
NO_MATRIX = (
    "np.matrix is not supported. Please convert to a numpy array with np.asarray. For more information see: "
    "https://numpy.org/doc/stable/reference/generated/numpy.matrix.html"
)

Place = Callable[[tuple[int, ...]], str]


def place_of(index: tuple[int, ...]) -> str:
    """Describe the place of an entry of an array, counted from 0."""
    if not index:
        return "its only entry"
    row, *rest = map(int, index)
    entry = f", column {rest[0]}" if len(rest) == 1 else f", entry {tuple(rest)}" if rest else ""
    return f"row {row}{entry}"


def real_array(given: Any, name: str, *, missing: bool = False, place: Place = place_of) -> NDArray[Any]:
    """Convert numbers to an array of float64 or float32, of any layout.

    Parameters
    ----------
    given : array-like, data frame or series
    name : str
        What errors call it.
    missing : bool, default=False
        Whether masked values, None and NA become NaN; otherwise they are errors.
    place : callable, default=place_of
        Describes the place of an entry, given its index.

    Raises
    ------
    TypeError
        If it is sparse, an `np.matrix`, or holds objects that are not numbers.
    ValueError
        If it holds values that are not real numbers, an integer that float64 would round, or a missing value where
        none is allowed. The message names the place.
    """
    if type(given) is np.ndarray and given.dtype in (np.float64, np.float32):
        return given
    given = on_host(given) if is_foreign(given) else tabular(given)
    if issparse(given):
        raise TypeError(
            f"Sparse data was passed for {name}, but dense data is required. Use '.toarray()' to convert to a dense "
            "numpy array."
        )
    if isinstance(given, np.matrix):
        raise TypeError(NO_MATRIX)
    if is_frame(given):
        return _from_frame(given, name, missing)
    if nw.dependencies.is_into_series(given):
        column = nw.from_native(given, series_only=True)
        return _from_column(column, name, missing, lambda row: place((row,)), name)
    given = _with_mask(given)
    if isinstance(given, np.ma.MaskedArray):
        return _from_masked(given, name, missing, place)
    try:
        array = np.asarray(given)
    except ValueError as error:  # lists of different lengths
        raise ValueError(f"{error}: {name}") from None
    return _from_array(array, name, missing, place)


def whole_numbers(given: Any, name: str, absent: int) -> NDArray[Any]:
    """Array of a value, with `absent` in place of masked values, None and NA if all other values are integers."""
    if type(given) is np.ndarray and given.dtype.kind != "O":
        return given
    given = on_host(given) if is_foreign(given) else tabular(given)
    if issparse(given) or isinstance(given, np.matrix) or is_frame(given):
        return real_array(given, name)
    if nw.dependencies.is_into_series(given):
        series = nw.from_native(given, series_only=True)
        whole = series.dtype.is_integer() and series.null_count()
        return np.asarray(series.fill_null(absent).to_numpy() if whole else given)
    given = _with_mask(given)
    if isinstance(given, np.ma.MaskedArray):
        if given.dtype.kind in "iuO":
            there = ~np.ma.getmaskarray(given)
            known = np.full(given.shape, absent, given.dtype if given.dtype.kind == "i" else object)
            known[there] = np.asarray(given.data)[there]
            return known if given.dtype.kind == "i" else whole_numbers(known.tolist(), name, absent)
        return real_array(given, name)
    array = np.asarray(given)
    if array.dtype != object:
        return array
    gone = _absent(array)
    values = array[~gone]
    if not all(map(_is_integer, values.flat)):
        return array
    return np.where(gone, absent, array).astype(np.int64 if all(-EXACT < v < EXACT for v in values.flat) else object)


def is_whole(value: Any, least: int) -> bool:
    """Whether a value is an integer of Python or numpy, but no Boolean, and at least `least`."""
    return _is_integer(value) and int(value) >= least


def is_real(value: Any) -> bool:
    """Whether a value is a real number of Python or numpy; durations, which numpy takes for integers, are not."""
    return isinstance(value, numbers.Real) and not isinstance(value, np.timedelta64)


def _is_integer(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool | np.timedelta64)


def _refuse(kind: Any, name: str) -> None:
    """Raise ValueError for a dtype that does not hold real numbers."""
    kind = np.dtype(kind)
    if kind.kind == "c":
        raise ValueError(f"Complex data not supported: {name} holds {kind}")
    if kind.kind not in "biufO":
        what = "records" if kind.names else str(kind)
        raise ValueError(f"{name} holds {what}, not real numbers. {CONVERT}")


def _absence(name: str, where: str, how: str) -> ValueError:
    return ValueError(f"Input {name} contains NaN: {where} (counted from 0) is {how}.")


def _from_array(array: NDArray[Any], name: str, missing: bool, place: Place) -> NDArray[Any]:
    """Convert an array of any dtype."""
    _refuse(array.dtype, name)
    if array.dtype.kind == "O":
        return _from_objects(array, name, missing, place)
    if array.dtype.kind == "f" and array.dtype.itemsize in (4, 8):
        return array
    with np.errstate(over="ignore"):  # large long doubles become infinite, and are refused later
        floats = array.astype(np.float64)
    long = array.dtype.kind in "iu" and array.dtype.itemsize == 8 and array.size > 0
    if long and (int(array.max()) > EXACT or int(array.min()) < -EXACT):
        _check_exact(array, floats, name, place)
    return floats


def _check_exact(array: NDArray[Any], floats: NDArray[np.float64], name: str, place: Place) -> None:
    """Raise ValueError for the first integer of an array that is a different number in `floats`."""
    limit = float(2 ** (64 if array.dtype.kind == "u" else 63))
    with np.errstate(invalid="ignore"):
        wrong = (floats >= limit) | (floats.astype(array.dtype) != array)
    if wrong.any():
        index = tuple(np.argwhere(wrong)[0])
        raise _inexact(array[index], name, place(index))


def _inexact(value: Any, name: str, where: str) -> ValueError:
    return ValueError(
        f"{name} holds the integer {value} in {where}, which float64 would round: subtract an origin, or convert to "
        "floating-point numbers where rounding does not matter"
    )


def _from_masked(array: Any, name: str, missing: bool, place: Place) -> NDArray[Any]:
    """Convert a masked array; a mask without masked entries has no effect."""
    _refuse(array.dtype, name)
    mask = np.ma.getmaskarray(array)
    if not mask.any():
        return _from_array(np.asarray(array.data), name, missing, place)
    if not missing:
        raise _absence(name, place(tuple(np.argwhere(mask)[0])), "masked")
    known = np.where(mask, np.zeros((), array.dtype), np.asarray(array.data))
    floats = _from_array(known, name, missing, place)
    floats[mask] = np.nan
    return floats


def _absent(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Mask of the objects that stand for missing values: None, pandas' NA, numpy's masked."""
    absent = {kind for kind in set(map(type, array.flat)) if kind.__name__ in ("NoneType", "NAType", "MaskedConstant")}
    if not absent:
        return np.zeros(array.shape, dtype=bool)
    return np.asarray(np.frompyfunc(lambda value: type(value) in absent, 1, 1)(array), dtype=bool)


def _from_objects(array: NDArray[Any], name: str, missing: bool, place: Place) -> NDArray[Any]:
    """Convert an array of Python objects."""
    wrong = tuple(kind for kind in set(map(type, array.flat)) if issubclass(kind, NO_NUMBERS))
    if wrong:
        index = next(index for index, value in np.ndenumerate(array) if isinstance(value, wrong))
        raise ValueError(f"{name} holds {array[index]!r} in {place(index)}, which is no real number. {CONVERT}")
    gone = _absent(array)
    if gone.any() and not missing and array.ndim:  # a single None is refused later, for its shape
        index = tuple(np.argwhere(gone)[0])
        raise _absence(name, place(index), repr(array[index]))
    floats = np.full(array.shape, np.nan)
    try:
        floats[~gone] = array[~gone].astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise _no_number(array, gone, name, place) from None
    large = np.abs(floats) >= EXACT  # False for NaN
    for index, value in np.ndenumerate(array) if large.any() else ():
        if isinstance(value, numbers.Integral) and int(floats[index]) != value:
            raise _inexact(value, name, place(index))
    return floats


def _no_number(array: NDArray[Any], gone: NDArray[np.bool_], name: str, place: Place) -> Exception:
    """Error for the first object that is not a number; it names the place."""
    for index, value in np.ndenumerate(array):
        try:
            if not gone[index]:
                math.isnan(float(value))
        except (TypeError, ValueError) as error:
            return type(error)(f"{error}: {name}, {place(index)}")
        except OverflowError:
            return ValueError(f"{name} holds a number in {place(index)} that is too large for float64")
    return ValueError(f"{name} cannot be converted to real numbers")


def _with_mask(given: Any) -> Any:
    """Convert nested lists of masked arrays to one masked array; return other values as they are."""
    if not isinstance(given, list | tuple) or not _holds_masks(given):
        return given
    data, mask = _data_and_mask(given)
    return np.ma.array(np.asarray(data), mask=np.asarray(mask))


def _holds_masks(given: Any) -> bool:
    """Whether there is a masked array somewhere in nested lists."""
    return any(
        isinstance(item, np.ma.MaskedArray) or (isinstance(item, list | tuple) and _holds_masks(item)) for item in given
    )


def _data_and_mask(given: Any) -> tuple[Any, Any]:
    """Nested lists of the data of masked arrays, 0 where they are masked, and of their masks."""
    if isinstance(given, list | tuple):
        data, masks = zip(*map(_data_and_mask, given), strict=True)
        return list(data), list(masks)
    if given is np.ma.masked:
        return 0, True
    mask = np.ma.getmaskarray(given) if isinstance(given, np.ma.MaskedArray) else np.zeros(np.shape(given), dtype=bool)
    return np.where(mask, 0, np.ma.getdata(given)) if mask.any() else np.ma.getdata(given), mask


def _from_frame(given: Any, name: str, missing: bool) -> NDArray[Any]:
    """Convert a data frame to an array (n, d), and check it column by column."""
    frame = nw.from_native(given)
    columns = frame.columns
    kinds = set(frame.schema.values())
    if kinds in ({nw.Float64()}, {nw.Float32()}) and _in_numpy(given):
        return np.asarray(given)
    parts = []
    for column, series in zip(columns, frame.iter_columns(), strict=True):
        label = f"column {column!r}"
        parts.append(_from_column(series, name, missing, (f"row {{}}, {label}").format, f"{label} of {name}"))
    kind = np.float32 if kinds == {nw.Float32()} else np.float64
    values = np.empty((len(frame), len(columns)), kind, order="F")
    for part, target in zip(parts, values.T, strict=True):
        target[:] = part
    return values


def _in_numpy(given: Any) -> bool:
    """Whether a frame's columns have numpy's dtypes, in which only NaN stands for a missing value."""
    return all(isinstance(kind, np.dtype) for kind in getattr(given, "dtypes", [None]))


def _from_column(series: Any, name: str, missing: bool, at: Callable[[int], str], label: str) -> NDArray[Any]:
    """Convert a column to an array (n,); nulls are missing values, and `at` describes the place of a row."""

    def place(index: tuple[int, ...]) -> str:
        return at(int(index[0]))

    kind, native = series.dtype, series.to_native()
    if type(getattr(native, "dtype", None)).__name__ == "SparseDtype":
        raise TypeError(f"Sparse data was passed for {label}, but dense data is required.")
    if not (kind.is_numeric() or kind == nw.Boolean) or isinstance(getattr(native, "dtype", None), np.dtype):
        values = np.asarray(native)
        _refuse(values.dtype, label)
        return _from_array(values, name, missing, place)
    nulls = series.null_count()
    if nulls and not missing:
        row = int(np.argmax(series.is_null().to_numpy()))
        raise _absence(name, place((row,)), "NA")
    if kind.is_integer():
        floats = _from_array(np.asarray(series.fill_null(0).to_numpy()), name, missing, place)
        return np.where(series.is_null().to_numpy(), np.nan, floats) if nulls else floats
    return np.asarray(series.cast(nw.Float32() if kind == nw.Float32 else nw.Float64()).to_numpy())
