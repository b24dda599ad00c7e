{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='hour_at',
    meta={'carries_state': true},
) }}

with

-- A year to fit on, the month of the longest mean and the month of the longest horizon before it.
hours as (

    select
        underlying,
        hour_at,
        {{ step_number('hour_at', 3600) }} as hour_number,
        realized_variance,
        max(available_at) over so_far as available_at,
        {{ plus_seconds(plus_seconds('hour_at', 3600), '-staleness_s') }} as newest_event_at,
        {{ has_flag('quality_flags', 'assumed_availability') }} as is_assumed

    from {{ uncut(ref('realized_vol')) }}

    where
        window_hours = 1
        and estimator = 'realized_5m'
        and {{ in_batch_or_before('hour_at', 430) }}

    window so_far as (
        partition by underlying
        order by hour_at asc nulls last
        rows between unbounded preceding and current row
    )

),

forecasts as (

    select
        underlying,
        {{ exploded(
            'variance_forecasts('
            ~ list_of('hour_number', 'hour_at') ~ ', '
            ~ list_of('realized_variance', 'hour_at') ~ ', '
            ~ 'min(case when ' ~ in_batch('hour_at') ~ ' then hour_number end), '
            ~ 'max(horizons.horizons))'
        ) }} as forecast

    from hours

    cross join (
        select {{ list_of('cast(horizon_hours as bigint)', 'horizon_hours') }} as horizons

        from {{ each_of([24, 48, 72, 168, 336, 504, 720], 'horizon_hours') }} as each_horizon
    ) as horizons

    group by underlying

)

select
    hours.underlying,
    cast(forecasts.forecast.horizon_hours as integer) as horizon_hours,
    hours.hour_at,
    hours.hour_number,
    hours.realized_variance,
    forecasts.forecast.har_variance,
    forecasts.forecast.har_status,
    forecasts.forecast.ewma_variance,
    forecasts.forecast.naive_variance,
    forecasts.forecast.wild_probability,
    forecasts.forecast.regime_separation,
    forecasts.forecast.hours_known,
    hours.available_at,
    hours.newest_event_at,
    hours.is_assumed

from forecasts

inner join hours
    on
        forecasts.underlying = hours.underlying
        and forecasts.forecast.hour = hours.hour_number
