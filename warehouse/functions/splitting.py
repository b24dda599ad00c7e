"""How is the cheapest split found without trying them all?

The levels of a venue are knots of two convex curves over its dollars: what is lost, and what the
fee is charged on. Taking the cheapest levels of all venues in parts of lots costs what no split in
lots undercuts. At the price of the dearest part so taken, every other choice of lots has a penalty
that is never negative and adds up over venues (Lagrange), so only lots near the parts need trying.
"""

import math

import numpy as np
from numpy.typing import NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CANDIDATES = 512  # choices of lots of one venue
TRIES = 2000  # splits looked at for one order
SLACK = 1e-9  # of a lot or a size: what rounding may be off
SAME = 1e-13  # of a dollar: costs closer than this are one


@kernel
def knots(
    price: Floats, quantity: Floats, is_inverse: bool, reference: float, is_buy: bool,
    usd: Floats, loss: Floats, value: Floats,
) -> None:  # fmt: skip
    """Write the curves of one side, best price first, to arrays that are one longer than it."""
    sign = 1.0 if is_buy else -1.0
    usd[0] = loss[0] = value[0] = 0.0
    for i in range(price.size):
        rate = reference / price[i] if is_inverse else price[i] / reference
        size = quantity[i] * (price[i] if is_inverse else reference)
        lost = sign * (1.0 - rate if is_inverse else rate - 1.0)
        usd[i + 1] = usd[i] + size
        loss[i + 1] = loss[i] + size * lost
        value[i + 1] = value[i] + size * rate


@kernel
def read(usd: Floats, curve: Floats, size: float) -> float:
    """The curve at a size within its knots."""
    k = min(int(np.searchsorted(usd, size)), usd.size - 1)
    if k == 0:
        return 0.0
    share = (size - usd[k - 1]) / (usd[k] - usd[k - 1])
    return float(curve[k - 1] + share * (curve[k] - curve[k - 1]))


@kernel
def greedy(
    usd: Floats, loss: Floats, value: Floats, starts: Integers, slope: Floats, size: float,
    part: Floats,
) -> tuple[float, int]:  # fmt: skip
    """Write what each venue gives when the cheapest levels are taken first, in parts of lots.

    The cost per dollar of the dearest part and its venue, -1 where the levels end first.
    """
    place = starts[:-1].copy()
    part[:] = 0.0
    left, dear, last = size, 0.0, 0
    while left > SLACK * size:
        dear, last = np.inf, -1
        for v in range(part.size):
            k = place[v]
            if k + 1 == starts[v + 1]:
                continue
            paid = loss[k + 1] - loss[k] + slope[v] * (value[k + 1] - value[k])
            unit = paid / (usd[k + 1] - usd[k])
            if unit < dear:
                dear, last = unit, v
        if last < 0:
            return dear, last
        k = place[last]
        taken = min(left, usd[k + 1] - usd[k])
        part[last] += taken
        left -= taken
        place[last] += 1
    return dear, last


@kernel
def penalty(
    usd: Floats, loss: Floats, value: Floats, slope: float, dear: float, part: float, size: float
) -> float:
    """What a venue's `size` costs beyond the dearest price, less what its `part` does."""
    here = read(usd, loss, size) + slope * read(usd, value, size) - dear * size
    best = read(usd, loss, part) + slope * read(usd, value, part) - dear * part
    return here - best


@kernel
def near(
    usd: Floats, loss: Floats, value: Floats, slope: float, dear: float, part: float,
    lot: float, room: int, most: float, lots: Integers, extra: Floats,
) -> int:  # fmt: skip
    """Write the choices of lots whose penalty is below `most`, the least first; how many."""
    down = min(math.floor(part / lot + SLACK), room)
    up = down + 1
    below = penalty(usd, loss, value, slope, dear, part, down * lot)
    above = np.inf if up > room else penalty(usd, loss, value, slope, dear, part, up * lot)
    count = 0
    while count < lots.size and min(below, above) < most:
        if below <= above:
            lots[count], extra[count] = down, below
            down -= 1
            below = np.inf if down < 0 else penalty(usd, loss, value, slope, dear, part, down * lot)
        else:
            lots[count], extra[count] = up, above
            up += 1
            above = np.inf if up > room else penalty(usd, loss, value, slope, dear, part, up * lot)
        count += 1
    return count


@kernel
def needed(size: float, lot: float) -> int:
    """The fewest lots that hold a size."""
    return max(math.ceil(size / lot - SLACK), 0)


@kernel
def last_lots(
    usd: Floats, loss: Floats, value: Floats, slope: float, dear: float, part: float,
    lot: float, room: int, held: float, owed: float, size: float, widest: float,
) -> tuple[int, float]:  # fmt: skip
    """Lots of the last venue that make the split cheapest per dollar, and that cost; -1 if none.

    `held` is what the others give, `owed` their penalties and the bound's cost beyond `dear`.
    """
    lots = needed(size - held, lot)
    if lots > room or held + lots * lot >= size + widest * (1.0 - SLACK):
        return -1, np.inf
    extra = penalty(usd, loss, value, slope, dear, part, lots * lot)
    best = dear + (owed + extra) / (held + lots * lot)
    while lots < room and held + (lots + 1) * lot < size + widest * (1.0 - SLACK):
        extra = penalty(usd, loss, value, slope, dear, part, (lots + 1) * lot)
        cost = dear + (owed + extra) / (held + (lots + 1) * lot)
        if cost >= best:
            break
        lots, best = lots + 1, cost
    return lots, best


@kernel
def tried(
    usd: Floats, loss: Floats, value: Floats, starts: Integers, lot: Floats, room: Integers,
    slope: Floats, dear: float, part: Floats, base: float, size: float,
    order: Integers, lots: Integers, extra: Floats, count: Integers,
    best: float, found: Integers,
) -> tuple[float, bool]:  # fmt: skip
    """The cheapest split of the candidates, into `found` where below `best`; if all were tried.

    Venues take turns in `order`; the last of them gives what the others leave.
    """
    widest, last = lot.max(), order[-1]
    a, b = starts[last], starts[last + 1]
    held, owed = np.zeros(order.size), np.full(order.size, base)
    place = np.zeros(order.size, dtype=np.int64)
    depth, tries = 0, 0
    while depth >= 0 and tries < TRIES:
        if depth == order.size - 1:
            tries += 1
            filled, cost = last_lots(
                usd[a:b], loss[a:b], value[a:b], slope[last], dear, part[last],
                lot[last], room[last], held[depth], owed[depth], size, widest,
            )  # fmt: skip
            if cost < best - SAME:
                best = cost
                found[last] = filled
                for i in range(depth):
                    found[order[i]] = lots[order[i], place[i] - 1]
            depth -= 1
            continue
        v, k = order[depth], place[depth]
        total = owed[depth] + extra[v, k] if k < count[v] else np.inf
        if dear + min(total / size, total / (size + widest)) >= best - SAME or total == np.inf:
            place[depth] = 0
            depth -= 1
            continue
        place[depth] += 1
        held[depth + 1] = held[depth] + lots[v, k] * lot[v]
        owed[depth + 1] = total
        depth += 1
    return best, depth < 0


@kernel
def search(
    usd: Floats, loss: Floats, value: Floats, starts: Integers, lot: Floats, room: Integers,
    slope: Floats, fixed: float, size: float, best: float, found: Integers,
) -> tuple[float, float, bool]:  # fmt: skip
    """Cost per dollar of the cheapest split, into `found` where below `best`; lower bound; proof.

    `slope` is each venue's fee on its value and `fixed` the fees that do not depend on size.
    """
    venues = lot.size
    part = np.empty(venues)
    dear, last = greedy(usd, loss, value, starts, slope, size, part)
    if last < 0:
        return best, np.inf, True
    base = fixed - dear * part.sum()
    for v in range(venues):
        a, b = starts[v], starts[v + 1]
        base += read(usd[a:b], loss[a:b], part[v]) + slope[v] * read(usd[a:b], value[a:b], part[v])
    low = dear + min(base / size, base / (size + lot.max()))
    # Whoever gives the dearest part comes last: around its part lots have no penalty.
    order = np.roll(np.arange(venues), venues - 1 - last)
    lots = np.zeros((venues, CANDIDATES), dtype=np.int64)
    extra = np.zeros((venues, CANDIDATES))
    count = np.zeros(venues, dtype=np.int64)
    proven = True
    most = np.inf
    # The nearest lots first: what they cost limits how far others need be tried.
    for width in (1, CANDIDATES):
        for v in range(venues):
            a, b = starts[v], starts[v + 1]
            count[v] = near(
                usd[a:b], loss[a:b], value[a:b], slope[v], dear, part[v], lot[v], room[v],
                most, lots[v, :width], extra[v, :width],
            )  # fmt: skip
        best, proven = tried(
            usd, loss, value, starts, lot, room, slope, dear, part, base, size,
            order, lots, extra, count, best, found,
        )  # fmt: skip
        most = max((best - dear) * size, (best - dear) * (size + lot.max())) - base
    count[last] = 0
    return best, low, proven and count.max() < CANDIDATES
