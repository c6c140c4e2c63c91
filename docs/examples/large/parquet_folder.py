"""
A folder of Parquet files
=========================

`fit` takes an Arrow dataset in place of an array and reads it again in each pass, block by block. The fit uses all
rows, and the memory that it needs does not grow with their number. The files of this example are **simulated**.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from fastem import GaussianMixture, Source

folder = Path(tempfile.mkdtemp())
rng = np.random.default_rng(0)
for number in range(5):
    group = rng.integers(3, size=20_000)
    table = {
        "x": rng.normal(size=20_000) + 4 * group,
        "y": rng.normal(size=20_000),
        "count": rng.integers(1, 4, size=20_000),
    }
    pq.write_table(pa.table(table), folder / f"part-{number}.parquet")

# %%
# `Source` selects the columns to fit, and the column that holds the weights.

source = Source(ds.dataset(folder), columns=["x", "y"], weight="count")
model = GaussianMixture(3, random_state=0).fit(source)
print("fitted to the columns", *model.feature_names_in_)
print("means", model.means_[model.means_[:, 0].argsort()].round(2).tolist())

# %%
# The same rows in one array give the same parameters, up to rounding.

table = ds.dataset(folder).to_table()
rows, counts = np.stack([table["x"], table["y"]], axis=1), table["count"].to_numpy()
in_memory = GaussianMixture(3, random_state=0).fit(rows, sample_weight=counts)
print("largest difference of the means:", np.abs(in_memory.means_ - model.means_).max())

# %%
# Methods of the fitted model take the source as well.

labels = model.predict(source)
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
for component in model.means_[:, 0].argsort():
    axes.hist(rows[labels == component, 0], bins=80, range=(-4, 12), alpha=0.7, label=f"component {component}")
axes.set(xlabel="x", ylabel="rows")
axes.legend(frameon=False)
