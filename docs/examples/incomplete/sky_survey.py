"""
A sky survey: errors and missing bands
======================================

Photometric surveys measure the brightness of sources in several bands. Faint sources have large errors, and not every
band was observed. This **simulated** sample imitates such a survey: 20 000 sources with two colours and a brightness,
from a wide group and a narrow sequence.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastem import GaussianMixture

rng = np.random.default_rng(0)
n_rows = 20_000
sequence = rng.random(n_rows) < 0.4
wide = rng.multivariate_normal([0.6, 0.3, 20.0], [[0.10, 0.02, 0.0], [0.02, 0.06, 0.0], [0.0, 0.0, 1.0]], size=n_rows)
tight = rng.multivariate_normal(
    [1.3, 0.9, 19.0], [[0.04, 0.038, 0.02], [0.038, 0.04, 0.02], [0.02, 0.02, 0.5]], size=n_rows
)
true = np.where(sequence[:, None], tight, wide)
deviations = 0.02 * 10 ** (0.3 * (true[:, 2:] - 17)) * [1.0, 1.2, 0.3]  # faint sources have large errors
measured = true + deviations * rng.normal(size=true.shape)
measured[rng.random(true.shape) < 0.15] = np.nan
print(f"{np.isnan(measured).any(axis=1).mean():.0%} of the sources lack a value")

# %%
# One fit takes both errors and missing values into account. `noise` of shape (n_samples, n_features) holds the variance
# of the error of each value.

model = GaussianMixture(2, missing="marginalize", acceleration="squarem", tol=1e-6, max_iter=500, random_state=0)
model.fit(measured, noise=deviations**2)
order = model.means_[:, 0].argsort()
print("weights", model.weights_[order].round(2))
print("means", model.means_[order].round(2).tolist())

# %%
# On the left are the sources that were measured in both colours, in the middle draws from the fitted mixture, and on
# the right the true values. The fitted mixture shows the narrow sequence, which the errors had blurred.

drawn, _ = model.sample(n_rows)
figure, panels = plt.subplots(1, 3, figsize=(11, 4), sharex=True, sharey=True, layout="constrained")
titles = "measured", "fitted, without errors", "true"
for axes, rows, title in zip(panels, (measured, drawn, true), titles, strict=True):
    axes.plot(rows[:, 0], rows[:, 1], ",", color="#0072B2", alpha=0.5)
    axes.set(title=title, xlabel="first colour", xlim=(-1, 2.5), ylim=(-1, 2.2))
panels[0].set_ylabel("second colour")
