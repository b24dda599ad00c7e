with

slices as (

    select *

    from {{ ref('surface_slices') }}

    where fit_kind = 'raw'

),

solved as (

    select
        *,
        svi_delta_iv(svi_a, svi_b, svi_rho, svi_m, svi_sigma, t_years, 0.25).iv as call25_iv,
        svi_delta_iv(svi_a, svi_b, svi_rho, svi_m, svi_sigma, t_years, 0.75).iv as put25_iv,
        svi_delta_iv(svi_a, svi_b, svi_rho, svi_m, svi_sigma, t_years, 0.10).iv as call10_iv,
        svi_delta_iv(svi_a, svi_b, svi_rho, svi_m, svi_sigma, t_years, 0.90).iv as put10_iv,
        svi_slope_curvature(svi_a, svi_b, svi_rho, svi_m, svi_sigma, t_years) as shape

    from slices

),

fitted as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        t_years,
        atm_iv * atm_iv * t_years as atm_variance,
        lag(t_years) over previous as previous_t_years,
        lag(atm_iv * atm_iv * t_years) over previous as previous_variance

    from slices

    where svi_a is not null

    window previous as (
        partition by venue, underlying, snapshot_at
        order by expires_at asc nulls last
    )

),

-- The forward vol belongs to the stretch between the fitted expiry before and this one.
stretches as (

    select
        *,
        (atm_variance - previous_variance) / nullif(t_years - previous_t_years, 0) as forward_variance

    from fitted

),

joined as (

    select
        solved.*,
        solved.shape.skew_slope,
        solved.shape.curvature,
        stretches.forward_variance

    from solved

    left join stretches
        on
            solved.venue = stretches.venue
            and solved.underlying = stretches.underlying
            and solved.expires_at = stretches.expires_at
            and solved.snapshot_at = stretches.snapshot_at

),

final as (

    select
        venue,
        underlying,
        'listed' as tenor_kind,
        t_years * 365 as tenor_days,
        expires_at,
        snapshot_at,
        atm_iv,
        call25_iv - put25_iv as rr25,
        (call25_iv + put25_iv) / 2 - atm_iv as bf25,
        call10_iv - put10_iv as rr10,
        (call10_iv + put10_iv) / 2 - atm_iv as bf10,
        skew_slope,
        curvature,
        case when forward_variance >= 0 then sqrt(forward_variance) end as forward_iv,
        available_at,
        {{ quality(
            'snapshot_at',
            plus_seconds('snapshot_at', '-staleness_s'),
            'null',
            hard_flags=[('svi_a is null', 'no_fit')],
            soft_flags=[
                ('forward_variance < 0', 'negative_forward_variance'),
                ('butterfly_min_g < 0', 'butterfly_arbitrage'),
                ("array_contains(quality_flags, 'forward_not_from_parity')", 'forward_not_from_parity'),
            ],
        ) }}

    from joined

)

select * from final
