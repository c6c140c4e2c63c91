"""Time of fits with a given start and a fixed number of iterations."""

from .common import FAMILIES, Suite, dataset, mixture, warm

ITERATIONS = 10
MIDDLE = (50_000, 16, 16)


class Fit(Suite):
    """Few and many features, on one and on two threads."""

    version = "2"
    params = (FAMILIES, ((1_000_000, 2, 4), MIDDLE, (20_000, 64, 8)), (1, 2))
    param_names = ("family", "shape", "n_jobs")

    def setup(self, family, shape, n_jobs):
        """Draw the data and compile."""
        self.X = dataset(family, shape)
        self.model = mixture(family, self.X, shape[-1], tol=0.0, max_iter=ITERATIONS, n_jobs=n_jobs)
        warm(self.model, self.X)

    def time_fit(self, *params):
        """Fit for ten iterations."""
        self.model.fit(self.X)


class FitSinglePrecision(Suite):
    """Data of type float32."""

    version = "2"
    params = (FAMILIES,)
    param_names = ("family",)

    def setup(self, family):
        """Draw the data and compile."""
        self.X = dataset(family, MIDDLE, "float32")
        self.model = mixture(family, self.X, MIDDLE[-1], tol=0.0, max_iter=ITERATIONS, n_jobs=1)
        warm(self.model, self.X)

    def time_fit(self, *params):
        """Fit for ten iterations."""
        self.model.fit(self.X)


class FitSmall(Suite):
    """Data so small that validation and dispatch take most of the time."""

    params = (FAMILIES,)
    param_names = ("family",)

    def setup(self, family):
        """Draw the data and compile."""
        self.X = dataset(family, (150, 4, 3))
        self.model = mixture(family, self.X, 3, tol=0.0, max_iter=ITERATIONS, n_jobs=1)
        warm(self.model, self.X)

    def time_fit_twenty_times(self, *params):
        """Fit twenty times for ten iterations."""
        for _ in range(20):
            self.model.fit(self.X)
