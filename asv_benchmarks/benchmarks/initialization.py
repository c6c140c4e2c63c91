"""Time to find a start: an iteration or two only, so that nearly all of the fit is its initialisation."""

from fastem import GaussianMixture

from .common import Suite, dataset

SHAPE = (20_000, 8, 8)


class Initialization(Suite):
    """The ways to start a Gaussian mixture."""

    params = (("kmeans", "k-means++", "random", "random_from_data"),)
    param_names = ("init_params",)

    def setup(self, init_params):
        """Draw the data and compile."""
        self.X = dataset("full", SHAPE)
        self.model = GaussianMixture(SHAPE[-1], init_params=init_params, max_iter=1, n_jobs=1, random_state=0)
        self.model.fit(self.X)

    def time_fit(self, *params):
        """Initialise once and make one iteration."""
        self.model.fit(self.X)


class Restarts(Suite):
    """Several starts of one fit."""

    def setup(self):
        """Draw the data and compile."""
        self.X = dataset("full", SHAPE)
        self.model = GaussianMixture(SHAPE[-1], n_init=5, max_iter=2, n_jobs=1, random_state=0)
        self.model.fit(self.X)

    def time_fit(self):
        """Start five times and make two iterations from each."""
        self.model.fit(self.X)
