{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='day_at',
    meta={'carries_state': true},
) }}

with

minutes as (

    select
        minutes.instrument_id,
        minutes.minute_at,
        minutes.row_count,
        minutes.numbered_count,
        minutes.first_sequence,
        minutes.last_sequence,
        minutes.newest_available_at,
        minutes.assumed_count,
        minutes.unsided_count,
        minutes.unsized_count,
        minutes.volume_base,
        plan.classification,
        plan.day_at,
        plan.bucket_lots,
        plan.open_lots,
        plan.open_bucket_lots,
        plan.places,
        case when plan.classification = 'bulk' then minutes.first_at else minutes.first_sided_at end
            as first_at,
        case when plan.classification = 'bulk' then minutes.last_at else minutes.last_sided_at end
            as last_at,
        case
            when plan.classification = 'bulk' then minutes.volume_native else minutes.sided_native
        end as counted_native,
        case when plan.classification = 'aggressor' then minutes.bought_native end as bought_native,
        minutes.bought_base,
        minutes.sold_base,
        case
            when plan.classification = 'bulk' then coalesce(bulk_share(
                ln(bars.close_price / bars.open_price), plan.deviation, plan.bulk_degrees
            ), 0.5e0)
        end as bought_share

    from {{ ref('int_vpin_minutes') }} as minutes

    inner join {{ ref('int_vpin_plan') }} as plan
        on
            minutes.instrument_id = plan.instrument_id
            and minutes.day_at = plan.day_at

    left join {{ ref('bars_1m') }} as bars
        on
            minutes.instrument_id = bars.instrument_id
            and minutes.minute_at = bars.minute_at
            and bars.open_price > 0
            and bars.close_price > 0

    where plan.bucket_lots > 0

),

summed as (

    select
        *,
        coalesce(sum(counted_native) over so_far, 0) as native_until,
        coalesce(sum(counted_native) over before, 0) as native_before

    from minutes

    window
        so_far as (
            partition by instrument_id, classification, day_at
            order by minute_at asc nulls last
            rows between unbounded preceding and current row
        ),
        before as (
            partition by instrument_id, classification, day_at
            order by minute_at asc nulls last
            rows between unbounded preceding and 1 preceding
        )

)

-- Only where a bucket ends inside a minute does it matter which print is which.
select
    *,
    {{ has_edge('native_before', 'native_until', 'summed') }} as has_edge

from summed
