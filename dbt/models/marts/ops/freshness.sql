with

days as (

    select * from {{ ref('partitions') }}

),

newest as (

    select
        table_name,
        venue,
        max(last_event_at) as last_event_at,
        max(case when row_count > 0 then day_at end) as last_day_at

    from days

    group by table_name, venue

),

world as (

    select max(due_at) as ended_at

    from days

    where stale_after_s is not null

),

aged as (

    select
        newest.table_name,
        newest.venue,
        newest.last_event_at,
        -- A day proven whole is known to its end, even when its last print came earlier.
        case
            when days.complete_count = days.unit_count
                then least({{ day_end('newest.last_day_at') }}, {{ as_of() }})
            else newest.last_event_at
        end as data_through_at,
        cast({{ seconds_between('newest.last_event_at', 'world.ended_at') }} as double) as age_s,
        limits.stale_after_s

    from newest

    cross join world

    left join days
        on
            newest.table_name = days.table_name
            and newest.venue = days.venue
            and newest.last_day_at = days.day_at

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
    age_s,
    stale_after_s,
    -- What never came is as old as can be.
    stale_after_s is not null and coalesce(age_s > stale_after_s, true) as is_stale

from aged
