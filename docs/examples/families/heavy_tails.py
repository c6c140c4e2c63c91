"""
Heavy tails: t distributions for data with outliers
===================================================

Outliers widen a Gaussian component, because it has to give them some density. A t distribution has heavy tails for such
rows, so its scale changes little. We add 40 simulated outliers to the eruptions of Old Faithful and compare mixtures of
both.
"""

import numpy as np

from fastem import GaussianMixture, StudentTMixture
from fastem.datasets import load_faithful
from fastem.plotting import plot_mixture

X = load_faithful().values
rng = np.random.default_rng(0)
outliers = rng.uniform([0, 20], [8, 140], size=(40, 2))
rows = np.vstack([X, outliers])

clean = GaussianMixture(2, random_state=0).fit(X)
gaussian = GaussianMixture(2, random_state=0).fit(rows)
heavy = StudentTMixture(2, tol=1e-6, max_iter=1000, random_state=0).fit(rows)
print("degrees of freedom:", heavy.df_.round(2))

# %%
# We compare the standard deviations of the durations. With outliers, the Gaussian component of long eruptions becomes
# twice as wide as without. The scales of the t components stay close to the standard deviations without outliers.


def deviations(model, matrices):
    """Standard deviation of the first column, the component of short eruptions first."""
    order = model.means_[:, 0].argsort()
    return np.sqrt(matrices[order, 0, 0]).round(2)


print("Gaussian, without outliers:", deviations(clean, clean.covariances_))
print("Gaussian, with outliers:   ", deviations(gaussian, gaussian.covariances_))
print("t, with outliers:          ", deviations(heavy, heavy.scales_))

# %%
# The t mixture, with ellipses at one and two units of scale.

names = ["eruption, minutes", "wait for the next, minutes"]
figure = plot_mixture(heavy, rows, columns=names)

# %%
# The Gaussian mixture, with ellipses at one and two standard deviations.

figure = plot_mixture(gaussian, rows, columns=names)
