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
        settled.interval_s as settled_interval_s

    from told

    {{ asof_left_join('settled', 'settled', ['instrument_id'], 'told', 'available_at') }}

),

-- Of a market whose interval is neither declared nor told by a settlement yet, what the venue says of
-- all markets for which it declares nothing.
completed as (

    select
        timed.*,
        coalesce(timed.interval_s, timed.settled_interval_s, defaults.interval_s) as paid_interval_s,
        coalesce(timed.interval_s, timed.settled_interval_s) is null as is_interval_default

    from timed

    left join {{ ref('funding_intervals') }} as defaults
        on
            timed.venue = defaults.venue
            and timed.event_at >= defaults.valid_from
            and timed.event_at < defaults.valid_to

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
    is_interval_default,
    {{ instant_of(
        '1000000 * paid_interval_s * (' ~ step_number('event_at', 'paid_interval_s') ~ ' + 1)'
    ) }} as interval_end_at,
    is_availability_assumed

from completed

where paid_interval_s > 0
