"""exp and log of vectors: numba's wheels carry no vector mathematics library."""

from fastem._jit import kernel
from fastem.kernels.vectors import as_floats, as_integers, is_double, multiply_add, splat, where

LOG2_E = 1.4426950408889634
SQRT_HALF = 0.7071067811865476

# float64: ln 2 in two parts, the first with few enough bits that multiples by an exponent are exact
LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
ROUND = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the nearest integer in the low bits
UNDERFLOW = -708.0  # below it exp would be subnormal

# float32
LN2_HIGH_32 = 0.693359375
LN2_LOW_32 = -2.12194440e-4
ROUND_32 = 12582912.0  # 1.5 * 2**23
UNDERFLOW_32 = -87.0


@kernel
def exp_nonpositive(x, array):
    """Exp of a vector x <= 0 of the elements of `array`, within 2 units in the last place; zero where subnormal.

    Reduction by ln 2 in two parts, 1 + r + r^2 q(r) with the nearest polynomial q on |r| <= ln(2) / 2 (degree 9, error
    1.3e-17; float32: degree 4, error 8e-9), and the power of two added to the exponent bits. Below the smallest x that
    has a normal result all of that is nonsense, and not used.
    """
    if is_double(array):
        underflow, magic = splat(UNDERFLOW, array), splat(ROUND, array)
        shifted = multiply_add(x, splat(LOG2_E, array), magic)
        multiple = shifted - magic
        r = multiply_add(multiple, splat(-LN2_HIGH, array), x)
        r = multiply_add(multiple, splat(-LN2_LOW, array), r)
        q = multiply_add(splat(2.510038549551032e-08, array), r, splat(2.7620088445409746e-07, array))
        q = multiply_add(q, r, splat(2.7557268459997064e-06, array))
        q = multiply_add(q, r, splat(2.4801521295954376e-05, array))
        q = multiply_add(q, r, splat(0.00019841269863053618, array))
        q = multiply_add(q, r, splat(0.0013888888917213717, array))
        q = multiply_add(q, r, splat(0.008333333333330062, array))
        q = multiply_add(q, r, splat(0.04166666666662413, array))
        q = multiply_add(q, r, splat(0.16666666666666669, array))
        q = multiply_add(q, r, splat(0.5000000000000001, array))
        q = multiply_add(q, r, splat(1.0, array))
        p = multiply_add(q, r, splat(1.0, array))
        power = as_integers(shifted) << 52  # the bits above the integer leave on the left
    else:
        underflow, magic = splat(UNDERFLOW_32, array), splat(ROUND_32, array)
        shifted = multiply_add(x, splat(LOG2_E, array), magic)
        multiple = shifted - magic
        r = multiply_add(multiple, splat(-LN2_HIGH_32, array), x)
        r = multiply_add(multiple, splat(-LN2_LOW_32, array), r)
        q = multiply_add(splat(0.0013926183587713494, array), r, splat(0.008363179052722578, array))
        q = multiply_add(q, r, splat(0.041666554617204574, array))
        q = multiply_add(q, r, splat(0.16666576989698775, array))
        q = multiply_add(q, r, splat(0.5, array))
        q = multiply_add(q, r, splat(1.0, array))
        p = multiply_add(q, r, splat(1.0, array))
        power = as_integers(shifted) << 23
    return where(x >= underflow, as_floats(as_integers(p) + power), splat(0.0, array))


@kernel
def log_and_quotient(x, w, array):
    """log(x) and w / x of a vector of positive normal elements of `array`, within some units in the last place.

    With x = 2**n m, m in [sqrt(1/2), sqrt(2)) and s = (m - 1) / (m + 1), log(m) is 2 atanh(s) = 2 s + s^3 p(s^2), where
    p is the nearest polynomial (degree 6, error 9.2e-18; float32: degree 2, error 6e-9). Both quotients come from one
    division, which takes as long as sixteen multiplications: m / x is a power of two, 2**-n.
    """
    one, half = splat(1.0, array), splat(SQRT_HALF, array)
    bits = as_integers(x)
    if is_double(array):
        shifted = (bits - as_integers(half)) >> 52
        exponent_bits = shifted << 52
        magic, high, low = splat(ROUND, array), splat(LN2_HIGH, array), splat(LN2_LOW, array)
    else:
        shifted = (bits - as_integers(half)) >> 23
        exponent_bits = shifted << 23
        magic, high, low = splat(ROUND_32, array), splat(LN2_HIGH_32, array), splat(LN2_LOW_32, array)
    m = as_floats(bits - exponent_bits)
    inverse_power = as_floats(as_integers(one) - exponent_bits)
    divided = one / (m * (m + one))
    quotient = w * ((m + one) * divided * inverse_power)
    s = (m - one) * (m * divided)
    t = s * s
    if is_double(array):
        p = multiply_add(splat(0.14617807153417325, array), t, splat(0.15331611722055008, array))
        p = multiply_add(p, t, splat(0.1818289243253687, array))
        p = multiply_add(p, t, splat(0.22222211089379496, array))
        p = multiply_add(p, t, splat(0.28571428626253836, array))
        p = multiply_add(p, t, splat(0.3999999999989889, array))
        p = multiply_add(p, t, splat(0.666666666666667, array))
    else:
        p = multiply_add(splat(0.29580985929974424, array), t, splat(0.39988757716604845, array))
        p = multiply_add(p, t, splat(0.6666668509542907, array))
    exponent = as_floats(shifted + as_integers(magic)) - magic  # an integer to a float, in vector code
    rest = multiply_add(s * t, p, exponent * low)
    return multiply_add(exponent, high, (s + s) + rest), quotient
