-- Percentiles look back a year: no row stands by its own day alone, so the table is made whole.
{{ config(materialized='table', incremental_strategy=none) }}

with

shapes as (

    select
        *,
        case when tenor_kind = 'constant' then tenor_days end as constant_days,
        call25_iv - put25_iv as rr25,
        (call25_iv + put25_iv) / 2 - atm_iv as bf25,
        call10_iv - put10_iv as rr10,
        (call10_iv + put10_iv) / 2 - atm_iv as bf10

    from {{ ref('int_skew') }}

),

{% set series = ['venue', 'underlying', 'tenor_kind', 'constant_days', 'expires_at'] %}

ranked as (

    {{ with_recent_share('shapes', 'rr25', 'rr25_percentile_365d', series, 'snapshot_at', 31536000, 30) }}

),

final as (

    select
        venue,
        underlying,
        tenor_kind,
        tenor_days,
        expires_at,
        snapshot_at,
        fit_kind,
        forward,
        atm_iv,
        rr25,
        bf25,
        rr10,
        bf10,
        skew_slope,
        curvature,
        case when forward_variance >= 0 then sqrt(forward_variance) end as forward_iv,
        cast(rr25_percentile_365d as double) as rr25_percentile_365d,
        is_extrapolated_time,
        is_extrapolated_strike,
        available_at,
        {{ quality(
            'snapshot_at',
            'newest_quoted_at',
            'null',
            hard_flags=[('is_unfitted', 'no_fit')],
            soft_flags=[
                ('is_extrapolated_time', 'beyond_listed_expiries'),
                ('is_extrapolated_strike', 'beyond_quoted_strikes'),
                ('forward_variance < 0', 'negative_forward_variance'),
                ('has_butterfly', 'butterfly_arbitrage'),
                ('is_forward_elsewhere', 'forward_not_from_parity'),
            ],
        ) }}

    from ranked

)

select * from final
