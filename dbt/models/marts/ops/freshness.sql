with

parts as (

    select
        table_name,
        venue,
        day_at,
        least(last_event_at, {{ as_of() }}) as last_event_at

    from {{ source('ops_source', 'manifest') }}

    where removed_at is null and first_event_at <= {{ as_of() }}

),

unproven_days as (

    select
        table_name,
        venue,
        day_at,
        sum(case when status = 'complete' then 0 else 1 end) as unproven_count

    from {{ source('ops_source', 'coverage') }}

    group by table_name, venue, day_at

),

newest as (

    select
        table_name,
        venue,
        max(last_event_at) as last_event_at,
        max(day_at) as last_day_at

    from parts

    group by table_name, venue

),

world as (

    -- Facts and portfolios may bear dates of their own: the market tells how far the world goes.
    select max(last_event_at) as ended_at

    from newest

    where table_name in (select table_name from {{ ref('freshness_limits') }})

),

aged as (

    select
        newest.table_name,
        newest.venue,
        newest.last_event_at,
        -- A day proven whole is known to its end, even when its last print came earlier.
        case
            when unproven_days.unproven_count = 0
                then least({{ day_end('newest.last_day_at') }}, {{ as_of() }})
            else newest.last_event_at
        end as data_through_at,
        {{ seconds_between('newest.last_event_at', 'world.ended_at') }} as age_s,
        limits.stale_after_s

    from newest

    cross join world

    left join unproven_days
        on
            newest.table_name = unproven_days.table_name
            and newest.venue = unproven_days.venue
            and newest.last_day_at = unproven_days.day_at

    left join {{ ref('freshness_limits') }} as limits
        on
            newest.table_name = limits.table_name
            and world.ended_at >= limits.valid_from
            and world.ended_at < limits.valid_to

)

select
    table_name,
    venue,
    last_event_at,
    data_through_at,
    cast(age_s as double) as age_s,
    stale_after_s,
    coalesce(age_s > stale_after_s, false) as is_stale

from aged
