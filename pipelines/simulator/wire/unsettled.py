"""Which trades does the venue not show yet, never show, or show with a size it corrects later?"""

import numpy as np

from pipelines.simulator import noise
from pipelines.simulator.history import DAY_US
from pipelines.simulator.wire.faults import Faults
from pipelines.simulator.world import Ints

LATE_US = (2 * 3_600_000_000, 20 * 3_600_000_000)  # after the trade, at least and at most
RUN = 16  # trades that are lost together
REVISED_AFTER_US = 12 * 3_600_000_000  # after the end of the day


def is_shown(faults: Faults, symbol: str, ids: Ints, at_us: Ints, now_us: int) -> np.ndarray:
    """Whether each trade is served at `now_us`."""
    shown = at_us <= now_us
    if share := faults.amount("lost"):
        shown &= noise.uniform(noise.key(faults.seed, "lost", symbol), ids // RUN) >= share
    if share := faults.amount("late"):
        purpose = noise.key(faults.seed, "late", symbol)
        wait = LATE_US[0] + (LATE_US[1] - LATE_US[0]) * noise.uniform(purpose + 2, ids)
        shown &= (noise.uniform(purpose, ids) >= share) | (at_us + wait <= now_us)
    return shown


def is_first_version(
    faults: Faults, symbol: str, ids: Ints, at_us: Ints, now_us: int
) -> np.ndarray:
    """Whether each trade is still served with the size that will be corrected to twice as much."""
    share = faults.amount("revised")
    if not share:
        return np.zeros(len(ids), dtype=bool)
    corrected = (at_us // DAY_US + 1) * DAY_US + REVISED_AFTER_US
    drawn = noise.uniform(noise.key(faults.seed, "revised", symbol), ids)
    return np.asarray((drawn < share) & (now_us < corrected))
