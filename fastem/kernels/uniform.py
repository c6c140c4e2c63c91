"""A component whose density is the same everywhere, beside those that a family has."""

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
    """out[k, c] = constant[k], and for each value log sqrt(2 pi) if it is there and its log width if it is missing.

    The powers of 2 pi are what the densities of components beside it leave out.
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
    """Set weight[c] to what the components of `resp` (K, b) have of the row; a negligible part of it counts as zero.

    Summed, because the difference to what others have would be rounding where these have little.
    """
    zero, negligible = splat(0.0, weight), splat(NEGLIGIBLE, weight)
    for c in range(0, weight.size, lanes(weight)):
        total = zero
        for k in range(resp.shape[0]):
            total = total + load(resp, k, c)
        store(where(total > negligible * load(weight, c), total, zero), weight, c)
