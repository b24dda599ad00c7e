with

parts as (

    select
        table_name,
        venue,
        day_at,
        sum(row_count) as row_count,
        count(*) as part_count,
        min(first_event_at) as first_event_at,
        max(least(last_event_at, {{ as_of() }})) as last_event_at

    from {{ source('ops_source', 'manifest') }}

    where removed_at is null and first_event_at <= {{ as_of() }}

    group by table_name, venue, day_at

),

units as (

    select
        table_name,
        venue,
        day_at,
        count(*) as unit_count,
        sum(case when status = 'complete' then 1 else 0 end) as complete_count,
        sum(case when status = 'open' then 1 else 0 end) as open_count,
        sum(case when status = 'gap' then 1 else 0 end) as gap_count,
        sum(case when status = 'unprovable' then 1 else 0 end) as unprovable_count,
        max(committed_at) as committed_at

    from {{ source('ops_source', 'coverage') }}

    where day_at <= {{ as_of() }}

    group by table_name, venue, day_at

),

told as (

    -- What failed was asked for: a hole too tells how far the world goes.
    select
        table_name,
        max(last_event_at) as ended_at

    from parts

    group by table_name

    union all

    select
        table_name,
        max(ended_at) as ended_at

    from {{ source('ops_source', 'gaps') }}

    where ended_at <= {{ as_of() }}

    group by table_name

),

world as (

    -- Facts and portfolios may bear dates of their own: the market tells how far the world goes.
    select max(ended_at) as ended_at

    from told

    where table_name in (select table_name from {{ ref('freshness_limits') }})

),

aged as (

    select
        units.*,
        coalesce(parts.row_count, 0) as row_count,
        coalesce(parts.part_count, 0) as part_count,
        parts.first_event_at,
        parts.last_event_at,
        least({{ day_end('units.day_at') }}, world.ended_at) as due_at

    from units

    cross join world

    left join parts
        on
            units.table_name = parts.table_name
            and units.venue = parts.venue
            and units.day_at = parts.day_at

)

select
    aged.table_name,
    aged.venue,
    aged.day_at,
    cast(aged.row_count as bigint) as row_count,
    cast(aged.part_count as bigint) as part_count,
    cast(aged.unit_count as bigint) as unit_count,
    cast(aged.complete_count as bigint) as complete_count,
    cast(aged.open_count as bigint) as open_count,
    cast(aged.gap_count as bigint) as gap_count,
    cast(aged.unprovable_count as bigint) as unprovable_count,
    aged.first_event_at,
    aged.last_event_at,
    aged.due_at,
    aged.committed_at,
    cast({{ seconds_between('aged.last_event_at', 'aged.due_at') }} as double) as age_s,
    limits.stale_after_s,
    limits.stale_after_s is not null and case
        when aged.last_event_at is not null
            then {{ seconds_between('aged.last_event_at', 'aged.due_at') }} > limits.stale_after_s
        -- Without a row, a day is fresh where it is proven empty, or has only just begun.
        when aged.open_count > 0
            then {{ seconds_between('aged.day_at', 'aged.due_at') }} > limits.stale_after_s
        else aged.complete_count < aged.unit_count
    end as is_stale

from aged

left join {{ ref('freshness_limits') }} as limits
    on
        aged.table_name = limits.table_name
        and aged.due_at >= limits.valid_from
        and aged.due_at < limits.valid_to
