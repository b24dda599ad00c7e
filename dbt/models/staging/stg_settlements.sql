with

source as (

    select * from {{ source('lake', 'settlements') }}

),

timed as (

    select
        ---------- identity
        source.venue,
        source.underlying,
        source.instrument_id,
        source.kind,

        ---------- time
        source.event_at,
        source.window_start,
        source.window_end,
        source.received_at,
        {{ availability('source.received_at', 'source.event_at') }},

        ---------- measures
        source.delivery_price,
        source.mark_price,
        source.index_price

    from source

    {{ latencies_joined('settlements', 'source.event_at') }}

),

ranked as (

    select
        *,
        {{ place_among_equals(['instrument_id', 'kind', 'event_at']) }}

    from timed

    where available_at <= {{ as_of() }}

)

select
    venue,
    underlying,
    instrument_id,
    kind,
    event_at,
    window_start,
    window_end,
    received_at,
    available_at,
    is_availability_assumed,
    delivery_price,
    mark_price,
    index_price

from ranked

where place_among_equals = 1
