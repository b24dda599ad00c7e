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

-- Hours are whole: what trails ended before the snapshot, what is to come begins after it.
observed as (

    select
        *,
        {{ hour_of('snapshot_at') }} as trailing_end_at,
        {{ plus_seconds(hour_of('snapshot_at'), '-86400 * tenor_days') }} as trailing_start_at,
        {{ bin_end('snapshot_at', 3600) }} as forward_start_at,
        {{ plus_seconds(bin_end('snapshot_at', 3600), '86400 * tenor_days') }} as closes_at

    from strips

    where choice = 1

),

-- Sums in decimals: their differences are those of the hours in between, exactly.
hours as (

    select
        underlying,
        {{ plus_seconds('hour_at', 3600) }} as hour_end_at,
        sum({{ exact('realized_variance') }}) over so_far as variance_sum,
        count(realized_variance) over so_far as hour_count,
        max(available_at) over so_far as available_at

    from {{ ref('realized_vol') }}

    where window_hours = 1 and estimator = 'realized_5m'

    window so_far as (
        partition by underlying
        order by hour_at asc nulls last
        rows between unbounded preceding and current row
    )

),

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
        observed.*,
        trailing_ends.available_at as trailing_available_at,
        forward_ends.available_at as forward_available_at,
        trailing_ends.hour_count - coalesce(trailing_starts.hour_count, 0) as trailing_hours,
        trailing_ends.variance_sum - coalesce(trailing_starts.variance_sum, 0) as trailing_sum,
        forward_ends.hour_count - coalesce(forward_starts.hour_count, 0) as forward_hours,
        forward_ends.variance_sum - coalesce(forward_starts.variance_sum, 0) as forward_sum,
        forecasts.forecast_vol * forecasts.forecast_vol as forecast_variance,
        forecasts.forecast_method,
        forecasts.available_at as forecast_available_at

    from observed

    {{ asof_left_join('hours', 'trailing_ends', ['underlying'], 'observed', 'trailing_end_at', 'hour_end_at') }}

    {{ asof_left_join('hours', 'trailing_starts', ['underlying'], 'observed', 'trailing_start_at', 'hour_end_at') }}

    {{ asof_left_join('hours', 'forward_starts', ['underlying'], 'observed', 'forward_start_at', 'hour_end_at') }}

    {{ asof_left_join('hours', 'forward_ends', ['underlying'], 'observed', 'closes_at', 'hour_end_at') }}

    left join forecasts
        on
            observed.underlying = forecasts.underlying
            and observed.tenor_days = forecasts.tenor_days
            and observed.trailing_end_at = forecasts.hour_end_at

),

shared as (

    select
        *,
        coalesce(trailing_hours, 0) / (24.0 * tenor_days) as trailing_hour_share,
        coalesce(forward_hours, 0) / (24.0 * tenor_days) as forward_hour_share,
        greatest(
            available_at,
            coalesce(trailing_available_at, available_at),
            coalesce(forecast_available_at, available_at)
        ) as known_at

    from joined

),

realized as (

    select
        *,
        case
            when trailing_hour_share >= 0.9 then cast(trailing_sum as double) / trailing_hours
        end as trailing_variance,
        -- What is to come is realised when its window has closed, not before.
        case
            when forward_hour_share >= 0.9 and closes_at <= {{ as_of() }}
                then cast(forward_sum as double) / forward_hours
        end as forward_variance

    from shared

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
            'snapshot_at',
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

    from realized

)

select * from final
