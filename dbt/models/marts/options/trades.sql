{{ config(event_time='event_at', meta={'reads_day_before': true, 'rows_from': ['trades']}) }}

with

prints as (

    select
        trades.*,
        -- What stood before the print and not what it left behind.
        {{ plus_seconds('trades.event_at', '-0.000001') }} as just_before_at,
        instruments.expires_at,
        instruments.strike,
        instruments.option_type,
        instruments.option_type = 'call' as is_call,
        {{ seconds_between('trades.event_at', 'instruments.expires_at') }} / 31536000.0 as t_years,
        filters.max_print_lag_s

    from {{ ref('stg_trades') }} as trades

    inner join {{ ref('stg_instruments') }} as instruments
        on
            trades.instrument_id = instruments.instrument_id
            and {{ day_of('trades.event_at') }} = instruments.valid_from

    inner join {{ ref('option_filters') }} as filters
        on trades.event_at >= filters.valid_from and trades.event_at < filters.valid_to

    where instruments.kind = 'option'

),

chain as (

    select
        venue,
        instrument_id,
        snapshot_at,
        available_at,
        price_unit,
        bid_price,
        ask_price,
        mid_price,
        forward,
        index_price,
        index_source,
        open_interest_base,
        lead(snapshot_at) over following as next_snapshot_at,
        lead(available_at) over following as next_available_at,
        lead(open_interest_base) over following as next_open_interest_base

    from {{ uncut(ref('quotes')) }}

    where {{ in_batch_or_day_before('snapshot_at') }}

    window following as (
        partition by instrument_id
        order by snapshot_at asc nulls last
    )

),

slices as (

    select *

    from {{ uncut(ref('int_slices')) }}

    where {{ in_batch_or_day_before('snapshot_at') }}

),

discounts as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        discount_factor

    from {{ uncut(ref('forwards')) }}

    where {{ in_batch_or_day_before('snapshot_at') }}

),

quoted as (

    select
        prints.*,
        chain.snapshot_at,
        chain.available_at as chain_available_at,
        chain.price_unit,
        chain.bid_price,
        chain.ask_price,
        chain.mid_price,
        chain.forward as snapshot_forward,
        chain.index_price as snapshot_index_price,
        chain.index_source,
        chain.open_interest_base,
        chain.next_open_interest_base,
        chain.next_available_at,
        {{ seconds_between('chain.snapshot_at', 'prints.event_at') }} as quote_age_s

    from prints

    {{ asof_left_join('chain', 'chain', ['venue', 'instrument_id'], 'prints', 'just_before_at', 'snapshot_at') }}

),

-- A forward that is some minutes old has moved with its index since.
moved as (

    select
        *,
        case
            when quote_age_s > max_print_lag_s then null
            when index_price > 0 and snapshot_index_price > 0 and index_source in ('chain', 'venue')
                then snapshot_forward * index_price / snapshot_index_price
            else snapshot_forward
        end as forward,
        coalesce(index_price, snapshot_index_price) as used_index_price

    from quoted

),

placed as (

    select
        moved.*,
        ln(moved.strike / moved.forward) as log_moneyness,
        case
            when moved.price_unit = 'coin' then moved.forward
            when moved.price_unit = 'usd' then 1 / coalesce(discounts.discount_factor, 1)
        end as to_forward_usd,
        case moved.price_unit when 'coin' then moved.used_index_price when 'usd' then 1 end as to_value_usd,
        slices.svi_a,
        slices.svi_b,
        slices.svi_rho,
        slices.svi_m,
        slices.svi_sigma,
        slices.t_years as slice_t_years

    from moved

    left join slices
        on
            moved.venue = slices.venue
            and moved.underlying = slices.underlying
            and moved.expires_at = slices.expires_at
            and moved.snapshot_at = slices.snapshot_at

    left join discounts
        on
            moved.venue = discounts.venue
            and moved.underlying = discounts.underlying
            and moved.expires_at = discounts.expires_at
            and moved.snapshot_at = discounts.snapshot_at

),

solved as (

    select
        *,
        black_implied_vol(price * to_forward_usd, forward, strike, t_years, is_call) as solution,
        sqrt(
            svi_total_variance(svi_a, svi_b, svi_rho, svi_m, svi_sigma, log_moneyness) / slice_t_years
        ) as surface_iv

    from placed

),

shaped as (

    select
        *,
        solution.iv as trade_iv,
        coalesce(surface_iv, solution.iv) as greeks_iv,
        black_greeks(forward, strike, t_years, coalesce(surface_iv, solution.iv), is_call) as greeks

    from solved

),

final as (

    select
        venue,
        underlying,
        instrument_id,
        trade_id,
        expires_at,
        strike,
        option_type,
        event_at,
        side,
        price_unit,
        price,
        price * to_value_usd as price_usd,
        quantity_base,
        quantity_contracts,
        notional_usd,
        is_block,
        combo_id is not null as is_combo,
        combo_id,
        is_liquidation,
        snapshot_at,
        quote_age_s,
        bid_price,
        ask_price,
        mid_price,
        2 * (price - mid_price) / nullif(ask_price - bid_price, 0) as half_spreads_from_mid,
        forward,
        used_index_price as index_price,
        log_moneyness,
        t_years,
        trade_iv as iv,
        iv as venue_iv,
        case when price_unit is null then 'no_chain' else solution.solver_status end as solver_status,
        surface_iv,
        trade_iv - surface_iv as iv_over_surface,
        aggressor_sign * greeks.vega_usd * quantity_base as taker_vega_usd,
        aggressor_sign * greeks.delta * quantity_base as taker_delta_base,
        aggressor_sign * price * to_value_usd * quantity_base as taker_premium_usd,
        open_interest_base as open_interest_before_base,
        next_open_interest_base as open_interest_after_base,
        next_open_interest_base - open_interest_base as open_interest_change_base,
        greatest(available_at, chain_available_at, next_available_at) as available_at,
        {{ quality(
            'event_at',
            'coalesce(snapshot_at, event_at)',
            'null',
            soft_flags=[
                ('snapshot_at is null', 'no_chain'),
                ('quote_age_s > max_print_lag_s', 'old_chain'),
                ('trade_iv is null', 'no_vol'),
                ('surface_iv is null', 'no_surface'),
                ('side is null', 'side_unknown'),
                ('is_availability_assumed', 'assumed_availability'),
            ],
        ) }}

    from shaped

)

select * from final
