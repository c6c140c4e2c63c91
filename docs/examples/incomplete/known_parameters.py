"""
Known parameters and priors
===========================

Sometimes a few parameters are known. `fixed` keeps them at their initial values. A prior keeps components from
collapsing to points, and weights from reaching zero.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastem import GaussianMixture
from fastem.datasets import load_faithful, load_galaxies

# %%
# Fixed parameters
# ----------------
#
# Suppose we know that short eruptions last 2 minutes on average and are followed by a wait of 55 minutes. The first
# mean keeps these values; all other parameters are estimated.

X = load_faithful().values
start = [[2.0, 55.0], [4.0, 80.0]]
model = GaussianMixture(2, means_init=start, fixed={"means": [True, False]}, random_state=0).fit(X)
print("means", model.means_.round(2).tolist())
print("free parameters:", model.n_parameters_)

# %%
# A prior of means and covariances
# --------------------------------
#
# With seven components, some consist of a single one of the 82 galaxies. Without a prior such a component becomes as
# narrow as `reg_covar` allows, and its density is a very high, narrow peak.

velocities = load_galaxies().values / 1000
options = {
    "n_components": 7,
    "n_init": 20,
    "init_params": "k-means++",
    "tol": 1e-6,
    "max_iter": 1000,
    "random_state": 0,
}
needles = GaussianMixture(**options).fit(velocities)
smooth = GaussianMixture(prior="conjugate", **options).fit(velocities)
print("smallest standard deviation without a prior:", np.sqrt(needles.covariances_.min()).round(4))
print("and with one:                               ", np.sqrt(smooth.covariances_.min()).round(4))

grid = np.linspace(5, 38, 2000)[:, None]
figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
axes.plot(velocities, np.full(82, -0.02), "|", color="black", markersize=8)
for fit, label in ((needles, "no prior"), (smooth, 'prior="conjugate"')):
    axes.plot(grid, np.exp(fit.score_samples(grid)), linewidth=1.5, label=label)
axes.set(xlabel="velocity, 1000 km/s", ylabel="density", ylim=(-0.05, 0.6))
axes.legend(frameon=False)
