with

settled as (

    select
        instrument_id,
        rate_available_at as available_at,
        {{ last_by('interval_s', ['event_at']) }} as interval_s

    from {{ ref('funding') }}

    where interval_s is not null

    group by instrument_id, rate_available_at

),

told as (

    select * from {{ ref('stg_funding') }}

    where kind = 'indicative'

),

timed as (

    select
        told.*,
        coalesce(told.interval_s, settled.interval_s) as paid_interval_s

    from told

    {{ asof_left_join('settled', 'settled', ['instrument_id'], 'told', 'available_at') }}

)

select
    venue,
    underlying,
    instrument_id,
    event_at,
    available_at,
    rate,
    paid_interval_s as interval_s,
    interval_s is null as is_interval_assumed,
    {{ instant_of(
        '1000000 * paid_interval_s * (' ~ step_number('event_at', 'paid_interval_s') ~ ' + 1)'
    ) }} as interval_end_at,
    is_availability_assumed

from timed

where paid_interval_s > 0
