"""
The deaths of The Times: a mixture of two Poisson distributions
===============================================================

For 1096 days of the years 1910 to 1912, the newspaper The Times reported how many women over 80 had died: none on 162
days, one on 267 days, and so on. One Poisson distribution fits these counts badly. A mixture of two fits well, with one
rate for winter and one for summer (Hasselblad, 1969). The data are also a standard example on which EM converges
slowly.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import poisson

from fastem import PoissonMixture

deaths = np.arange(10.0)[:, None]
days = [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]

# %%
# Each row is a number of deaths, and its weight is the number of days with so many deaths. A row of weight 162 counts
# as 162 equal rows.

options = {"weights_init": [0.5, 0.5], "rates_init": [[1.0], [3.0]], "tol": 1e-14, "max_iter": 10_000}
model = PoissonMixture(2, **options).fit(deaths, sample_weight=days)
print("rates", model.rates_.ravel().round(4), "weights", model.weights_.round(4))

one = PoissonMixture(1).fit(deaths, sample_weight=days)
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.bar(deaths.ravel(), days, color="#d9d9d9", label="days")
for fit, style, label in ((one, "s--", "one rate"), (model, "o-", "two rates")):
    expected = sum(days) * (fit.weights_ * poisson.pmf(deaths, fit.rates_.ravel())).sum(axis=1)
    axes.plot(deaths.ravel(), expected, style, label=label)
axes.set(xlabel="deaths in a day", ylabel="number of days")
axes.legend(frameon=False)

# %%
# Acceleration
# ------------
#
# The two rates are so close that the counts hardly tell which component a day belongs to. The more of this information
# is missing, the more slowly EM converges. SQUAREM and Anderson acceleration extrapolate its steps.

figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
best = -1989.945859882964 / sum(days)
for name, label in ((None, "EM"), ("squarem", "SQUAREM"), ("anderson", "Anderson")):
    fit = PoissonMixture(2, acceleration=name, **options).fit(deaths, sample_weight=days)
    axes.loglog(np.arange(1, fit.n_iter_ + 1), np.maximum(best - np.array(fit.lower_bounds_), 1e-13), label=label)
axes.set(xlabel="iteration", ylabel="log-likelihood per day\nbelow its maximum")
axes.legend(frameon=False)
