"""
Regression with a mixture
=========================

A mixture of all columns predicts some of them from the others. From the duration of an eruption of Old Faithful, we
predict how long a visitor has to wait for the next one.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastem import GaussianMixture
from fastem.datasets import load_faithful

X = load_faithful().values
model = GaussianMixture(2, random_state=0).fit(X)
length = np.linspace(1.5, 5.2, 200)
mean, variance = model.regress(length[:, None], target=1)
deviation = np.sqrt(variance)

figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
axes.plot(*X.T, "o", color="#8c8c8c", markersize=4)
axes.plot(length, mean, color="#0072B2", linewidth=2, label="expected wait")
axes.fill_between(
    length, mean - 2 * deviation, mean + 2 * deviation, color="#0072B2", alpha=0.15, label="two standard deviations"
)
axes.set(xlabel="eruption, minutes", ylabel="wait for the next, minutes")
axes.legend(frameon=False)

# %%
# After an eruption of 2.9 minutes both clusters are about equally probable. The wait is then more uncertain than
# elsewhere, and a mean and a standard deviation do not describe it well. `conditional` gives the whole distribution, as
# a mixture over the remaining columns.

figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
waits = np.linspace(35, 105, 300)[:, None]
for minutes in (2.0, 2.9, 4.5):
    axes.plot(
        waits,
        np.exp(model.conditional({0: minutes}).score_samples(waits)),
        linewidth=2,
        label=f"after {minutes} minutes",
    )
axes.set(xlabel="wait for the next, minutes", ylabel="density", ylim=(0, None))
axes.legend(frameon=False)
