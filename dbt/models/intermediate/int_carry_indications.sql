with

hours as (

    select
        venue,
        underlying,
        instrument_id,
        {{ hour_of('event_at') }} as hour_at,
        {{ last_by('rate * 31536000e0 / interval_s', ['event_at']) }} as apr,
        max(event_at) as event_at,
        max(available_at) as available_at

    from {{ ref('stg_funding') }}

    where kind = 'indicative' and interval_s > 0

    group by venue, underlying, instrument_id, {{ hour_of('event_at') }}

),

received as (

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
        greatest(first_leg.available_at, second_leg.available_at) as available_at

    from hours as first_leg

    inner join hours as second_leg
        on
            first_leg.underlying = second_leg.underlying
            and first_leg.hour_at = second_leg.hour_at
            and first_leg.venue <> second_leg.venue
            and first_leg.instrument_id < second_leg.instrument_id

),

ranked as (

    select
        *,
        row_number() over (
            partition by short_id, long_id, available_at
            order by event_at desc nulls last
        ) as place

    from received

)

select
    short_id,
    long_id,
    apr,
    event_at,
    available_at

from ranked

where place = 1
