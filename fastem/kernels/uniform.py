"""A component whose density is the same everywhere, beside those that a family has."""

from fastem._jit import kernel
from fastem.kernels.posterior import NEGLIGIBLE
from fastem.kernels.vectors import broadcast, lanes, load, splat, store, where


@kernel
def log_density(constant, k, out):
    """out[k, c] = constant[k]."""
    level = broadcast(constant, k)
    for c in range(0, out.shape[1], lanes(out)):
        store(level, out, k, c)


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
