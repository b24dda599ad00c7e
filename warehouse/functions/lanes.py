"""Which s gives back a normalised price, for whole arrays at once?

Everything in the loops is arithmetic without branches, so that the compiler can put several options
into one vector register. A lane that leaves the part of the plane it was made for, out-of-the-money
quotes of any usual size, or has not settled after two steps, is left to `normalised.invert`.
"""

import math

import numpy as np
from numpy.typing import NDArray

from warehouse.functions.compiled import inlined, kernel
from warehouse.functions.normal import SQRT_2PI, SQRT_HALF
from warehouse.functions.normalised import SQRT_2_OVER_PI

Floats = NDArray[np.float64]

# (a + 1.5) erfcx(a) on -0.5 <= a <= 8 as a polynomial in q = MIDDLE - WIDTH/(a + 4.5), which runs
# from -1 to 1: Chebyshev interpolation at 50 digits, cut below 1e-16.
MIDDLE, WIDTH = 1.9411764705882353, 11.764705882352942
TAIL = (
    0.9547298358507313, -0.5047496688545, 0.33329790835895295, -0.16082518493345874,
    0.04460747045864269, 0.007568972734335412, -0.01811269840177696, 0.012525464698063917,
    -0.005606003819093539, 0.001725969456117448, -0.0003211927379227879, 6.862317959282636e-06,
    1.4717640040912442e-05, -3.329776455135867e-06, -2.4443750905396087e-07,
    2.2059691949277928e-07, -1.0117630469818391e-08, -1.1891058670250685e-08,
    1.3256867948304188e-09, 5.149830136345705e-10, -7.46590893948217e-11,
)  # fmt: skip
HIGHEST = 8.0

LN_2 = math.log(2.0)
ONE = 0x3FF0000000000000
MANTISSA = 0x000FFFFFFFFFFFFF
HALFWAY = 0x3FE6A09E667F3BCD  # the bits of sqrt 1/2
SHIFTED, BIAS = 0x4330000000000000, 2.0**52 + 1023.0  # the bits of 2^52
SETTLED = 1e-4  # relative size of a second step after which a third would be below rounding


@inlined
def logarithm(y: float) -> float:
    """ln y within two units in the last place, for y above 0 that is not subnormal."""
    bits = np.float64(y).view(np.int64) - HALFWAY
    # y = m 2^e with m from sqrt 1/2 to sqrt 2.
    raised = (bits >> 52) + 1023
    e = np.int64(raised | SHIFTED).view(np.float64) - BIAS
    m = np.int64((bits & MANTISSA) + HALFWAY).view(np.float64)
    return e * LN_2 + atanh_sum((m - 1.0) / (m + 1.0))


@inlined
def atanh_sum(z: float) -> float:
    """2 atanh z for abs(z) < 0.1716."""
    q = z * z
    tail = 1.0 / 17.0 + q * (1.0 / 19.0 + q * (1.0 / 21.0))
    tail = 1.0 / 11.0 + q * (1.0 / 13.0 + q * (1.0 / 15.0 + q * tail))
    tail = 1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * tail))
    return 2.0 * z + 2.0 * z * q * (1.0 / 3.0 + q * tail)


@inlined
def tails(h: float, t: float) -> float:
    """erfcx(u) - erfcx(v), u = (abs(h) - t)/sqrt 2, v = (abs(h) + t)/sqrt 2, without cancellation.

    The difference of the two polynomials is their divided difference times that of the arguments.
    """
    u, v = -(h + t) * SQRT_HALF, (t - h) * SQRT_HALF
    ru, rv = 1.0 / (u + 4.5), 1.0 / (v + 4.5)
    x, y = MIDDLE - WIDTH * ru, MIDDLE - WIDTH * rv
    value, slope = TAIL[20], 0.0
    value, slope = divided(value, slope, x, y, TAIL[19], TAIL[18], TAIL[17], TAIL[16])
    value, slope = divided(value, slope, x, y, TAIL[15], TAIL[14], TAIL[13], TAIL[12])
    value, slope = divided(value, slope, x, y, TAIL[11], TAIL[10], TAIL[9], TAIL[8])
    value, slope = divided(value, slope, x, y, TAIL[7], TAIL[6], TAIL[5], TAIL[4])
    value, slope = divided(value, slope, x, y, TAIL[3], TAIL[2], TAIL[1], TAIL[0])
    drop = value - slope * WIDTH * (u + 1.5) * ru * rv
    return 2.0 * t * SQRT_HALF * drop / ((u + 1.5) * (v + 1.5))


@inlined
def divided(
    value: float, slope: float, x: float, y: float, c3: float, c2: float, c1: float, c0: float
) -> tuple[float, float]:
    """Four more coefficients of P(x) and of (P(x) - P(y))/(x - y)."""
    slope = slope * y + value
    value = value * x + c3
    slope = slope * y + value
    value = value * x + c2
    slope = slope * y + value
    value = value * x + c1
    slope = slope * y + value
    value = value * x + c0
    return value, slope


@inlined
def rough(x: float, b: float, log_ratio: float, lift: float) -> float:
    """normalised.normal_guess for b exp(lift), both of its branches; log_ratio is ln(-x/b)."""
    b *= 1.0 + lift * (1.0 + lift * (0.5 + lift * (1.0 / 6.0)))
    near = SQRT_2PI * (b - 0.5 * x)
    w = x / near
    z = w * w
    near *= 1.0 + z * (-2.15118472 + z * 1.02841664)
    near /= 1.0 + z * (-1.65249287 + z * 0.42433372)
    u = math.sqrt(max(log_ratio - lift, 0.0))
    far = -x * (1.0 + u * (68.45745274 + u * 82.89099405))
    far /= 452.03692561 + u * (-512.21888205 + u * (87.20541754 + u * 117.22556819))
    return near if b > -0.0351725543020145 * x else far


@inlined
def stepped(x: float, s: float, log_b: float) -> float:
    """Householder's third-order step on ln b, as in normalised.invert."""
    r = 1.0 / s
    h, t = x * r, 0.5 * s
    found = tails(h, t)
    slope = SQRT_2_OVER_PI / found
    h2, t2 = h * h, t * t
    gap = logarithm(0.5 * found) - 0.5 * (h2 + t2) - log_b
    newton = -gap * found * (1.0 / SQRT_2_OVER_PI)
    b2 = (h2 - t2) * r
    b3 = b2 * b2 - (3.0 * h2 * r + 0.25 * s) * r
    second = b2 - slope
    third = b3 + slope * (2.0 * slope - 3.0 * b2)
    top = 1.0 + 0.5 * second * newton
    return newton * top / (1.0 + newton * (second + third * newton * (1.0 / 6.0)))


@inlined
def log_ratio(f: float, k: float) -> float:
    """ln(f/k), to rounding near f = k too: k is brought within a root of 2 of f by a power of 2."""
    raised = ((np.float64(f / k).view(np.int64) - HALFWAY) >> 52) + 1023
    e = np.int64(raised | SHIFTED).view(np.float64) - BIAS
    k *= np.int64(raised << 52).view(np.float64)
    return e * LN_2 + atanh_sum((f - k) / (f + k))


@kernel
def invert_lanes(x: Floats, b: Floats, lack: Floats, out: Floats) -> None:
    """s with b(x, s) = b; NaN where the lane is to be solved otherwise."""
    for i in range(x.size):
        log_b = logarithm(b[i])
        ratio = logarithm(max(-x[i], 1e-290)) - log_b
        s = rough(x[i], b[i], ratio, 0.0)
        s = rough(x[i], b[i], ratio, min(0.125 * s * s, 0.3))
        s += stepped(x[i], s, log_b)
        step = stepped(x[i], s, log_b)
        s += step
        is_settled = abs(step) < SETTLED * s
        is_inside = (0.5 * s - x[i] / s) * SQRT_HALF < HIGHEST
        is_usual = 1e-290 < b[i] <= lack[i]
        out[i] = s if is_settled and is_inside and is_usual else math.nan


@kernel
def normalise(
    price: Floats,
    forward: Floats,
    strike: Floats,
    is_call: NDArray[np.bool_],
    x: Floats,
    b: Floats,
    lack: Floats,
) -> None:
    """x = -abs(ln F/K), the out-of-the-money price over sqrt(FK), and what it lacks to its bound.

    Both differences come from the price itself: neither inherits the other's rounding.
    """
    for i in range(price.size):
        f, k, p = forward[i], strike[i], price[i]
        unit = math.sqrt(f) * math.sqrt(k)
        gap = f - k if is_call[i] else k - f
        x[i] = -abs(log_ratio(f, k))
        b[i] = (p - max(gap, 0.0)) / unit
        lack[i] = ((f if is_call[i] else k) - p) / unit
