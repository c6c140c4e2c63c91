"""Time of the methods of a fitted model."""

from .common import Suite, dataset, mixture, require_threads

SHAPE = (100_000, 8, 8)


class Predict(Suite):
    """Labels, responsibilities and log-densities, on one thread."""

    params = (("full", "diag", "poisson"),)
    param_names = ("family",)

    def setup(self, family):
        """Fit a little, and call each method once so that it is compiled."""
        require_threads(1)
        self.X = dataset(family, SHAPE)
        self.model = mixture(family, self.X, SHAPE[-1], max_iter=2, n_jobs=1).fit(self.X)
        self.model.predict(self.X)
        self.model.predict_proba(self.X)
        self.model.score_samples(self.X)

    def time_predict(self, *params):
        """Most probable component of every row."""
        self.model.predict(self.X)

    def time_predict_proba(self, *params):
        """Responsibilities of every row."""
        self.model.predict_proba(self.X)

    def time_score_samples(self, *params):
        """Log-density of every row."""
        self.model.score_samples(self.X)
