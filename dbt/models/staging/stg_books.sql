with

source as (

    select * from {{ source('lake', 'books') }}

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
        source.quoted_at,
        source.received_at,
        {{ availability('source.received_at', 'source.snapshot_at') }},

        ---------- measures
        source.side,
        source.level,
        source.price,
        source.quantity_base

    from source

    {{ latencies_joined('books', 'source.snapshot_at') }}

),

-- A book is one observation, known when its last level is: an as-of build reads it whole or not.
whole as (

    select
        *,
        max(available_at) over (
            partition by day_at, instrument_id, snapshot_at
        ) as book_available_at

    from timed

),

ranked as (

    select
        *,
        {{ place_among_equals(['day_at', 'instrument_id', 'snapshot_at', 'side', 'level']) }}

    from whole

    where book_available_at <= {{ as_of() }}

)

select
    venue,
    underlying,
    instrument_id,
    day_at,
    snapshot_at,
    quoted_at,
    received_at,
    book_available_at as available_at,
    is_availability_assumed,
    side,
    level,
    price,
    quantity_base

from ranked

where place_among_equals = 1
