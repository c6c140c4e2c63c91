"""
Outliers in a component of their own
====================================

`background=True` adds a component of constant density. Rows that are far from all others belong to it, have the label
-1, and leave the other components alone. The eruptions are those of Old Faithful, the 60 outliers are drawn on the
spot.
"""

import numpy as np

from fastem import GaussianMixture
from fastem.datasets import load_faithful
from fastem.plotting import plot_mixture

X = load_faithful().values
outliers = np.random.default_rng(0).uniform([0, 0], [10, 200], size=(60, 2))
rows = np.vstack([X, outliers])

model = GaussianMixture(2, background=True, random_state=0).fit(rows)
found = model.predict(rows) == -1
print(f"weight of the background: {model.weights_[-1]:.2f}")
print(
    f"of 60 outliers {found[len(X) :].sum()} are found, of 272 eruptions {found[: len(X)].sum()} are taken for outliers"
)

# %%
# Outliers that fall among the eruptions cannot be told from them, and need not be.

figure = plot_mixture(model, rows, columns=["eruption, minutes", "wait for the next, minutes"])

# %%
# Without a background the same rows spoil both components.

plain = GaussianMixture(2, random_state=0).fit(rows)
figure = plot_mixture(plain, rows, columns=["eruption, minutes", "wait for the next, minutes"])
