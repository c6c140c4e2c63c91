"""What kernels and fits compute, digested: the same for registers of any width and blocks of any shape.

`python tests/widths.py` prints the digests by name.
"""

import hashlib
import json
from functools import partial

import numpy as np

from fastem import GaussianMixture, PoissonMixture
from fastem.kernels import cells, columns, linalg, posterior, small

N_COMPONENTS, ROWS = 4, 192


def digest(*arrays):
    """Hash of the bytes of arrays."""
    content = hashlib.sha256()
    for array in arrays:
        content.update(np.ascontiguousarray(array).tobytes())
    return content.hexdigest()[:12]


def of_kernels(d, dtype):
    """Digests of kernels by themselves, on d features."""
    rng = np.random.default_rng(d)
    tile, centres, scales = (
        rng.normal(size=shape).astype(dtype) for shape in ((d, ROWS), (N_COMPONENTS, d), (N_COMPONENTS, d))
    )
    lower, resp = (
        np.tril(rng.normal(size=(d, d))).astype(dtype),
        rng.dirichlet(np.ones(N_COMPONENTS), ROWS).T.astype(dtype),
    )
    active = np.flatnonzero(rng.random(ROWS * tile.itemsize // 64) < 0.7) * (64 // tile.itemsize)
    constants, mass = rng.normal(size=N_COMPONENTS).astype(dtype), resp.sum(axis=1).astype(float)
    row, several, white = np.empty(ROWS, dtype), np.empty((N_COMPONENTS, ROWS), dtype), np.empty((d, ROWS), dtype)
    sums, scatter, stats = np.zeros(d), np.zeros((d, d)), np.zeros(3 * N_COMPONENTS * d)
    found = {}
    linalg.log_density(lower, centres[0], 1.5, tile, row)
    linalg.triangular_product(lower, tile, white)
    found["triangle"] = digest(row, white)
    linalg.moments(resp[0], active, tile, centres[0], np.empty((4, ROWS), dtype), sums, scatter)
    found["scatter"] = digest(sums, np.tril(scatter))
    if d <= small.LARGEST:
        moments = np.zeros(d + d * d)
        small.log_density(lower, centres[0], 1.5, tile, row)
        small.moments(resp[0], tile, centres[0], moments)
        found["small"] = digest(row, moments)
    for name, density in (
        ("spherical", partial(columns.log_densities_spherical, centres, scales[:, 0].copy())),
        ("diagonal", partial(columns.log_densities_diagonal, scales, centres)),
        ("counts", partial(columns.log_densities_counts, scales)),
    ):
        density(constants, tile, several)
        found[name] = digest(several)
    columns.moments(resp, mass, centres, tile, np.empty(ROWS, np.int64), stats)
    found["moments"] = digest(stats)
    density, weight = np.empty(ROWS, dtype), rng.random(ROWS).astype(dtype)
    posterior.soft(several, weight, density, row, 0)
    posterior.component_mass(several, mass)
    found["posterior"] = digest(several, density, mass, posterior.weighted_total(weight, density))
    tile[rng.random(tile.shape) < 0.2] = np.nan
    cells.weighted_moments(resp[0], active, tile, centres[0], 0, stats)
    found["cells"] = digest(stats)
    return {f"{name}, {d} features, {dtype}": value for name, value in found.items()}


def of_fits():
    """Digests of fits from given parameters."""
    found, rng = {}, np.random.default_rng(0)
    for d, covariance_type, dtype, options in (
        (2, "full", "f8", {}),
        (5, "full", "f4", {}),
        (5, "tied", "f8", {}),
        (9, "diag", "f8", {}),
        (4, "full", "f8", {"missing": "marginalize"}),
    ):
        X = (rng.normal(size=(3001, d)) + 3 * rng.integers(4, size=(3001, 1))).astype(dtype)
        means, identity = X[:N_COMPONENTS].copy(), np.eye(d)
        if options:
            X[rng.random(X.shape) < 0.1] = np.nan
        precisions = {
            "full": np.tile(identity, (N_COMPONENTS, 1, 1)),
            "tied": identity,
            "diag": np.ones((N_COMPONENTS, d)),
        }
        start = {"means_init": means, "precisions_init": precisions[covariance_type]}
        model = GaussianMixture(
            N_COMPONENTS, covariance_type=covariance_type, weights_init=np.full(N_COMPONENTS, 0.25), **start, **options,
            max_iter=4, tol=0, reg_covar=1e-3,
        )  # fmt: skip
        model.fit(X, sample_weight=rng.random(len(X)))
        name = f"{covariance_type}, {d} features, {dtype}{', missing values' if options else ''}"
        found[name] = digest(
            model.weights_, model.means_, model.covariances_, model.lower_bounds_, model.predict_proba(X)
        )
    X, noise = rng.normal(size=(2001, 4)), rng.random((2001, 4))
    model = GaussianMixture(2, means_init=X[:2], precisions_init=[np.eye(4)] * 2, max_iter=4, tol=0, random_state=0)
    model.set_params(weights_init=[0.5, 0.5]).fit(X, noise=noise)
    found["full, with noise"] = digest(model.weights_, model.means_, model.covariances_, model.lower_bounds_)
    counts = rng.poisson(3.0 + 9.0 * rng.integers(2, size=(3001, 1)), size=(3001, 3)).astype(float)
    model = PoissonMixture(2, rates_init=counts[:2] + 1.0, weights_init=[0.5, 0.5], max_iter=4, tol=0).fit(counts)
    found["poisson"] = digest(model.weights_, model.rates_, model.lower_bounds_)
    return found


def main():
    """Print all digests as one line of JSON."""
    import warnings

    warnings.simplefilter("ignore")  # fits are stopped before they converge
    found = of_fits()
    for d in (1, 2, 3, 4, 7, 13):
        for dtype in ("float64", "float32"):
            found |= of_kernels(d, dtype)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
