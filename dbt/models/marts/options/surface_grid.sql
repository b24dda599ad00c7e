with

slices as (

    select * from {{ ref('int_slices') }}

),

surfaces as (

    select
        venue,
        underlying,
        snapshot_at,
        max(available_at) as available_at,
        max(newest_quoted_at) as newest_quoted_at,
        surface_grid({{ surface_lists() }}
        ) as cells

    from slices

    group by venue, underlying, snapshot_at

),

cells as (

    select
        venue,
        underlying,
        snapshot_at,
        available_at,
        newest_quoted_at,
        {{ exploded('cells') }} as cell

    from surfaces

),

joined as (

    select
        cells.venue,
        cells.underlying,
        cells.cell.tenor_days,
        cells.cell.delta_bucket,
        cells.snapshot_at,
        cells.cell.iv,
        cells.cell.strike,
        cells.cell.log_moneyness,
        cells.cell.total_variance,
        cells.cell.before_place is null or cells.cell.after_place is null as is_extrapolated_time,
        cells.cell.is_extrapolated_strike,
        earlier.expires_at as expiry_before_at,
        later.expires_at as expiry_after_at,
        earlier.fit_kind,
        earlier.atm_variance > later.atm_variance as is_falling,
        earlier.butterfly_min_g < 0 or later.butterfly_min_g < 0 as has_butterfly,
        earlier.is_forward_elsewhere or later.is_forward_elsewhere as is_forward_elsewhere,
        cells.available_at,
        coalesce(least(earlier.newest_quoted_at, later.newest_quoted_at), cells.newest_quoted_at) as newest_quoted_at

    from cells

    left join slices as earlier
        on
            cells.venue = earlier.venue
            and cells.underlying = earlier.underlying
            and cells.snapshot_at = earlier.snapshot_at
            and cells.cell.before_place = earlier.place

    left join slices as later
        on
            cells.venue = later.venue
            and cells.underlying = later.underlying
            and cells.snapshot_at = later.snapshot_at
            and cells.cell.after_place = later.place

),

final as (

    select
        venue,
        underlying,
        tenor_days,
        delta_bucket,
        snapshot_at,
        iv,
        strike,
        log_moneyness,
        total_variance,
        is_extrapolated_time,
        is_extrapolated_strike,
        expiry_before_at,
        expiry_after_at,
        case when not is_extrapolated_time then fit_kind end as fit_kind,
        available_at,
        {{ quality(
            'snapshot_at',
            'newest_quoted_at',
            'null',
            hard_flags=[('iv is null', 'no_vol')],
            soft_flags=[
                ('is_extrapolated_time', 'beyond_listed_expiries'),
                ('is_extrapolated_strike', 'beyond_quoted_strikes'),
                ('has_butterfly', 'butterfly_arbitrage'),
                ('is_falling', 'calendar_arbitrage'),
                ('is_forward_elsewhere', 'forward_not_from_parity'),
            ],
        ) }}

    from joined

)

select * from final
