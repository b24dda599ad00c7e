"""The normal law: density, distribution, quantile and the scaled tail, for one number at a time."""

import math

from warehouse.functions.compiled import kernel

SQRT_HALF = math.sqrt(0.5)
SQRT_2PI = math.sqrt(2.0 * math.pi)

# (1 + 2a) erfcx(a) on a >= 0 as a polynomial in q = (a - 4)/(a + 4), the substitution of Shepherd &
# Laframboise (1981), Mathematics of Computation 36(153): Chebyshev interpolation at 80 digits, cut
# below 1e-16. Even and odd powers are apart so that two short chains run side by side.
EVEN = (
    1.2329951186255526, 0.015379652102610473, -0.10103906603586531, -0.06633036582031154,
    -0.016197733981455194, -0.000757773707063825, 0.00015062309720018628, -1.1225101875659178e-05,
    2.9801353803031333e-07, 7.115337800585303e-08, -1.6371779763566967e-08, 1.5738283774192037e-09,
)  # fmt: skip
ODD = (
    -0.1396211168405623, 0.06809705425466908, 0.0937328349990944, 0.03716751552655567,
    0.005031970067657489, -0.00019925714661091188, -2.4397746422436416e-05, 5.706604414895734e-06,
    -8.210939042560568e-07, 1.0633855618594884e-07, -1.234686604382353e-08, 9.311744978232572e-10,
)  # fmt: skip


@kernel
def scaled_tail(a: float) -> float:
    """erfcx(a) = exp(a^2) erfc(a) for a >= 0, within 8 units in the last place."""
    q = (a - 4.0) / (a + 4.0)
    z = q * q
    even, odd = EVEN[11], ODD[11]
    for i in range(10, -1, -1):
        even = even * z + EVEN[i]
        odd = odd * z + ODD[i]
    return (even + q * odd) / (1.0 + 2.0 * a)


@kernel
def density(z: float) -> float:
    """phi(z)."""
    return math.exp(-0.5 * z * z) / SQRT_2PI


@kernel
def distribution(z: float) -> float:
    """N(z), to the accuracy of the C library's erfc in both tails."""
    return 0.5 * math.erfc(-z * SQRT_HALF)


@kernel
def rough_quantile(p: float) -> float:
    """N^-1(p) within 4.5e-4 for 0 < p < 1: Abramowitz & Stegun 26.2.23."""
    tail = min(p, 1.0 - p)
    t = math.sqrt(-2.0 * math.log(tail))
    z = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (
        1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    )
    return -z if p < 0.5 else z


@kernel
def quantile(p: float) -> float:
    """N^-1(p); NaN outside (0, 1)."""
    if not 0.0 < p < 1.0:
        return math.nan
    tail = min(p, 1.0 - p)
    z = rough_quantile(tail)
    for _ in range(3):
        # Halley's step on N(z) - tail; z <= 0, so the ratio is small and does not cancel.
        u = (distribution(z) - tail) / density(z)
        z -= u / (1.0 + 0.5 * u * z)
    return z if p < 0.5 else -z
