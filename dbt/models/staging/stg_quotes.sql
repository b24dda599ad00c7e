with

source as (

    select * from {{ source('lake', 'quotes') }}

),

timed as (

    select
        ---------- identity
        source.venue,
        source.underlying,
        source.instrument_id,

        ---------- time
        source.day_at,
        source.snapshot_at,
        source.received_at,
        {{ availability('source.received_at', 'source.snapshot_at') }},

        ---------- measures
        source.bid_price,
        source.bid_quantity_base,
        source.ask_price,
        source.ask_quantity_base,
        source.mark_price,
        source.index_price,
        source.last_price,
        source.open_interest_contracts,
        source.open_interest_base,
        source.open_interest_usd,
        source.volume_24h_usd,
        case
            when source.bid_price <= source.ask_price then (source.bid_price + source.ask_price) / 2
        end as mid_price

    from source

    {{ latencies_joined('quotes', 'source.snapshot_at') }}

),

ranked as (

    select
        *,
        {{ place_among_equals(['day_at', 'instrument_id', 'snapshot_at']) }}

    from timed

    where available_at <= {{ as_of() }}

)

select
    venue,
    underlying,
    instrument_id,
    day_at,
    snapshot_at,
    received_at,
    available_at,
    is_availability_assumed,
    bid_price,
    bid_quantity_base,
    ask_price,
    ask_quantity_base,
    mark_price,
    index_price,
    last_price,
    open_interest_contracts,
    open_interest_base,
    open_interest_usd,
    volume_24h_usd,
    mid_price

from ranked

where place_among_equals = 1
