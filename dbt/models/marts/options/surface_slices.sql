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
        {{ list_of('log_moneyness', 'log_moneyness, instrument_id') }} as moneynesses,
        {{ list_of('total_variance', 'log_moneyness, instrument_id') }} as variances,
        {{ list_of('weight', 'log_moneyness, instrument_id') }} as weights

    from quotes

    group by venue, underlying, expires_at, snapshot_at

),

fitted as (

    select
        expiries.*,
        forwards.t_years,
        svi_fit(expiries.moneynesses, expiries.variances, expiries.weights, forwards.t_years) as fit

    from expiries

    inner join forwards
        on
            expiries.venue = forwards.venue
            and expiries.underlying = forwards.underlying
            and expiries.expires_at = forwards.expires_at
            and expiries.snapshot_at = forwards.snapshot_at

),

slices as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        quotes_used,
        lowest_log_moneyness,
        highest_log_moneyness,
        nearest_iv,
        t_years,
        fit.svi_a,
        fit.svi_b,
        fit.svi_rho,
        fit.svi_m,
        fit.svi_sigma,
        fit.rmse_iv,
        fit.butterfly_min_g,
        fit.lee_left,
        fit.lee_right,
        fit.fit_status,
        svi_total_variance(fit.svi_a, fit.svi_b, fit.svi_rho, fit.svi_m, fit.svi_sigma, 0.0) as atm_variance

    from fitted

),

neighbours as (

    select
        *,
        lag(svi_a) over previous as previous_a,
        lag(svi_b) over previous as previous_b,
        lag(svi_rho) over previous as previous_rho,
        lag(svi_m) over previous as previous_m,
        lag(svi_sigma) over previous as previous_sigma,
        lag(lee_left) over previous as previous_left,
        lag(lee_right) over previous as previous_right,
        greatest(1.5, 6 * sqrt(atm_variance)) as reach

    from slices

    where svi_a is not null

    window previous as (
        partition by venue, underlying, snapshot_at
        order by expires_at asc nulls last
    )

),

calendars as (

    select
        neighbours.venue,
        neighbours.underlying,
        neighbours.expires_at,
        neighbours.snapshot_at,
        min(
            svi_total_variance(
                neighbours.svi_a, neighbours.svi_b, neighbours.svi_rho, neighbours.svi_m, neighbours.svi_sigma,
                neighbours.reach * (places.n - 60) / 60.0
            )
            - svi_total_variance(
                neighbours.previous_a, neighbours.previous_b, neighbours.previous_rho,
                neighbours.previous_m, neighbours.previous_sigma,
                neighbours.reach * (places.n - 60) / 60.0
            )
        ) as calendar_min_dw,
        -- Beyond the grid the slopes decide.
        max(case
            when
                neighbours.lee_left < neighbours.previous_left
                or neighbours.lee_right < neighbours.previous_right
                then 1
            else 0
        end) = 1 as has_flatter_wing

    from neighbours

    cross join {{ numbers(121) }} as places

    group by neighbours.venue, neighbours.underlying, neighbours.expires_at, neighbours.snapshot_at

),

insides as (

    select
        quotes.venue,
        quotes.underlying,
        quotes.expires_at,
        quotes.snapshot_at,
        sqrt(
            svi_total_variance(
                slices.svi_a, slices.svi_b, slices.svi_rho, slices.svi_m, slices.svi_sigma, quotes.log_moneyness
            ) / slices.t_years
        ) as fitted_iv,
        quotes.iv_bid,
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

shares as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        cast(count(*) filter (where fitted_iv >= iv_bid and fitted_iv <= iv_ask) as double)
        / count(*) as inside_spread_share

    from insides

    group by venue, underlying, expires_at, snapshot_at

),

joined as (

    select
        forwards.venue,
        forwards.underlying,
        forwards.expires_at,
        forwards.snapshot_at,
        forwards.available_at,
        forwards.t_years,
        forwards.forward,
        forwards.forward_source,
        forwards.staleness_s as forward_staleness_s,
        slices.svi_a,
        slices.svi_b,
        slices.svi_rho,
        slices.svi_m,
        slices.svi_sigma,
        case
            when slices.svi_a is not null then sqrt(slices.atm_variance / slices.t_years)
            else slices.nearest_iv
        end as atm_iv,
        coalesce(slices.quotes_used, 0) as quotes_used,
        slices.lowest_log_moneyness,
        slices.highest_log_moneyness,
        slices.rmse_iv,
        shares.inside_spread_share,
        slices.butterfly_min_g,
        calendars.calendar_min_dw,
        calendars.has_flatter_wing,
        slices.lee_left,
        slices.lee_right,
        coalesce(slices.fit_status, 'too_few_strikes') as fit_status,
        case
            when slices.svi_a is not null then 'none'
            when slices.nearest_iv is not null then 'nearest_quote'
            else 'no_vol'
        end as fallback

    from forwards

    left join slices
        on
            forwards.venue = slices.venue
            and forwards.underlying = slices.underlying
            and forwards.expires_at = slices.expires_at
            and forwards.snapshot_at = slices.snapshot_at

    left join calendars
        on
            forwards.venue = calendars.venue
            and forwards.underlying = calendars.underlying
            and forwards.expires_at = calendars.expires_at
            and forwards.snapshot_at = calendars.snapshot_at

    left join shares
        on
            forwards.venue = shares.venue
            and forwards.underlying = shares.underlying
            and forwards.expires_at = shares.expires_at
            and forwards.snapshot_at = shares.snapshot_at

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
                    and not coalesce(has_flatter_wing, false)
        end as is_arbitrage_free

    from joined

),

final as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        'raw' as fit_kind,
        t_years,
        forward,
        svi_a,
        svi_b,
        svi_rho,
        svi_m,
        svi_sigma,
        atm_iv,
        cast(quotes_used as integer) as quotes_used,
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
