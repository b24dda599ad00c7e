with

source as (

    select * from {{ source('lake', 'positions') }}

),

timed as (

    select
        ---------- identity
        source.portfolio_id,
        source.venue,
        source.underlying,
        source.instrument_id,

        ---------- time
        source.as_of_at,
        source.as_of_at as available_at,

        ---------- measures
        source.quantity_contracts,
        source.quantity_base,
        source.entry_price,
        source.margin_mode

    from source

),

ranked as (

    select
        *,
        {{ place_among_equals(['portfolio_id', 'as_of_at', 'instrument_id']) }}

    from timed

    where available_at <= {{ as_of() }}

)

select
    portfolio_id,
    venue,
    underlying,
    instrument_id,
    as_of_at,
    available_at,
    quantity_contracts,
    quantity_base,
    entry_price,
    margin_mode

from ranked

where place_among_equals = 1
