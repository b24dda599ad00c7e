"""What can be downloaded of the world of one seed, beside what it answers over the wire?

Of the days themselves every change of the best quotes, and prints of the days before: volume
buckets are sized by them, and what is unusual is so beside them.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from pipelines.simulator import binance, streams
from pipelines.simulator.history import History
from pipelines.simulator.world import LISTINGS

# A window of fifty buckets and a hundred more are what it takes to say which are high: three days'
# worth, after one that sizes them.
DAYS_BEFORE = 4
MARKETS_BEFORE = ("um",)  # which trade most


def write(folder: Path, history: History, days: Sequence[date]) -> list[Path]:
    """Files of the days, and trades of the perpetuals on the days before, whole and sound."""
    before = [days[0] - timedelta(days=n) for n in range(DAYS_BEFORE, 0, -1)]
    wanted = [listing for listing in LISTINGS if listing.market in MARKETS_BEFORE]
    return [
        *streams.write(folder, history, days),
        *(
            binance.write_day(folder, history.prints(listing, day), day)
            for day in before
            for listing in wanted
        ),
    ]
