{%- set hard_flags = [
    ('unpriced_count > 0 or current_delta is null', 'missing_price'),
    ('underlying_price is null', 'missing_underlying_price'),
    (
        "oldest_price_age_s > max_price_age_s or array_contains(exposure_flags, 'stale_price')",
        'stale_price',
    ),
    ('is_outside and price_age_s > max_price_age_s', 'stale_instrument_price'),
] -%}

{%- set soft_flags = [
    ("array_contains(exposure_flags, 'collateral_unknown')", 'collateral_unknown'),
    ("array_contains(exposure_flags, 'spot_beside_balance')", 'spot_beside_balance'),
    ('is_outside and chosen_instrument_id is not null and funding_bps_per_day is null', 'unknown_funding'),
] -%}

with

exposures as (

    select * from {{ ref('exposures') }}

),

decisions as (

    select * from {{ ref('int_decision_times') }}

),

matched as (

    select
        policies.*,
        exposures.portfolio_id as account_id,
        exposures.underlying as coin,
        exposures.as_of_at,
        row_number() over (
            partition by policies.policy, exposures.portfolio_id, exposures.underlying, exposures.as_of_at
            order by
                case policies.portfolio_id when '*' then 1 else 0 end asc nulls last,
                case policies.underlying when '*' then 1 else 0 end asc nulls last
        ) as place

    from {{ ref('policies') }} as policies

    inner join exposures
        on
            (policies.portfolio_id = '*' or policies.portfolio_id = exposures.portfolio_id)
            and (policies.underlying = '*' or policies.underlying = exposures.underlying)
            and policies.valid_from <= exposures.as_of_at
            and policies.valid_to > exposures.as_of_at

    where policies.policy_kind = 'threshold'

),

-- The band is brought to coins, and everything a decision turns on is rounded before it is compared.
banded as (

    select
        exposures.portfolio_id,
        exposures.underlying,
        exposures.as_of_at,
        matched.policy,
        matched.policy_kind,
        matched.rebalance_to,
        matched.hedge_kinds,
        matched.hedge_venues,
        matched.max_price_age_s,
        matched.valid_for_s,
        matched.risk_aversion_per_usd,
        matched.horizon_days,
        exposures.underlying_price,
        exposures.gamma_coin,
        exposures.vega_usd,
        exposures.unpriced_count,
        exposures.oldest_price_age_s,
        exposures.staleness_s as exposure_staleness_s,
        exposures.quality_flags as exposure_flags,
        decisions.positions_at,
        round(exposures.delta_coin, 8) as current_delta,
        round(matched.target_delta, 8) as target_delta,
        round(
            case matched.band_unit
                when 'share' then matched.band * exposures.gross_delta_coin
                else matched.band
            end,
            8
        ) as half_width

    from exposures

    inner join matched
        on
            exposures.portfolio_id = matched.account_id
            and exposures.underlying = matched.coin
            and exposures.as_of_at = matched.as_of_at
            and matched.place = 1

    inner join decisions
        on
            exposures.portfolio_id = decisions.portfolio_id
            and exposures.underlying = decisions.underlying
            and exposures.as_of_at = decisions.as_of_at

),

triggered as (

    select
        *,
        target_delta - half_width as band_low,
        target_delta + half_width as band_high,
        case
            when current_delta > target_delta + half_width then 'above_band'
            when current_delta < target_delta - half_width then 'below_band'
            when current_delta is not null then 'none'
        end as trigger,
        case
            when rebalance_to = 'edge' and current_delta > target_delta + half_width
                then target_delta + half_width - current_delta
            when rebalance_to = 'edge' and current_delta < target_delta - half_width
                then target_delta - half_width - current_delta
            else target_delta - current_delta
        end as coins_to_trade

    from banded

),

venues as (

    select distinct
        portfolio_id,
        underlying,
        as_of_at as positions_at,
        venue

    from {{ ref('stg_positions') }}

),

venue_counts as (

    select
        portfolio_id,
        underlying,
        positions_at,
        count(*) as venue_count

    from venues

    group by portfolio_id, underlying, positions_at

),

-- Where the book holds nothing yet, every venue is as good as held.
eligible as (

    select
        triggered.portfolio_id,
        triggered.policy,
        triggered.underlying,
        triggered.as_of_at,
        candidates.instrument_id,
        candidates.kind,
        candidates.contract_type,
        candidates.contract_size,
        candidates.lot_size,
        candidates.tick_size,
        candidates.price,
        candidates.price_age_s,
        candidates.spread_bps,
        candidates.fee_bps,
        candidates.funding_bps_per_day,
        row_number() over (
            partition by triggered.portfolio_id, triggered.policy, triggered.underlying, triggered.as_of_at
            order by
                case when candidates.price_age_s <= triggered.max_price_age_s then 0 else 1 end asc nulls last,
                case when candidates.lot_size > 0 and candidates.tick_size > 0 then 0 else 1 end asc nulls last,
                -- A cost that is not known whole is no cost to compare: it comes after all that are.
                round(
                    candidates.spread_bps
                    + candidates.fee_bps
                    + candidates.funding_bps_per_day * triggered.horizon_days,
                    6
                ) asc nulls last,
                candidates.instrument_id asc nulls last
        ) as place

    from triggered

    inner join {{ ref('int_decision_candidates') }} as candidates
        on
            triggered.underlying = candidates.underlying
            and triggered.as_of_at = candidates.as_of_at
            and candidates.side = case when triggered.coins_to_trade > 0 then 'buy' else 'sell' end
            and ' ' || triggered.hedge_kinds || ' ' like '% ' || candidates.kind || ' %'
            -- A future that expires before the horizon does would have to be rolled.
            and (
                candidates.expires_at is null
                or {{ seconds_between('triggered.as_of_at', 'candidates.expires_at') }}
                >= triggered.horizon_days * 86400
            )

    left join venue_counts
        on
            triggered.portfolio_id = venue_counts.portfolio_id
            and triggered.underlying = venue_counts.underlying
            and triggered.positions_at = venue_counts.positions_at

    left join venues
        on
            triggered.portfolio_id = venues.portfolio_id
            and triggered.underlying = venues.underlying
            and triggered.positions_at = venues.positions_at
            and candidates.venue = venues.venue

    where
        triggered.trigger in ('above_band', 'below_band')
        and (
            triggered.hedge_venues = '*'
            or (triggered.hedge_venues = 'held' and (venues.venue is not null or venue_counts.venue_count is null))
            or ' ' || triggered.hedge_venues || ' ' like '% ' || candidates.venue || ' %'
        )

),

proposed as (

    select
        triggered.*,
        eligible.instrument_id as chosen_instrument_id,
        eligible.kind,
        eligible.lot_size,
        eligible.tick_size,
        eligible.price,
        eligible.price_age_s,
        eligible.spread_bps,
        eligible.fee_bps,
        eligible.funding_bps_per_day,
        states.vol,
        states.vol_source,
        coalesce(triggered.trigger in ('above_band', 'below_band'), false) as is_outside,
        case when triggered.coins_to_trade > 0 then 'buy' else 'sell' end as needed_side,
        -- Coins per contract, at the price of the instrument that is traded.
        case
            when eligible.contract_type = 'inverse' then eligible.contract_size / eligible.price
            else eligible.contract_size
        end as contract_coins

    from triggered

    left join eligible
        on
            triggered.portfolio_id = eligible.portfolio_id
            and triggered.policy = eligible.policy
            and triggered.underlying = eligible.underlying
            and triggered.as_of_at = eligible.as_of_at
            and eligible.place = 1

    left join {{ ref('int_decision_states') }} as states
        on triggered.underlying = states.underlying and triggered.as_of_at = states.as_of_at

),

rounded as (

    select
        *,
        case
            when lot_size > 0
                then round(round(abs(coins_to_trade) / contract_coins / lot_size) * lot_size, 8)
        end as contracts

    from proposed

),

sized as (

    select
        *,
        round(contracts * contract_coins, 8) as coins,
        -- Without a lot the exact size still tells what the order would cost.
        coalesce(round(contracts * contract_coins, 8), abs(coins_to_trade)) as cost_coins,
        current_delta
        + case when needed_side = 'buy' then 1 else -1 end
        * coalesce(round(contracts * contract_coins, 8), abs(coins_to_trade)) as delta_if_traded

    from rounded

),

weighed as (

    select
        *,
        round(cost_coins * price, 2) as order_usd,
        round(cost_coins * price * spread_bps / 10000, 6) as spread_usd,
        round(cost_coins * price * fee_bps / 10000, 6) as fee_usd,
        round(cost_coins * price * funding_bps_per_day * horizon_days / 10000, 6) as funding_usd,
        round(
            0.5 * risk_aversion_per_usd
            * (current_delta * current_delta - delta_if_traded * delta_if_traded)
            * underlying_price * underlying_price * vol * vol * horizon_days / 365,
            6
        ) as benefit_usd

    from sized

),

blocked as (

    select
        *,
        spread_usd + fee_usd + funding_usd as cost_usd,
        -- Two soft flags make grade D, which is for display only.
        {{ flag_names(hard_flags + [
            ('is_outside and chosen_instrument_id is null', 'no_instrument'),
            ('is_outside and chosen_instrument_id is not null and lot_size is null', 'unknown_lot'),
            ('is_outside and chosen_instrument_id is not null and tick_size is null', 'unknown_tick'),
            ('is_outside and chosen_instrument_id is not null and contract_coins is null', 'unknown_contract_size'),
            ('is_outside and contracts = 0', 'below_lot'),
            ('is_outside and chosen_instrument_id is not null and spread_usd is null', 'unknown_spread'),
            ('is_outside and chosen_instrument_id is not null and fee_usd is null', 'unknown_fee'),
            ('is_outside and chosen_instrument_id is not null and funding_usd is null', 'unknown_funding'),
            ('is_outside and vol is null', 'unknown_variance'),
            ('is_outside and spread_usd + fee_usd + funding_usd > benefit_usd', 'cost_above_benefit'),
            ('is_outside and ' ~ flag_count(soft_flags) ~ ' > 1', 'display_only'),
        ]) }} as block_reasons

    from weighed

),

decided as (

    select
        *,
        {{ joined_text('block_reasons', ', ') }} as reasons_text,
        case
            when current_delta is null then 'do_not_trade'
            when not is_outside then 'hold'
            when {{ joined_text('block_reasons', ', ') }} <> '' then 'do_not_trade'
            else needed_side
        end as action,
        case when current_delta is not null then is_outside end as is_triggered,
        'delta:' || underlying as leg

    from blocked

),

told as (

    select
        *,
        case when is_outside then chosen_instrument_id end as instrument_id,
        case when is_outside then needed_side end as order_side,
        case when is_outside and kind <> 'spot' then contracts end as quantity_contracts,
        case when is_outside then coins end as quantity_base,
        case
            when action in ('buy', 'sell') then round(delta_if_traded, 8)
            else current_delta
        end as residual_delta,
        underlying || ' delta ' || {{ text_of('current_delta', 4) }} || ' ' || underlying
        || case trigger
            when 'above_band' then ' is above the band ['
            when 'below_band' then ' is below the band ['
            else ' is inside the band ['
        end
        || {{ text_of('band_low', 4) }} || ', ' || {{ text_of('band_high', 4) }} || ']' as finding

    from decided

),

final as (

    select
        {{ signal_id() }} as signal_id,
        portfolio_id,
        policy,
        leg,
        underlying,
        as_of_at,
        policy_kind,
        'delta' as risk_factor,
        'usd' as numeraire,
        current_delta,
        target_delta,
        band_low,
        band_high,
        'coin' as band_unit,
        trigger,
        is_triggered,
        action,
        instrument_id,
        order_side,
        quantity_contracts,
        quantity_base,
        case when is_outside then order_usd end as notional_usd,
        case when is_outside then spread_usd end as expected_spread_usd,
        case when is_outside then fee_usd end as expected_fee_usd,
        case when is_outside then funding_usd end as expected_funding_usd,
        case when is_outside then cost_usd end as expected_cost_usd,
        case when is_outside then benefit_usd end as expected_risk_reduction_usd,
        vol as expected_vol,
        vol_source,
        residual_delta,
        gamma_coin as residual_gamma,
        vega_usd as residual_vega_usd,
        block_reasons,
        case
            when current_delta is null
                then underlying || ' delta is unknown: no order (' || reasons_text || ').'
            when action = 'hold' and reasons_text <> ''
                then finding || ': hold (' || reasons_text || ').'
            when action = 'hold' then finding || ': hold.'
            when action = 'do_not_trade' then finding || ', but no order: ' || reasons_text || '.'
            else
                finding || ': ' || action || ' ' || {{ text_of('quantity_base', 4) }} || ' ' || underlying
                || ' of ' || instrument_id || ' (' || {{ text_of('order_usd', 2) }} || ' USD) for '
                || {{ text_of('cost_usd', 2) }} || ' USD, which removes ' || {{ text_of('benefit_usd', 2) }}
                || ' USD of risk over ' || {{ text_of('horizon_days', 1) }} || ' days and leaves '
                || {{ text_of('residual_delta', 4) }} || ' ' || underlying || '.'
        end as explanation,
        {{ plus_seconds('as_of_at', 'valid_for_s') }} as valid_until,
        as_of_at as available_at,
        {{ quality(
            'as_of_at',
            plus_seconds('as_of_at', '-exposure_staleness_s'),
            'null',
            hard_flags=hard_flags,
            soft_flags=soft_flags,
        ) }}

    from told

)

select * from final
