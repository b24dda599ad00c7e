{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='day_at',
    meta={'reads_day_before': true},
) }}

{# A print's last horizon is five minutes away and a quote counts for five seconds. #}
{% set carried_s = 300 %}
{% set quotes_carried_s = 305 %}
{% set stood_at = quote_stood_at() %}
{# Files of the day before are read from where an answer a quarter of an hour late was asked for. #}
{% set quotes_read_s = 1205 %}

with

-- Each day sees the last minutes of the one before: what was still to come of their prints.
prints as (

    select
        venue,
        underlying,
        instrument_id,
        day_at,
        event_at,
        available_at,
        sequence,
        aggressor_sign,
        price,
        quantity_base,
        notional_usd

    from {{ uncut(ref('stg_trades')) }}

    where not is_block and {{ in_batch('day_at') }}

    union all

    select
        venue,
        underlying,
        instrument_id,
        {{ plus_seconds('day_at', 86400) }} as day_at,
        event_at,
        available_at,
        sequence,
        aggressor_sign,
        price,
        quantity_base,
        notional_usd

    from {{ uncut(ref('stg_trades')) }}

    where
        not is_block
        and {{ in_batch_or_day_before('day_at') }}
        and {{ in_batch(plus_seconds('day_at', 86400)) }}
        and event_at >= {{ plus_seconds('day_at', 86400 - carried_s) }}

),

print_lists as (

    select
        venue,
        underlying,
        instrument_id,
        day_at,
        {{ records({
            'at_us': micros('event_at'),
            'sequence': 'sequence',
            'sign': 'cast(aggressor_sign as bigint)',
            'price': 'price',
            'size': 'quantity_base',
            'usd': 'notional_usd',
            'known_us': micros('available_at'),
        }) }} as prints

    from prints

    group by venue, underlying, instrument_id, day_at

),

-- A row without a bid and an ask is a mark or an index: it says nothing of the book. Each source is
-- read twice, so that of the day before only the files' last rows are.
quotes as (

    select
        venue,
        underlying,
        instrument_id,
        day_at,
        {{ stood_at }} as stood_at,
        available_at,
        bid_price,
        ask_price,
        bid_quantity_base,
        ask_quantity_base,
        false as is_book,
        is_every_update

    from {{ uncut(ref('stg_quotes')) }}

    where
        (bid_price is not null or ask_price is not null)
        and {{ in_batch('day_at') }}
        and {{ stood_at }} < {{ day_end('day_at') }}

    union all

    select
        venue,
        underlying,
        instrument_id,
        {{ plus_seconds('day_at', 86400) }} as day_at,
        {{ stood_at }} as stood_at,
        available_at,
        bid_price,
        ask_price,
        bid_quantity_base,
        ask_quantity_base,
        false as is_book,
        is_every_update

    from {{ uncut(ref('stg_quotes')) }}

    where
        (bid_price is not null or ask_price is not null)
        and {{ in_batch_or_day_before('day_at') }}
        and {{ in_batch(plus_seconds('day_at', 86400)) }}
        and snapshot_at >= {{ plus_seconds('day_at', 86400 - quotes_read_s) }}
        and {{ stood_at }} >= {{ plus_seconds('day_at', 86400 - quotes_carried_s) }}

    union all

    select
        venue,
        underlying,
        instrument_id,
        {{ day_of('snapshot_at') }} as day_at,
        stood_at,
        available_at,
        best_bid_price as bid_price,
        best_ask_price as ask_price,
        best_bid_quantity_base as bid_quantity_base,
        best_ask_quantity_base as ask_quantity_base,
        true as is_book,
        false as is_every_update

    from {{ uncut(ref('int_book_depths')) }}

    where
        {{ in_batch('snapshot_at') }}
        and stood_at < {{ day_end(day_of('snapshot_at')) }}

    union all

    select
        venue,
        underlying,
        instrument_id,
        {{ plus_seconds(day_of('snapshot_at'), 86400) }} as day_at,
        stood_at,
        available_at,
        best_bid_price as bid_price,
        best_ask_price as ask_price,
        best_bid_quantity_base as bid_quantity_base,
        best_ask_quantity_base as ask_quantity_base,
        true as is_book,
        false as is_every_update

    from {{ uncut(ref('int_book_depths')) }}

    where
        {{ in_batch_or_day_before('snapshot_at') }}
        and {{ in_batch(plus_seconds('snapshot_at', 86400)) }}
        and snapshot_at >= {{ plus_seconds(day_of('snapshot_at'), 86400 - quotes_read_s) }}
        and stood_at >= {{ plus_seconds(day_of('snapshot_at'), 86400 - quotes_carried_s) }}

),

quote_lists as (

    select
        venue,
        underlying,
        instrument_id,
        day_at,
        {{ records({
            'at_us': micros('stood_at'),
            'bid': 'bid_price',
            'ask': 'ask_price',
            'bid_size': 'bid_quantity_base',
            'ask_size': 'ask_quantity_base',
            'known_us': micros('available_at'),
            'is_book': 'is_book',
            'is_every_update': 'is_every_update',
        }) }} as quotes

    from quotes

    group by venue, underlying, instrument_id, day_at

),

options as (

    select distinct instrument_id

    from {{ ref('stg_instruments') }}

    where kind = 'option'

),

days as (

    select
        coalesce(print_lists.venue, quote_lists.venue) as venue,
        coalesce(print_lists.underlying, quote_lists.underlying) as underlying,
        coalesce(print_lists.instrument_id, quote_lists.instrument_id) as instrument_id,
        coalesce(print_lists.day_at, quote_lists.day_at) as day_at,
        print_lists.prints,
        quote_lists.quotes

    from print_lists

    full outer join quote_lists
        on
            print_lists.instrument_id = quote_lists.instrument_id
            and print_lists.day_at = quote_lists.day_at

),

bounded as (

    -- The chain of options has quotes of its own, in a mart of its own.
    select
        days.*,
        {{ micros('days.day_at') }} as start_us,
        {{ micros(day_end('days.day_at')) }} as end_us

    from days

    left join options
        on days.instrument_id = options.instrument_id

    where options.instrument_id is null

)

select
    venue,
    underlying,
    instrument_id,
    day_at,
    spread_minutes(prints, quotes, start_us, end_us) as minutes,
    impact_hours(prints, quotes, start_us, end_us) as hours,
    imbalance_minutes(quotes, start_us, end_us) as imbalances

from bounded
