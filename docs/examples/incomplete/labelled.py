"""
Labels of some rows
===================

Two overlapping groups of points, as published with a tutorial on EM (V. Xu, 2020): of 100 points the group is known, of
1000 it is not. Labels hold throughout the fit, and all points count.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastem import GaussianMixture
from fastem.datasets import load_xu

xu = load_xu()
X, labels = xu.values, xu.labels  # -1 where the group is not known
known = labels >= 0
options = {"n_components": 2, "reg_covar": 0, "tol": 1e-8, "max_iter": 1000, "random_state": 0}
model = GaussianMixture(**options).fit(X, labels=labels)
print("weights", model.weights_.round(4), "means", model.means_.round(3).tolist())

# %%
# Components have the numbers that the labels give them. The line is where both are equally probable.

x, y = np.meshgrid(np.linspace(-4, 4, 200), np.linspace(-4, 4, 200))
share = model.predict_proba(np.stack([x, y], axis=-1).reshape(-1, 2))[:, 1].reshape(x.shape)
figure, axes = plt.subplots(figsize=(6.5, 5), layout="constrained")
axes.plot(*X[~known].T, "o", color="#bfbfbf", markersize=3, label="group unknown")
for group, colour in enumerate(("#0072B2", "#D55E00")):
    axes.plot(*X[labels == group].T, "o", color=colour, markersize=5, markeredgecolor="white", label=f"group {group}")
axes.contour(x, y, share, levels=[0.5], colors="black")
axes.legend(frameon=False)

# %%
# Labels may be doubtful. A row of plausibilities for each point says how far each group is possible; here one label in
# ten may be wrong.

plausible = np.where(labels[:, None] < 0, 1.0, np.where(labels[:, None] == [0, 1], 0.9, 0.1))
doubtful = GaussianMixture(**options).fit(X, labels=plausible)
print("weights", doubtful.weights_.round(4))
