"""Rows pass through few files from `fit` to compiled code, so that new contributors can follow them."""

import sys
from pathlib import Path

import numpy as np

import fastem
from fastem import GaussianMixture

PACKAGE = Path(fastem.__file__).parent
MOST_FILES = 12
DEPTH, WIDTH = 3, 20  # how far arguments are searched for the rows: levels, and items of each


class Watch:
    """Files of functions that are called with rows, until the first E-step is done."""

    def __init__(self, X):
        self._X = X
        self.files = []
        self.done = False

    def holds(self, value, depth=0):
        """Whether something holds the rows."""
        if isinstance(value, np.ndarray):
            return value.ndim == 2 and np.shares_memory(value, self._X)
        if depth == DEPTH:
            return False
        if isinstance(value, tuple | list):
            return any(self.holds(item, depth + 1) for item in value[:WIDTH])
        if type(value).__module__.startswith("fastem") and hasattr(value, "__dict__"):
            return any(self.holds(item, depth + 1) for item in list(vars(value).values())[:WIDTH])
        return False

    def __call__(self, frame, event, argument):
        code = frame.f_code
        path = Path(code.co_filename)
        if self.done or not path.is_relative_to(PACKAGE) or "kernels" in path.parts:
            return
        if event == "return" and path.name == "executor.py" and code.co_name == "fold" and code.co_argcount > 3:
            self.done = True
        elif event == "call":
            names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            given = (frame.f_locals[name] for name in names if name != "self" and name in frame.f_locals)
            name = path.relative_to(PACKAGE).as_posix()
            if name not in self.files and any(self.holds(value) for value in given):
                self.files.append(name)


def test_rows_pass_through_few_files_before_the_first_e_step_is_done():
    X = np.random.default_rng(0).normal(size=(500, 3))
    start = {"means_init": X[:2].copy(), "weights_init": [0.5, 0.5], "precisions_init": np.tile(np.eye(3), (2, 1, 1))}
    model = GaussianMixture(2, tol=1.0, **start)
    model.fit(X)  # so that nothing is imported or compiled while it is watched
    watch = Watch(X)
    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        model.fit(X)
    finally:
        sys.setprofile(before)
    assert watch.done
    assert watch.files[0] == "mixtures/base.py"
    assert watch.files[-1] == "engine/executor.py"
    assert len(watch.files) <= MOST_FILES, watch.files
