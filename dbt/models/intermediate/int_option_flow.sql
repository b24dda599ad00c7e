{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='day_at') }}

with

-- Prints of one instant are one step: what stood between them was never quoted.
steps as (

    select
        trades.venue,
        trades.underlying,
        trades.instrument_id,
        trades.day_at,
        trades.event_at,
        max(trades.available_at) as available_at,
        sum({{ exact('coalesce(trades.aggressor_sign, 0) * trades.quantity_base') }}) as bought,
        sum({{ exact('trades.quantity_base') }}) as traded

    from {{ ref('stg_trades') }} as trades

    inner join {{ ref('stg_instruments') }} as instruments
        on
            trades.instrument_id = instruments.instrument_id
            and {{ day_of('trades.event_at') }} = instruments.valid_from

    where instruments.kind = 'option'

    group by trades.venue, trades.underlying, trades.instrument_id, trades.day_at, trades.event_at

)

select
    venue,
    underlying,
    instrument_id,
    day_at,
    event_at,
    max(available_at) over so_far as available_at,
    cast(bought as double) as taker_bought_base,
    cast(traded as double) as traded_base,
    cast(sum(bought) over so_far as double) as day_taker_bought_base

from steps

window so_far as (
    partition by instrument_id, day_at
    order by event_at asc nulls last
)
