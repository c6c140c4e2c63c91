"""
Bayesian mixtures: unnecessary components lose their weight
===========================================================

Variational Bayes treats weights, means and precisions as unknown quantities with a prior. `n_components` is then an
upper bound: components that the data do not need lose their weight. We fit ten to Old Faithful.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastem import BayesianGaussianMixture
from fastem.datasets import load_faithful
from fastem.plotting import plot_mixture

X = load_faithful().values

# %%
# The concentration of the prior describes how equal one expects the weights to be before seeing the data. A small
# concentration favours few components; a very large one makes all weights equal, whatever the data are.

concentrations = [1e-3, 1, 1000]
models = [
    BayesianGaussianMixture(
        n_components=10,
        weight_concentration_prior_type="dirichlet_distribution",
        weight_concentration_prior=concentration,
        max_iter=3000,
        random_state=0,
    ).fit(X)
    for concentration in concentrations
]
figure, axes = plt.subplots(figsize=(8, 3.8), layout="constrained")
for position, (concentration, model) in enumerate(zip(concentrations, models, strict=True)):
    shift = 0.25 * (position - 1)
    axes.bar(np.arange(10) + shift, np.sort(model.weights_)[::-1], width=0.25, label=f"{concentration:g}")
axes.set(xlabel="component, the heaviest first", ylabel="weight")
axes.legend(title="concentration", frameon=False)

# %%
# With the smallest concentration two of the ten components have all the weight.

figure = plot_mixture(models[0], X, columns=["eruption, minutes", "wait for the next, minutes"])
