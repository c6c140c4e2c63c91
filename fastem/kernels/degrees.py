"""The degrees of freedom of t components that raise a likelihood most, from sums of one pass.

Given responsibilities, the log-likelihood of a component with k = 1 / df and scale matrix s times that of the pass is

    mass (c(k) - d log(s) / 2) - (1 + k d) / (2 s) R(k / s),    R(t) = sum of log(1 + t D) / t

over its rows with squared distances D. R needs all rows anew for each t. But 1 / (1 + t x), whose integral over x from
0 to D is log(1 + t D) / t, is a geometric series in t - k about the k of the pass, in powers of x / (1 + k x): broken
off after the square it is at least what it should be if t > k, and with its last term times k / t if t < k. So three
sums over rows bound R from above, with the same value, slope and curvature at k, and the likelihood from below: what is
the highest here is not lower there. At k = 0, where components are normal, the likelihood itself is known.
"""

import math

from fastem.kernels.factors import logarithm
from fastem.kernels.jit import kernel

SMALLEST, LARGEST = 1e-9, 100.0  # 1 / df of components that are not normal
SHRUNK, GROWN = 0.05, 20.0  # sizes of scale matrices after a step
STIRLING = 16.0  # arguments from which on the series of the gamma function have all digits
SERIES = 0.02  # below, a series for log(1 + x) - x
ROUNDS = 4  # of degrees of freedom and scales by turns
HALVINGS = 60
CLOSE = 1e-12  # of a logarithm


@kernel
def log_of_one_plus(x):
    """Log(1 + x) for x >= 0."""
    y = 1.0 + x
    return logarithm(y) + (x - (y - 1.0)) / y


@kernel
def excess_of_log(x):
    """Log(1 + x) - x for x >= 0."""
    if x >= SERIES:
        return log_of_one_plus(x) - x
    total, j = 0.0, 11
    while j >= 2:
        total = (1.0 / j - total) * x
        j -= 1
    return -total * x


@kernel
def stirling(z):
    """Log Gamma(z) - (z - 1/2) log(z) + z - log(2 pi) / 2."""
    w = 1.0 / (z * z)
    return (1.0 / 12.0 - w * (1.0 / 360.0 - w * (1.0 / 1260.0 - w * (1.0 / 1680.0 - w / 1188.0)))) / z


@kernel
def stirling_of_digamma(z):
    """Log(z) - 1 / (2 z) - digamma(z)."""
    w = 1.0 / (z * z)
    return w * (1.0 / 12.0 - w * (1.0 / 120.0 - w * (1.0 / 252.0 - w * (1.0 / 240.0 - w / 132.0))))


@kernel
def log_normaliser(inverse_df, n_features):
    """Log Gamma((df + d) / 2) - log Gamma(df / 2) - d log(df / 2) / 2: what a t density has beside a normal one."""
    if not inverse_df > 0.0:
        return 0.0
    z, a = 0.5 / inverse_df, 0.5 * n_features
    product, total, high = 1.0, 0.0, z
    while high < STIRLING:
        product *= high / (high + a)
        high += 1.0
    if high > z:
        total = logarithm(product) + a * (logarithm(high) - logarithm(z))
    total += (high + a - 0.5) * log_of_one_plus(a / high) - a
    return total + (stirling(high + a) - stirling(high))


@kernel
def slope_of_normaliser(inverse_df, n_features):
    """Derivative of `log_normaliser` with respect to 1 / df."""
    a = 0.5 * n_features
    if not inverse_df > 0.0:
        return a * (a - 1.0)
    z = 0.5 / inverse_df
    total, high = 0.0, z
    while high < STIRLING:
        total += a / (high * (high + a))
        high += 1.0
    if high > z:
        total += a / high - a / z
    total += excess_of_log(a / high) + a / (2.0 * high * (high + a))
    total += stirling_of_digamma(high) - stirling_of_digamma(high + a)
    return -2.0 * z * z * total


@kernel
def bounded(sums, at, t):
    """The bound of R at t, from sums at `at`."""
    step = t - at
    shrink = at / t if step < 0.0 else 1.0
    return sums[2] - step * (0.5 * sums[3] + at * sums[4]) + step * step * sums[4] * shrink


@kernel
def slope_of_bounded(sums, at, t):
    """Its derivative."""
    step = t - at
    if step < 0.0:
        shrink = at / t
        second = 2.0 * step * shrink - step * step * shrink / t
    else:
        second = 2.0 * step
    return second * sums[4] - (0.5 * sums[3] + at * sums[4])


@kernel
def height(mass, sums, at, n_features, k, s):
    """The bound of a component's log-likelihood."""
    level = mass * (log_normaliser(k, n_features) - 0.5 * n_features * logarithm(s))
    return level - 0.5 * (1.0 + k * n_features) / s * bounded(sums, at, k / s)


@kernel
def height_if_normal(mass, sums, n_features, s):
    """The log-likelihood of a component that is normal."""
    return -0.5 * mass * n_features * logarithm(s) - 0.5 * sums[5] / s


@kernel
def slope(mass, sums, at, n_features, k, s, of_scale):
    """Derivative of `height` with respect to log(s), or to k."""
    t = k / s
    if of_scale:
        change = bounded(sums, at, t) + t * slope_of_bounded(sums, at, t)
        return 0.5 * (1.0 + k * n_features) / s * change - 0.5 * mass * n_features
    known = 0.5 * n_features * bounded(sums, at, t) + 0.5 * (1.0 + k * n_features) / s * slope_of_bounded(sums, at, t)
    return mass * slope_of_normaliser(k, n_features) - known / s


@kernel
def total_slope(mass, sums, at, n_features, found, scale, group, number, of_scale, value):
    """Sum of the slopes of a group of components that share a value: of k, or of s."""
    total = 0.0
    for j in range(mass.size):
        if group[j] == number and mass[j] > 0.0:
            k, s = (found[j], value) if of_scale else (value, scale[j])
            total += slope(mass[j], sums[j], at[j], n_features[j], k, s, of_scale)
    return total


@kernel
def climb_one(mass, sums, at, n_features, found, scale, group, number, of_scale, start):
    """The value of a group where its slope vanishes, uphill from `start`, or the last one that is allowed."""
    slope_here = total_slope(mass, sums, at, n_features, found, scale, group, number, of_scale, start)
    if not (slope_here > 0.0 or slope_here < 0.0):
        return start
    rises = slope_here > 0.0
    low, high = (SHRUNK, GROWN) if of_scale else (SMALLEST, LARGEST)
    end = high if rises else low
    x, fx, factor = logarithm(start), slope_here, 0.1
    while True:
        value = math.exp(x + factor if rises else x - factor)
        value = min(value, high) if rises else max(value, low)
        y = logarithm(value)
        fy = total_slope(mass, sums, at, n_features, found, scale, group, number, of_scale, value)
        if not fx * fy > 0.0 or value == end:
            break
        x, fx, factor = y, fy, factor + factor
    if fx * fy > 0.0:
        return end
    for _ in range(HALVINGS):  # false position, which halves the weight of an end that stays (Illinois)
        if abs(y - x) <= CLOSE or fy == 0.0:
            break
        z = y - fy * (y - x) / (fy - fx)
        fz = total_slope(mass, sums, at, n_features, found, scale, group, number, of_scale, math.exp(z))
        if fz * fy < 0.0:
            x, fx = y, fy
        else:
            fx *= 0.5
        done = abs(z - y) <= CLOSE
        y, fy = z, fz
        if done:
            break
    return math.exp(y)


@kernel
def climb_groups(mass, sums, at, n_features, found, scale, group, of_scale):
    """Move each group's value to where the bound is highest while the other values stay."""
    values = scale if of_scale else found
    for number in range(mass.size):
        start, rows = 0.0, 0.0
        for j in range(mass.size):
            if group[j] == number:
                start, rows = values[j], rows + mass[j]
        if not rows > 0.0:
            continue
        if not start > 0.0:
            if not total_slope(mass, sums, at, n_features, found, scale, group, number, of_scale, 0.0) > 0.0:
                continue
            start = SMALLEST
        value = climb_one(mass, sums, at, n_features, found, scale, group, number, of_scale, start)
        for j in range(mass.size):
            if group[j] == number:
                values[j] = value


@kernel
def total_height(mass, sums, at, n_features, found, scale):
    """Bound of the log-likelihood of all components."""
    total = 0.0
    for j in range(mass.size):
        if mass[j] > 0.0:
            total += height(mass[j], sums[j], at[j], n_features[j], found[j], scale[j])
    return total


@kernel
def normal_scale(mass, sums, n_features, scale_group, df_group, j):
    """Size of the scale matrix of component j if it is normal, and those are with which it shares df; 0 if unknown."""
    if scale_group[j] < 0:
        return 0.0
    distance, rows = 0.0, 0.0
    for i in range(mass.size):
        if scale_group[i] == scale_group[j]:
            if df_group[i] != df_group[j]:
                return 0.0
            distance, rows = distance + sums[i, 5], rows + mass[i] * (n_features[i] / n_features[j])
    return distance / (rows * n_features[j])


@kernel
def settle(mass, sums, at, n_features, df_group, scale_group, found, scale):
    """Have groups of components that are better off normal be so; returns what is gained."""
    gain = 0.0
    for number in range(mass.size):
        now, normal, rows = 0.0, 0.0, 0.0
        for j in range(mass.size):
            if df_group[j] == number and mass[j] > 0.0:
                s = normal_scale(mass, sums, n_features, scale_group, df_group, j)
                now += height(mass[j], sums[j], at[j], n_features[j], found[j], scale[j])
                normal += height_if_normal(mass[j], sums[j], n_features[j], s if s > 0.0 else scale[j])
                rows += mass[j]
        if not (rows > 0.0 and normal >= now):
            continue
        gain += normal - now
        for j in range(mass.size):
            if df_group[j] == number:
                found[j] = 0.0
                s = normal_scale(mass, sums, n_features, scale_group, df_group, j) if mass[j] > 0.0 else 0.0
                scale[j] = s if s > 0.0 else scale[j]
    return gain


def climb(mass, sums, at, n_features, df_group, scale_group, found, scale, normalisers):
    """Set `found` (J,) to inverse degrees of freedom, and `scale` (J,) to factors of the scale matrices.

    J is the number of components, or of components and numbers of values that rows show of them, if some are missing.
    Returns by how much the log-likelihood rises at least.

    Parameters
    ----------
    mass : (J,)
    sums : (J, 7), see `fastem.kernels.student_t.weigh`
    at : (J,), the inverse degrees of freedom that they were taken at
    n_features : (J,)
    df_group, scale_group : (J,), numbers of those that share a value; -1 for a scale matrix that stays
    normalisers : (J,), set to those at `at`, which is all that is done if there is no mass (0,)
    """
    for j in range(at.size):
        normalisers[j] = log_normaliser(at[j], n_features[j])
    if mass.size == 0:
        return 0.0
    for j in range(mass.size):
        found[j], scale[j] = at[j], 1.0
    before = total_height(mass, sums, at, n_features, found, scale)
    for _ in range(ROUNDS):
        climb_groups(mass, sums, at, n_features, found, scale, df_group, False)
        climb_groups(mass, sums, at, n_features, found, scale, scale_group, True)
    best = total_height(mass, sums, at, n_features, found, scale)
    if not best >= before:
        best = before
        for j in range(mass.size):
            found[j], scale[j] = at[j], 1.0
    return best - before + settle(mass, sums, at, n_features, df_group, scale_group, found, scale)
