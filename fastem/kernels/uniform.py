"""Kernels of the background, a component whose density is the same everywhere."""

from fastem.kernels.jit import kernel
from fastem.kernels.posterior import NEGLIGIBLE
from fastem.kernels.vectors import broadcast, lanes, load, splat, store, where

HALF_LOG_2_PI = 0.9189385332046727


@kernel
def log_density(constant, k, out):
    """out[k, c] = constant[k]."""
    level = broadcast(constant, k)
    for c in range(0, out.shape[1], lanes(out)):
        store(level, out, k, c)


@kernel
def log_density_of_parts(constant, log_widths, k, tile, out):
    """out[k, c] = constant[k] + sum over values: log sqrt(2 pi) if observed, the column's log width if missing.

    The powers of 2 pi are those that the densities of the other components leave out.
    """
    level, zero, there = broadcast(constant, k), splat(0.0, out), splat(HALF_LOG_2_PI, out)
    for c in range(0, out.shape[1], lanes(out)):
        density = level
        for j in range(log_widths.size):
            x = load(tile, j, c)
            density = density + where(x >= x, there, zero + broadcast(log_widths, j))
        store(density, out, k, c)


@kernel
def claimed(resp, weight):
    """Set weight[c] to the sum of resp (K, b) over components, or to zero if it is negligible.

    A small sum would be only a rounding error if it were computed as weight less the background's responsibility.
    """
    zero, negligible = splat(0.0, weight), splat(NEGLIGIBLE, weight)
    for c in range(0, weight.size, lanes(weight)):
        total = zero
        for k in range(resp.shape[0]):
            total = total + load(resp, k, c)
        store(where(total > negligible * load(weight, c), total, zero), weight, c)
