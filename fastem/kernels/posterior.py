"""Posterior policies: they convert joint log-densities of a tile (K, b) into responsibilities (K, b), in place.

Every policy takes the same arguments. As the log-density of a row it returns the row's term of the lower bound
F(q, theta) = E_q[log p(x, z | theta)] + H(q), for its responsibilities q (Neal and Hinton, 1998).
"""

import numpy as np

from fastem.kernels.jit import kernel
from fastem.kernels.shuffles import total
from fastem.kernels.vecmath import exp_nonpositive, log_and_quotient
from fastem.kernels.vectors import any_lane, is_double, lanes, load, maximum, splat, store, where

NEGLIGIBLE = 1e-20
LOWEST, LOWEST_32 = -1.7976931348623157e308, -3.4028234e38  # finite maximum for rows whose log-densities are all -inf


@kernel
def soft(joint, weight, row_log_likelihood, scale, draw):
    """Responsibilities by Bayes' rule, times the rows' weights.

    Parameters
    ----------
    joint : (K, b)
        Log-densities of the components plus the logarithms of their mixing weights; responsibilities on return.
    weight : (b,)
        Weights of the rows.
    row_log_likelihood, scale : (b,)
        On return the log-density of each row, and scratch. A row with density zero in every component has log-density
        -inf and responsibilities zero.
    draw : int
        Position in the sequence of random numbers, for policies that draw; not used here.

    Notes
    -----
    There are three loops over the rows, because in a single loop each row's logarithm would wait for its exponentials.
    """
    n_components, b = joint.shape
    step = lanes(joint)
    zero, one, impossible = splat(0.0, joint), splat(1.0, joint), splat(-np.inf, joint)
    lowest = splat(LOWEST if is_double(joint) else LOWEST_32, joint)
    for c in range(0, b, 2 * step):
        c1 = c + step
        top0 = lowest; top1 = lowest
        for k in range(n_components):
            top0 = maximum(load(joint, k, c), top0); top1 = maximum(load(joint, k, c1), top1)
        sum0 = zero; sum1 = zero
        for k in range(n_components):
            e0 = exp_nonpositive(load(joint, k, c) - top0)
            e1 = exp_nonpositive(load(joint, k, c1) - top1)
            store(e0, joint, k, c); store(e1, joint, k, c1)
            sum0 = sum0 + e0; sum1 = sum1 + e1
        store(top0, row_log_likelihood, c); store(top1, row_log_likelihood, c1)
        store(sum0, scale, c); store(sum1, scale, c1)
    for c in range(0, b, step):
        row_sum = load(scale, c)
        possible = row_sum > zero
        logarithm, quotient = log_and_quotient(where(possible, row_sum, one), load(weight, c))
        store(where(possible, load(row_log_likelihood, c) + logarithm, impossible), row_log_likelihood, c)
        store(where(possible, quotient, zero), scale, c)
    for c in range(0, b, 2 * step):
        c1 = c + step
        scale0 = load(scale, c); scale1 = load(scale, c1)
        for k in range(n_components):
            store(load(joint, k, c) * scale0, joint, k, c); store(load(joint, k, c1) * scale1, joint, k, c1)


@kernel
def largest(joint, c, otherwise):
    """Largest joint log-density of each row in a vector, and its first component, or `otherwise` if all are -inf."""
    top, best = splat(-np.inf, joint), splat(otherwise, joint)
    for k in range(joint.shape[0]):
        candidate = load(joint, k, c)
        better = candidate > top
        top, best = where(better, candidate, top), where(better, splat(k, joint), best)
    return top, best


@kernel
def hard(joint, weight, row_log_likelihood, scale, draw):
    """Assign each row to its most probable component, the first if several are equal; arguments are those of `soft`."""
    n_components, b = joint.shape
    zero = splat(0.0, joint)
    for c in range(0, b, lanes(joint)):
        top, best = largest(joint, c, -1)
        store(top, row_log_likelihood, c)
        w = load(weight, c)
        for k in range(n_components):
            number = splat(k, joint)
            store(where(best >= number, where(number >= best, w, zero), zero), joint, k, c)


@kernel
def sampled(joint, weight, row_log_likelihood, scale, draw):
    """Assign each row to a component drawn from its posterior; arguments are those of `soft`.

    Random numbers are hashes of a counter (SplitMix64: Steele, Lea and Flood, 2014), so the number of a row does not
    depend on other rows or threads.
    """
    n_components, b = joint.shape
    soft(joint, weight, row_log_likelihood, scale, draw)
    for c in range(b):
        if not weight[c] > 0.0 or not row_log_likelihood[c] > -np.inf:
            continue
        x = (draw + c + 1) * -7046029254386353131
        x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * -4658895280553007687
        x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685
        x = x ^ ((x >> 31) & 0x1FFFFFFFF)
        left = ((x >> 11) & 0x1FFFFFFFFFFFFF) * 1.1102230246251565e-16 * weight[c]  # uniform below the weight
        chosen = 0
        for k in range(n_components):  # the last component with any probability, if rounding leaves something
            if joint[k, c] > 0.0:
                chosen = k
                left -= joint[k, c]
                if left < 0.0:
                    break
        row_log_likelihood[c] += np.log(joint[chosen, c] / weight[c])
        for k in range(n_components):
            joint[k, c] = 0.0
        joint[chosen, c] = weight[c]


@kernel
def most_probable(joint, log_weights, label):
    """Set label (b,) to the component with each row's largest joint log-density, as a number of the type of `joint`.

    It is the first if several are equal, and the component of largest weight where all are -inf.
    """
    n_components, b = joint.shape
    heaviest = 0
    for k in range(1, n_components):
        if log_weights[k] > log_weights[heaviest]:
            heaviest = k
    for c in range(0, b, lanes(joint)):
        _, best = largest(joint, c, heaviest)
        store(best, label, c)


@kernel
def all_allowed(rows, start, stop, joint):
    """Do not restrict the components of rows."""


@kernel
def restrict(rows, start, stop, joint):
    """Apply labels and plausibilities of rows start..stop to their joint log-densities (K, b).

    A label excludes all other components, and plausibilities are factors of the densities.
    """
    n_components = joint.shape[0]
    if rows.labels.size > 0:
        for c in range(stop - start):
            label = rows.labels[start + c]
            if label >= 0:
                for k in range(n_components):
                    if k != label:
                        joint[k, c] = -np.inf
    if rows.plausibility.shape[0] > 0:
        for c in range(stop - start):
            given = rows.plausibility[start + c]
            for k in range(n_components):
                if given[k] != 1.0:
                    joint[k, c] = joint[k, c] + np.log(given[k]) if given[k] > 0.0 else -np.inf


@kernel
def ignore(params, start, stop, resp, density, scale, marks):
    """Record nothing about the rows of a tile."""


@kernel
def mark(params, start, stop, resp, density, scale, marks):
    """Record the most probable component and the log-density of each row of a tile; overwrites `scale` (b,)."""
    most_probable(resp, params.log_constant, scale)
    for c in range(stop - start):
        marks.labels[start + c] = scale[c]
        marks.densities[start + c] = density[c]


@kernel
def weighted_total(weight, row_log_likelihood):
    """Sum of the rows' log-densities times their weights; a row of weight zero is left out, even if it has -inf."""
    zero = splat(0.0, weight)
    result = zero
    for c in range(0, weight.size, lanes(weight)):
        w = load(weight, c)
        result = result + w * where(w > zero, load(row_log_likelihood, c), zero)
    return total(result)


@kernel
def entropy(responsibilities, weight):
    """Weighted sum over a tile of each row's entropy -sum_k r log r, from responsibilities of unit sum."""
    n_components, b = responsibilities.shape
    zero, one = splat(0.0, responsibilities), splat(1.0, responsibilities)
    result = zero
    for c in range(0, b, lanes(responsibilities)):
        row = zero
        for k in range(n_components):
            r = load(responsibilities, k, c)
            logarithm, _ = log_and_quotient(where(r > zero, r, one), one)
            row = row + r * where(r > zero, logarithm, zero)
        result = result - load(weight, c) * row
    return total(result)


@kernel
def active_vectors(responsibilities, mass, active):
    """Write the first rows of vectors that are not negligible for a component into `active`; return their number.

    A vector is negligible if no responsibility in it (b,) exceeds 1e-20 times the component's `mass`: rows with less do
    not change any statistic in float64.
    """
    n_active = 0
    limit = splat(NEGLIGIBLE * mass, responsibilities)
    for c in range(0, responsibilities.size, lanes(responsibilities)):
        active[n_active] = c
        n_active += any_lane(load(responsibilities, c) > limit)
    return n_active


@kernel
def active_in_two(responsibilities, mass, k, active):
    """`active_vectors` for components k and k + 1 together; returns how many are active in either and in both."""
    n_active, n_both = 0, 0
    limit = splat(NEGLIGIBLE * mass[k], responsibilities)
    other_limit = splat(NEGLIGIBLE * mass[k + 1], responsibilities)
    for c in range(0, responsibilities.shape[1], lanes(responsibilities)):
        active[n_active] = c
        matters = any_lane(load(responsibilities, k, c) > limit)
        matters_too = any_lane(load(responsibilities, k + 1, c) > other_limit)
        n_active += matters | matters_too
        n_both += matters & matters_too
    return n_active, n_both


@kernel
def component_mass(resp, mass):
    """Add the sum of each component's responsibilities over a tile to `mass` (K,)."""
    n_components, b = resp.shape
    step = lanes(resp)
    zero = splat(0.0, resp)
    for k in range(n_components):
        sum0 = zero; sum1 = zero
        for c in range(0, b, 2 * step):
            sum0 = sum0 + load(resp, k, c)
            sum1 = sum1 + load(resp, k, c + step)
        mass[k] += total(sum0 + sum1)
