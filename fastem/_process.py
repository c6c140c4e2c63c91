"""Whether numba's threads were lost in a fork: a child has none of its parent's, and does not know.

Imported with the package, without numba: what forks before fastem's first fit must be seen as well.
"""

import os
import sys
from pathlib import Path

_state = {"lost": False}


def threads_are_lost() -> bool:
    """Whether this process was forked from one in which numba had started its threads, for whichever library."""
    return _state["lost"]


def _started() -> bool:
    """Whether numba has started its threads, here or in the process that this one was forked from."""
    return bool(getattr(sys.modules.get("numba.np.ufunc.parallel"), "_is_initialized", False))


def _alone() -> bool:
    """Whether this process has a single thread, as a forked child has at first; False where that cannot be told."""
    threads = Path("/proc/self/task")
    return threads.is_dir() and len(list(threads.iterdir())) == 1


def _after_fork() -> None:
    _state["lost"] = _started()


_state["lost"] = _started() and _alone()  # imported by a child
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
