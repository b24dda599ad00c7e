with

rules as (

    select * from {{ ref('funding_rules') }}

),

settled as (

    select
        funding.venue,
        funding.underlying,
        funding.instrument_id,
        {{ plus_seconds(bin_end('funding.rate_available_at', 3600), '3600 * later.n') }} as hour_end_at,
        'settled' as rate_kind,
        2 as preference,
        funding.event_at,
        funding.apr,
        funding.interval_s,
        {{ has_flag('funding.quality_flags', 'assumed_availability') }} as is_assumed,
        funding.is_capped,
        funding.available_at as all_told_at,
        {{ has_flag('funding.quality_flags', 'contradicted_rate') }} as has_contradiction

    from {{ ref('funding') }} as funding

    cross join {{ numbers(26) }} as later

    where funding.interval_s is not null

),

-- A settlement that is late leaves the one before it as the last word for a while, not for ever.
standing as (

    select settled.*

    from settled

    inner join rules
        on
            settled.hour_end_at >= rules.valid_from
            and settled.hour_end_at < rules.valid_to

    where
        {{ seconds_between('settled.event_at', 'settled.hour_end_at') }}
        <= settled.interval_s + rules.grace_s

),

indicative as (

    select
        venue,
        underlying,
        instrument_id,
        {{ bin_end('available_at', 3600) }} as hour_end_at,
        {{ last_by('event_at', ['event_at', 'available_at']) }} as event_at,
        {{ last_by('rate', ['event_at', 'available_at']) }} as rate,
        {{ last_by('interval_s', ['event_at', 'available_at']) }} as interval_s,
        {{ last_by('interval_end_at', ['event_at', 'available_at']) }} as interval_end_at,
        {{ last_by('is_interval_default', ['event_at', 'available_at']) }} as is_interval_default,
        {{ last_by('is_availability_assumed', ['event_at', 'available_at']) }} as is_assumed

    from {{ ref('int_indications') }}

    group by venue, underlying, instrument_id, {{ bin_end('available_at', 3600) }}

),

-- Some sources tell a rate only when it changes: it holds until its interval ends.
carried as (

    select
        indicative.*,
        {{ plus_seconds('indicative.hour_end_at', '3600 * later.n') }} as carried_to_at

    from indicative

    cross join {{ numbers(26) }} as later

),

told as (

    select
        venue,
        underlying,
        instrument_id,
        hour_end_at,
        rate_kind,
        preference,
        event_at,
        -- Stamps jitter: the first indication after a settlement may bear an earlier one.
        {{ plus_seconds('event_at', -60) }} as said_at,
        apr,
        interval_s,
        false as is_interval_default,
        is_assumed,
        is_capped,
        -- Later rows may tell another rate.
        has_contradiction and hour_end_at >= all_told_at as is_contradicted

    from standing

    union all

    select
        venue,
        underlying,
        instrument_id,
        carried_to_at as hour_end_at,
        'indicative' as rate_kind,
        1 as preference,
        event_at,
        event_at as said_at,
        rate * (31536000e0 / interval_s) as apr,
        interval_s,
        is_interval_default,
        is_assumed,
        cast(null as boolean) as is_capped,
        false as is_contradicted

    from carried

    where carried_to_at <= interval_end_at

),

latest as (

    select
        *,
        row_number() over (
            partition by instrument_id, hour_end_at
            order by said_at desc nulls last, preference asc nulls last
        ) as place

    from told

)

select
    venue,
    underlying,
    instrument_id,
    hour_end_at,
    rate_kind,
    event_at,
    apr,
    interval_s,
    {{ seconds_between('event_at', 'hour_end_at') }} as age_s,
    is_capped,
    is_contradicted,
    is_interval_default,
    is_assumed as is_availability_assumed

from latest

where place = 1
