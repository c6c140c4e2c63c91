"""Random combinations of all arguments of a fit, each drawn from one seed, to be compared with `exact`.

Combinations whose fits need the same compiled code share a `Variant`: seeds that are equal modulo the number of
variants do.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import exact
import numpy as np
from exact import L
from fits import run
from variants import Variant, variant_of

from fastem import GaussianMixture, NormalInverseWishart, PoissonMixture, Source, Stepwise

PARALLEL_WORK = 5_100_000  # rows times statistics, above which a pass uses two threads
SOFT = ({}, {"acceleration": "squarem"}, {"acceleration": "anderson"}, {"algorithm": "incremental"})
ALGORITHMS = {
    "soft": [{}, *SOFT, {"algorithm": Stepwise(batch_size=10**6)}],
    "hard": [{"algorithm": "hard"}],
    "marks": [{"algorithm": "sparse"}],
}


@dataclass(frozen=True)
class Combination:
    """Arguments of a fit, and the same problem in extended precision."""

    seed: int
    variant: Variant
    options: dict
    n_components: int
    X: Any  # the data of the fit; `given` are its other arguments
    given: dict
    rows: exact.Rows
    start: exact.Mixture
    known: exact.Knowledge

    def fitted(self, n_iter=1):
        """The model after so many iterations."""
        kind = PoissonMixture if self.variant.family == "poisson" else GaussianMixture
        return run(kind(self.n_components, **self.options), self.X, n_iter, **self.given)

    def step(self):
        """Bound, mixture after one iteration, and share of the rows of each component."""
        return exact.step(self.rows, self.start, self.known, self.variant.posterior == "hard")

    def __str__(self):
        algorithm = self.options.get("acceleration") or self.options.get("algorithm", "em")
        shape = f"{self.rows.values.shape} K={self.n_components}"
        more = [*self.given, *self.known.fixed, *(["prior"] if self.known.conjugate else [])]
        return f"{self.seed}: {' '.join(map(str, self.variant))} {algorithm} {shape} {' '.join(more)}"


def combination(seed, folder):
    """The combination of a seed; `folder` is for a file that is mapped into memory."""
    rng, variant = np.random.default_rng(seed), variant_of(seed)
    return Draw(rng, variant, seed).combination(folder)


class Draw:
    """Draws the parts of one combination."""

    def __init__(self, rng, variant, seed):
        self.rng, self.variant, self.seed = rng, variant, seed
        self.gaussian = variant.family != "poisson"
        self.regular = bool(rng.random() < 0.3)  # whether a prior or reg_covar keeps covariances from being singular
        self.n, self.d, self.k = self._shape()
        self.m = self.d
        self.n_weights = self.k + variant.background

    def sometimes(self, probability):
        return bool(self.rng.random() < probability)

    def _shape(self):
        rng, complete = self.rng, self.variant.seen == "complete"
        d = int(rng.choice([1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 20] if complete else [1, 2, 3, 4, 5, 6, 7, 8, 9]))
        k = int(rng.choice([1, 2, 3, 4, 5, 8]))
        if self.sometimes(0.005):  # on two threads
            d, k = (8, 8) if complete else (5, 4)
            matrices = self.variant.family == "full" or not complete
            return PARALLEL_WORK // (k * (d * (d + 1) if matrices else 2 * d) * (1 if complete else 16) + 8), d, k
        n = k + int(rng.choice([1, 3, 8, 20, 60, 150, 400, 400 if self.sometimes(0.8) else 6000]))
        if not self.regular:
            n = max(n, {"full": k * (2 * d + 3), "tied": 2 * (d + k)}.get(self.variant.family, 5 * k))
        return min(n, int((3e6 if complete else 4e5) / (k * d * d))), d, k

    def combination(self, folder):
        values, start, units = self._gaussian() if self.gaussian else self._poisson()
        options = {"tol": 0.0, "random_state": 0, **self._any(ALGORITHMS[self.variant.posterior])}
        given, known = {}, {"fixed": {}}
        noise, projection = np.zeros((1, self.m, self.m)), np.eye(self.m, self.d)[None]
        if self.variant.seen == "errors":
            values, noise, projection = self._errors(values, units, given)
        values = values.astype(self.variant.dtype)
        weights = self._weights(given)
        if self.variant.seen == "missing" or (self.variant.seen == "errors" and self.sometimes(0.3)):
            options["missing"] = "marginalize"
            values[1:][self.rng.random((self.n - 1, self.m)) < self.rng.choice([0.1, 0.4])] = np.nan
        plausible = self._labels(given) if self.variant.labelled else np.ones((1, self.n_weights))
        log_widths = self._background(values, weights, options) if self.variant.background else None
        self._initial(start, options)
        self._prior(units, options, known, start)
        self._fixed(options, known)
        rows = exact.Rows(
            *(np.asarray(part, L) for part in (values, weights, plausible, noise, projection)), log_widths
        )
        X = self._held(values, given, options, folder)
        mixture = exact.Mixture(self.variant.family, *(None if part is None else np.asarray(part, L) for part in start))
        return Combination(self.seed, self.variant, options, self.k, X, given, rows, mixture, exact.Knowledge(**known))

    def _any(self, of):
        return of[self.rng.integers(len(of))]

    def _start_weights(self):
        weights = self.rng.uniform(0.5, 1.5, self.n_weights)
        return weights / weights.sum()

    def _poisson(self):
        size = 10.0 ** self._any([-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 13])
        spread = min(2 / np.sqrt(size), 1) if size != 1e5 and self.sometimes(0.5) else 1.0  # overlapping, or far apart
        rates = size * np.exp(spread * self.rng.normal(size=(self.k, self.d)))
        counts = self.rng.poisson(rates[self.rng.integers(self.k, size=self.n)])
        if self.variant.dtype == "float32":
            counts = np.round(counts.astype(np.float32))
        return counts.astype(float), (self._start_weights(), rates, None), np.ones(self.d)

    def _gaussian(self):
        rng, family, d, k = self.rng, self.variant.family, self.d, self.k
        single = self.variant.dtype == "float32"
        mixing = rng.normal(size=(k, d, d)) / np.sqrt(d) * 0.6 + 0.6 * np.eye(d)
        matrices = mixing @ np.swapaxes(mixing, 1, 2) + 0.1 * np.eye(d)
        if family == "tied":
            matrices[:], mixing[:] = matrices[0], mixing[0]
        if family in ("diag", "spherical"):
            variances = np.einsum("kii->ki", matrices)
            variances = variances if family == "diag" else np.repeat(variances[:, :1], d, axis=1)
            matrices, mixing = variances[:, :, None] * np.eye(d), np.sqrt(variances)[:, :, None] * np.eye(d)
        centres = rng.normal(size=(k, d)) * 2 / np.sqrt(np.sqrt(d))
        groups = rng.integers(k, size=self.n)
        values = centres[groups] + np.einsum("nij,nj->ni", mixing[groups], rng.normal(size=(self.n, d)))
        offset = rng.choice([0.0, 0.0, 5.0, 300.0 if single else 1e4])
        exponents = rng.choice([0, 0, 4, 50] if single else [0, 0, 10, 200]) * rng.uniform(-1, 1, d)
        if family == "spherical" or self.regular or self.sometimes(0.5):
            exponents[:] = exponents[0]
        units = 2.0 ** np.round(exponents)
        start = self._start_weights(), (centres + offset) * units, matrices * units[:, None] * units
        return (values + offset) * units, start, units

    def _errors(self, values, units, given):
        """Measured values (n, m), with noise, projected or both; their noise covariances and projections."""
        rng, n, d = self.rng, self.n, self.d
        m, projection = d, np.eye(d)[None]
        kind = rng.integers(0, 4)
        if not self.variant.background and (kind == 0 or self.sometimes(0.3)):
            m = int(rng.integers(1, d + 1))
            rotations = np.linalg.qr(rng.normal(size=(n if self.sometimes(0.7) else 1, d, d)))[0]
            projection = rotations[:, :m] * rng.uniform(0.5, 2, (m, 1)) / units
            given["projection"] = projection
            values = np.einsum("nmd,nd->nm", np.broadcast_to(projection, (n, m, d)), values)
        self.m = m
        scale = units if "projection" not in given else np.ones(m)
        noise = np.zeros((1, m, m))
        if kind == 1:  # variances
            variances = rng.uniform(0, 2, size=(n, m)) * (rng.random((n, m)) < 0.8) * scale**2
            noise = variances[:, :, None] * np.eye(m)
            given["noise"] = variances if n > 4 * m else noise  # else it may be read as one covariance of all rows
        elif kind:  # covariances, one for each row or one for all
            mixing = rng.normal(size=(n if kind == 2 else 1, m, m)) * 0.5 * scale[:, None]
            given["noise"] = noise = mixing @ np.swapaxes(mixing, 1, 2)
        errors = np.einsum("nij,nj->ni", np.linalg.cholesky(noise + 1e-9 * np.diag(scale**2)), rng.normal(size=(n, m)))
        return values + errors * (kind > 0), noise, projection

    def _weights(self, given):
        rng, n = self.rng, self.n
        if self.sometimes(0.5):
            return np.ones(n)
        weights = rng.uniform(0.1, 3, n) * 10.0 ** rng.integers(-2, 3)
        if n > 6 * self.k and self.sometimes(0.5):
            weights[rng.random(n) < 0.2] = 0
            weights[0] = 1
        given["sample_weight"] = weights.astype(np.float32).astype(float)
        return given["sample_weight"]

    def _labels(self, given):
        rng, n, k = self.rng, self.n, self.n_weights
        if self.sometimes(0.5):
            labels = np.where(rng.random(n) < 0.5, -1, rng.integers(k, size=n))
            labels[0] = -1
            given["labels"] = labels
            return np.where(labels[:, None] < 0, 1.0, np.eye(k)[labels])
        plausible = rng.uniform(0, 2, size=(n, k)) * (rng.random((n, k)) < 0.7)
        plausible[plausible.sum(axis=1) == 0] = 1
        plausible[0] = 1
        given["labels"] = plausible
        return plausible

    def _background(self, values, weights, options):
        """Log widths (m,) of the background's box, or of a cube with the given volume."""
        present = values[weights > 0].astype(L)
        low, high = np.nanmin(present, axis=0), np.nanmax(present, axis=0)
        log_widths = np.log(high - low)
        options["background"] = True
        volume = float(np.exp(log_widths.sum() + self.rng.normal()))
        if "missing" not in options and 0 < volume < np.inf and self.sometimes(0.3):
            options["background"] = volume
            log_widths = np.repeat(np.log(L(volume)) / self.d, self.d)
        return log_widths

    def _initial(self, start, options):
        options["weights_init"] = start[0]
        if not self.gaussian:
            options["rates_init"] = start[1]
            return
        options["means_init"], options["covariance_type"], options["reg_covar"] = start[1], self.variant.family, 0.0
        precisions = shaped(self.variant.family, exact.inverse(start[2].astype(L))).astype(float)
        options["precisions_init"] = precisions
        start[2][:] = exact.inverse(matrices_of(self.variant.family, precisions, self.k, self.d))

    def _prior(self, units, options, known, start):
        if self.sometimes(0.15):
            known["concentration"] = options["weights_prior"] = float(self.rng.uniform(1, 8))
        if not self.gaussian or not self.regular:
            return
        if self.sometimes(0.4):
            known["reg_covar"] = options["reg_covar"] = float(0.1 * units[0] ** 2)
            return
        rng, family, d = self.rng, self.variant.family, self.d
        mixing = rng.normal(size=(d, d)) * 0.3 + np.eye(d)
        scale = mixing @ mixing.T * units[:, None] * units
        scale = matrices_of(family, shaped(family, scale[None].repeat(self.k, axis=0)), self.k, d)[0]
        mean, strength, degrees = start[1].mean(axis=0), float(rng.uniform(0.1, 3)), float(d + rng.uniform(0, 5))
        shape = {"diag": np.diagonal(scale), "spherical": scale[0, 0]}.get(family, scale)
        options["prior"] = NormalInverseWishart(mean, strength, degrees, shape)
        known["conjugate"] = exact.Conjugate(mean, strength, degrees, scale)

    def _fixed(self, options, known):
        if not self.sometimes(0.2):
            return
        names = {"weights": self.n_weights, "means" if self.gaussian else "rates": self.k}
        if self.gaussian:
            names["covariances"] = self.k
        for name, size in names.items():
            if self.sometimes(0.5):
                mask = np.ones(size, bool) if self.variant.family == "tied" else self.rng.random(size) < 0.5
                known["fixed"][name] = mask if name != "means" else self.rng.random(size) < 0.5
        options["fixed"] = {name: mask.tolist() for name, mask in known["fixed"].items()} or None
        if "rates" in known["fixed"]:
            known["fixed"]["means"] = known["fixed"].pop("rates")

    def _held(self, values, given, options, folder):
        """The rows in the memory layout of the variant; chunks of a source contain `given` as well."""
        n, m = values.shape
        layout = self.variant.layout
        if layout == "F":
            return np.asfortranarray(values)
        if layout == "strided":
            held = (
                np.zeros((2 * n, 2 * m), values.dtype)[::2, ::2] if self.sometimes(0.5) else values[::-1].copy()[::-1]
            )
            held[:] = values
            return held
        if layout == "memmap":
            mapped = np.memmap(folder / "rows", values.dtype, "w+", shape=values.shape)
            mapped[:] = values
            return mapped
        if layout == "source":
            whole = isinstance(options.get("algorithm"), Stepwise)  # one block, because a batch is part of a block
            share = 2.0 if whole else self._any([0.02, 0.2, 2.0])
            return self._chunks(values, given, 1 + int(share * values.nbytes))
        return values

    def _chunks(self, values, given, chunk_bytes):
        cuts = [0, *sorted(self.rng.integers(1, self.n, size=2)), self.n]
        chunks = []
        for start, stop in itertools.pairwise(cuts):
            parts = {name: array[start:stop] if len(array) == self.n else array for name, array in given.items()}
            if stop > start:
                chunks.append({"X": values[start:stop], **parts})
        given.clear()
        return Source(chunks, chunk_bytes=chunk_bytes)


def shaped(family, matrices):
    """Covariances or precisions (K, d, d) in the shape of a family."""
    if family in ("full", "tied"):
        return matrices if family == "full" else matrices[0]
    variances = np.einsum("kii->ki", matrices)
    return variances if family == "diag" else variances[:, 0]


def matrices_of(family, shaped, k, d):
    """Matrices (K, d, d) from the shape of a family: the inverse of `shaped`."""
    if family in ("full", "tied"):
        return np.broadcast_to(shaped, (k, d, d)).astype(L)
    return np.reshape(shaped, (k, -1, 1)).astype(L) * np.eye(d, dtype=L)
