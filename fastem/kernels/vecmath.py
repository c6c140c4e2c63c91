"""exp and log of vectors, because numba's wheels contain no vector mathematics library."""

from fastem.kernels.jit import kernel
from fastem.kernels.vectors import alike, as_floats, as_integers, is_double, multiply_add, where

LOG2_E = 1.4426950408889634
SQRT_HALF = 0.7071067811865476

# float64: ln 2 in two parts, the first with few enough bits that multiples by an exponent are exact
LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
NEAR = 0.029  # squares of s in `log_and_quotient` are below: ((sqrt(2) - 1) / (sqrt(2) + 1)) ** 2
ROUND = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the nearest integer in the low bits
UNDERFLOW = -708.0  # below it exp would be subnormal

# float32
LN2_HIGH_32 = 0.693359375
LN2_LOW_32 = -2.12194440e-4
ROUND_32 = 12582912.0  # 1.5 * 2**23
UNDERFLOW_32 = -87.0


@kernel
def exp_nonpositive(x):
    """Exp of a vector x <= 0, within 2 units in the last place; zero where subnormal.

    x = n ln 2 + r, with ln 2 in two parts. exp(r) is 1 + r + r^2 q(r) with the minimax polynomial q on |r| <= ln(2) / 2
    (degree 9, error 1.3e-17; float32: degree 4, error 8e-9), and n is added to the exponent bits. For x whose result is
    subnormal this is not valid, and the result is replaced by zero.
    """
    if is_double(x):
        underflow, magic = alike(UNDERFLOW, x), alike(ROUND, x)
        shifted = multiply_add(x, alike(LOG2_E, x), magic)
        multiple = shifted - magic
        r = multiply_add(multiple, alike(-LN2_HIGH, x), x)
        r = multiply_add(multiple, alike(-LN2_LOW, x), r)
        q = multiply_add(alike(2.510038549551032e-08, x), r, alike(2.7620088445409746e-07, x))
        q = multiply_add(q, r, alike(2.7557268459997064e-06, x))
        q = multiply_add(q, r, alike(2.4801521295954376e-05, x))
        q = multiply_add(q, r, alike(0.00019841269863053618, x))
        q = multiply_add(q, r, alike(0.0013888888917213717, x))
        q = multiply_add(q, r, alike(0.008333333333330062, x))
        q = multiply_add(q, r, alike(0.04166666666662413, x))
        q = multiply_add(q, r, alike(0.16666666666666669, x))
        q = multiply_add(q, r, alike(0.5000000000000001, x))
        q = multiply_add(q, r, alike(1.0, x))
        p = multiply_add(q, r, alike(1.0, x))
        power = as_integers(shifted) << 52  # the shift drops the bits above the integer
    else:
        underflow, magic = alike(UNDERFLOW_32, x), alike(ROUND_32, x)
        shifted = multiply_add(x, alike(LOG2_E, x), magic)
        multiple = shifted - magic
        r = multiply_add(multiple, alike(-LN2_HIGH_32, x), x)
        r = multiply_add(multiple, alike(-LN2_LOW_32, x), r)
        q = multiply_add(alike(0.0013926183587713494, x), r, alike(0.008363179052722578, x))
        q = multiply_add(q, r, alike(0.041666554617204574, x))
        q = multiply_add(q, r, alike(0.16666576989698775, x))
        q = multiply_add(q, r, alike(0.5, x))
        q = multiply_add(q, r, alike(1.0, x))
        p = multiply_add(q, r, alike(1.0, x))
        power = as_integers(shifted) << 23
    return where(x >= underflow, as_floats(as_integers(p) + power), alike(0.0, x))


@kernel
def atanh_series(t):
    """The polynomial p(t) of 2 atanh(s) = 2 s + s^3 p(s^2), accurate to float64 for t up to `NEAR`."""
    p = multiply_add(alike(0.14617807153417325, t), t, alike(0.15331611722055008, t))
    p = multiply_add(p, t, alike(0.1818289243253687, t))
    p = multiply_add(p, t, alike(0.22222211089379496, t))
    p = multiply_add(p, t, alike(0.28571428626253836, t))
    p = multiply_add(p, t, alike(0.3999999999989889, t))
    return multiply_add(p, t, alike(0.666666666666667, t))


@kernel
def log_and_quotient(x, w):
    """log(x) and w / x of a vector of positive normal numbers, within some units in the last place.

    With x = 2**n m, m in [sqrt(1/2), sqrt(2)) and s = (m - 1) / (m + 1), log(m) is 2 atanh(s). Both s and w / x come
    from one division, which takes as long as sixteen multiplications: 1 / x is 2**-n / m.
    """
    one = alike(1.0, x)
    exponent, inverse_power = exponent_of(x)
    m = as_floats(as_integers(x) - (as_integers(one) - as_integers(inverse_power)))
    divided = one / (m * (m + one))
    quotient = w * ((m + one) * divided * inverse_power)
    return log_of_power((m - one) * (m * divided), exponent), quotient


@kernel
def log_of_one_plus(y):
    """log(1 + y) and 1 / (1 + y) of a vector y >= 0, within some units in the last place for any y.

    The method is that of `log_and_quotient`, without rounding errors of 1 + y: with 1 + y = 2**n m, the difference
    m - 1 is computed as 2**-n y + (2**-n - 1).
    """
    one = alike(1.0, y)
    exponent, inverse_power = exponent_of(y + one)
    f = multiply_add(y, inverse_power, inverse_power - one)
    m, m_and_one = f + one, f + alike(2.0, y)
    divided = one / (m * m_and_one)
    return log_of_power(f * (m * divided), exponent), m_and_one * (divided * inverse_power)


@kernel
def exponent_of(x):
    """Integers n of x = 2**n m with m in [sqrt(1/2), sqrt(2)), and 2**-n."""
    bits = as_integers(x) - as_integers(alike(SQRT_HALF, x))
    if is_double(x):
        exponent = bits >> 52
        moved = exponent << 52
    else:
        exponent = bits >> 23
        moved = exponent << 23
    return exponent, as_floats(as_integers(alike(1.0, x)) - moved)


@kernel
def log_of_power(s, n):
    """Log of 2**n (1 + s) / (1 - s): n ln(2) + 2 s + s^3 p(s^2).

    p is the minimax polynomial (degree 6, error 9.2e-18; float32: degree 2, error 6e-9).
    """
    t = s * s
    if is_double(s):
        p = atanh_series(t)
        magic, high, low = alike(ROUND, s), alike(LN2_HIGH, s), alike(LN2_LOW, s)
    else:
        p = multiply_add(alike(0.29580985929974424, s), t, alike(0.39988757716604845, s))
        p = multiply_add(p, t, alike(0.6666668509542907, s))
        magic, high, low = alike(ROUND_32, s), alike(LN2_HIGH_32, s), alike(LN2_LOW_32, s)
    exponent = as_floats(n + as_integers(magic)) - magic  # converts integers to floats
    rest = multiply_add(s * t, p, exponent * low)
    return multiply_add(exponent, high, (s + s) + rest)


@kernel
def split(x):
    """Split a float64 vector x = m 2**n > 0 of normal numbers into m in [sqrt(1/2), sqrt(2)), integers n, and 2**-n."""
    bits = as_integers(x)
    exponent = (bits - as_integers(alike(SQRT_HALF, x))) >> 52
    moved = exponent << 52
    return as_floats(bits - moved), exponent, as_floats(as_integers(alike(1.0, x)) - moved)


@kernel
def log_of(m, n):
    """Log of m 2**n for a vector m > 0 and integers n, where m 2**n may be outside the range of float64."""
    logarithm, _ = log_and_quotient(m, alike(1.0, m))
    magic = alike(ROUND, m)
    exponent = as_floats(n + as_integers(magic)) - magic
    return multiply_add(exponent, alike(LN2_HIGH, m), multiply_add(exponent, alike(LN2_LOW, m), logarithm))


@kernel
def deviance(x, rate, log_rate):
    """X log(x / rate) - (x - rate) of counts x and a positive rate, without cancellation; float64.

    It is half the deviance of a Poisson count. With s = (x - rate) / (x + rate) the logarithm is 2 atanh(s) = 2 s + s^3
    p(s^2), so for x near the rate the result is computed as (x - rate) s + x s^3 p(s^2) (C. Loader, 2000, Fast and
    accurate computation of binomial probabilities). Farther away nothing cancels.
    """
    zero, one = alike(0.0, x), alike(1.0, x)
    difference = x - rate
    s = difference / (x + rate)
    t = s * s
    near = multiply_add(x * s, t * atanh_series(t), difference * s)
    positive = x > zero
    logarithm, _ = log_and_quotient(where(positive, x, one), one)
    far = where(positive, multiply_add(x, logarithm - log_rate, zero - difference), rate)
    return where(alike(NEAR, x) > t, near, far)
