"""
Heights of two hidden groups: EM step by step
=============================================

Suppose that somebody measured the heights of 400 adults, but did not write down who is a woman and who is a man. EM can
still find the two groups. This example writes the two steps of EM in a few lines of numpy, shows how they proceed, and
compares the result with that of fastem.

The heights are simulated from two normal distributions, so the true parameters are known.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm

from fastem import GaussianMixture

rng = np.random.default_rng(3)
heights = np.concatenate([rng.normal(163, 5.5, size=200), rng.normal(179, 6.5, size=200)])

# %%
# The two steps
# -------------
#
# The **E-step** asks how probable each group is for each person, given the current parameters. These probabilities are
# the responsibilities. The **M-step** computes the weight, mean and standard deviation of each group, where each person
# counts in proportion to the responsibility of the group.


def e_step(weights, means, sds):
    """Responsibilities of both groups, and the mean log-likelihood of a person."""
    joint = weights * norm.pdf(heights[:, None], means, sds)
    density = joint.sum(axis=1)
    return joint / density[:, None], np.log(density).mean()


def m_step(responsibilities):
    """Parameters that maximise the expected log-likelihood under these responsibilities."""
    counts = responsibilities.sum(axis=0)
    means = responsibilities.T @ heights / counts
    squares = (responsibilities * (heights[:, None] - means) ** 2).sum(axis=0)
    return counts / len(heights), means, np.sqrt(squares / counts)


# %%
# The log-likelihood rises
# ------------------------
#
# We begin with a poor guess. Each iteration raises the log-likelihood.

parameters = np.array([0.5, 0.5]), np.array([155.0, 160.0]), np.array([8.0, 8.0])
states, bounds = [], []
for _ in range(200):
    responsibilities, bound = e_step(*parameters)
    states.append(parameters)
    bounds.append(bound)
    parameters = m_step(responsibilities)

grid = np.linspace(140, 205, 300)
figure, panels = plt.subplots(2, 3, figsize=(11, 6), sharex=True, sharey=True, layout="constrained")
for axes, iteration in zip(panels.flat, (0, 1, 3, 10, 30, 199), strict=True):
    axes.hist(heights, bins=30, density=True, color="#d9d9d9")
    for weight, mean, sd, colour in zip(*states[iteration], ("#0072B2", "#D55E00"), strict=True):
        axes.plot(grid, weight * norm.pdf(grid, mean, sd), color=colour, linewidth=2)
    axes.set_title(f"iteration {iteration}: log-likelihood {bounds[iteration]:.4f}", fontsize=10)
for axes in panels[1]:
    axes.set_xlabel("height in cm")

# %%
# The same with fastem
# --------------------
#
# From the same start, fastem makes the same 200 iterations. `reg_covar=0` leaves out the small number that is added to
# variances by default, and `tol=0` keeps fastem from stopping earlier.

weights, means, sds = states[0]
model = GaussianMixture(
    2,
    weights_init=weights,
    means_init=means[:, None],
    precisions_init=(1 / sds**2)[:, None, None],
    reg_covar=0,
    tol=0,
    max_iter=200,
)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # with tol=0 the fit warns that it did not converge
    model.fit(heights[:, None])

print("numpy :", *parameters)
print("fastem:", model.weights_, model.means_.ravel(), np.sqrt(model.covariances_.ravel()))
print("largest difference of the log-likelihoods:", np.abs(np.subtract(model.lower_bounds_, bounds)).max())

# %%
# The log-likelihood rises fast at first and slowly at the end, as is usual for EM where groups overlap.

figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
axes.semilogy(np.maximum(bounds[-1] - np.array(bounds[:-20]), 1e-16), color="#0072B2", linewidth=2)
axes.set(xlabel="iteration", ylabel="log-likelihood below its last value")
