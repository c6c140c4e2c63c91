"""A few benchmarks that use only what has been public since the first commit; each takes a few seconds.

Fits start from given parameters and make ten iterations on one thread, so that all commits do the same work.
"""

import subprocess
import sys
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastem import GaussianMixture

warnings.simplefilter("ignore", ConvergenceWarning)  # fits stop at `max_iter` on purpose

SHAPES = {
    "full, 500 000 x 2, 4 components": ("full", 500_000, 2, 4),
    "full, 50 000 x 16, 16 components": ("full", 50_000, 16, 16),
    "diag, 100 000 x 16, 16 components": ("diag", 100_000, 16, 16),
}


def rows(n_samples, n_features, n_components):
    """Overlapping clusters."""
    generator = np.random.default_rng(0)
    centers = generator.normal(size=(n_components, n_features))
    return 2.0 * centers[generator.integers(n_components, size=n_samples)] + generator.normal(
        size=(n_samples, n_features)
    )


def model(X, form, n_components):
    """Model of ten iterations from the first rows as means and unit precisions, on one thread."""
    n_features = X.shape[1]
    precisions = np.tile(np.eye(n_features), (n_components, 1, 1))
    return GaussianMixture(
        n_components,
        covariance_type=form,
        weights_init=np.full(n_components, 1.0 / n_components),
        means_init=X[:n_components],
        precisions_init=precisions if form == "full" else np.ones((n_components, n_features)),
        tol=0.0,
        max_iter=10,
        n_jobs=1,
    )


class Fit:
    """Whole fits, and responsibilities of a fitted model."""

    params = (list(SHAPES),)
    param_names = ("shape",)
    timeout = 300
    version = "1"
    number = 1
    repeat = (3, 8, 6.0)
    warmup_time = 0.0

    def setup(self, shape):
        """Draw the data and compile."""
        form, *sizes = SHAPES[shape]
        self.X = rows(*sizes)
        self.model = model(self.X, form, sizes[-1]).fit(self.X)

    def time_fit(self, shape):
        """Fit for ten iterations."""
        self.model.fit(self.X)

    def time_predict_proba(self, shape):
        """Responsibilities of every row."""
        self.model.predict_proba(self.X)


class Process:
    """A whole process that imports fastem and fits 150 rows, with the compiled code on disk."""

    timeout = 300
    version = "1"
    number = 1
    repeat = (3, 5, 10.0)
    warmup_time = 0.0

    code = (
        "import numpy as np; from fastem import GaussianMixture; "
        "GaussianMixture(3, random_state=0).fit(np.random.default_rng(0).normal(size=(150, 4)))"
    )

    def setup(self):
        """Compile."""
        self.time_import_and_fit()

    def time_import_and_fit(self):
        """Start Python, import, fit."""
        subprocess.run([sys.executable, "-W", "ignore", "-c", self.code], check=True)
