with

nearest as (

    -- Where a source kept no index and no perpetual, the nearest forward is the best spot price there is.
    select
        venue,
        underlying,
        snapshot_at,
        {{ first_by('forward', ['expires_at']) }} as forward

    from {{ ref('forwards') }}

    where forward is not null and t_years > 0

    group by venue, underlying, snapshot_at

),

options as (

    select
        quotes.*,
        instruments.strike,
        instruments.option_type,
        instruments.option_type = 'call' as is_call,
        instruments.expires_at,
        forwards.forward,
        forwards.forward_source,
        coalesce(forwards.discount_factor, 1) as discount_factor,
        coalesce(quotes.index_price, snapshots.index_price, nearest.forward) as used_index_price,
        case
            when quotes.index_price is not null then 'chain'
            when snapshots.index_price is not null then snapshots.index_source
            when nearest.forward is not null then 'forward'
        end as index_source,
        {{ seconds_between('quotes.snapshot_at', 'instruments.expires_at') }} / 31536000.0 as t_years,
        {{ seconds_between('coalesce(quotes.quoted_at, quotes.snapshot_at)', 'quotes.snapshot_at') }} as quote_age_s,
        {{ seconds_between('quotes.snapshot_at', 'instruments.expires_at') }} as left_s,
        filters.max_quote_age_s,
        filters.max_iv_spread_share,
        filters.min_abs_delta,
        filters.min_t_years,
        filters.settlement_window_s

    from {{ ref('stg_option_quotes') }} as quotes

    left join {{ ref('stg_instruments') }} as instruments
        on
            quotes.instrument_id = instruments.instrument_id
            and {{ day_of('quotes.snapshot_at') }} = instruments.valid_from

    left join {{ ref('forwards') }} as forwards
        on
            quotes.venue = forwards.venue
            and quotes.underlying = forwards.underlying
            and instruments.expires_at = forwards.expires_at
            and quotes.snapshot_at = forwards.snapshot_at

    left join {{ ref('int_option_snapshots') }} as snapshots
        on
            quotes.venue = snapshots.venue
            and quotes.underlying = snapshots.underlying
            and quotes.snapshot_at = snapshots.snapshot_at

    left join nearest
        on
            quotes.venue = nearest.venue
            and quotes.underlying = nearest.underlying
            and quotes.snapshot_at = nearest.snapshot_at

    inner join {{ ref('option_filters') }} as filters
        on quotes.snapshot_at >= filters.valid_from and quotes.snapshot_at < filters.valid_to

),

priced as (

    select
        *,
        case when bid_price <= ask_price then (bid_price + ask_price) / 2 end as mid_price,
        -- What a price is multiplied by: to be inverted, and to be worth dollars.
        case when price_unit = 'coin' then forward else 1 / discount_factor end as to_forward_usd,
        case when price_unit = 'coin' then used_index_price else 1 end as to_value_usd,
        ln(strike / forward) as log_moneyness,
        left_s > 0 and left_s <= settlement_window_s as is_settling

    from options

),

solved as (

    select
        *,
        black_implied_vol(mid_price * to_forward_usd, forward, strike, t_years, is_call) as mid_solution,
        black_implied_vol(bid_price * to_forward_usd, forward, strike, t_years, is_call).iv as iv_bid,
        black_implied_vol(ask_price * to_forward_usd, forward, strike, t_years, is_call).iv as iv_ask,
        black_implied_vol(mark_price * to_forward_usd, forward, strike, t_years, is_call).iv as iv_mark

    from priced

),

vols as (

    select
        *,
        mid_solution.iv as iv_mid,
        coalesce(mid_solution.iv, iv_mark, venue_iv_mark) as greeks_iv,
        case
            when left_s <= 0 then 'expired'
            when bid_price is null and ask_price is null then 'no_quote'
            when bid_price is null or ask_price is null then 'one_sided'
            else coalesce(mid_solution.solver_status, 'not_finite')
        end as solver_status

    from solved

),

shaped as (

    select
        *,
        black_greeks(forward, strike, t_years, greeks_iv, is_call) as greeks,
        black_price(forward, strike, t_years, greeks_iv, is_call) / forward as premium_coin,
        -- The delivery price is an average: what is left of its window is what still moves with the price.
        case when is_settling then left_s / settlement_window_s else 1.0 end as exposed_share

    from vols

),

hedged as (

    select
        *,
        greeks.delta * exposed_share as delta,
        greeks.delta * exposed_share - premium_coin as delta_premium_adjusted,
        greeks.gamma * exposed_share * exposed_share as gamma,
        greeks.vega_usd,
        greeks.theta_usd

    from shaped

),

judged as (

    select
        *,
        case
            when strike is null then 'unknown_instrument'
            when solver_status = 'expired' then solver_status
            when bid_price >= ask_price then 'crossed'
            when solver_status in ('no_quote', 'one_sided') then solver_status
            when forward is null then 'no_forward'
            when is_settling then 'settling'
            when t_years < min_t_years then 'too_near'
            when quote_age_s > max_quote_age_s then 'stale'
            when solver_status <> 'ok' then solver_status
            when (is_call and log_moneyness < 0) or (not is_call and log_moneyness >= 0) then 'in_the_money'
            when iv_bid is null or iv_ask is null then 'unsolved_side'
            when iv_ask - iv_bid > max_iv_spread_share * iv_mid then 'wide_spread'
            when abs(delta) < min_abs_delta then 'too_deep'
        end as exclude_reason

    from hedged

),

final as (

    select
        venue,
        underlying,
        instrument_id,
        expires_at,
        strike,
        option_type,
        snapshot_at,
        quoted_at,
        price_unit,
        case when price_unit = 'coin' then 'coin' else 'usd' end as numeraire,
        forward,
        t_years,
        log_moneyness,
        used_index_price as index_price,
        index_source,
        bid_price,
        ask_price,
        mid_price,
        mark_price,
        bid_quantity_base,
        ask_quantity_base,
        bid_price * to_value_usd as bid_price_usd,
        ask_price * to_value_usd as ask_price_usd,
        mid_price * to_value_usd as mid_price_usd,
        mark_price * to_value_usd as mark_price_usd,
        mid_price * to_forward_usd as price_forward_usd,
        coalesce(mid_price, mark_price) * to_value_usd as value_usd,
        iv_bid,
        iv_mid,
        iv_ask,
        iv_mark,
        greeks_iv,
        solver_status,
        is_settling,
        delta,
        delta_premium_adjusted,
        gamma,
        vega_usd,
        theta_usd,
        nullif(venue_iv_bid, 0) as venue_iv_bid,
        nullif(venue_iv_mark, 0) as venue_iv_mark,
        nullif(venue_iv_ask, 0) as venue_iv_ask,
        venue_delta,
        venue_gamma,
        venue_vega,
        venue_theta,
        case when venue = 'okx' then 'premium_adjusted' else 'black_forward' end as greeks_convention,
        iv_mark - nullif(venue_iv_mark, 0) as iv_error,
        case when venue = 'okx' then delta_premium_adjusted else delta end - venue_delta as delta_error,
        gamma - venue_gamma as gamma_error,
        vega_usd - venue_vega as vega_error_usd,
        theta_usd - venue_theta as theta_error_usd,
        open_interest_base,
        open_interest_usd,
        volume_24h_usd,
        exclude_reason is null as use_in_fit,
        exclude_reason,
        available_at,
        {{ quality(
            'snapshot_at',
            'coalesce(quoted_at, snapshot_at)',
            'null',
            hard_flags=[
                ('strike is null', 'unknown_instrument'),
                ('forward is null and left_s > 0', 'no_forward'),
                ('bid_price > ask_price', 'crossed'),
            ],
            soft_flags=[
                ("forward_source <> 'parity'", 'forward_not_from_parity'),
                ("index_source = 'perpetual'", 'index_from_perpetual'),
                ("index_source = 'forward'", 'index_from_forward'),
                ('quote_age_s > max_quote_age_s', 'stale_quote'),
                ('is_availability_assumed', 'assumed_availability'),
            ],
        ) }}

    from judged

)

select * from final
