"""Results that must not change."""

from .common import FAMILIES, Suite, dataset, mixture


class Result(Suite):
    """Iterations and log-likelihood of a fit with the default tolerance."""

    params = (FAMILIES,)
    param_names = ("family",)

    def setup(self, family):
        """Fit."""
        X = dataset(family, (5_000, 4, 4))
        self.model = mixture(family, X, 4, max_iter=1_000, n_jobs=1).fit(X)

    def track_iterations(self, *params):
        """Iterations until the change is below the tolerance."""
        return self.model.n_iter_

    def track_negative_log_likelihood(self, *params):
        """Mean of a row; negative, because asv reports any increase as a regression."""
        return -self.model.lower_bound_

    track_iterations.unit = "iterations"
    track_negative_log_likelihood.unit = "nats"
