"""Conversion of arrays of other libraries that follow the array API standard to numpy, and of results back.

They are accepted if scikit-learn's `array_api_dispatch` is on. Compiled code runs on the host, so arrays are copied
from their device, and results are copied back to it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context, get_config

WITHOUT_A_MARK = ("torch", "cupy")  # libraries that follow the standard only through scikit-learn's adapters


class Namespace(NamedTuple):
    """Library and device of arrays: the library's functions, and the device."""

    functions: Any
    device: Any

    def holding(self, values: Any) -> Any:
        """A numpy array as an array of this library and device; other values as they are."""
        if self is HOST or not isinstance(values, np.ndarray):
            return values
        return self.functions.asarray(np.ascontiguousarray(values), device=self.device)


HOST = Namespace(np, "cpu")  # numpy's own memory


def namespace_of(given: Any) -> Namespace:
    """Library and device of an array if `array_api_dispatch` is on and the array is not numpy's; else numpy's."""
    if type(given) is np.ndarray or not get_config()["array_api_dispatch"] or not is_foreign(given):
        return HOST
    from sklearn.utils._array_api import get_namespace_and_device

    functions, _, device = get_namespace_and_device(given)
    return Namespace(functions, device)


def is_foreign(given: Any) -> bool:
    """Whether something is an array of another library that follows the standard."""
    if isinstance(given, np.ndarray | np.generic):
        return False
    return hasattr(given, "__array_namespace__") or type(given).__module__.partition(".")[0] in WITHOUT_A_MARK


def on_host(given: Any) -> NDArray[Any]:
    """An array of another library as a numpy array."""
    from sklearn.utils._array_api import move_to

    with config_context(array_api_dispatch=True):
        moved: NDArray[Any] = move_to(given, xp=np, device="cpu")
    return np.asarray(moved)


def check_same(given: Any, estimator: Any, method: str) -> None:
    """Raise scikit-learn's ValueError if rows have another library or device than those an estimator was fitted to."""
    if type(given) is type(estimator.weights_) is np.ndarray or not get_config()["array_api_dispatch"]:
        return
    if not (is_foreign(given) or isinstance(given, np.ndarray)):
        return
    from sklearn.utils._array_api import check_same_namespace

    check_same_namespace(given, estimator, attribute="weights_", method=method)
