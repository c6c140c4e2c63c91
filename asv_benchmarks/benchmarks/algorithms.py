"""Passes and time that variants of EM save; fits that are compared take turns in one process."""

import functools

import numpy as np
from sklearn.base import clone

from fastem import GaussianMixture, Incremental, PoissonMixture, Stepwise

from .common import Suite, median_seconds, require_threads, warm

NEAR = 1e-7  # distance from the best bound, per row
N_JOBS = 2


def clusters(n_rows, n_features, n_components, spread, seed=0):
    """Draw rows about centres of standard deviation `spread`, and a start near the centres."""
    generator = np.random.default_rng(seed)
    centres = spread * generator.normal(size=(n_components, n_features))
    X = centres[generator.integers(n_components, size=n_rows)] + generator.normal(size=(n_rows, n_features))
    start = {
        "n_components": n_components,
        "weights_init": np.full(n_components, 1 / n_components),
        "means_init": centres + 0.5 * generator.normal(size=centres.shape),
        "precisions_init": np.tile(np.eye(n_features), (n_components, 1, 1)),
        "tol": 0.0,
        "n_jobs": N_JOBS,
    }
    return X, start


def reached(model, X, target):
    """Iterations until the bound reaches a target, and whether it does."""
    bounds = np.asarray(model.fit(X).lower_bounds_)
    return int((bounds >= target).argmax()) + 1, bool((bounds >= target).any())


class AcceleratedPasses(Suite):
    """Overlapping clusters for which batch EM takes hundreds of iterations."""

    params = (("squarem", "anderson"), (0, 2, 3))
    param_names = ("acceleration", "seed")
    unit = "share"

    def track_share_of_passes(self, acceleration, seed):
        """Passes to within 1e-7 per row of the best bound, over those of batch EM."""
        X, start = clusters(20_000, 4, 8, 2.0, seed)
        batch = GaussianMixture(max_iter=1500, **start).fit(X)
        other = GaussianMixture(max_iter=500, acceleration=acceleration, **start).fit(X)
        target = max(batch.lower_bounds_[-1], other.lower_bounds_[-1]) - NEAR
        passes = [int(np.argmax(np.asarray(model.lower_bounds_) >= target)) + 1 for model in (other, batch)]
        if min(model.lower_bounds_[-1] for model in (batch, other)) < target:
            raise RuntimeError(f"{acceleration} and batch EM end in different places")
        return passes[0] / passes[1]


def seconds_until(model, bound):
    """Time of the iterations of a fitted model until they reach a lower bound; inf if they do not."""
    seconds = np.cumsum([record.seconds for record in model.history_])
    hits = np.flatnonzero(np.asarray(model.lower_bounds_) >= bound)
    return seconds[hits[0]] if hits.size else np.inf


class OverBatch(Suite):
    """Batch EM against variants on a million overlapping rows, to within 1e-7 per row of the best bound."""

    params = (("incremental", "squarem"),)
    param_names = ("variant",)

    def setup(self, variant):
        """Find how many iterations each needs; fits with these numbers of iterations are timed."""
        self.X, start = clusters(1_000_000, 4, 8, 2.0)
        batch = GaussianMixture(max_iter=400, **start)
        options = {"algorithm": "incremental"} if variant == "incremental" else {"acceleration": variant}
        other = clone(batch).set_params(max_iter=260, **options)
        for model in (batch, other):
            warm(model, self.X)
        best = max(clone(model).fit(self.X).lower_bounds_[-1] for model in (batch, other))
        self.models, self.passes = [], []
        for model in (batch, other):
            n_iter, ok = reached(clone(model), self.X, best - NEAR)
            if not ok:
                raise RuntimeError(f"{model} does not come within {NEAR} of {best}")
            self.passes.append(n_iter)
            self.models.append(clone(model).set_params(max_iter=n_iter))

    def track_share_of_passes(self, variant):
        """Passes of the variant over those of batch EM."""
        return self.passes[1] / self.passes[0]

    def track_speedup(self, variant):
        """Time of batch EM over that of the variant."""
        batch, other = median_seconds(*(functools.partial(model.fit, self.X) for model in self.models))
        return batch / other

    track_share_of_passes.unit = "share"
    track_speedup.unit = "times"


class SparseOverBatch(Suite):
    """128 components, of which few matter to any one row, by the spread of their centres."""

    params = ((1.5, 2.0),)
    param_names = ("spread",)
    unit = "times"

    def track_speedup(self, spread):
        """Time of batch EM until it converges, over that of sparse EM until it is within 1e-6 of the same bound."""
        require_threads(N_JOBS)
        X, _ = clusters(200_000, 16, 128, spread)
        options = {"n_components": 128, "init_size": 20_000, "random_state": 0, "n_jobs": N_JOBS}
        for algorithm in ("em", "sparse"):
            GaussianMixture(algorithm=algorithm, max_iter=2, tol=0.0, **options).fit(X)  # compiles
        batch = GaussianMixture(tol=1e-5, max_iter=100, **options).fit(X)
        target = batch.lower_bound_ - 1e-6 * abs(batch.lower_bound_)
        sparse = GaussianMixture(algorithm="sparse", tol=0.0, max_iter=250, **options)
        return seconds_until(batch, batch.lower_bound_) / seconds_until(sparse.fit(X), target)


class Streamed(Suite):
    """One pass of stepwise EM over 4.8 million rows, against batch EM until convergence."""

    unit = "log-likelihood"
    timeout = 1200

    def track_held_out_loss(self):
        """Mean log-likelihood of new rows under batch EM, minus that under stepwise EM."""
        require_threads(N_JOBS)
        X, _ = clusters(5_000_000, 8, 8, 1.5)
        held_out, X = X[:200_000], X[200_000:]
        once = GaussianMixture(8, algorithm=Stepwise(), tol=0.0, max_iter=1, random_state=0).fit(X)
        batch = GaussianMixture(8, tol=1e-7, max_iter=300, random_state=0).fit(X)
        return batch.score(held_out) - once.score(held_out)


class Deaths(Suite):
    """The deaths of The Times, on which plain EM takes thousands of iterations."""

    params = (("squarem", "anderson"),)
    param_names = ("acceleration",)
    unit = "evaluations"

    def track_evaluations(self, acceleration):
        """Evaluations to the maximum of the log-likelihood, -1989.945859883, from weights 0.5 and rates 1 and 3."""
        X = np.repeat(np.arange(10.0), [162, 267, 271, 185, 111, 61, 27, 8, 3, 1])[:, None]
        start = {"weights_init": [0.5, 0.5], "rates_init": [[1.0], [3.0]], "tol": 0.0, "max_iter": 300}
        model = PoissonMixture(2, acceleration=acceleration, **start)
        n_iter, ok = reached(model, X, -1989.9458598835 / len(X))
        return n_iter if ok else float("nan")


class NealAndHinton(Suite):
    """The experiment of Neal and Hinton (1998): 1000 points of 0.3 N(0, 1) + 0.7 N(-0.2, variance 0.1)."""

    params = (0, 1, 2, 3, 4)
    param_names = ("seed",)
    unit = "share"

    def track_share_of_passes(self, seed):
        """Passes of incremental EM with 16 blocks to within 1e-2 of the maximum, over those of batch EM."""
        generator = np.random.default_rng(seed)
        wide = generator.random(1000) < 0.3
        X = np.where(wide, generator.normal(0.0, 1.0, 1000), generator.normal(-0.2, np.sqrt(0.1), 1000))[:, None]
        start = {"weights_init": [0.5, 0.5], "means_init": [[1.0], [-1.0]], "precisions_init": [[[1.0]], [[1.0]]]}
        batch = GaussianMixture(2, reg_covar=0.0, tol=0.0, max_iter=150, **start)
        target = clone(batch).fit(X).lower_bounds_[-1] - 1e-2 / len(X)
        passes = [reached(clone(batch).set_params(algorithm=how), X, target)[0] for how in (Incremental(16), "em")]
        return passes[0] / passes[1]
