"""Times in a new interpreter: imports, and the first fit with and without compiled code on disk."""

import subprocess
import sys

from .common import Suite, require_threads

ROWS = {"small": 150, "large": 1_000_000}  # passes run on one thread, or are shared by several
PREPARE = """
import warnings
import numpy as np
from fastem import GaussianMixture
warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=({n_rows}, 4))
model = GaussianMixture(3, init_params="random_from_data", max_iter=2, random_state=0)
"""
EMPTY_CACHE = """
import os, tempfile
folder = tempfile.TemporaryDirectory()  # removed when the interpreter ends
os.environ["NUMBA_CACHE_DIR"] = folder.name
"""
FIT = "model.fit(X)"


class Import(Suite):
    """Imports; that of scikit-learn, on which fastem depends, is the baseline."""

    number = 1

    def timeraw_import_fastem(self):
        """Import the package."""
        return "import fastem"

    def timeraw_import_sklearn_mixture(self):
        """Import the module that fastem replaces."""
        return "import sklearn.mixture"


class FirstFit(Suite):
    """The first call of `fit` in a process: it imports numba, compiles or loads code, and makes two iterations."""

    params = (tuple(ROWS),)
    param_names = ("data",)
    number = 1
    rounds = 1
    warmup_time = 0

    def setup(self, data):
        """Skip the large data on a machine with one thread."""
        if data == "large":
            require_threads(2)
        self.prepare = PREPARE.format(n_rows=ROWS[data])


class ColdFit(FirstFit):
    """With an empty folder for compiled code, as on a machine where fastem has never run."""

    repeat = 2

    def timeraw_cold(self, data):
        """Compile."""
        return FIT, EMPTY_CACHE + self.prepare


class CachedFit(FirstFit):
    """With the folder for compiled code that all benchmarks share."""

    repeat = 3

    def setup(self, data):
        """Fit in another process, so that the code is on disk."""
        super().setup(data)
        subprocess.run([sys.executable, "-c", self.prepare + FIT], check=True)

    def timeraw_cached(self, data):
        """Load."""
        return FIT, self.prepare
