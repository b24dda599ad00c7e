import csv
import hashlib
import re
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipelines.simulator import expiries, flow, portfolio, prints
from pipelines.simulator.binance import trades_path
from pipelines.simulator.levels import first_ids, place
from pipelines.simulator.listings import listings
from pipelines.simulator.market import Market, write
from pipelines.simulator.paths import SECONDS, moved_by_orders, simulate
from pipelines.simulator.world import COINS, LISTINGS

SIZE = 0.02
STEP_US = 300_000_000
SPOT_ROW = re.compile(
    r"\d+,\d+\.\d{8},\d+\.\d{8},\d+\.\d{8},(\d{13}|\d{16}),(True|False),(True|False)"
)
FUTURES_ROW = re.compile(r"\d+,\d+(\.\d+)?,\d+(\.\d+)?,\d+(\.\d+)?,\d{13},(true|false)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("market")


@pytest.fixture(scope="module")
def market(folder) -> Market:
    return write(folder, seed=7, size=SIZE, truth=folder / "truth")


def unzipped(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        [member] = archive.namelist()
        assert member == f"{path.stem}.csv"
        return archive.read(member).decode().splitlines()


def trade_rows(market: Market, kind: str, symbol: str, offset: int = 0) -> list[list[str]]:
    path = trades_path(market.archives, kind, symbol, market.day + timedelta(days=offset))
    lines = unzipped(path)
    return list(csv.reader(lines if kind == "spot" else lines[1:]))


def tardis(market: Market, kind: str, group: str) -> pl.DataFrame:
    return pl.read_csv(market.archives / f"tardis/deribit_{kind}_{market.day}_{group}.csv.gz")


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# ---------- the same world again


def test_the_same_seed_writes_the_same_bytes(market, folder, tmp_path):
    write(tmp_path, seed=7, size=SIZE, truth=tmp_path / "truth")
    assert digests(tmp_path) == digests(folder)


def test_another_seed_writes_another_world_with_the_same_files(market, folder, tmp_path):
    write(tmp_path, seed=8, size=SIZE, truth=tmp_path / "truth")
    ours, others = digests(folder), digests(tmp_path)
    assert ours.keys() == others.keys()
    assert all(ours[name] != others[name] for name in ours if name.endswith((".zip", ".csv.gz")))


def test_without_a_truth_folder_nothing_planted_is_written(tmp_path):
    write(tmp_path, seed=7, size=SIZE)
    assert {p.name for p in tmp_path.iterdir()} == {"archives", "portfolio"}


def test_a_whole_day_has_at_least_three_hundred_thousand_trades(market):
    assert market.trade_count / SIZE >= 300_000
    # and the files hold what the market says they hold
    files = list(market.archives.rglob(f"*-trades-{market.day}.zip"))
    rows = sum(len(unzipped(path)) - ("futures" in path.parts) for path in files)
    rows += len(tardis(market, "trades", "PERPETUALS")) + len(tardis(market, "trades", "OPTIONS"))
    assert rows == market.trade_count + len(market.bad_rows)


@pytest.mark.parametrize(("seed", "size"), [(-1, 1.0), (1, 0.0), (1, float("nan"))])
def test_an_impossible_world_is_refused_by_its_values(tmp_path, seed, size):
    with pytest.raises(ValueError, match=f"seed was {seed}, size was {size}"):
        write(tmp_path, seed=seed, size=size)
    assert not any(tmp_path.iterdir())


# ---------- the formats of Binance's archive


def test_spot_files_have_no_header_microseconds_and_capital_booleans(market):
    lines = unzipped(trades_path(market.archives, "spot", "BTCUSDT", market.day))
    assert all(SPOT_ROW.fullmatch(line) for line in lines)
    assert len(lines[0].split(",")[4]) == 16


def test_spot_files_before_2025_count_milliseconds(tmp_path):
    old = write(tmp_path, seed=7, day=date(2024, 12, 30), size=SIZE)
    stamps = [row[4] for row in trade_rows(old, "spot", "BTCUSDT")]
    assert {len(stamp) for stamp in stamps} == {13}


@pytest.mark.parametrize(
    ("kind", "symbol", "size_column"),
    [
        ("um", "BTCUSDT", "quote_qty"),
        ("um", "ETHUSDT", "quote_qty"),
        ("cm", "BTCUSD_PERP", "base_qty"),
    ],
)
def test_futures_files_have_a_header_milliseconds_and_small_booleans(
    market, kind, symbol, size_column
):
    header, *lines = unzipped(trades_path(market.archives, kind, symbol, market.day))
    assert header == f"id,price,qty,{size_column},time,is_buyer_maker"
    assert all(FUTURES_ROW.fullmatch(line) for line in lines)


def test_coin_margined_sizes_are_whole_contracts_of_a_hundred_dollars(market):
    for _, price, contracts, base, _, _ in trade_rows(market, "cm", "BTCUSD_PERP"):
        assert float(base) == pytest.approx(int(contracts) * 100 / float(price), abs=1e-8)


def test_recorded_files_have_the_same_layout(market, recorded):
    root = recorded / "binance_vision"
    theirs = [p for p in root.rglob("*.zip") if "2026-02" in p.name or "2026-01" in p.name]
    assert theirs
    for path in theirs:
        symbol, kind, _ = path.stem.split("-", 2)
        ours = next(
            p
            for p in market.archives.rglob(f"{symbol}-{kind}-*.zip")
            if p.relative_to(market.archives).parts[:-1] == path.relative_to(root).parts[:-1]
        )
        their_shape, our_shape = (
            re.sub(r"True|False", "B", re.sub(r"-?\d+(\.\d+)?", "9", unzipped(p)[0]))
            for p in (path, ours)
        )
        assert our_shape == their_shape


def test_every_zip_is_proved_by_its_checksum(market):
    zips = list(market.archives.rglob("*.zip"))
    assert len(zips) == 17
    for path in zips:
        line = path.with_name(f"{path.name}.CHECKSUM").read_text()
        assert line == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"


# ---------- trades


@pytest.mark.parametrize(
    ("kind", "symbol"),
    [("spot", "BTCUSDT"), ("um", "BTCUSDT"), ("um", "ETHUSDT"), ("cm", "BTCUSD_PERP")],
)
def test_ids_are_contiguous_from_the_day_before_to_the_day_after(market, kind, symbol):
    rows = [row for offset in (-1, 0, 1) for row in trade_rows(market, kind, symbol, offset)]
    ids = np.array([int(row[0]) for row in rows])
    assert (np.diff(ids) == 1).all()
    assert all(len(trade_rows(market, kind, symbol, offset)) > 0 for offset in (-1, 1))


def test_the_one_hole_is_the_planted_one(market):
    rows = trade_rows(market, "spot", "ETHUSDT")
    ids = np.array([int(row[0]) for row in rows])
    [place] = np.flatnonzero(np.diff(ids) != 1)
    gap = market.gap
    assert (ids[place] + 1, ids[place + 1] - 1) == (gap.first_id, gap.last_id)
    epoch = datetime.fromtimestamp(0, UTC)
    ends = [epoch + timedelta(microseconds=int(row[4])) for row in rows[place : place + 2]]
    assert ends == [gap.started_at, gap.ended_at]


def test_the_damaged_rows_are_the_planted_ones(market):
    def is_trade(row):
        try:
            return float(row[1]) > 0 and float(row[2]) > 0
        except ValueError:
            return False

    bad = [int(row[0]) for row in trade_rows(market, "spot", "ETHUSDT") if not is_trade(row)]
    assert bad == [row.trade_id for row in market.bad_rows]
    assert len({row.reason for row in market.bad_rows}) == 4


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_rows_lie_in_their_files_day_in_time_order(market, offset):
    start = datetime.combine(market.day, datetime.min.time(), UTC) + timedelta(days=offset)
    for kind, symbol, per_second in (
        ("spot", "BTCUSDT", 10**6),
        ("um", "BTCUSDT", 10**3),
        ("spot", "ETHUSDT", 10**6),
    ):
        at = np.array([int(row[4]) for row in trade_rows(market, kind, symbol, offset)])
        assert (np.diff(at) >= 0).all()
        assert at[0] >= start.timestamp() * per_second
        assert at[-1] < (start.timestamp() + 86_400) * per_second


def test_the_truth_is_what_the_files_say(market, folder):
    truth = pl.read_parquet(folder / "truth/trades.parquet").filter(
        instrument_id="binance:BTC/USDT:USDT"
    )
    rows = trade_rows(market, "um", "BTCUSDT")
    assert truth["trade_id"].to_list() == [row[0] for row in rows]
    assert truth["price"].to_list() == [float(row[1]) for row in rows]
    np.testing.assert_allclose(truth["quantity_base"], [float(row[2]) for row in rows])
    assert truth["side"].to_list() == ["sell" if row[5] == "true" else "buy" for row in rows]


def test_orders_cluster_and_keep_their_side(market, folder):
    truth = pl.read_parquet(folder / "truth/trades.parquet").filter(
        instrument_id="binance:BTC/USDT"
    )
    sign = np.where(truth["side"] == "buy", 1, -1)
    assert np.corrcoef(sign[1:], sign[:-1])[0, 1] > 0.2
    counts = truth.group_by_dynamic("event_at", every="1m").agg(pl.len())["len"]
    counts = np.pad(counts.to_numpy(), (0, 1_440 - len(counts)))
    assert counts.var() > 1.5 * counts.mean()  # a Poisson process has 1


def test_buys_print_above_the_fair_price_and_sells_below_it():
    listing = LISTINGS[0]
    state = simulate(COINS, 7, SIZE)["BTC"]
    p = prints.prints(state, listing)
    fair = state.spot(p.at_us / 1e6)
    assert (p.sign * (p.price - fair) > 0).all()
    assert (np.abs(p.price / fair - 1) < 0.001).all()


def test_a_sweep_walks_one_tick_further_with_every_fill():
    depth = flow.depth_in_sweep(np.array([1, 1, 1, 2, 2, 2]), np.array([1, 1, -1, -1, 1, 1]))
    assert depth.tolist() == [0, 1, 0, 0, 0, 1]


def test_only_informed_bursts_move_the_price():
    moves: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(12):
        for state in simulate(COINS, seed, SIZE).values():
            for e in state.episodes:
                first, last = np.interp([e.start_s, e.end_s], SECONDS, state.log_spot)
                moves[e.is_informed].append(e.direction * (last - first))
    assert np.mean(moves[True]) > 0.003
    assert abs(np.mean(moves[False])) < 0.001


def test_a_price_is_its_own_path_what_orders_moved_and_a_bridge_to_the_days_end():
    for state in simulate(COINS, 3, SIZE).values():
        moved = moved_by_orders(state)
        bridge = state.log_spot - state.log_spot[0] - state.base - moved
        share = np.append(0.0, np.cumsum(np.repeat(state.variance[:-1], 60)))
        assert bridge == pytest.approx(bridge[-1] * share / share[-1], abs=1e-10)
        assert np.ptp(moved) > 0.001


def test_each_day_has_a_placebo_of_every_kind_and_each_is_what_it_is_called():
    kinds = ("one_sided", "volume", "volatility")
    counts, nets, swings = ({kind: [] for kind in kinds} for _ in range(3))
    for seed in range(12):
        for state in simulate(COINS, seed, 0.2).values():
            assert sum(e.is_informed for e in state.episodes) == 3
            orders = state.flows[f"binance:{state.coin.name}/USDT"]
            usual = len(orders) / 86_400
            for e in state.episodes:
                if e.is_informed:
                    continue
                inside = (orders.at >= e.start_s) & (orders.at < e.end_s)
                counts[e.kind].append(inside.sum() / (usual * (e.end_s - e.start_s)))
                nets[e.kind].append(e.direction * orders.sign[inside].mean())
                path = state.log_spot[e.start_s : e.end_s]
                around = state.log_spot[max(e.start_s - 7_200, 0) : e.start_s]
                swings[e.kind].append(np.diff(path).std() / np.diff(around).std())
    assert all(len(found) == 24 for found in counts.values())
    assert np.mean(counts["volume"]) > 2.5 > 1.5 > np.mean(counts["volatility"])
    assert np.mean(nets["one_sided"]) > 0.2 > 0.1 > abs(np.mean(nets["volume"]))
    assert np.mean(swings["volatility"]) > 1.8 > 1.3 > np.mean(swings["one_sided"])


def test_the_path_realises_what_its_options_imply():
    ratios = []
    for seed in range(12):
        for state in simulate(COINS, seed, SIZE).values():
            path = np.interp(np.arange(0, 86_401, 300), SECONDS, state.log_spot)
            realised = np.sqrt((np.diff(path) ** 2).sum() * 365)
            ratios.append(realised / np.sqrt(state.variance.mean()))
    assert 0.9 < np.mean(ratios) < 1.1


# ---------- funding


def test_settled_rates_follow_the_formula_and_the_schedule(market, folder):
    truth = pl.read_parquet(folder / "truth/funding.parquet")
    for symbol in ("BTCUSDT", "ETHUSDT"):
        name = f"{symbol}-fundingRate-2026-03.zip"
        [path] = market.archives.rglob(name)
        header, *lines = unzipped(path)
        assert header == "calc_time,funding_interval_hours,last_funding_rate"
        cells = [line.split(",") for line in lines]
        assert len(cells) == 9 * 3 + 3
        assert all(int(at) % 28_800_000 < 12 and hours == "8" for at, hours, _ in cells)
        planted = truth.filter(pl.col("instrument_id").str.contains(symbol[:3]))
        for premium, (_, _, rate) in zip(planted["premium_average"], cells, strict=True):
            expected = premium + min(max(0.0001 - premium, -0.0005), 0.0005)
            assert float(rate) == pytest.approx(expected, abs=6e-9)
            assert re.fullmatch(r"-?\d\.\d{8}", rate)


def test_some_premium_shocks_reach_the_rate_and_most_stay_behind_the_clamp(tmp_path):
    write(tmp_path, seed=1, size=SIZE, truth=tmp_path)
    rates = pl.read_parquet(tmp_path / "funding.parquet")["rate"]
    assert 0.5 < (rates == 0.0001).mean() < 1


# ---------- options


def test_sampling_gives_every_snapshot_for_both_coins(market):
    rows = tardis(market, "options_chain", "OPTIONS")
    rows = rows.with_columns(
        grid=-(-pl.col("local_timestamp") // STEP_US) * STEP_US,
        coin=pl.col("symbol").str.head(3),
    )
    sizes = rows.group_by("grid", "coin").agg(pl.len(), pl.col("symbol").n_unique().alias("unique"))
    assert len(sizes) == 2 * market.snapshot_count
    assert (sizes["len"] == sizes["unique"]).all()
    assert (sizes["len"] >= 200).all()
    assert len(rows) == market.option_count
    assert rows["local_timestamp"].is_sorted()
    assert (rows["timestamp"] < rows["local_timestamp"]).all()


def fresh(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(
        grid=-(-pl.col("local_timestamp") // STEP_US) * STEP_US,
    ).filter(pl.col("grid") - pl.col("local_timestamp") < 20_000_000)


def test_put_call_parity_holds_within_the_spread_but_for_what_is_planted_too_dear(market, folder):
    rows = fresh(tardis(market, "options_chain", "OPTIONS")).drop_nulls(["bid_price", "ask_price"])
    rows = rows.with_columns(pair=pl.col("symbol").str.head(-2))
    both = rows.filter(type="call").join(rows.filter(type="put"), on=["pair", "grid"])
    assert len(both) > 500
    high = both["ask_price"] - both["bid_price_right"]
    low = both["bid_price"] - both["ask_price_right"]
    parity = 1 - both["strike_price"] / both["underlying_price"]
    is_broken = (low - 1e-9 > parity) | (parity > high + 1e-9)
    planted = pl.read_parquet(folder / "truth/mispricings.parquet").filter(kind="rich")
    strikes = {
        f"{row['expires_at']:%y%m%d}-{row['instrument_id'].split('-')[2]}"
        for row in planted.to_dicts()
    }
    broken = both.filter(is_broken).select(
        pl.col("expiration").cast(pl.Datetime("us")).dt.strftime("%y%m%d")
        + "-"
        + pl.col("strike_price").cast(pl.Int64).cast(pl.String)
    )
    assert set(broken.to_series()) <= strikes
    assert 0 < len(broken) < 0.02 * len(both)


def test_prices_are_on_the_venues_ticks_and_never_crossed(market):
    rows = tardis(market, "options_chain", "OPTIONS")
    assert (rows["bid_price"] < rows["ask_price"]).drop_nulls().all()
    for side in ("bid_price", "ask_price"):
        price = rows[side].drop_nulls()
        tenths = (price * 10_000).round(6)
        assert (tenths % 1 == 0).all()
        assert (tenths.filter(price > 0.005) % 5 == 0).all()
        assert (price > 0).all()
        share = rows[side].null_count() / len(rows)
        assert 0 < share < 0.2


def test_vols_are_in_percent_and_bracket_the_mark(market):
    rows = fresh(tardis(market, "options_chain", "OPTIONS")).drop_nulls(
        ["bid_iv", "ask_iv", "mark_iv"]
    )
    assert (rows["bid_iv"] < rows["ask_iv"]).all()
    near = rows.filter((pl.col("delta").abs() - 0.5).abs() < 0.1)
    assert near["mark_iv"].is_between(20, 150).all()
    assert ((near["bid_iv"] <= near["mark_iv"]) & (near["mark_iv"] <= near["ask_iv"])).mean() > 0.95


def test_planted_atm_vols_lie_on_the_marks(market):
    rows = (
        tardis(market, "options_chain", "OPTIONS")
        .filter(type="call")
        .with_columns(
            underlying=pl.col("symbol").str.head(3),
            snapshot_at=(-(-pl.col("local_timestamp") // STEP_US) * STEP_US).cast(
                pl.Datetime("us", "UTC")
            ),
            expires_at=pl.col("expiration").cast(pl.Datetime("us", "UTC")),
        )
    )
    joined = market.atm_vols.join(rows, on=["underlying", "snapshot_at", "expires_at"])
    # strikes so near the money, for the expiry's own deviation, that the skew hardly matters
    deviation = (
        pl.col("atm_iv")
        * ((pl.col("expires_at") - pl.col("snapshot_at")).dt.total_seconds() / 31_536_000).sqrt()
    )
    depth = (pl.col("strike_price") / pl.col("forward")).log().abs() / deviation
    near = joined.filter(depth < 0.05)
    assert len(near) > 20
    assert (near["mark_iv"] / 100 - near["atm_iv"]).abs().max() < 0.005
    assert market.atm_vols["atm_iv"].is_between(0.2, 1.5).all()


def test_the_days_own_expiry_leaves_the_board_at_eight(market):
    rows = tardis(market, "options_chain", "OPTIONS").filter(
        pl.col("symbol").str.contains("10MAR26")
    )
    eight = int(datetime(2026, 3, 10, 8, tzinfo=UTC).timestamp() * 1e6)
    assert len(rows) > 0
    assert (rows["local_timestamp"] < eight).all()
    assert (rows["expiration"] == eight).all()


# ---------- futures, silence, portfolio


def test_dated_futures_and_parity_forwards_agree(market):
    rows = tardis(market, "quotes", "FUTURES").filter(symbol="BTC-27MAR26").sort("timestamp")
    options = tardis(market, "options_chain", "OPTIONS").filter(underlying_index="BTC-27MAR26")
    middle = rows.select("timestamp", mid=(pl.col("bid_price") + pl.col("ask_price")) / 2)
    joined = fresh(options).sort("timestamp").join_asof(middle, on="timestamp")
    assert ((joined["underlying_price"] / joined["mid"] - 1).abs() * 1e4).median() < 10


def test_one_perpetual_falls_silent_in_every_file_and_only_there(market):
    silent = {}
    for kind, group in (
        ("quotes", "FUTURES"),
        ("derivative_ticker", "FUTURES"),
        ("trades", "PERPETUALS"),
    ):
        rows = tardis(market, kind, group).with_columns(
            pl.col("timestamp").cast(pl.Datetime("us", "UTC"))
        )
        inside = rows.filter(
            pl.col("timestamp").is_between(
                market.silence.started_at, market.silence.ended_at, closed="left"
            )
        )
        assert "ETH-PERPETUAL" in rows["symbol"]
        silent[kind] = set(rows["symbol"]) - set(inside["symbol"])
    assert all(symbols == {"ETH-PERPETUAL"} for symbols in silent.values())


def test_recorded_tardis_files_have_the_same_columns(market, recorded):
    for kind, group, theirs in (
        ("options_chain", "OPTIONS", "deribit_options_chain_2026-08-01_OPTIONS.csv.gz"),
        ("quotes", "FUTURES", "deribit_quotes_2026-08-01_FUTURES.csv.gz"),
    ):
        assert (
            tardis(market, kind, group).columns == pl.read_csv(recorded / "tardis" / theirs).columns
        )


def test_the_portfolio_holds_listed_instruments_in_whole_lots(market):
    positions = pl.read_csv(market.portfolio / "positions.csv")
    balances = pl.read_csv(market.portfolio / "balances.csv")
    assert (
        set(positions["portfolio_id"])
        == set(balances["portfolio_id"])
        == {account.portfolio_id for account in portfolio.ACCOUNTS}
    )
    one_of_two = positions["quantity_contracts"].is_null() != positions["quantity_base"].is_null()
    assert one_of_two.all()
    lots = {"BTC": 0.1, "ETH": 1.0}
    coins = {account.portfolio_id: account.coin for account in portfolio.ACCOUNTS}
    listed = set(tardis(market, "options_chain", "OPTIONS")["symbol"])
    for row in positions.iter_rows(named=True):
        coin = coins[row["portfolio_id"]]
        quantity = row["quantity_contracts"] or row["quantity_base"]
        parts = row["instrument_id"].split(":")[2].split("-")
        lot = lots[coin] if len(parts) == 4 else 1
        assert quantity / lot == pytest.approx(round(quantity / lot))
        if len(parts) == 4:
            expiry = expiries.venue_date(datetime.strptime(parts[1], "%y%m%d").date())  # noqa: DTZ007
            assert f"{coin}-{expiry}-{parts[2]}-{parts[3]}" in listed


def test_each_account_starts_with_its_planned_delta(market):
    positions = pl.read_csv(market.portfolio / "positions.csv")
    states = simulate(COINS, market.seed, SIZE)
    for account in (a for a in portfolio.ACCOUNTS if a.delta is not None):
        state = states[account.coin]
        book = portfolio.legs(account, state, market.day)
        [contracts] = positions.filter(
            portfolio_id=account.portfolio_id,
            instrument_id=f"deribit:{account.coin}/USD:{account.coin}",
        )["quantity_contracts"]
        price = state.perpetual("deribit", np.array([0.0]))[0]
        usd = contracts * state.coin.perpetual_contract_usd
        net_coins = account.equity + sum(leg.coin_delta for leg in book) + usd / price
        assert abs(net_coins - account.delta) * price <= state.coin.perpetual_contract_usd


# ---------- any day can be made alone, and joins its neighbours


def test_a_day_ends_where_the_next_begins():
    today = simulate(COINS, 7, SIZE)
    tomorrow = simulate(COINS, 7, SIZE, date(2026, 3, 11))
    for name, state in today.items():
        assert state.log_spot[-1] == pytest.approx(tomorrow[name].log_spot[0], abs=1e-9)
        assert state.variance[-1] == pytest.approx(tomorrow[name].variance[0], abs=1e-9)
        for market, path in state.premium.items():
            assert path[-1] == pytest.approx(tomorrow[name].premium[market][0], abs=1e-9)


def test_ids_go_on_over_midnight_for_every_market():
    today, tomorrow = (simulate(COINS, 7, SIZE, date(2026, 3, d)) for d in (10, 11))
    for listing in listings(date(2026, 3, 10)):
        last = prints.prints(today[listing.coin.name], listing)
        first = prints.prints(tomorrow[listing.coin.name], listing)
        assert last.trade_id[-1] + 1 == first.trade_id[0]
        assert (np.diff(last.trade_id) == 1).all()
        counted = first_ids(listing, 7, SIZE)[place(date(2026, 3, 10)) :][:2]
        assert counted.tolist() == [last.trade_id[0], first.trade_id[0]]
