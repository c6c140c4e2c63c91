"""
Iris: shapes of clusters
========================

Fisher's 150 irises belong to three species. A mixture is fitted without the species. How well its components agree with
them depends on what it assumes about the covariances: do clusters have the same volume, the same shape, the same
orientation?
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import adjusted_rand_score

from fastem import GaussianMixture
from fastem.datasets import load_iris
from fastem.plotting import plot_mixture

X = load_iris().values
species = np.repeat([0, 1, 2], 50)

# %%
# Three letters name a structure. They stand for volume, shape and orientation, each of which is equal in all components
# (E), varies between them (V), or is that of the identity matrix (I). Structures on the left have few parameters, those
# on the right have many.

names = ["EII", "VII", "EEI", "VVI", "EEE", "VEE", "EEV", "VEV", "VVV"]
models = {
    (name, k): GaussianMixture(k, covariance_type=name, n_init=5, tol=1e-6, max_iter=1000, random_state=0).fit(X)
    for name in names
    for k in (2, 3)
}
figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
for k, style in ((2, "o-"), (3, "s--")):
    axes.plot(names, [models[name, k].bic(X) for name in names], style, label=f"{k} components")
axes.set(xlabel="structure of the covariances", ylabel="BIC (smaller is better)")
axes.legend(frameon=False)

# %%
# BIC prefers two components of structure VEV: one is setosa, the other holds the two species that overlap. With three
# components the adjusted Rand index tells how well clusters and species agree; 1 is complete agreement.

for name in names:
    agreement = adjusted_rand_score(species, models[name, 3].predict(X))
    print(f"{name}: adjusted Rand index of three components {agreement:.2f}")

figure = plot_mixture(models["VEV", 3], X, columns=["sepal length", "sepal width", "petal length", "petal width"])
