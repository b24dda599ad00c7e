"""Which spot markets, perpetuals and futures trade on a day, where and under which name?"""

from datetime import date, timedelta
from functools import cache

from pipelines.simulator.expiries import FUTURE_LEAD, future_expiries, venue_date
from pipelines.simulator.world import BTC, COINS, EPOCH, ETH, LISTINGS, Coin, Listing

PERPETUAL_IDS = 1_234_500
FURTHER = (
    Listing("cm", ETH, "ETHUSD_PERP", "binance:ETH/USD:ETH", 0.01, 1, 10, 5_000, PERPETUAL_IDS),
)
# prints a day of a dated future
DATED_TRADES = {"um": 1_500, "cm": 900, "deribit": 1_200}
UM_TICK = {"BTC": 0.1, "ETH": 0.01}
CM_CONTRACT_USD = {"BTC": 100, "ETH": 10}


@cache
def listings(day: date) -> tuple[Listing, ...]:
    """Every market that trades on the day, those that expire at eight that morning included."""
    dated = [
        make(coin, expiry)
        for coin in COINS
        for expiry in future_expiries(day)
        for make in (deribit_future, um_future, cm_future)
    ]
    return (*LISTINGS, *FURTHER, *dated)


def of_market(market: str, day: date) -> tuple[Listing, ...]:
    """The markets of one venue's section: spot, um, cm or deribit."""
    return tuple(listing for listing in listings(day) if listing.market == market)


def _listed(expiry: date) -> date:
    return max(expiry - timedelta(days=FUTURE_LEAD), EPOCH)


@cache
def deribit_future(coin: Coin, expiry: date) -> Listing:
    """BTC-27MAR26, inverse, in contracts of US dollars."""
    return Listing(
        "deribit",
        coin,
        f"{coin.name}-{venue_date(expiry)}",
        f"deribit:{coin.name}/USD:{coin.name}-{expiry:%y%m%d}",
        coin.future_tick,
        1,
        coin.perpetual_contract_usd,
        DATED_TRADES["deribit"],
        1,
        _listed(expiry),
        expiry,
    )


@cache
def um_future(coin: Coin, expiry: date) -> Listing:
    """BTCUSDT_260327, linear, sized in coin."""
    return Listing(
        "um",
        coin,
        f"{coin.name}USDT_{expiry:%y%m%d}",
        f"binance:{coin.name}/USDT:USDT-{expiry:%y%m%d}",
        UM_TICK[coin.name],
        1e-3,
        0,
        DATED_TRADES["um"],
        1,
        _listed(expiry),
        expiry,
    )


@cache
def cm_future(coin: Coin, expiry: date) -> Listing:
    """BTCUSD_260327, inverse, in contracts of US dollars."""
    return Listing(
        "cm",
        coin,
        f"{coin.name}USD_{expiry:%y%m%d}",
        f"binance:{coin.name}/USD:{coin.name}-{expiry:%y%m%d}",
        0.1 if coin is BTC else 0.01,
        1,
        CM_CONTRACT_USD[coin.name],
        DATED_TRADES["cm"],
        1,
        _listed(expiry),
        expiry,
    )
