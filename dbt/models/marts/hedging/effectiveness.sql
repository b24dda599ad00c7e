with

hours as (

    select
        *,
        {{ step_number('snapshot_at', 3600) }} as hour_number,
        {{ has_flag('quality_flags', 'asynchronous') }} as is_asynchronous,
        {{ has_flag('quality_flags', 'index_unlike_spot') }} as is_index_unlike_spot,
        {{ has_flag('quality_flags', 'assumed_availability') }} as is_availability_assumed

    from {{ ref('basis') }}

    where
        snapshot_at = {{ hour_of('snapshot_at') }}
        and spot_price > 0
        -- A perpetual that stands for spot is a hedge, not an exposure.
        and spot_source <> 'perpetual'

),

followed as (

    select
        *,
        -- From one spot market to another, with and without a rate, or between two moments is no move.
        hour_number - lag(hour_number) over hour_by_hour = 1
        and spot_source = lag(spot_source) over hour_by_hour
        and coalesce(spot_instrument_id, '') = coalesce(lag(spot_instrument_id) over hour_by_hour, '')
        and is_stablecoin_rate_assumed = lag(is_stablecoin_rate_assumed) over hour_by_hour
        and not is_asynchronous
        and not lag(is_asynchronous) over hour_by_hour as is_change,
        ln(spot_price / lag(spot_price) over hour_by_hour) as exposure_change,
        ln(price / lag(price) over hour_by_hour) as hedge_change,
        max(prices_available_at) over month as known_at

    from hours

    window
        hour_by_hour as (
            partition by instrument_id, price_kind
            order by snapshot_at asc nulls last
        ),
        month as (
            partition by instrument_id, price_kind
            order by snapshot_at asc nulls last
            range between interval '30 days' preceding and current row
        )

),

series as (

    select
        instrument_id,
        price_kind,
        {{ list_of('hour_number', 'hour_number') }} as hours,
        {{ list_of('case when is_change then exposure_change end', 'hour_number') }} as exposure_changes,
        {{ list_of('case when is_change then hedge_change end', 'hour_number') }} as hedge_changes

    from followed

    group by instrument_id, price_kind

),

estimated as (

    select
        instrument_id,
        price_kind,
        {{ exploded('hedge_effectiveness(hours, exposure_changes, hedge_changes)') }} as found

    from series

),

joined as (

    select
        followed.venue,
        followed.underlying,
        followed.instrument_id,
        followed.price_kind,
        followed.snapshot_at,
        followed.kind,
        followed.spot_source,
        followed.spot_instrument_id,
        followed.staleness_s as newest_age_s,
        followed.known_at,
        followed.is_availability_assumed,
        followed.is_stablecoin_rate_assumed,
        followed.is_index_unlike_spot,
        estimated.found.window_days,
        estimated.found.changes_used,
        estimated.found.correlation,
        estimated.found.minimum_variance_ratio,
        estimated.found.standard_error,
        estimated.found.r_squared,
        estimated.found.exposure_vol_bps,
        estimated.found.residual_vol_bps,
        estimated.found.variance_reduction,
        estimated.found.tail_low_bps,
        estimated.found.tail_high_bps,
        estimated.found.shortfall_low_bps,
        estimated.found.shortfall_high_bps

    from followed

    inner join estimated
        on
            followed.instrument_id = estimated.instrument_id
            and followed.price_kind = estimated.price_kind
            and followed.hour_number = estimated.found.hour

),

final as (

    select
        venue,
        underlying,
        instrument_id,
        price_kind,
        cast(window_days as integer) as window_days,
        snapshot_at as hour_at,
        kind,
        spot_source,
        spot_instrument_id,
        changes_used,
        correlation,
        minimum_variance_ratio,
        standard_error,
        r_squared,
        exposure_vol_bps,
        residual_vol_bps,
        variance_reduction,
        tail_low_bps,
        tail_high_bps,
        shortfall_low_bps,
        shortfall_high_bps,
        known_at as available_at,
        {{ quality(
            'snapshot_at',
            plus_seconds('snapshot_at', '-newest_age_s'),
            'null',
            hard_flags=[('minimum_variance_ratio is null', 'too_few_changes')],
            soft_flags=[
                ('changes_used < 12 * window_days', 'short_window'),
                ('is_stablecoin_rate_assumed', 'stablecoin_assumed'),
                ('is_index_unlike_spot', 'index_unlike_spot'),
                ('is_availability_assumed', 'assumed_availability'),
            ]
        ) }}

    from joined

)

select *

from final

where available_at <= {{ as_of() }}
