with

source as (

    -- A candle bears its start and is usable only from its end.
    select
        *,
        {{ plus_seconds('event_at', 'coalesce(interval_s, 0)') }} as ended_at

    from {{ source('lake', 'index_prices') }}

),

timed as (

    select
        ---------- identity
        source.venue,
        source.underlying,
        source.instrument_id,

        ---------- time
        source.event_at,
        source.ended_at,
        source.received_at,
        {{ availability('source.received_at', 'source.ended_at') }},

        ---------- measures
        source.interval_s,
        source.open,
        source.high,
        source.low,
        source.close

    from source

    {{ latencies_joined('index_prices', 'source.event_at') }}

),

ranked as (

    select
        *,
        {{ place_among_equals(['instrument_id', 'event_at']) }}

    from timed

    where available_at <= {{ as_of() }}

)

select
    venue,
    underlying,
    instrument_id,
    event_at,
    ended_at,
    received_at,
    available_at,
    is_availability_assumed,
    interval_s,
    open,
    high,
    low,
    close

from ranked

where place_among_equals = 1
