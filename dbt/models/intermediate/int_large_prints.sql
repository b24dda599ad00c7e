{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='day_at',
    meta={'carries_state': true},
) }}

with

prints as (

    select
        instrument_id,
        day_at,
        {{ hour_of('event_at') }} as hour_at,
        quantity_base

    from {{ ref('stg_trades') }}

    where not is_block

),

days as (

    select distinct
        instrument_id,
        day_at

    from prints

),

sizes as (

    select * from {{ uncut(ref('int_print_sizes')) }}

    where {{ in_batch_or_before('day_at', 20) }}

),

-- What was large is told by earlier days alone.
thresholds as (

    select
        days.instrument_id,
        days.day_at,
        avg(sizes.large_base) as large_base,
        max(sizes.available_at) as history_available_at

    from days

    left join sizes
        on
            days.instrument_id = sizes.instrument_id
            and days.day_at > sizes.day_at
            and {{ plus_seconds('days.day_at', '-20 * 86400') }} <= sizes.day_at

    group by days.instrument_id, days.day_at

)

select
    prints.instrument_id,
    prints.day_at,
    prints.hour_at,
    thresholds.large_base,
    thresholds.history_available_at,
    {{ exact_sum('prints.quantity_base') }} as volume_base,
    {{ exact_sum('case when prints.quantity_base >= thresholds.large_base then prints.quantity_base else 0 end') }}
        as large_volume_base

from prints

inner join thresholds
    on
        prints.instrument_id = thresholds.instrument_id
        and prints.day_at = thresholds.day_at

group by
    prints.instrument_id,
    prints.day_at,
    prints.hour_at,
    thresholds.large_base,
    thresholds.history_available_at
