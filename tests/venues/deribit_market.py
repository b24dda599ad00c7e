"""A small Deribit that answers as the real one does, and can be told to answer badly."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.misbehaving import Asked, Said, json, result

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

Row = dict[str, Any]
Tamper = Callable[[str, Asked, Any], Any]


def print_row(name: str, number: int, stamp: int, price: float, **more: Any) -> Row:
    return {
        "trade_seq": number,
        "trade_id": f"{name}-{number}",
        "timestamp": stamp,
        "instrument_name": name,
        "direction": "buy" if number % 3 else "sell",
        "price": price,
        "amount": 10.0 * (1 + number % 5),
        "mark_price": price,
        "index_price": 60_000.0,
        "tick_direction": 1,
        "contracts": 1.0 * (1 + number % 5),
    } | more


@dataclass(slots=True)
class Market:
    """What it holds, by instrument. `tamper` may change any result before it is sent."""

    now_ms: int
    listed: list[Row] = field(default_factory=list)
    expired: list[Row] = field(default_factory=list)
    prints: dict[str, list[Row]] = field(default_factory=dict)
    history: dict[str, list[Row]] = field(default_factory=dict)
    tamper: Tamper = lambda method, asked, value: value
    knows_candles: bool = True

    def __call__(self, asked: Asked) -> Said:
        host, *_, method = asked.path.strip("/").split("/")
        held = self.history if host == "history.deribit.com" else self.prints
        answer = getattr(self, method, None)
        if answer is None or (method == "get_tradingview_chart_data" and not self.knows_candles):
            return json({"error": {"code": -32601, "message": "Method not found"}}, 400)
        value = answer(asked.params, held) if "trades" in method else answer(asked.params)
        value = self.tamper(method, asked, value)
        return value if isinstance(value, Said) else result(value, usOut=self.now_ms * 1000)

    def get_instruments(self, params: dict[str, str]) -> list[Row]:
        rows = self.expired if params["expired"] == "true" else self.listed
        return [
            r
            for r in rows
            if r["kind"] == params["kind"] and r["instrument_name"].startswith(params["currency"])
        ]

    def get_last_trades_by_instrument(self, params: dict[str, str], held: Any) -> Row:
        low, high = int(params.get("start_seq", 0)), int(params.get("end_seq", 2**60))
        return _trades(params, held, lambda row: low <= row["trade_seq"] <= high)

    def get_last_trades_by_instrument_and_time(self, params: dict[str, str], held: Any) -> Row:
        low, high = int(params["start_timestamp"]), int(params["end_timestamp"])
        return _trades(params, held, lambda row: low <= row["timestamp"] <= high)

    def get_last_trades_by_currency_and_time(self, params: dict[str, str], held: Any) -> Row:
        """Of one kind, all instruments, in the order of time."""
        low, high, count = (
            int(params[name]) for name in ("start_timestamp", "end_timestamp", "count")
        )
        is_option = params["kind"] == "option"
        found = [
            row
            for name, rows in held.items()
            if name.startswith(params["currency"]) and (name.count("-") == 3) == is_option
            for row in rows
            if low <= row["timestamp"] <= min(high, self.now_ms)
        ]
        found.sort(key=lambda row: row["timestamp"])
        return {"trades": found[:count], "has_more": len(found) > count}

    def get_tradingview_chart_data(self, params: dict[str, str]) -> Row:
        low, high = int(params["start_timestamp"]), int(params["end_timestamp"])
        name = params["instrument_name"]
        rows = self.history.get(name, self.prints.get(name, []))
        inside = [row for row in rows if low <= row["timestamp"] <= high]
        if not inside:
            return {"status": "no_data", "ticks": [], "volume": []}
        is_option = name.count("-") == 3
        volume = sum(r["amount"] / (1 if is_option else r["price"]) for r in inside)
        return {"status": "ok", "ticks": [low], "volume": [round(volume, 8)]}

    def get_funding_rate_history(self, params: dict[str, str]) -> list[Row]:
        low, high = int(params["start_timestamp"]), int(params["end_timestamp"])
        hours = range(-(-low // HOUR_MS) * HOUR_MS, min(high, self.now_ms) + 1, HOUR_MS)
        return [
            {
                "timestamp": stamp,
                "index_price": 60_000.0,
                "prev_index_price": 59_990.0,
                "interest_8h": 8e-5,
                "interest_1h": 1e-5 + (stamp // HOUR_MS % 24) * 1e-7,
            }
            for stamp in hours
        ]

    def get_volatility_index_data(self, params: dict[str, str]) -> Row:
        step = int(params["resolution"]) * 1000
        low, high = int(params["start_timestamp"]), int(params["end_timestamp"])
        stamps = list(range(low, min(high, self.now_ms) + 1, step))
        page = stamps[-1000:]
        rows = [[stamp, 50.0, 51.5, 49.5, 50.5] for stamp in page]
        more = page[0] - 1 if len(stamps) > len(page) else None
        return {"data": rows, "continuation": more}

    def get_last_settlements_by_currency(self, params: dict[str, str]) -> Row:
        latest = int(params["search_start_timestamp"])
        first = int(params.get("continuation", "0"))
        eight = latest // DAY_MS * DAY_MS + 8 * HOUR_MS
        rows = [
            {
                "type": params["type"],
                "timestamp": eight - day * DAY_MS + 44,
                "instrument_name": f"{params['currency']}-PERPETUAL"
                if params["type"] == "settlement"
                else f"{params['currency']}-10MAR26-{strike}-C",
                "index_price": 60_000.5,
                "mark_price": 0.01,
                "position": 5.0,
            }
            for day in range(4)
            for strike in (50_000, 55_000)
            if eight - day * DAY_MS <= latest
        ]
        page = rows[first : first + 3]
        more = str(first + 3) if first + 3 < len(rows) else "none"
        return {"settlements": page, "continuation": more}

    def get_index_price(self, params: dict[str, str]) -> Row:
        return {"index_price": 60_000.0, "estimated_delivery_price": 60_000.0}

    def ticker(self, params: dict[str, str]) -> Row:
        name = params["instrument_name"]
        is_option = name.count("-") == 3
        state: Row = {
            "timestamp": self.now_ms - 100,
            "instrument_name": name,
            "state": "open",
            "mark_price": 0.05 if is_option else 60_010.0,
            "index_price": 60_000.0,
            "last_price": None if is_option else 60_005.0,
            "best_bid_price": 0.0 if is_option else 60_009.5,
            "best_bid_amount": 0.0 if is_option else 1_200.0,
            "best_ask_price": 0.051 if is_option else 60_010.5,
            "best_ask_amount": 3.0,
            "open_interest": 25.0 if is_option else 1_200_000,
            "stats": {"volume": 3.0, "volume_usd": 9_000.0, "price_change": None},
        }
        if is_option:
            greeks = {"delta": 0.5, "gamma": 1e-5, "vega": 60.0, "theta": -40.0, "rho": 1.0}
            state |= {"mark_iv": 62.5, "bid_iv": 0.0, "ask_iv": 64.0, "greeks": greeks}
            state |= {"underlying_price": 60_100.0, "underlying_index": "BTC-27MAR26"}
        if name.endswith("PERPETUAL"):
            state |= {"current_funding": 1.5e-4, "funding_8h": 1.2e-4}
        return state

    def get_order_book(self, params: dict[str, str]) -> Row:
        depth = int(params["depth"])
        return {
            "timestamp": self.now_ms - 50,
            "instrument_name": params["instrument_name"],
            "change_id": 1,
            "bids": [[60_000.0 - n * 0.5, 600.0] for n in range(min(depth, 3))],
            "asks": [[60_000.5 + n * 0.5, 1_200.0] for n in range(min(depth, 2))],
        }

    def get_book_summary_by_currency(self, params: dict[str, str]) -> list[Row]:
        return [
            {
                "instrument_name": row["instrument_name"],
                "bid_price": None,
                "ask_price": 0.051,
                "mark_price": 0.05,
                "mid_price": None,
                "last": 0.049,
                "mark_iv": 62.5,
                "underlying_price": 60_100.0,
                "underlying_index": "BTC-27MAR26",
                "open_interest": 25.0,
                "volume": 0.5,
                "volume_usd": 9_000.0,
                "creation_timestamp": self.now_ms,
            }
            for row in self.get_instruments(params | {"expired": "false"})
        ]


def _trades(params: dict[str, str], held: Any, wanted: Callable[[Row], bool]) -> Row:
    found = [row for row in held.get(params["instrument_name"], []) if wanted(row)]
    found.sort(key=lambda row: row["trade_seq"], reverse=params["sorting"] == "desc")
    count = int(params["count"])
    return {"trades": found[:count], "has_more": len(found) > count}


def declaration(name: str, kind: str, expires: int, **more: Any) -> Row:
    return {
        "instrument_name": name,
        "kind": kind,
        "base_currency": name[:3],
        "quote_currency": "USD",
        "contract_size": 10.0 if kind == "future" else 1.0,
        "tick_size": 0.5 if kind == "future" else 0.0005,
        "min_trade_amount": 10.0 if kind == "future" else 0.1,
        "creation_timestamp": 1_600_000_000_000,
        "expiration_timestamp": expires,
        "is_active": True,
        "settlement_period": "month",
    } | more
