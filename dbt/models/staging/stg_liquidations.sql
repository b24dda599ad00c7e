with

source as (

    select * from {{ source('lake', 'liquidations') }}

),

timed as (

    select
        ---------- identity
        source.venue,
        source.underlying,
        source.instrument_id,
        source.trade_id,

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
        source.notional_usd

    from source

    {{ latencies_joined('liquidations', 'source.event_at') }}

),

ranked as (

    select
        *,
        {{ place_among_equals(['day_at', 'instrument_id', 'trade_id', 'side']) }}

    from timed

    where available_at <= {{ as_of() }}

)

select
    venue,
    underlying,
    instrument_id,
    trade_id,
    day_at,
    event_at,
    received_at,
    available_at,
    is_availability_assumed,
    side,
    price,
    quantity_base,
    quantity_contracts,
    notional_usd

from ranked

where place_among_equals = 1
