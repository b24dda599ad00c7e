"""The normalised Black price b(x, s), and the s that gives a price back.

x = -abs(ln F/K) <= 0, s = vol sqrt(T), b = out-of-the-money price / sqrt(F K), below exp(x/2): the
variables of Jäckel (2015), "Let's Be Rational", Wilmott 2015(75). Everywhere h = x/s and t = s/2.
"""

import math

import numpy as np
from numpy.typing import NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.normal import SQRT_2PI, SQRT_HALF, rough_quantile, scaled_tail

SQRT_2_OVER_PI = math.sqrt(2.0 / math.pi)


@kernel
def tail_difference(x: float, s: float) -> float:
    """erfcx(u) - erfcx(v), u = (abs(h) - t)/sqrt 2, v = (abs(h) + t)/sqrt 2, h = x/s, t = s/2.

    b(x, s) is exp(-(h^2 + t^2)/2)/2 times this, and its logarithmic slope in s sqrt(2/pi) over it.
    """
    h, t = x / s, 0.5 * s
    if t < 0.125 and x > -0.5:
        # The two tails nearly cancel: Taylor series of Y(h + t) - Y(h - t), Y = N/phi, in t, with
        # Y' = 1 + h Y and Y^(n+1) = n Y^(n-1) + h Y^(n). Seven terms reach 1e-16.
        last = scaled_tail(-h * SQRT_HALF) / SQRT_2_OVER_PI
        here = 1.0 + h * last
        total, power = here, 1.0
        for n in range(1, 13, 2):
            last = n * last + h * here
            here = (n + 1) * here + h * last
            power *= t * t / ((n + 1) * (n + 2))
            total += power * here
            # `last` and `here` are now the derivatives of order n + 1 and n + 2.
        return SQRT_2_OVER_PI * s * total
    u, v = -(h + t) * SQRT_HALF, (t - h) * SQRT_HALF
    if u >= 0.0:
        return scaled_tail(u) - scaled_tail(v)
    return 2.0 * math.exp(u * u) - scaled_tail(-u) - scaled_tail(v)


@kernel
def tail_sum(x: float, s: float) -> float:
    """erfcx(-u) + erfcx(v): exp(-(h^2 + t^2)/2)/2 times this is what b lacks to its bound."""
    h, t = x / s, 0.5 * s
    u, v = -(h + t) * SQRT_HALF, (t - h) * SQRT_HALF
    if u <= 0.0:
        return scaled_tail(-u) + scaled_tail(v)
    return 2.0 * math.exp(u * u) - scaled_tail(u) + scaled_tail(v)


@kernel
def price(x: float, s: float) -> float:
    """b(x, s) for x <= 0 and s > 0."""
    h, t = x / s, 0.5 * s
    if h < -40.0:
        return 0.0
    scale = 0.5 * math.exp(-0.5 * (h * h + t * t))
    if h + t > 0.0 and t >= 0.125:
        return math.exp(0.5 * x) - scale * tail_sum(x, s)
    return scale * tail_difference(x, s)


@kernel
def log_moneyness(forward: float, strike: float) -> float:
    """ln(F/K), exact to rounding near the money, where the difference has no rounding error."""
    gap = forward - strike
    if abs(gap) < 0.5 * strike:
        return math.log1p(gap / strike)
    ratio = forward / strike
    if 0.0 < ratio < math.inf:
        return math.log(ratio)
    return math.log(forward) - math.log(strike)


@kernel
def undiscounted(forward: float, strike: float, s: float, is_call: bool) -> float:
    """The price of one option; its intrinsic value where s is zero."""
    intrinsic = max(forward - strike, 0.0) if is_call else max(strike - forward, 0.0)
    if s == 0.0:
        return intrinsic
    scale = math.sqrt(forward) * math.sqrt(strike)
    return intrinsic + scale * price(-abs(log_moneyness(forward, strike)), s)


@kernel
def first_guess(x: float, b: float, lack: float) -> float:
    """s within a few per cent; `lack` is exp(x/2) - b."""
    if b > lack:
        # lack = exp(x/2) N(-y) + exp(-x/2) N(h - t) with y = h + t: the first term's share lies
        # between a half (x = 0) and 1 (far from the money).
        share = 1.0 - 0.5 / (1.0 - 0.8 * x)
        bound = b + lack
        y = max(-rough_quantile(share * lack / bound), 0.0)
        return y + math.sqrt(y * y - 2.0 * x)
    # The normal model's price s phi(h) - abs(x) N(-abs(h)), divided by abs(x), is a function of h
    # alone; Black's is smaller by about exp(s^2/8).
    s = normal_guess(x, b, 0.0)
    return normal_guess(x, b, min(0.125 * s * s, 1.0))


@kernel
def normal_guess(x: float, b: float, log_factor: float) -> float:
    """abs(x)/h where phi(h)/h - N(-h) = b exp(log_factor)/abs(x): rational fits within 1e-3."""
    b *= math.exp(log_factor)
    if b > -0.0351725543020145 * x:
        w = -x / (SQRT_2PI * (b - 0.5 * x))
        z = w * w
        top = 1.0 + z * (-2.15118472 + z * 1.02841664)
        return SQRT_2PI * (b - 0.5 * x) * top / (1.0 + z * (-1.65249287 + z * 0.42433372))
    u = math.sqrt(math.log(-x) - math.log(b))
    top = 452.03692561 + u * (
        -512.21888205 + u * (87.20541754 + u * (82.89099405 * math.sqrt(2.0)))
    )
    return -x * (1.0 + u * (68.45745274 + u * 82.89099405)) / top


@kernel
def invert(x: float, b: float, lack: float) -> float:
    """s with b(x, s) = b: Householder's third-order steps on ln b, above half the bound on ln lack.

    Both logarithms are concave in s, so that Newton's step, taken where Householder's is not to be
    trusted, cannot diverge.
    """
    s = first_guess(x, b, lack)
    is_low = b <= lack
    log_target = math.log(b) if is_low else math.log(lack)
    for _ in range(16):
        h, t = x / s, 0.5 * s
        tails = tail_difference(x, s) if is_low else tail_sum(x, s)
        slope = SQRT_2_OVER_PI / tails if is_low else -SQRT_2_OVER_PI / tails
        gap = math.log(0.5 * tails) - 0.5 * (h * h + t * t) - log_target
        newton = -gap / slope
        # Ratios of b'' and b''' to b', then of the logarithm's derivatives to its slope.
        b2 = (h * h - t * t) / s
        b3 = b2 * b2 - (3.0 * h * h / s + 0.25 * s) / s
        second = b2 - slope
        third = b3 - 3.0 * slope * b2 + 2.0 * slope * slope
        factor = (1.0 + 0.5 * second * newton) / (
            1.0 + newton * (second + third * newton * (1.0 / 6.0))
        )
        step = newton * factor if 0.25 < factor < 4.0 else newton
        step = min(max(step, -0.75 * s), 3.0 * s)
        s += step
        if abs(step) <= 1e-5 * s:
            break
    return s


@kernel
def deviations(x: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """s of each price b at x, one-dimensional; NaN unless x <= 0 and 0 < b < exp(x/2)."""
    out = np.empty(x.size)
    for i in range(x.size):
        lack = math.exp(0.5 * x[i]) - b[i]
        out[i] = invert(x[i], b[i], lack) if x[i] <= 0.0 < min(b[i], lack) else math.nan
    return out
