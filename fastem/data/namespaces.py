"""Arrays of other libraries, by the array API standard: into numpy's memory, and back to where they were.

They are taken where scikit-learn's `array_api_dispatch` is on. Compiled code runs on the host, so arrays of a device
are copied from it, and results go back to it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context, get_config

WITHOUT_A_MARK = ("torch", "cupy")  # libraries whose arrays follow the standard by way of scikit-learn's adapters


class Namespace(NamedTuple):
    """Where arrays live: their library's functions, and the device."""

    functions: Any
    device: Any

    def holding(self, values: Any) -> Any:
        """An array of this library and device, from one of numpy; all else as it is."""
        if self is HOST or not isinstance(values, np.ndarray):
            return values
        return self.functions.asarray(np.ascontiguousarray(values), device=self.device)


HOST = Namespace(np, "cpu")  # numpy's own memory


def namespace_of(given: Any) -> Namespace:
    """Where an array lives, if scikit-learn is told to care; else it is taken for one of numpy."""
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
    """A foreign array in numpy's memory."""
    from sklearn.utils._array_api import move_to

    with config_context(array_api_dispatch=True):
        moved: NDArray[Any] = move_to(given, xp=np, device="cpu")
    return np.asarray(moved)


def check_same(given: Any, estimator: Any, method: str) -> None:
    """Raise ValueError, in scikit-learn's words, if rows live elsewhere than what an estimator was fitted to."""
    if type(given) is type(estimator.weights_) is np.ndarray or not get_config()["array_api_dispatch"]:
        return
    if not (is_foreign(given) or isinstance(given, np.ndarray)):
        return
    from sklearn.utils._array_api import check_same_namespace

    check_same_namespace(given, estimator, attribute="weights_", method=method)
