"""
A stream whose clusters move
============================

`partial_fit` takes one batch after the other and slowly forgets old batches: stepwise EM keeps a running average of the
expected sufficient statistics. The stream of this example is **simulated**. One of its two clusters moves.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastem import GaussianMixture, Stepwise

rng = np.random.default_rng(0)
model = GaussianMixture(2, algorithm=Stepwise(exponent=0.6), random_state=0)
true, found = [], []
for step in range(120):
    centres = np.array([0.0, 6.0 + (3.0 * (step - 60) / 60 if step > 60 else 0.0)])
    batch = centres[rng.integers(2, size=500)] + rng.normal(size=500)
    model.partial_fit(batch[:, None])
    true.append(centres)
    found.append(np.sort(model.means_.ravel()))

# %%
# The smaller `exponent` is, the faster the model follows, and the more its means vary from batch to batch.

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.plot(true, "--", color="black", linewidth=1)
axes.plot(found, color="#0072B2", linewidth=2)
axes.set(xlabel="batch of 500 rows", ylabel="means: true (dashed) and found")
print("batches:", model.n_iter_, "weights:", model.weights_.round(2))
