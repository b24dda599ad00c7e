{{ config(materialized='table', event_time='hour_at') }}

with

forecasts as (

    select * from {{ ref('int_vol_forecasts') }}

),

scored as (

    select
        underlying,
        horizon_hours,
        {{ exploded(
            'forecast_losses('
            ~ list_of('hour_number', 'hour_at') ~ ', '
            ~ list_of('realized_variance', 'hour_at') ~ ', '
            ~ list_of('har_variance', 'hour_at') ~ ', '
            ~ list_of('ewma_variance', 'hour_at') ~ ', '
            ~ list_of('naive_variance', 'hour_at') ~ ', '
            ~ 'cast(horizon_hours as bigint))'
        ) }} as loss

    from forecasts

    group by underlying, horizon_hours

),

joined as (

    select
        forecasts.*,
        {{ plus_seconds('forecasts.hour_at', 3600) }} as hour_end_at,
        scored.loss.har_loss,
        scored.loss.ewma_loss,
        scored.loss.naive_loss,
        forecasts.regime_separation >= 1.5 as has_two_regimes

    from forecasts

    inner join scored
        on
            forecasts.underlying = scored.underlying
            and forecasts.horizon_hours = scored.horizon_hours
            and forecasts.hour_number = scored.loss.hour

),

final as (

    select
        underlying,
        horizon_hours,
        hour_at,
        sqrt(har_variance) as har_vol,
        sqrt(ewma_variance) as ewma_vol,
        sqrt(naive_variance) as naive_vol,
        har_status,
        har_loss,
        ewma_loss,
        naive_loss,
        case
            when has_two_regimes and wild_probability >= 0.5 then 'wild'
            when has_two_regimes then 'calm'
            when not has_two_regimes then 'single'
        end as regime,
        case
            when has_two_regimes then greatest(wild_probability, 1 - wild_probability)
            when not has_two_regimes then 1
        end as regime_probability,
        case when has_two_regimes then wild_probability end as wild_probability,
        regime_separation,
        hours_known,
        available_at,
        {{ quality(
            'hour_end_at',
            'newest_event_at',
            'null',
            hard_flags=[('har_variance is null and ewma_variance is null and naive_variance is null', 'no_forecast')],
            soft_flags=[
                ("har_status = 'short_history'", 'short_history'),
                ("har_status = 'missing_hours'", 'missing_hours'),
                ('realized_variance is null', 'last_hour_missing'),
                ('is_assumed', 'assumed_availability'),
            ],
        ) }}

    from joined

)

select * from final
