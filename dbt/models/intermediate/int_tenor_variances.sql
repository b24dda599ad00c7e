{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='snapshot_at') }}

with

expiries as (

    select * from {{ ref('int_expiry_variances') }}

),

variances as (

    select
        *,
        'strip' as method,
        strip_variance as variance

    from expiries

    union all

    select
        *,
        'surface' as method,
        surface_variance as variance

    from expiries

    union all

    select
        *,
        'atm' as method,
        atm_variance as variance

    from expiries

),

-- The expiry just before and the one just after; both are the same where one falls on the tenor.
enclosed as (

    select
        variances.venue,
        variances.underlying,
        variances.method,
        variances.snapshot_at,
        tenors.tenor_days,
        tenors.tenor_days / 365.0 as tenor_years,
        max(variances.available_at) as available_at,
        max(variances.newest_quoted_at) as newest_quoted_at,
        max(case
            when variances.variance > 0 and variances.t_years <= tenors.tenor_days / 365.0
                then variances.expires_at
        end) as expiry_before_at,
        min(case
            when variances.variance > 0 and variances.t_years >= tenors.tenor_days / 365.0
                then variances.expires_at
        end) as expiry_after_at

    from variances

    cross join {{ each_of([1, 2, 3, 7, 14, 21, 30, 60, 90, 120, 180, 270, 365], 'tenor_days') }} as tenors

    group by
        variances.venue,
        variances.underlying,
        variances.method,
        variances.snapshot_at,
        tenors.tenor_days

),

joined as (

    select
        enclosed.*,
        earlier.variance as variance_before,
        later.variance as variance_after,
        earlier.surface_variance as surface_before,
        later.surface_variance as surface_after,
        earlier.surface_variance * earlier.coverage_share as covered_before,
        later.surface_variance * later.coverage_share as covered_after,
        least(earlier.strikes_used, later.strikes_used) as strikes_used,
        earlier.is_forward_elsewhere or later.is_forward_elsewhere as is_forward_elsewhere,
        case
            when earlier.t_years = later.t_years then 1
            else (later.t_years - enclosed.tenor_years) / (later.t_years - earlier.t_years)
        end as weight_before

    from enclosed

    left join variances as earlier
        on
            enclosed.venue = earlier.venue
            and enclosed.underlying = earlier.underlying
            and enclosed.method = earlier.method
            and enclosed.snapshot_at = earlier.snapshot_at
            and enclosed.expiry_before_at = earlier.expires_at

    left join variances as later
        on
            enclosed.venue = later.venue
            and enclosed.underlying = later.underlying
            and enclosed.method = later.method
            and enclosed.snapshot_at = later.snapshot_at
            and enclosed.expiry_after_at = later.expires_at

),

mixed as (

    select
        *,
        weight_before * variance_before + (1 - weight_before) * variance_after as total_variance,
        (weight_before * covered_before + (1 - weight_before) * covered_after)
        / (weight_before * surface_before + (1 - weight_before) * surface_after) as coverage_share

    from joined

)

select
    venue,
    underlying,
    method,
    tenor_days,
    snapshot_at,
    total_variance,
    case when total_variance > 0 then total_variance / tenor_years end as variance,
    coverage_share,
    strikes_used,
    expiry_before_at,
    expiry_after_at,
    is_forward_elsewhere,
    available_at,
    newest_quoted_at

from mixed
