"""Peak memory of a process that fits.

What the fit itself needs is the difference to `peakmem_setup`.
"""

import numpy as np

from .common import Suite, dataset, mixture, warm


class Memory(Suite):
    """Data of 26 MB; a fit should not allocate anything as large."""

    params = (("full", "poisson"),)
    param_names = ("family",)

    def setup_cache(self):
        """Compile in a process of its own: compiling takes more memory than the fit."""
        for family in self.params[0]:
            self.setup(family)
            self.model.fit(self.X)

    def setup(self, family):
        """Repeat a few rows, because drawing so many would take more memory than the fit."""
        few = dataset(family, (1_000, 16, 8))
        self.model = mixture(family, few, 8, tol=0.0, max_iter=2, n_jobs=1)
        warm(self.model, few)
        self.X = np.tile(few, (200, 1))

    def peakmem_setup(self, *params):
        """Peak of the interpreter, the compiled code and the data alone."""

    def peakmem_fit(self, *params):
        """Peak with a fit."""
        self.model.fit(self.X)
