with

contracts as (

    select
        *,
        ln(price / spot_price) as log_ratio,
        {{ has_flag('quality_flags', 'asynchronous') }} as is_asynchronous,
        {{ has_flag('quality_flags', 'assumed_availability') }} as is_availability_assumed

    from {{ ref('basis') }}

    where kind = 'future' and tenor_days >= 1 and spot_price is not null

),

curves as (

    select
        venue,
        underlying,
        quote,
        price_kind,
        snapshot_at,
        {{ list_of('instrument_id', 'tenor_days, instrument_id') }} as contracts,
        {{ list_of('tenor_days', 'tenor_days, instrument_id') }} as listed_days,
        -- A ratio of two moments is no point of the curve.
        {{ list_of('case when not is_asynchronous then log_ratio end', 'tenor_days, instrument_id') }} as log_ratios,
        count(case when is_asynchronous then 1 end) as contracts_excluded,
        min(spot_source) as spot_source,
        count(distinct spot_source) > 1 as is_spot_mixed,
        max(case when is_stablecoin_rate_assumed then 1 else 0 end) = 1 as is_stablecoin_rate_assumed,
        max(case when is_availability_assumed then 1 else 0 end) = 1 as is_availability_assumed,
        min(staleness_s) as newest_age_s,
        max(prices_available_at) as available_at

    from contracts

    group by venue, underlying, quote, price_kind, snapshot_at

),

read_off as (

    select
        curves.*,
        {{ exploded('constant_tenors(curves.listed_days, curves.log_ratios)') }} as tenor

    from curves

),

tenors as (

    select
        *,
        tenor.rate as log_rate,
        tenor.tenor_days / 365e0 as t_years,
        tenor.level_bps,
        tenor.contracts_listed

    from read_off

),

final as (

    select
        tenors.venue,
        tenors.underlying,
        tenors.quote,
        tenors.price_kind,
        cast(tenors.tenor.tenor_days as integer) as tenor_days,
        tenors.snapshot_at,
        tenors.log_rate as rate,
        (exp(tenors.log_rate * tenors.t_years) - 1) / tenors.t_years as rate_simple,
        exp(tenors.log_rate) - 1 as rate_compound,
        tenors.tenor.fit_rate,
        tenors.log_rate - tenors.tenor.fit_rate as fit_residual,
        tenors.tenor.fit_rmse_bps,
        tenors.tenor.leave_one_out_bps,
        tenors.level_bps as implied_spot_gap_bps,
        tenors.tenor.near_days as near_tenor_days,
        tenors.tenor.far_days as far_tenor_days,
        cast(tenors.tenor.contracts_used as integer) as contracts_used,
        cast(tenors.contracts_listed as integer) as contracts_listed,
        cast(tenors.contracts_excluded as integer) as contracts_excluded,
        tenors.contracts,
        tenors.log_rate is null as is_extrapolated_time,
        tenors.spot_source,
        tenors.available_at,
        {{ quality(
            'tenors.snapshot_at',
            plus_seconds('tenors.snapshot_at', '-tenors.newest_age_s'),
            'null',
            hard_flags=[('tenors.contracts_listed = 0', 'no_contract')],
            soft_flags=[
                ('tenors.log_rate is null', 'outside_listed'),
                ('tenors.contracts_listed = 1', 'one_contract'),
                ('tenors.is_spot_mixed', 'mixed_spot'),
                ("tenors.spot_source = 'perpetual'", 'perpetual_as_spot'),
                ('abs(tenors.level_bps) > rules.max_index_gap_bps', 'spot_unlike_curve'),
                ('tenors.is_stablecoin_rate_assumed', 'stablecoin_assumed'),
                ('tenors.is_availability_assumed', 'assumed_availability'),
            ]
        ) }}

    from tenors

    left join {{ ref('basis_rules') }} as rules
        on
            rules.kind = 'future'
            and tenors.snapshot_at >= rules.valid_from
            and tenors.snapshot_at < rules.valid_to

)

select *

from final

where available_at <= {{ as_of() }}
