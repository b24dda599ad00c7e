{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='snapshot_at') }}

with

measured as (

    select
        venue,
        underlying,
        instrument_id,
        snapshot_at,
        quoted_at,
        stood_at,
        available_at,
        is_availability_assumed,
        kind,
        is_dollar,
        -- Price times coins is quote currency, for inverse contracts too; only dollars are dollars.
        case when is_dollar then 1e0 end as usd_per_quote,
        book_depths(levels) as book,
        book_ladder(levels) as ladder

    from {{ ref('int_books') }}

)

select
    venue,
    underlying,
    instrument_id,
    snapshot_at,
    quoted_at,
    stood_at,
    available_at,
    is_availability_assumed,
    kind,
    is_dollar,
    book.book_status,
    book.mid_price,
    book.bid_price as best_bid_price,
    book.ask_price as best_ask_price,
    book.bid_quantity_base as best_bid_quantity_base,
    book.ask_quantity_base as best_ask_quantity_base,
    10000 * (book.ask_price - book.bid_price) / book.mid_price as spread_bps,
    book.book_status = 'crossed' as is_crossed,
    book.book_status = 'one_sided' as is_one_sided,
    book.bid_levels,
    book.ask_levels,
    book.unusable_levels,
    book.doubled_levels,
    book.depth_bid_5bps * usd_per_quote as depth_bid_5bps_usd,
    book.depth_bid_10bps * usd_per_quote as depth_bid_10bps_usd,
    book.depth_bid_25bps * usd_per_quote as depth_bid_25bps_usd,
    book.depth_bid_50bps * usd_per_quote as depth_bid_50bps_usd,
    book.depth_bid_100bps * usd_per_quote as depth_bid_100bps_usd,
    book.recorded_bid * usd_per_quote as recorded_bid_usd,
    book.reach_bid_bps,
    book.depth_ask_5bps * usd_per_quote as depth_ask_5bps_usd,
    book.depth_ask_10bps * usd_per_quote as depth_ask_10bps_usd,
    book.depth_ask_25bps * usd_per_quote as depth_ask_25bps_usd,
    book.depth_ask_50bps * usd_per_quote as depth_ask_50bps_usd,
    book.depth_ask_100bps * usd_per_quote as depth_ask_100bps_usd,
    book.recorded_ask * usd_per_quote as recorded_ask_usd,
    book.reach_ask_bps,
    -- The widest band that both sides reach; of a book cut off before 5 bps, all there is.
    case
        when book.depth_bid_10bps is not null and book.depth_ask_10bps is not null then 10
        when book.depth_bid_5bps is not null and book.depth_ask_5bps is not null then 5
        else 0
    end as thinner_width_bps,
    usd_per_quote * case
        when book.depth_bid_10bps is not null and book.depth_ask_10bps is not null
            then least(book.depth_bid_10bps, book.depth_ask_10bps)
        when book.depth_bid_5bps is not null and book.depth_ask_5bps is not null
            then least(book.depth_bid_5bps, book.depth_ask_5bps)
        else least(book.recorded_bid, book.recorded_ask)
    end as thinner_depth_usd,
    ladder

from measured
