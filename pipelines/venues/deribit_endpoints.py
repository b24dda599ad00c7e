"""What is Deribit asked, and when is an answer not one to the question?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pipelines.budget import Budget
from pipelines.transport import Complaint
from pipelines.universe import Instrument
from pipelines.venues import deribit_proofs as proofs
from pipelines.venues import deribit_wire as wire
from pipelines.venues.base import EPOCH, Endpoint, Window
from pipelines.venues.deribit_wire import Form

HISTORY = "https://history.deribit.com"  # prints older than a day, of what has expired too
BUDGET = Budget("deribit", tokens=50, per_s=20)  # unauthenticated: 20 a second, 100 at once
PAGE = 1000
FRESH = timedelta(minutes=5)  # a state further than this from its snapshot belongs to another
LATEST_MS = 10**14  # stamps beyond it are no dates
FUNDING_SLACK = timedelta(minutes=1)  # settlements jitter around their hour


def _endpoint(method: str, form: Form, **more: Any) -> Endpoint:
    return Endpoint(
        method,
        form.path,
        form.shape,
        BUDGET,
        present=form.present,
        is_single=form.is_single,
        **more,
    )


BY_NUMBER = _endpoint(
    "publicGetGetLastTradesByInstrument",
    wire.TRADE,
    may_be_empty=True,
    is_table=True,
    page_size=PAGE,
)
BY_TIME = replace(BY_NUMBER, method="publicGetGetLastTradesByInstrumentAndTime", page_size=None)
NEWEST = replace(BY_NUMBER, page_size=None)
LISTING = _endpoint("publicGetGetInstruments", wire.INSTRUMENT, may_be_empty=True)
TICKERS: Mapping[str, Endpoint] = {
    "perp": _endpoint("publicGetTicker", wire.PERPETUAL_TICKER),
    "future": _endpoint("publicGetTicker", wire.FUTURE_TICKER),
    "option": _endpoint("publicGetTicker", wire.OPTION_TICKER),
}
SUMMARY = _endpoint("publicGetGetBookSummaryByCurrency", wire.SUMMARY)
BOOK = replace(_endpoint("publicGetGetOrderBook", wire.BOOK), shape=wire.BOOK_STEM)
FUNDING = _endpoint("publicGetGetFundingRateHistory", wire.FUNDING, may_be_empty=True)
VOLATILITY = _endpoint(
    "publicGetGetVolatilityIndexData", wire.VOLATILITY, may_be_empty=True, page_size=PAGE
)
INDEX = _endpoint("publicGetGetIndexPrice", wire.INDEX)
SETTLEMENTS = _endpoint(
    "publicGetGetLastSettlementsByCurrency", wire.SETTLEMENT, may_be_empty=True, page_size=PAGE
)
CANDLES = _endpoint("publicGetGetTradingviewChartData", wire.CANDLES)


def is_empty(found: Sequence[Any]) -> str | None:
    """A coin always has something listed."""
    return None if found else "holds no rows"


def state_of(item: Instrument, at: datetime) -> Complaint:
    """Complains of another instrument's state, and of one that is not of `at`."""

    def fault(found: Sequence[Any]) -> str | None:
        (row,) = found
        if row["instrument_name"] != item.native_symbol:
            return f"is of {row['instrument_name']}"
        return stale(at, "timestamp", found)

    return fault


def stale(at: datetime, field: str, found: Sequence[Any]) -> str | None:
    """Complains where the latest stamp in `field` is not of `at`."""
    stamps = list(stamped(found, field))
    latest = moment(max(stamps)) if stamps else None
    if latest is None or abs(latest - at) <= FRESH:
        return None
    return f"is of {latest.isoformat()}, not of {at.isoformat()}"


def outside(window: Window, slack: timedelta, found: Sequence[Any]) -> str | None:
    """Complains of rows that are not in the window that was asked for."""
    for stamp in stamped(found, "timestamp"):
        if not window.start - slack <= moment(stamp) <= window.end + slack:
            return f"holds a row of {moment(stamp).isoformat()}, which was not asked for"
    return None


def unreadable_candles(window: Window, found: Sequence[Any]) -> str | None:
    volume = proofs.candle_volume(found[0], window)
    return volume if isinstance(volume, str) else None


def stamped(found: Sequence[Any], field: str) -> Iterable[int]:
    """The stamps of the rows that have one; candles begin with theirs."""
    for row in found:
        is_candle = isinstance(row, list) and bool(row)
        stamp = row[0] if is_candle else row.get(field) if isinstance(row, dict) else None
        if type(stamp) is int and 0 < stamp < LATEST_MS:
            yield stamp


def moment(stamp: int) -> datetime:
    return EPOCH + timedelta(milliseconds=stamp)
