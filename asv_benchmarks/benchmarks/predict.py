"""Time of the methods of a fitted model."""

from .common import Suite, dataset, mixture, require_threads

SHAPE = (200_000, 8, 8)


class Predict(Suite):
    """Labels, responsibilities and log-densities, on one and on two threads."""

    version = "2"
    params = (("full", "poisson"), (1, 2))
    param_names = ("family", "n_jobs")

    def setup(self, family, n_jobs):
        """Fit a little, and call one method: all of them run the same compiled code."""
        require_threads(n_jobs)
        self.X = dataset(family, SHAPE)
        self.model = mixture(family, self.X, SHAPE[-1], max_iter=2, n_jobs=n_jobs).fit(self.X)
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

    def time_score(self, *params):
        """Mean log-density."""
        self.model.score(self.X)


class Columns(Suite):
    """Regression on some columns of a fitted mixture, and conditional mixtures."""

    def setup(self):
        """Fit eight columns."""
        self.X = dataset("full", (100_000, 8, 8))
        self.model = mixture("full", self.X, 8, max_iter=3, tol=0.0, n_jobs=1).fit(self.X)
        self.model.regress(self.X[:10, :7], target=7)

    def time_regress(self):
        """Mean and variance of a column, given seven others."""
        self.model.regress(self.X[:, :7], target=7)

    def time_conditional(self):
        """Mixture of six columns, given two."""
        self.model.conditional({0: 1.0, 3: 0.0})
