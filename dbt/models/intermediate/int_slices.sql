{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='snapshot_at') }}

with

-- A repaired fit counts where there is one, else the raw one.
ranked as (

    select
        *,
        row_number() over (
            partition by venue, underlying, expires_at, snapshot_at
            order by (svi_a is null) asc nulls last, (fit_kind = 'repaired') desc nulls last
        ) as choice,
        max(case when fit_kind = 'raw' then atm_iv * atm_iv * t_years end) over (
            partition by venue, underlying, expires_at, snapshot_at
        ) as raw_atm_variance

    from {{ ref('surface_slices') }}

)

select
    venue,
    underlying,
    expires_at,
    snapshot_at,
    fit_kind,
    t_years,
    forward,
    svi_a,
    svi_b,
    svi_rho,
    svi_m,
    svi_sigma,
    atm_iv,
    atm_iv * atm_iv * t_years as atm_variance,
    raw_atm_variance,
    lowest_log_moneyness,
    highest_log_moneyness,
    is_arbitrage_free,
    butterfly_min_g,
    calendar_min_dw,
    {{ has_flag('quality_flags', 'forward_not_from_parity') }} as is_forward_elsewhere,
    available_at,
    {{ plus_seconds('snapshot_at', '-staleness_s') }} as newest_quoted_at,
    row_number() over (
        partition by venue, underlying, snapshot_at
        order by expires_at asc nulls last
    ) as place

from ranked

where choice = 1
