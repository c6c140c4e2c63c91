"""
Outliers in a component of their own
====================================

`background=True` adds a component of constant density, the background. It takes the outliers: `predict` gives them the
label -1, and they hardly influence the other components. The data are the eruptions of Old Faithful and 60 simulated
outliers.
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
# Outliers that lie among the eruptions cannot be distinguished from them. This does little harm, because such rows fit
# the components.

figure = plot_mixture(model, rows, columns=["eruption, minutes", "wait for the next, minutes"])

# %%
# Without a background the outliers distort both components.

plain = GaussianMixture(2, random_state=0).fit(rows)
figure = plot_mixture(plain, rows, columns=["eruption, minutes", "wait for the next, minutes"])
