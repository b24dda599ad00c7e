-- Every model and day asks for it, and as a view it would open a file of each day there is.
{{ config(materialized='table') }}

with

source as (

    select * from {{ source('lake', 'instruments') }}

),

timed as (

    select
        ---------- identity
        source.venue,
        source.underlying,
        source.instrument_id,
        source.native_symbol,
        source.kind,
        source.base,
        source.quote,
        source.settle,
        source.contract_type,
        source.option_type,

        ---------- time
        source.valid_from,
        source.expires_at,
        source.listed_at,
        source.delisted_at,
        source.valid_to,
        source.valid_from as available_at,

        ---------- measures
        source.contract_size,
        source.tick_size,
        source.lot_size,
        source.strike

    from source

),

ranked as (

    select
        *,
        {{ place_among_equals(['instrument_id', 'valid_from']) }}

    from timed

    where available_at <= {{ as_of() }}

)

select
    venue,
    underlying,
    instrument_id,
    native_symbol,
    kind,
    base,
    quote,
    settle,
    contract_type,
    option_type,
    valid_from,
    expires_at,
    listed_at,
    delisted_at,
    valid_to,
    available_at,
    contract_size,
    tick_size,
    lot_size,
    strike

from ranked

where place_among_equals = 1
