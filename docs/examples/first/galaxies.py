"""
Galaxies: clusters in one dimension
===================================

The velocities of 82 galaxies of the Corona Borealis region are a common test of mixture models. Galaxies that move away
from us with the same velocity are at the same distance, so groups of velocities are clusters of galaxies, with voids
between them.
"""

import matplotlib.pyplot as plt

from fastem import GaussianMixture
from fastem.datasets import load_galaxies
from fastem.plotting import plot_mixture

velocities = load_galaxies().values / 1000  # thousands of km/s

# %%
# Criteria do not agree
# ---------------------
#
# With so few galaxies AIC, BIC and ICL choose differently. We fit at most four components: with five or more, one of
# them can shrink to a few galaxies, and the likelihood is unbounded.

options = {"init_params": "k-means++", "n_init": 100, "tol": 1e-6, "max_iter": 2000, "random_state": 0}
models = {k: GaussianMixture(k, **options).fit(velocities) for k in range(1, 5)}
for k, model in models.items():
    total = model.score(velocities) * len(velocities)
    aic, bic, icl = model.aic(velocities), model.bic(velocities), model.icl(velocities)
    print(f"{k} components: log-likelihood {total:8.2f}, AIC {aic:.1f}, BIC {bic:.1f}, ICL {icl:.1f}")

figure = plot_mixture(models[3], velocities, columns=["velocity, 1000 km/s"])

# %%
# A prior in place of a limit
# ---------------------------
#
# A conjugate prior keeps variances away from zero, so that more components can be fitted.

regular = {k: GaussianMixture(k, prior="conjugate", **options).fit(velocities) for k in range(1, 8)}
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
axes.plot(list(regular), [model.bic(velocities) for model in regular.values()], "o-", color="#0072B2")
axes.set(xlabel="number of components, with a prior", ylabel="BIC (smaller is better)")
