"""Degrees of freedom of t components that maximise a bound of the likelihood, from sums of one pass.

Given responsibilities, the log-likelihood of a component with k = 1 / df and scale matrix s times that of the pass is

    mass (c(k) - d log(s) / 2) - (1 + k d) / (2 s) R(k / s),    R(t) = sum of log(1 + t D) / t

over its rows with squared distances D. R for another t would need all rows again. But log(1 + t D) / t is the integral
of 1 / (1 + t x) over x from 0 to D, and 1 / (1 + t x) is a geometric series in t - k about the k of the pass, in powers
of x / (1 + k x). Truncated after the square, the series is an upper bound if t > k; if t < k it is one when the last
term is multiplied by k / t. So three sums over rows give an upper bound of R, with the same value, slope and curvature
at k, and hence a lower bound of the likelihood. Raising this bound above its value at k raises the likelihood by at
least as much. At k = 0, where components are normal, the likelihood itself is known.
"""

import math

from fastem.kernels.factors import logarithm
from fastem.kernels.jit import kernel

SMALLEST, LARGEST = 1e-9, 100.0  # 1 / df of components that are not normal
SHRUNK, GROWN = 0.05, 20.0  # smallest and largest factor of scale matrices in a step
STIRLING = 16.0  # from this argument on the series of the gamma function have all digits
SERIES = 0.02  # below this argument log(1 + x) - x is a series
ROUNDS = 4  # alternations between degrees of freedom and scales
HALVINGS = 60  # largest number of steps of a root search
CLOSE = 1e-12  # difference of logarithms at which it ends


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
    """Log Gamma((df + d) / 2) - log Gamma(df / 2) - d log(df / 2) / 2: log-normaliser of a t less a normal density."""
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
    """Upper bound of R(t), from the sums (7,) of a pass with 1 / df = `at`."""
    step = t - at
    shrink = at / t if step < 0.0 else 1.0
    return sums[2] - step * (0.5 * sums[3] + at * sums[4]) + step * step * sums[4] * shrink


@kernel
def slope_of_bounded(sums, at, t):
    """Derivative of `bounded` with respect to t."""
    step = t - at
    if step < 0.0:
        shrink = at / t
        second = 2.0 * step * shrink - step * step * shrink / t
    else:
        second = 2.0 * step
    return second * sums[4] - (0.5 * sums[3] + at * sums[4])


@kernel
def height(mass, sums, at, n_features, k, s):
    """Lower bound of a component's log-likelihood for 1 / df = k and the factor s of the scale matrix."""
    level = mass * (log_normaliser(k, n_features) - 0.5 * n_features * logarithm(s))
    return level - 0.5 * (1.0 + k * n_features) / s * bounded(sums, at, k / s)


@kernel
def height_if_normal(mass, sums, n_features, s):
    """Log-likelihood of a normal component with the factor s of the scale matrix."""
    return -0.5 * mass * n_features * logarithm(s) - 0.5 * sums[5] / s


@kernel
def slope(mass, sums, at, n_features, k, s, of_scale):
    """Derivative of `height` with respect to log(s) if `of_scale`, otherwise with respect to k."""
    t = k / s
    if of_scale:
        change = bounded(sums, at, t) + t * slope_of_bounded(sums, at, t)
        return 0.5 * (1.0 + k * n_features) / s * change - 0.5 * mass * n_features
    known = 0.5 * n_features * bounded(sums, at, t) + 0.5 * (1.0 + k * n_features) / s * slope_of_bounded(sums, at, t)
    return mass * slope_of_normaliser(k, n_features) - known / s


@kernel
def total_slope(mass, sums, at, n_features, found, scale, group, number, of_scale, value):
    """Sum of the slopes of the components of a group, which share the value of k or of s."""
    total = 0.0
    for j in range(mass.size):
        if group[j] == number and mass[j] > 0.0:
            k, s = (found[j], value) if of_scale else (value, scale[j])
            total += slope(mass[j], sums[j], at[j], n_features[j], k, s, of_scale)
    return total


@kernel
def climb_one(mass, sums, at, n_features, found, scale, group, number, of_scale, start):
    """The value of a group, uphill from `start`, at which its slope is zero, or the bound of its allowed range."""
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
    for _ in range(HALVINGS):  # regula falsi, Illinois variant: the weight of an end that stays is halved
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
    """Set each group's value to the maximum of the bound, given the other values."""
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
    """Lower bound of the log-likelihood, summed over components."""
    total = 0.0
    for j in range(mass.size):
        if mass[j] > 0.0:
            total += height(mass[j], sums[j], at[j], n_features[j], found[j], scale[j])
    return total


@kernel
def normal_scale(mass, sums, n_features, scale_group, df_group, j):
    """Factor of component j's scale matrix if its df group becomes normal; 0 if fixed, or shared across df groups."""
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
    """Make groups of components normal if that raises the likelihood bound; return the gain."""
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

    J is the number of components, or with missing values of pairs of a component and a number of observed values.
    Returns a lower bound of the gain in log-likelihood.

    Parameters
    ----------
    mass : (J,)
    sums : (J, 7), see `fastem.kernels.student_t.weigh`
    at : (J,), the inverse degrees of freedom at which the sums were computed
    n_features : (J,), the numbers of observed values
    df_group, scale_group : (J,), entries with the same number share a value; -1 is a scale matrix that stays fixed
    normalisers : (J,), set to `log_normaliser` at `at`; if `mass` is empty, nothing else is computed
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
