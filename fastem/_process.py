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


def _seems_forked() -> bool:
    """Whether this process has a single thread and its parent's command line, as a forked child has at first.

    False where that cannot be told: only where GNU OpenMP is used, under Linux, does a child die of lost threads.
    """
    process = Path("/proc")
    try:
        command, parents = (process / str(pid) / "cmdline" for pid in (os.getpid(), os.getppid()))
        return command.read_bytes() == parents.read_bytes() and len(list(process.glob("self/task/*"))) == 1
    except OSError:
        return False


def _after_fork() -> None:
    _state["lost"] = _started()


_state["lost"] = _started() and _seems_forked()  # imported by the child itself
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
