"""
Labels of some rows
===================

The data are two overlapping groups of points, published with a tutorial on EM (V. Xu, 2020). The group is known for 100
points and unknown for 1000. Known labels stay fixed throughout the fit, and all points contribute to it.
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
# The labels determine the numbers of the components. On the line both components are equally probable.

x, y = np.meshgrid(np.linspace(-4, 4, 200), np.linspace(-4, 4, 200))
share = model.predict_proba(np.stack([x, y], axis=-1).reshape(-1, 2))[:, 1].reshape(x.shape)
figure, axes = plt.subplots(figsize=(6.5, 5), layout="constrained")
axes.plot(*X[~known].T, "o", color="#bfbfbf", markersize=3, label="group unknown")
for group, colour in enumerate(("#0072B2", "#D55E00")):
    axes.plot(*X[labels == group].T, "o", color=colour, markersize=5, markeredgecolor="white", label=f"group {group}")
axes.contour(x, y, share, levels=[0.5], colors="black")
axes.legend(frameon=False)

# %%
# Labels may be uncertain. A row of plausibilities for each point says how plausible each group is; here one label in
# ten may be wrong.

plausible = np.where(labels[:, None] < 0, 1.0, np.where(labels[:, None] == [0, 1], 0.9, 0.1))
doubtful = GaussianMixture(**options).fit(X, labels=plausible)
print("weights", doubtful.weights_.round(4))
