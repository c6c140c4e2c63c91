"""Fits by fastem and by Spark MLlib's GaussianMixture: prints seconds and log-likelihoods.

Usage: python -m venv spark && spark/bin/pip install pyspark numpy pyarrow   # Java 17 or later is needed
       python asv_benchmarks/spark.py --spark spark/bin/python [--rows 1_000_000] [--iterations 20]

Both use two threads, have the rows in memory, draw their own starts, and make the same number of iterations. The first
fit of each, in which code is loaded, does not count. Log-likelihoods are means per row, after the last iteration.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

N_FEATURES, N_COMPONENTS = 8, 8
SPARK = """
import json, sys, time
from pyspark.ml.clustering import GaussianMixture
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession

path, n_components, iterations, rounds = sys.argv[1], *map(int, sys.argv[2:])
session = SparkSession.builder.master("local[2]").config("spark.driver.memory", "4g").getOrCreate()
session.sparkContext.setLogLevel("ERROR")
rows = session.read.parquet(path).select(array_to_vector("features").alias("features")).repartition(2).cache()
n_rows = rows.count()
for seed in range(rounds + 1):
    begin = time.perf_counter()
    fitted = GaussianMixture(k=n_components, maxIter=iterations, tol=0.0, seed=seed).fit(rows)
    seconds = time.perf_counter() - begin
    summary = fitted.summary
    print("found", json.dumps([seconds, summary.logLikelihood / n_rows, summary.numIter]), flush=True)
"""


def draw(n_rows: int) -> np.ndarray:
    """Rows of clusters that overlap."""
    generator = np.random.default_rng(0)
    centres = 2.0 * generator.normal(size=(N_COMPONENTS, N_FEATURES))
    return centres[generator.integers(N_COMPONENTS, size=n_rows)] + generator.normal(size=(n_rows, N_FEATURES))


def fit_spark(rows: np.ndarray, options: argparse.Namespace) -> list[list[float]]:
    """Fit by Spark: seconds, log-likelihood and number of iterations of each fit."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "rows.parquet")
        features = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), N_FEATURES).cast(pa.list_(pa.float64()))
        pq.write_table(pa.table({"features": features}), path)
        numbers = map(str, (N_COMPONENTS, options.iterations, options.rounds))
        command = [options.spark, "-c", SPARK, path, *numbers]
        lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return [json.loads(line.removeprefix("found ")) for line in lines if line.startswith("found ")]


def fit_fastem(rows: np.ndarray, options: argparse.Namespace) -> list[list[float]]:
    """Fit by fastem: seconds, log-likelihood and number of iterations of each fit."""
    from fastem import GaussianMixture
    from fastem.engine.threads import limit_threads

    found = []
    with limit_threads(2):
        for seed in range(options.rounds + 1):
            begin = time.perf_counter()
            fitted = GaussianMixture(N_COMPONENTS, max_iter=options.iterations, tol=0.0, random_state=seed).fit(rows)
            found.append([time.perf_counter() - begin, fitted.score(rows), fitted.n_iter_])
    return found


def main() -> None:
    """Print a line for each library."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spark", default=sys.executable, help="Python that has pyspark (default: this one)")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = draw(options.rows)
    found = {"fastem": fit_fastem(rows, options)[1:], "Spark": fit_spark(rows, options)[1:]}
    least = {}
    for name, fits in found.items():
        seconds, likelihoods, iterations = zip(*fits, strict=True)
        least[name] = min(seconds)
        print(
            f"{name}: least {min(seconds):.2f} s, median {statistics.median(seconds):.2f} s, "
            f"iterations {set(iterations)}, log-likelihoods {', '.join(f'{each:.4f}' for each in likelihoods)}"
        )
    print(f"Spark over fastem: {least['Spark'] / least['fastem']:.0f}")


if __name__ == "__main__":
    main()
