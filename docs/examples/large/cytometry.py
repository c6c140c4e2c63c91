"""
Half a million cells: a sample like flow cytometry
==================================================

A flow cytometer measures the fluorescence of hundreds of thousands of cells. Each population of cells is a mixture
component. Some populations are rare, and there is debris. This **simulated** sample imitates such a measurement:
500 000 cells with four markers.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from fastem import GaussianMixture

rng = np.random.default_rng(0)
n_rows = 500_000
centres = np.array([[2, 2, 2, 3], [6, 2, 3, 3], [6, 6, 4, 2], [2, 6, 6, 5], [8, 8, 8, 8]], dtype=float)
shares = [0.45, 0.30, 0.15, 0.07, 0.03]
spreads = rng.uniform(0.4, 0.8, size=(5, 4))
population = rng.choice(5, size=n_rows, p=shares)
cells = centres[population] + spreads[population] * rng.normal(size=(n_rows, 4))
debris = rng.random(n_rows) < 0.03
cells[debris] = rng.uniform(-1, 11, size=(debris.sum(), 4))

# %%
# float32 data stay float32, in memory and in the vector registers of the processor. The background models the debris.

cells = cells.astype(np.float32)
model = GaussianMixture(5, background=True, n_init=10, random_state=0)
begin = time.perf_counter()
model.fit(cells)
print(f"{time.perf_counter() - begin:.1f} seconds, the first time with compilation")
print(f"{len(model.history_)} iterations of ten starts")
print("weights", np.sort(model.weights_[:-1])[::-1].round(3), "debris", model.weights_[-1].round(3))

# %%
# The fit finds the rare population, 3 % of the cells. The figure shows two markers at a time.

shown = rng.choice(n_rows, size=20_000, replace=False)
labels = model.predict(cells[shown])
colours = np.array(["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#bfbfbf"])  # last for label -1
figure, panels = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
for axes, (first, second) in zip(panels, ((0, 1), (2, 3)), strict=True):
    axes.scatter(cells[shown, first], cells[shown, second], s=1, c=colours[labels])
    axes.set(xlabel=f"marker {first + 1}", ylabel=f"marker {second + 1}")
