"""
Old Faithful: how many kinds of eruptions?
==========================================

Old Faithful is a geyser in Yellowstone National Park. The data are 272 eruptions of August 1985: how long each lasted,
and how long visitors waited for the next one. We fit mixtures of one to six Gaussian components and choose their number
by BIC.
"""

import matplotlib.pyplot as plt

from fastem import GaussianMixture
from fastem.datasets import load_faithful
from fastem.plotting import plot_mixture

faithful = load_faithful()
X = faithful.values
models = {k: GaussianMixture(k, n_init=5, random_state=0).fit(X) for k in range(1, 7)}

# %%
# Each further component raises the likelihood. BIC adds a penalty for each parameter, and is smallest for two
# components. ICL also penalises components that overlap.

bic = [model.bic(X) for model in models.values()]
icl = [model.icl(X) for model in models.values()]
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
axes.plot(list(models), bic, "o-", color="#0072B2", label="BIC")
axes.plot(list(models), icl, "s--", color="#D55E00", label="ICL")
axes.set(xlabel="number of components", ylabel="criterion (smaller is better)")
axes.legend(frameon=False)

# %%
# Short eruptions are followed by short waits, long ones by long waits.

best = models[2]
for weight, mean in zip(best.weights_, best.means_, strict=True):
    print(f"{weight:.0%} of the eruptions last {mean[0]:.1f} minutes, and the next comes {mean[1]:.0f} minutes later")
figure = plot_mixture(best, X, columns=["eruption, minutes", "wait for the next, minutes"])

# %%
# A visitor has just seen an eruption of 4.5 minutes. When will the next one be?

mean, variance = best.regress([[4.5]], target=1)
print(f"in {mean[0]:.0f} minutes, give or take {variance[0] ** 0.5:.0f}")
