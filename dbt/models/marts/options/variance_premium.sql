{{ config(materialized='table', event_time='day_at') }}

with

implied as (

    select
        *,
        {{ day_of('snapshot_at') }} as day_at

    from {{ ref('int_tenor_variances') }}

),

last_snapshots as (

    select
        venue,
        underlying,
        day_at,
        max(snapshot_at) as snapshot_at

    from implied

    where method = 'strip'

    group by venue, underlying, day_at

),

strips as (

    select
        implied.venue,
        implied.underlying,
        implied.tenor_days,
        implied.day_at,
        implied.snapshot_at,
        implied.variance as implied_variance,
        atm.variance as implied_atm_variance,
        implied.coverage_share,
        implied.is_forward_elsewhere,
        implied.newest_quoted_at,
        implied.available_at,
        -- Of venues that list options the one whose strip has most strikes.
        row_number() over (
            partition by implied.underlying, implied.tenor_days, implied.day_at
            order by
                (implied.variance is null) asc nulls last,
                implied.strikes_used desc nulls last,
                implied.venue asc nulls last
        ) as choice

    from implied

    inner join last_snapshots
        on
            implied.venue = last_snapshots.venue
            and implied.underlying = last_snapshots.underlying
            and implied.snapshot_at = last_snapshots.snapshot_at

    left join implied as atm
        on
            implied.venue = atm.venue
            and implied.underlying = atm.underlying
            and implied.tenor_days = atm.tenor_days
            and implied.snapshot_at = atm.snapshot_at
            and atm.method = 'atm'

    where implied.method = 'strip'

),

observed as (

    select
        *,
        {{ day_end('day_at') }} as day_end_at

    from strips

    where choice = 1

),

-- Realised variance is the mean of hours; tenors are whole days.
realized_days as (

    select
        underlying,
        {{ day_of('hour_at') }} as day_at,
        {{ exact_sum('realized_variance') }} as variance_sum,
        count(realized_variance) as hour_count,
        max(available_at) as available_at

    from {{ ref('realized_vol') }}

    where window_hours = 1 and estimator = 'realized_5m'

    group by underlying, {{ day_of('hour_at') }}

),

trailing_sums as (

    select
        observed.underlying,
        observed.tenor_days,
        observed.day_at,
        {{ exact_sum('realized_days.variance_sum') }} / nullif(sum(realized_days.hour_count), 0) as variance,
        sum(realized_days.hour_count) / (24.0 * observed.tenor_days) as hour_share,
        max(realized_days.available_at) as available_at

    from observed

    inner join realized_days
        on
            observed.underlying = realized_days.underlying
            and observed.day_end_at > realized_days.day_at
            and {{ plus_seconds('observed.day_end_at', '-86400 * observed.tenor_days') }} <= realized_days.day_at

    group by observed.underlying, observed.tenor_days, observed.day_at

),

forward_sums as (

    select
        observed.underlying,
        observed.tenor_days,
        observed.day_at,
        {{ exact_sum('realized_days.variance_sum') }} / nullif(sum(realized_days.hour_count), 0) as variance,
        sum(realized_days.hour_count) / (24.0 * observed.tenor_days) as hour_share,
        max(realized_days.available_at) as available_at

    from observed

    inner join realized_days
        on
            observed.underlying = realized_days.underlying
            and observed.day_end_at <= realized_days.day_at
            and {{ plus_seconds('observed.day_end_at', '86400 * observed.tenor_days') }} > realized_days.day_at

    -- What is to come is realised when its window has closed, not before.
    where {{ plus_seconds('observed.day_end_at', '86400 * observed.tenor_days') }} <= {{ as_of() }}

    group by observed.underlying, observed.tenor_days, observed.day_at

),

-- What was forecast in the last hour of the day.
forecasts as (

    select
        underlying,
        horizon_hours / 24 as tenor_days,
        {{ plus_seconds('hour_at', 3600) }} as hour_end_at,
        coalesce(har_vol, ewma_vol) as forecast_vol,
        case
            when har_vol is not null then 'har'
            when ewma_vol is not null then 'ewma'
        end as forecast_method,
        available_at

    from {{ ref('vol_forecast') }}

),

joined as (

    select
        observed.underlying,
        observed.tenor_days,
        observed.day_at,
        observed.venue,
        observed.snapshot_at,
        observed.implied_variance,
        observed.implied_atm_variance,
        observed.coverage_share,
        observed.is_forward_elsewhere,
        observed.newest_quoted_at,
        observed.day_end_at,
        {{ plus_seconds('observed.day_end_at', '86400 * observed.tenor_days') }} as closes_at,
        case when trailing_sums.hour_share >= 0.9 then trailing_sums.variance end as trailing_variance,
        coalesce(trailing_sums.hour_share, 0) as trailing_hour_share,
        forecasts.forecast_vol * forecasts.forecast_vol as forecast_variance,
        forecasts.forecast_method,
        case when forward_sums.hour_share >= 0.9 then forward_sums.variance end as forward_variance,
        forward_sums.available_at as forward_available_at,
        greatest(
            observed.day_end_at,
            observed.available_at,
            coalesce(trailing_sums.available_at, observed.available_at),
            coalesce(forecasts.available_at, observed.available_at)
        ) as known_at

    from observed

    left join trailing_sums
        on
            observed.underlying = trailing_sums.underlying
            and observed.tenor_days = trailing_sums.tenor_days
            and observed.day_at = trailing_sums.day_at

    left join forward_sums
        on
            observed.underlying = forward_sums.underlying
            and observed.tenor_days = forward_sums.tenor_days
            and observed.day_at = forward_sums.day_at

    left join forecasts
        on
            observed.underlying = forecasts.underlying
            and observed.tenor_days = forecasts.tenor_days
            and observed.day_end_at = forecasts.hour_end_at

),

final as (

    select
        underlying,
        cast(tenor_days as integer) as tenor_days,
        day_at,
        venue,
        snapshot_at,
        implied_variance,
        implied_atm_variance,
        coverage_share as strip_coverage_share,
        trailing_variance as trailing_realized_variance,
        trailing_hour_share,
        forecast_variance as forecast_realized_variance,
        forecast_method,
        forward_variance as forward_realized_variance,
        implied_variance - trailing_variance as trailing_premium,
        implied_variance - forecast_variance as forecast_premium,
        implied_variance - forward_variance as forward_premium,
        closes_at,
        known_at,
        case
            when forward_variance is not null then greatest(known_at, closes_at, forward_available_at)
            else known_at
        end as available_at,
        {{ quality(
            'day_end_at',
            'newest_quoted_at',
            'null',
            hard_flags=[('implied_variance is null', 'no_implied_variance')],
            soft_flags=[
                ('trailing_variance is null', 'no_trailing_variance'),
                ('forecast_variance is null', 'no_forecast'),
                ('coverage_share < 0.9', 'thin_strip'),
                ('is_forward_elsewhere', 'forward_not_from_parity'),
            ],
        ) }}

    from joined

)

select * from final

where known_at <= {{ as_of() }}
