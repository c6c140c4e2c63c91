"""
Measurement errors: the distribution of the values without errors
=================================================================

We add measurement errors of known covariance to the eruptions of Old Faithful: a third of the rows has an imprecise
duration, a third has an imprecise wait, and in a third both errors are correlated. A mixture that treats the
measurements as exact is too wide. With `noise=` the mixture describes the values without errors (extreme deconvolution:
Bovy, Hogg and Roweis, 2011).

The eruptions are real and the errors are simulated, so the exact values are known.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Ellipse

from fastem import GaussianMixture
from fastem.datasets import load_faithful

X = load_faithful().values
rng = np.random.default_rng(0)
factors = np.array([[[0.5, 0.0], [0.0, 1.0]], [[0.05, 0.0], [0.0, 14.0]], [[0.5, 0.0], [8.0, 2.0]]])
way = rng.integers(3, size=len(X))
noise = (factors @ factors.transpose(0, 2, 1))[way]  # a covariance for each row
measured = X + np.einsum("nij,nj->ni", factors[way], rng.normal(size=X.shape))

options = {"n_components": 2, "tol": 1e-8, "max_iter": 2000, "random_state": 0}
exact = GaussianMixture(**options).fit(X)
naive = GaussianMixture(**options).fit(measured)
deconvolved = GaussianMixture(**options).fit(measured, noise=noise)

# %%
# The ellipses at two standard deviations show three fits: to the exact values, which are unknown in practice; to the
# measurements as if they were exact; and to the measurements with their errors.


def outline(axes, model, **style):
    """Draw the components at two standard deviations."""
    for mean, covariance in zip(model.means_, model.covariances_, strict=True):
        values, vectors = np.linalg.eigh(covariance)
        angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
        width, height = 4 * np.sqrt(values[::-1])
        axes.add_patch(Ellipse(mean, width, height, angle=angle, fill=False, linewidth=2, **style))


figure, panels = plt.subplots(1, 2, figsize=(10, 4.5), sharex=True, sharey=True, layout="constrained")
for axes, values, title in zip(panels, (measured, X), ("measured", "behind the errors"), strict=True):
    axes.plot(*values.T, "o", color="#a6a6a6", markersize=3)
    axes.set(title=title, xlabel="eruption, minutes", xlim=(0, 6.5), ylim=(20, 120))
    outline(axes, naive, color="#D55E00", label="naive")
outline(panels[1], exact, color="black", linestyle="--")
outline(panels[1], deconvolved, color="#0072B2")
panels[0].set_ylabel("wait for the next, minutes")
handles = [
    plt.Line2D([], [], color=colour, linestyle=line)
    for colour, line in (("#D55E00", "-"), ("#0072B2", "-"), ("k", "--"))
]
figure.legend(
    handles, ["errors ignored", "errors known", "no errors"], loc="outside lower center", ncols=3, frameon=False
)

# %%
# One row
# -------
#
# `denoise` estimates the value without error of a measurement, and its covariance: an imprecise wait is pulled towards
# its cluster.

mean, covariance = deconvolved.denoise([[4.4, 110.0]], noise=[[0.05**2, 14.0**2]])
print(f"measured 110 minutes; behind it {mean[0, 1]:.0f}, give or take {covariance[0, 1, 1] ** 0.5:.0f}")
