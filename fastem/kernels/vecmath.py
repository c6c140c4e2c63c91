"""exp and log without branches, so that LLVM turns a loop over them into vector code.

numba's wheels carry no vector mathematics library: `math.exp` in a compiled loop stays one call an element.
"""

import numpy as np

from fastem._jit import exact_kernel

LOG2_E = 1.4426950408889634
LN2_HIGH = 6.93147180369123816490e-01  # the leading 33 bits of ln 2: multiples by an exponent are exact
LN2_LOW = 1.90821492927058770002e-10
ROUND = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the nearest integer in the low bits
ROUND_BITS = np.float64(ROUND).view(np.int64)
SQRT_HALF_BITS = np.float64(np.sqrt(0.5)).view(np.int64)
EXP_UNDERFLOW = -708.0  # below it the result would be subnormal


@exact_kernel
def exp_nonpositive(x):
    """exp(x) for x <= 0, within 2 units in the last place; zero below -708, -inf included.

    Reduction by ln 2 in two parts, 1 + r + r^2 q(r) with the polynomial q of degree 9 that is nearest on
    |r| <= ln(2) / 2 (error 1.3e-17), and the power of two put in through the exponent bits.
    """
    clipped = max(x, EXP_UNDERFLOW)
    shifted = np.float64(clipped * LOG2_E + ROUND)
    exponent = shifted.view(np.int64) - ROUND_BITS
    multiple = shifted - ROUND
    r = (clipped - multiple * LN2_HIGH) - multiple * LN2_LOW
    q = 2.510038549551032e-08
    q = q * r + 2.7620088445409746e-07
    q = q * r + 2.7557268459997064e-06
    q = q * r + 2.4801521295954376e-05
    q = q * r + 0.00019841269863053618
    q = q * r + 0.0013888888917213717
    q = q * r + 0.008333333333330062
    q = q * r + 0.04166666666662413
    q = q * r + 0.16666666666666669
    q = q * r + 0.5000000000000001
    p = (q * r) * r + r + 1.0
    power = np.int64((exponent + 1023) << 52).view(np.float64)
    return p * power if x >= EXP_UNDERFLOW else 0.0


@exact_kernel
def log_positive(x):
    """log(x) for positive normal x, within 2 units in the last place.

    With x = 2**n m, m in [sqrt(1/2), sqrt(2)) and s = (m - 1) / (m + 1), log(m) is 2 atanh(s) = 2 s + s^3 p(s^2), where
    p is the nearest polynomial of degree 6 (error 9.2e-18).
    """
    bits = np.float64(x).view(np.int64)
    n = (bits - SQRT_HALF_BITS) >> 52
    m = np.int64(bits - (n << 52)).view(np.float64)
    s = (m - 1.0) / (m + 1.0)
    t = s * s
    p = 0.14617807153417325
    p = p * t + 0.15331611722055008
    p = p * t + 0.1818289243253687
    p = p * t + 0.22222211089379496
    p = p * t + 0.28571428626253836
    p = p * t + 0.3999999999989889
    p = p * t + 0.666666666666667
    exponent = np.int64(n + ROUND_BITS).view(np.float64) - ROUND  # an integer to a float, in vector code
    return exponent * LN2_HIGH + (2.0 * s + (s * t * p + exponent * LN2_LOW))
