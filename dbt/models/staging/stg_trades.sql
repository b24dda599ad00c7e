with

source as (

    select * from {{ source('lake', 'trades') }}

),

timed as (

    select
        ---------- identity
        source.venue,
        source.underlying,
        source.instrument_id,
        source.trade_id,
        source.sequence,
        source.combo_id,

        ---------- time
        source.day_at,
        source.event_at,
        source.received_at,
        {{ availability('source.received_at', 'source.event_at') }},

        ---------- measures
        source.side,
        source.price,
        source.quantity_base,
        source.quantity_contracts,
        source.notional_usd,
        source.mark_price,
        source.index_price,
        source.iv,
        source.is_block,
        source.is_liquidation,
        case source.side when 'buy' then 1 when 'sell' then -1 end as aggressor_sign

    from source

    {{ latencies_joined('trades', 'source.event_at') }}

)

-- The gate lets one row of a key into a partition; asking again of every print would double the
-- cost of a day.
select
    venue,
    underlying,
    instrument_id,
    trade_id,
    sequence,
    combo_id,
    day_at,
    event_at,
    received_at,
    available_at,
    is_availability_assumed,
    side,
    price,
    quantity_base,
    quantity_contracts,
    notional_usd,
    mark_price,
    index_price,
    iv,
    is_block,
    is_liquidation,
    aggressor_sign

from timed

where available_at <= {{ as_of() }}
