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
        day_at,
        instrument_id,
        snapshot_at,
        max(available_at) as available_at

    from timed

    group by day_at, instrument_id, snapshot_at

    having max(available_at) <= {{ as_of() }}

)

-- The gate lets one row of a key into a partition; asking again of every level would cost more than
-- all that is made of them.
select
    timed.venue,
    timed.underlying,
    timed.instrument_id,
    timed.day_at,
    timed.snapshot_at,
    timed.quoted_at,
    timed.received_at,
    whole.available_at,
    timed.is_availability_assumed,
    timed.side,
    timed.level,
    timed.price,
    timed.quantity_base

from timed

inner join whole
    on
        timed.day_at = whole.day_at
        and timed.instrument_id = whole.instrument_id
        and timed.snapshot_at = whole.snapshot_at
