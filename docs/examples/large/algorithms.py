"""
Five algorithms for the same bound
==================================

Batch EM is one of several algorithms that maximise the same lower bound. The eight overlapping clusters of this example
are **simulated**, and make it slow. We count the passes over the data that each algorithm needs to come near the
maximum.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np

from fastem import GaussianMixture, Incremental

rng = np.random.default_rng(0)
centres = 2.0 * rng.normal(size=(8, 4))
X = centres[rng.integers(8, size=20_000)] + rng.normal(size=(20_000, 4))
start = {
    "means_init": centres + 0.5 * rng.normal(size=centres.shape),
    "weights_init": np.full(8, 1 / 8),
    "precisions_init": np.tile(np.eye(4), (8, 1, 1)),
}
variants = {
    "EM": {},
    "incremental": {"algorithm": Incremental(n_blocks=16)},
    "sparse": {"algorithm": "sparse"},
    "SQUAREM": {"acceleration": "squarem"},
    "Anderson": {"acceleration": "anderson"},
}
climbs = {}
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # with tol=0 no fit converges
    for name, options in variants.items():
        model = GaussianMixture(8, tol=0, max_iter=400, random_state=0, **start, **options).fit(X)
        climbs[name] = np.cumsum([record.passes for record in model.history_]), np.array(model.lower_bounds_)
best = max(bounds.max() for _, bounds in climbs.values())

# %%
# Anderson acceleration and SQUAREM need a fraction of the passes of plain EM. See :doc:`/algorithms` for what each
# algorithm guarantees.

figure, axes = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
for name, (passes, bounds) in climbs.items():
    axes.semilogy(passes, np.maximum(best - bounds, 1e-10), label=name)
axes.set(xlabel="passes over the data", ylabel="log-likelihood per row below the best", xlim=(0, 400), ylim=(1e-9, 1))
axes.legend(frameon=False)
for name, (passes, bounds) in climbs.items():
    near = bounds > best - 1e-6
    print(f"{name:12s}", f"within 1e-6 after {passes[near.argmax()]:.0f} passes" if near.any() else "not there yet")
