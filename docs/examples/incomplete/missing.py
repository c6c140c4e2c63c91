"""
Missing values: fit the observed values
=======================================

We remove waits of Old Faithful, mostly after long eruptions: 80 % of these, against 20 % of those after short ones. The
complete rows are then a biased sample. `missing="marginalize"` maximises the likelihood of all observed values.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastem import GaussianMixture
from fastem.datasets import load_faithful

X = load_faithful().values
rng = np.random.default_rng(0)
holes = X.copy()
holes[rng.random(len(X)) < np.where(X[:, 0] > 3, 0.8, 0.2), 1] = np.nan
complete = ~np.isnan(holes).any(axis=1)
print(f"{complete.sum()} of {len(X)} rows are complete")

everything = GaussianMixture(2, random_state=0).fit(X)
marginalised = GaussianMixture(2, missing="marginalize", random_state=0).fit(holes)
dropped = GaussianMixture(2, random_state=0).fit(X[complete])

# %%
# The mean wait, by three fits. The second one knows less than half of the waits, and still comes close to the fit of
# all values.

fits = {"all values": everything, "values that are there": marginalised, "complete rows only": dropped}
for name, model in fits.items():
    print(f"{name:22s} {model.weights_ @ model.means_[:, 1]:.1f} minutes")

# %%
# Densities of the waits:

grid = np.linspace(35, 105, 300)[:, None]
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for (name, model), style in zip(fits.items(), ("k--", "-", "-"), strict=True):
    axes.plot(grid, np.exp(model.marginal([1]).score_samples(grid)), style, linewidth=2, label=name)
axes.set(xlabel="wait for the next eruption, minutes", ylabel="density", ylim=(0, None))
axes.legend(frameon=False)

# %%
# Imputation
# ----------
#
# `impute` gives the expected value of each missing cell, or random draws that also have its variance. Draws look like
# data; expected values lie near two lines, one for each component.

expected = marginalised.impute(holes)
drawn = marginalised.impute(holes, n_draws=1)[0]
figure, panels = plt.subplots(1, 2, figsize=(10, 4), sharex=True, sharey=True, layout="constrained")
for axes, values, title in zip(panels, (expected, drawn), ("expected values", "one draw"), strict=True):
    axes.plot(*X[complete].T, "o", color="#8c8c8c", markersize=4, label="complete rows")
    axes.plot(*values[~complete].T, "o", markersize=4, label="imputed")
    axes.set(title=title, xlabel="eruption, minutes")
panels[0].set_ylabel("wait for the next, minutes")
panels[1].legend(frameon=False, loc="lower right")
