"""Data in chunks against the same data in memory, and the memory that they take."""

import functools
import tempfile
from pathlib import Path

import numpy as np

from fastem import GaussianMixture

from .common import Suite, dataset, median_seconds, mixture, require_threads, warm

N_JOBS = 2
ITERATIONS = 3
SHAPES = {"2e6 x 8, K=16": (2_000_000, 8, 16), "15e5 x 16, K=32": (1_500_000, 16, 32)}


@functools.cache
def parquet(shape):
    """Write the rows into a Parquet file, which is then in the page cache."""
    import pyarrow
    from pyarrow import dataset as datasets
    from pyarrow import parquet as format

    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "rows.parquet"
    columns = {f"x{j}": column for j, column in enumerate(dataset("full", shape).T)}
    format.write_table(pyarrow.table(columns), path)
    return datasets.dataset(path), folder  # the folder is removed when the process ends


class Pass(Suite):
    """Speed of a pass over chunks as a share of that in memory; one thread reads, two compute, on two processors."""

    params = (tuple(SHAPES), ("parquet", "arrays"))
    param_names = ("shape", "source")
    unit = "share"

    def setup(self, shape, source):
        """Compile, and load the file into the page cache."""
        self.X = dataset("full", SHAPES[shape])
        self.source = parquet(SHAPES[shape])[0] if source == "parquet" else np.array_split(self.X, 10)
        self.model = mixture("full", self.X, SHAPES[shape][2], n_jobs=N_JOBS, tol=0.0)
        for X in (self.X, self.source):
            warm(self.model, X)

    def track_share_of_memory_speed(self, shape, source):
        """Median time of an iteration in memory over that from the source."""
        require_threads(N_JOBS)
        self.model.set_params(max_iter=ITERATIONS)
        seconds = {"memory": [], "source": []}

        def fit(name, X):
            seconds[name] += [record.seconds for record in self.model.fit(X).history_]

        median_seconds(lambda: fit("memory", self.X), lambda: fit("source", self.source))
        return float(np.median(seconds["memory"]) / np.median(seconds["source"]))


class Drawn:
    """Source that stores no rows: each reading draws the same ones again."""

    def __init__(self, n_chunks):
        self.n_chunks = n_chunks

    def __iter__(self):
        generator = np.random.default_rng(0)
        for _ in range(self.n_chunks):
            yield generator.normal(size=(50_000, 8))


class Memory(Suite):
    """The peak must not depend on the number of rows, of which the larger number would take 305 MiB."""

    params = ((1_000_000, 5_000_000),)
    param_names = ("n_samples",)

    def peakmem_fit(self, n_samples):
        """A fit of three iterations from a sample of 20 000 rows."""
        GaussianMixture(4, max_iter=3, tol=0.0, init_size=20_000, random_state=0).fit(Drawn(n_samples // 50_000))
