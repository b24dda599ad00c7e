{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='snapshot_at') }}

with

slices as (

    select * from {{ ref('int_slices') }}

),

-- The forward vol belongs to the stretch between the fitted expiry before and this one.
stretches as (

    select
        venue,
        underlying,
        snapshot_at,
        place,
        nullif(t_years - lag(t_years) over previous, 0) as stretch_years,
        atm_variance - lag(atm_variance) over previous as variance_between,
        raw_atm_variance - lag(raw_atm_variance) over previous as raw_variance_between

    from slices

    where svi_a is not null

    window previous as (
        partition by venue, underlying, snapshot_at
        order by place asc nulls last
    )

),

fitted as (

    select
        venue,
        underlying,
        snapshot_at,
        place,
        -- Repair lets no variance fall: that the quotes' does must still be said.
        case
            when raw_variance_between < 0 then raw_variance_between
            else variance_between
        end / stretch_years as forward_variance

    from stretches

),

solved as (

    select
        *,
        svi_delta_iv(svi_a, svi_b, svi_rho, svi_m, svi_sigma, t_years, 0.25) as call25,
        svi_delta_iv(svi_a, svi_b, svi_rho, svi_m, svi_sigma, t_years, 0.75) as put25,
        svi_delta_iv(svi_a, svi_b, svi_rho, svi_m, svi_sigma, t_years, 0.10) as call10,
        svi_delta_iv(svi_a, svi_b, svi_rho, svi_m, svi_sigma, t_years, 0.90) as put10,
        svi_slope_curvature(svi_a, svi_b, svi_rho, svi_m, svi_sigma, t_years) as shape

    from slices

),

listed as (

    select
        solved.venue,
        solved.underlying,
        'listed' as tenor_kind,
        solved.t_years * 365 as tenor_days,
        solved.expires_at,
        solved.snapshot_at,
        solved.fit_kind,
        solved.forward,
        solved.atm_iv,
        solved.call25.iv as call25_iv,
        solved.put25.iv as put25_iv,
        solved.call10.iv as call10_iv,
        solved.put10.iv as put10_iv,
        solved.shape.skew_slope,
        solved.shape.curvature,
        fitted.forward_variance,
        solved.call10.k > solved.highest_log_moneyness
        or solved.put10.k < solved.lowest_log_moneyness as is_extrapolated_strike,
        false as is_extrapolated_time,
        solved.svi_a is null as is_unfitted,
        solved.butterfly_min_g < 0 as has_butterfly,
        solved.is_forward_elsewhere,
        solved.available_at,
        solved.newest_quoted_at

    from solved

    left join fitted
        on
            solved.venue = fitted.venue
            and solved.underlying = fitted.underlying
            and solved.snapshot_at = fitted.snapshot_at
            and solved.place = fitted.place

),

surfaces as (

    select
        venue,
        underlying,
        snapshot_at,
        max(available_at) as available_at,
        max(newest_quoted_at) as newest_quoted_at,
        surface_tenors({{ surface_lists() }}
        ) as tenors

    from slices

    group by venue, underlying, snapshot_at

),

tenors as (

    select
        venue,
        underlying,
        snapshot_at,
        available_at,
        newest_quoted_at,
        {{ exploded('tenors') }} as tenor

    from surfaces

),

constant as (

    select
        tenors.venue,
        tenors.underlying,
        'constant' as tenor_kind,
        tenors.tenor.tenor_days,
        cast(null as timestamp) as expires_at,
        tenors.snapshot_at,
        case when tenors.tenor.atm_iv is not null then earlier.fit_kind end as fit_kind,
        tenors.tenor.forward,
        tenors.tenor.atm_iv,
        tenors.tenor.call25_iv,
        tenors.tenor.put25_iv,
        tenors.tenor.call10_iv,
        tenors.tenor.put10_iv,
        tenors.tenor.skew_slope,
        tenors.tenor.curvature,
        -- Variance is linear in time: the stretch around the tenor has one forward vol.
        case when earlier.place is not null then fitted.forward_variance end as forward_variance,
        tenors.tenor.is_extrapolated_strike,
        earlier.place is null or later.place is null as is_extrapolated_time,
        tenors.tenor.atm_iv is null as is_unfitted,
        earlier.butterfly_min_g < 0 or later.butterfly_min_g < 0 as has_butterfly,
        earlier.is_forward_elsewhere or later.is_forward_elsewhere as is_forward_elsewhere,
        tenors.available_at,
        coalesce(
            least(earlier.newest_quoted_at, later.newest_quoted_at), tenors.newest_quoted_at
        ) as newest_quoted_at

    from tenors

    left join slices as earlier
        on
            tenors.venue = earlier.venue
            and tenors.underlying = earlier.underlying
            and tenors.snapshot_at = earlier.snapshot_at
            and tenors.tenor.before_place = earlier.place

    left join slices as later
        on
            tenors.venue = later.venue
            and tenors.underlying = later.underlying
            and tenors.snapshot_at = later.snapshot_at
            and tenors.tenor.after_place = later.place

    left join fitted
        on
            later.venue = fitted.venue
            and later.underlying = fitted.underlying
            and later.snapshot_at = fitted.snapshot_at
            and later.place = fitted.place

)

select * from listed

union all

select * from constant
