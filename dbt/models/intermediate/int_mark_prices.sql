with

exposed as (

    select distinct underlying from {{ ref('int_position_underlyings') }}

),

dollar_instruments as (

    select distinct
        instruments.instrument_id,
        instruments.kind

    from {{ ref('stg_instruments') }} as instruments

    inner join exposed
        on instruments.underlying = exposed.underlying

    inner join {{ ref('quote_assets') }} as quote_assets
        on instruments.quote = quote_assets.asset and quote_assets.is_dollar

    where instruments.kind in ('spot', 'perp', 'future')

),

books as (

    select
        quotes.*,
        dollar_instruments.kind

    from {{ ref('stg_quotes') }} as quotes

    inner join dollar_instruments
        on quotes.instrument_id = dollar_instruments.instrument_id

),

observed as (

    select
        venue,
        underlying,
        instrument_id,
        kind,
        'mid' as feed,
        snapshot_at as priced_at,
        available_at,
        mid_price as price,
        10000 * (ask_price - bid_price) / 2 / mid_price as spread_bps,
        bid_quantity_base * mid_price as bid_usd,
        ask_quantity_base * mid_price as ask_usd

    from books

    where mid_price is not null

    union all

    select
        venue,
        underlying,
        instrument_id,
        kind,
        'mark' as feed,
        snapshot_at as priced_at,
        available_at,
        mark_price as price,
        null as spread_bps,
        null as bid_usd,
        null as ask_usd

    from books

    where mark_price is not null

    union all

    select
        bars.venue,
        bars.underlying,
        bars.instrument_id,
        dollar_instruments.kind,
        'last' as feed,
        {{ minute_end('bars.minute_at') }} as priced_at,
        bars.available_at,
        bars.close_price as price,
        null as spread_bps,
        null as bid_usd,
        null as ask_usd

    from {{ ref('bars_1m') }} as bars

    inner join dollar_instruments
        on bars.instrument_id = dollar_instruments.instrument_id

),

-- One row per moment of knowledge: of rows that became known together the latest counts.
ranked as (

    select
        *,
        row_number() over (
            partition by instrument_id, feed, available_at
            order by priced_at desc nulls last
        ) as place

    from observed

)

select
    venue,
    underlying,
    instrument_id,
    kind,
    feed,
    priced_at,
    available_at,
    price,
    spread_bps,
    bid_usd,
    ask_usd

from ranked

where place = 1
