with

hours as (

    select
        venue,
        underlying,
        instrument_id,
        apr,
        event_at,
        hour_end_at as available_at

    from {{ ref('int_funding_known') }}

    where rate_kind = 'indicative'

)

select
    instrument_id as short_id,
    '' as long_id,
    apr,
    event_at,
    available_at

from hours

union all

select
    first_leg.instrument_id as short_id,
    second_leg.instrument_id as long_id,
    first_leg.apr - second_leg.apr as apr,
    least(first_leg.event_at, second_leg.event_at) as event_at,
    first_leg.available_at

from hours as first_leg

inner join hours as second_leg
    on
        first_leg.underlying = second_leg.underlying
        and first_leg.available_at = second_leg.available_at
        and first_leg.venue <> second_leg.venue
        and first_leg.instrument_id < second_leg.instrument_id
