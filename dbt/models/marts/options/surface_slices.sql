with

forwards as (

    select * from {{ ref('forwards') }}

),

quotes as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        instrument_id,
        log_moneyness,
        iv_bid,
        iv_mid,
        iv_ask,
        iv_mid * iv_mid * t_years as total_variance,
        -- Vega over half the spread in price is one over half the spread in vol: the error of each vol.
        2 / (iv_ask - iv_bid) as weight

    from {{ ref('quotes') }}

    where use_in_fit

),

expiries as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        count(*) as quotes_used,
        min(log_moneyness) as lowest_log_moneyness,
        max(log_moneyness) as highest_log_moneyness,
        {{ first_by('iv_mid', ['abs(log_moneyness)', 'instrument_id']) }} as nearest_iv,
        {{ short_list_of('log_moneyness', 'log_moneyness, instrument_id') }} as moneynesses,
        {{ short_list_of('total_variance', 'log_moneyness, instrument_id') }} as variances,
        {{ short_list_of('weight', 'log_moneyness, instrument_id') }} as weights

    from quotes

    group by venue, underlying, expires_at, snapshot_at

),

fitted as (

    select
        forwards.venue,
        forwards.underlying,
        forwards.expires_at,
        forwards.snapshot_at,
        forwards.t_years,
        coalesce(expiries.quotes_used, 0) as quotes_used,
        expiries.lowest_log_moneyness,
        expiries.highest_log_moneyness,
        expiries.nearest_iv,
        svi_fit(expiries.moneynesses, expiries.variances, expiries.weights, forwards.t_years) as fit,
        row_number() over (
            partition by forwards.venue, forwards.underlying, forwards.snapshot_at
            order by forwards.expires_at asc nulls last
        ) as place

    from forwards

    left join expiries
        on
            forwards.venue = expiries.venue
            and forwards.underlying = expiries.underlying
            and forwards.expires_at = expiries.expires_at
            and forwards.snapshot_at = expiries.snapshot_at

),

surfaces as (

    select
        venue,
        underlying,
        snapshot_at,
        {{ short_list_of('fit.svi_a', 'place') }} as levels,
        {{ short_list_of('fit.svi_b', 'place') }} as slopes,
        {{ short_list_of('fit.svi_rho', 'place') }} as skews,
        {{ short_list_of('fit.svi_m', 'place') }} as centres,
        {{ short_list_of('fit.svi_sigma', 'place') }} as roundnesses,
        {{ short_list_of('t_years', 'place') }} as times,
        {{ short_list_of('quotes_used', 'place') }} as counts

    from fitted

    group by venue, underlying, snapshot_at

),

-- In the order of expiries and, within them, of the lists that were fitted.
chains as (

    select
        venue,
        underlying,
        snapshot_at,
        {{ short_list_of('log_moneyness', 'expires_at, log_moneyness, instrument_id') }} as moneynesses,
        {{ short_list_of('total_variance', 'expires_at, log_moneyness, instrument_id') }} as variances,
        {{ short_list_of('weight', 'expires_at, log_moneyness, instrument_id') }} as weights

    from quotes

    group by venue, underlying, snapshot_at

),

repairs as (

    select
        surfaces.venue,
        surfaces.underlying,
        surfaces.snapshot_at,
        surface_repair(
            surfaces.levels, surfaces.slopes, surfaces.skews, surfaces.centres, surfaces.roundnesses,
            surfaces.times, surfaces.counts, chains.moneynesses, chains.variances, chains.weights
        ) as slices

    from surfaces

    left join chains
        on
            surfaces.venue = chains.venue
            and surfaces.underlying = chains.underlying
            and surfaces.snapshot_at = chains.snapshot_at

),

repaired as (

    select
        venue,
        underlying,
        snapshot_at,
        {{ exploded('slices') }} as slice

    from repairs

),

both_kinds as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        'raw' as fit_kind,
        t_years,
        quotes_used,
        lowest_log_moneyness,
        highest_log_moneyness,
        nearest_iv,
        fit.svi_a,
        fit.svi_b,
        fit.svi_rho,
        fit.svi_m,
        fit.svi_sigma,
        fit.fit_status,
        fit.outliers_count,
        cast(null as varchar) as repair_status,
        cast(null as double) as repair_max_change_iv,
        cast(null as double) as repair_rms_change_iv

    from fitted

    union all

    select
        fitted.venue,
        fitted.underlying,
        fitted.expires_at,
        fitted.snapshot_at,
        'repaired' as fit_kind,
        fitted.t_years,
        fitted.quotes_used,
        fitted.lowest_log_moneyness,
        fitted.highest_log_moneyness,
        fitted.nearest_iv,
        repaired.slice.svi_a,
        repaired.slice.svi_b,
        repaired.slice.svi_rho,
        repaired.slice.svi_m,
        repaired.slice.svi_sigma,
        fitted.fit.fit_status,
        fitted.fit.outliers_count,
        repaired.slice.repair_status,
        repaired.slice.max_change_iv as repair_max_change_iv,
        repaired.slice.rms_change_iv as repair_rms_change_iv

    from fitted

    inner join repaired
        on
            fitted.venue = repaired.venue
            and fitted.underlying = repaired.underlying
            and fitted.snapshot_at = repaired.snapshot_at
            and fitted.place = repaired.slice.place

),

slices as (

    select
        *,
        svi_least_g(svi_a, svi_b, svi_rho, svi_m, svi_sigma) as butterfly_min_g,
        svi_b * (1 - svi_rho) as lee_left,
        svi_b * (1 + svi_rho) as lee_right,
        svi_total_variance(svi_a, svi_b, svi_rho, svi_m, svi_sigma, 0.0) as atm_variance

    from both_kinds

),

neighbours as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        fit_kind,
        svi_calendar(
            lag(svi_a) over previous, lag(svi_b) over previous, lag(svi_rho) over previous,
            lag(svi_m) over previous, lag(svi_sigma) over previous,
            svi_a, svi_b, svi_rho, svi_m, svi_sigma
        ) as calendar

    from slices

    where svi_a is not null

    window previous as (
        partition by venue, underlying, snapshot_at, fit_kind
        order by expires_at asc nulls last
    )

),

distances as (

    select
        quotes.venue,
        quotes.underlying,
        quotes.expires_at,
        quotes.snapshot_at,
        slices.fit_kind,
        sqrt(
            svi_total_variance(
                slices.svi_a, slices.svi_b, slices.svi_rho, slices.svi_m, slices.svi_sigma, quotes.log_moneyness
            ) / slices.t_years
        ) as fitted_iv,
        quotes.iv_bid,
        quotes.iv_mid,
        quotes.iv_ask

    from quotes

    inner join slices
        on
            quotes.venue = slices.venue
            and quotes.underlying = slices.underlying
            and quotes.expires_at = slices.expires_at
            and quotes.snapshot_at = slices.snapshot_at

    where slices.svi_a is not null

),

scores as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        fit_kind,
        -- In squares of a thousandth of a point: exact sums keep ten decimals.
        sqrt({{ exact_sum('1e10 * (fitted_iv - iv_mid) * (fitted_iv - iv_mid)') }} / count(*)) / 1e5 as rmse_iv,
        cast(count(*) filter (where fitted_iv >= iv_bid and fitted_iv <= iv_ask) as double)
        / count(*) as inside_spread_share

    from distances

    group by venue, underlying, expires_at, snapshot_at, fit_kind

),

joined as (

    select
        slices.*,
        forwards.available_at,
        forwards.forward,
        forwards.forward_source,
        forwards.staleness_s as forward_staleness_s,
        case
            when slices.svi_a is not null then sqrt(slices.atm_variance / slices.t_years)
            else slices.nearest_iv
        end as atm_iv,
        scores.rmse_iv,
        scores.inside_spread_share,
        neighbours.calendar.calendar_min_dw,
        -- Beyond every strike the slopes of the wings decide.
        coalesce(neighbours.calendar.wing_excess < 0, false) as has_flatter_wing,
        case
            when slices.svi_a is not null then 'none'
            when slices.nearest_iv is not null then 'nearest_quote'
            else 'no_vol'
        end as fallback

    from slices

    inner join forwards
        on
            slices.venue = forwards.venue
            and slices.underlying = forwards.underlying
            and slices.expires_at = forwards.expires_at
            and slices.snapshot_at = forwards.snapshot_at

    left join neighbours
        on
            slices.venue = neighbours.venue
            and slices.underlying = neighbours.underlying
            and slices.expires_at = neighbours.expires_at
            and slices.snapshot_at = neighbours.snapshot_at
            and slices.fit_kind = neighbours.fit_kind

    left join scores
        on
            slices.venue = scores.venue
            and slices.underlying = scores.underlying
            and slices.expires_at = scores.expires_at
            and slices.snapshot_at = scores.snapshot_at
            and slices.fit_kind = scores.fit_kind

),

judged as (

    select
        *,
        case
            when svi_a is not null
                then
                    butterfly_min_g >= 0
                    and lee_left <= 2
                    and lee_right <= 2
                    and coalesce(calendar_min_dw, 0) >= 0
                    and not has_flatter_wing
        end as is_arbitrage_free

    from joined

),

final as (

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
        cast(quotes_used - coalesce(outliers_count, 0) as integer) as quotes_used,
        outliers_count,
        lowest_log_moneyness,
        highest_log_moneyness,
        rmse_iv,
        inside_spread_share,
        butterfly_min_g,
        calendar_min_dw,
        lee_left,
        lee_right,
        is_arbitrage_free,
        fit_status,
        fallback,
        repair_status,
        repair_max_change_iv,
        repair_rms_change_iv,
        available_at,
        {{ quality(
            'snapshot_at',
            plus_seconds('snapshot_at', '-forward_staleness_s'),
            'null',
            hard_flags=[('svi_a is null', 'no_fit')],
            soft_flags=[
                ("forward_source <> 'parity'", 'forward_not_from_parity'),
                ('butterfly_min_g < 0', 'butterfly_arbitrage'),
                ('calendar_min_dw < 0 or has_flatter_wing', 'calendar_arbitrage'),
                ('inside_spread_share < 0.5', 'outside_spreads'),
                ("fit_status = 'not_converged'", 'not_converged'),
            ],
        ) }}

    from judged

)

select * from final
