with

positions as (

    select
        positions.*,
        short_leg.venue as short_venue,
        short_leg.kind as short_kind,
        short_leg.contract_type as short_contract_type,
        short_leg.base as short_base,
        short_leg.fee_bps as short_fee_bps,
        short_leg.half_spread_bps as short_half_spread_bps,
        short_leg.initial_margin_share as short_initial_share,
        short_leg.maintenance_margin_share as short_maintenance_share,
        long_leg.venue as long_venue,
        long_leg.kind as long_kind,
        long_leg.contract_type as long_contract_type,
        long_leg.fee_bps as long_fee_bps,
        long_leg.half_spread_bps as long_half_spread_bps,
        long_leg.initial_margin_share as long_initial_share,
        long_leg.maintenance_margin_share as long_maintenance_share

    from {{ ref('int_carry_positions') }} as positions

    inner join {{ ref('int_carry_legs') }} as short_leg
        on
            positions.short_instrument_id = short_leg.instrument_id
            and positions.snapshot_at = short_leg.snapshot_at

    inner join {{ ref('int_carry_legs') }} as long_leg
        on
            positions.long_instrument_id = long_leg.instrument_id
            and positions.snapshot_at = long_leg.snapshot_at

),

ruled as (

    select
        positions.*,
        rules.horizon_days,
        rules.notional_usd,
        rules.posted_margin_share,
        rules.short_spot_margin_share,
        positions.strategy <> 'cash_and_carry'
        and {{ seconds_between('positions.funding_at', 'positions.snapshot_at') }} > rules.max_funding_age_s
            as is_funding_stale,
        rungs.round_trip_bps as ladder_bps,
        rungs.available_at as ladder_available_at,
        dollar.borrow_apr as dollar_apr,
        dollar.is_assumed as is_dollar_apr_assumed,
        coalesce(coin.borrow_apr, any_coin.borrow_apr) as coin_apr,
        coalesce(coin.is_assumed, any_coin.is_assumed) as is_coin_apr_assumed

    from positions

    inner join {{ ref('carry_rules') }} as rules
        on
            positions.strategy = rules.strategy
            and positions.snapshot_at >= rules.valid_from
            and positions.snapshot_at < rules.valid_to

    left join {{ ref('int_carry_rungs') }} as rungs
        on
            positions.strategy = rungs.strategy
            and positions.short_instrument_id = rungs.short_instrument_id
            and positions.long_instrument_id = rungs.long_instrument_id
            and positions.snapshot_at = rungs.snapshot_at
            and rules.notional_usd = rungs.notional_usd

    left join {{ ref('borrow_rates') }} as dollar
        on
            dollar.asset = 'USD'
            and positions.snapshot_at >= dollar.valid_from
            and positions.snapshot_at < dollar.valid_to

    left join {{ ref('borrow_rates') }} as coin
        on
            positions.short_base = coin.asset
            and positions.snapshot_at >= coin.valid_from
            and positions.snapshot_at < coin.valid_to

    left join {{ ref('borrow_rates') }} as any_coin
        on
            any_coin.asset = '*'
            and positions.snapshot_at >= any_coin.valid_from
            and positions.snapshot_at < any_coin.valid_to

),

sized as (

    select
        *,
        2 * short_half_spread_bps + 2 * long_half_spread_bps as spread_bps,
        2 * short_fee_bps + 2 * long_fee_bps as fee_bps,
        coalesce(ladder_bps, 2 * short_half_spread_bps + 2 * long_half_spread_bps) as slippage_bps,
        -- A deposit below what the venue asks, or asks perhaps, opens no position.
        case
            when short_kind = 'spot' then short_spot_margin_share
            when posted_margin_share >= short_initial_share then posted_margin_share
        end as short_margin_share,
        case
            when long_kind = 'spot' then 0
            when posted_margin_share >= long_initial_share then posted_margin_share
        end as long_margin_share,
        case when long_kind = 'spot' then 1 else 0 end as bought_share,
        case when short_kind = 'spot' then coin_apr else 0 end as loan_apr,
        case
            when strategy = 'cash_and_carry' and tenor_days < horizon_days then null
            when is_funding_stale then null
            else gross_notional_apr
        end as held_notional_apr,
        -- How far the coin may move before the venue closes the leg, other legs' gains unseen.
        case
            when short_kind = 'spot' then null
            when short_contract_type = 'inverse' and posted_margin_share < 1
                then (posted_margin_share - short_maintenance_share) / (1 - posted_margin_share)
            when short_contract_type <> 'inverse'
                then (posted_margin_share - short_maintenance_share) / (1 + short_maintenance_share)
        end as short_distance,
        case
            when long_kind = 'spot' then null
            when long_contract_type = 'inverse'
                then (posted_margin_share - long_maintenance_share) / (1 + posted_margin_share)
            else (posted_margin_share - long_maintenance_share) / (1 - long_maintenance_share)
        end as long_distance

    from ruled

),

capitalised as (

    select
        *,
        bought_share + short_margin_share + long_margin_share as capital_share,
        365e0 / horizon_days as horizons_a_year

    from sized

),

parts as (

    select
        *,
        held_notional_apr / capital_share as gross_apr,
        fee_bps / 10000 * horizons_a_year / capital_share as fees_apr,
        slippage_bps / 10000 * horizons_a_year / capital_share as slippage_apr,
        (bought_share * dollar_apr + loan_apr) / capital_share as borrow_apr,
        (short_margin_share + long_margin_share) * dollar_apr / capital_share as margin_drag_apr

    from capitalised

),

costed as (

    select
        *,
        fees_apr + slippage_apr + borrow_apr + margin_drag_apr as costs_apr,
        gross_apr - borrow_apr - margin_drag_apr as running_apr,
        -- What slippage may take of the horizon's earnings, there and back.
        10000 * (gross_apr - fees_apr - borrow_apr - margin_drag_apr) * capital_share / horizons_a_year
            as edge_bps

    from parts

)

select
    strategy,
    underlying,
    short_instrument_id,
    long_instrument_id,
    horizon_days,
    snapshot_at,
    short_venue,
    long_venue,
    short_kind,
    tenor_days,
    notional_usd,
    capital_share,
    horizons_a_year,
    basis_bps,
    stablecoin_rate,
    gross_notional_apr,
    gross_apr,
    fees_apr,
    slippage_apr,
    borrow_apr,
    margin_drag_apr,
    costs_apr,
    running_apr,
    edge_bps,
    fee_bps,
    spread_bps,
    slippage_bps,
    ladder_bps,
    ladder_available_at,
    dollar_apr,
    loan_apr,
    is_dollar_apr_assumed,
    is_coin_apr_assumed,
    funding_apr_p05,
    funding_apr_p50,
    funding_apr_p95,
    blocks_known,
    is_indicative_only,
    is_funding_stale,
    short_distance,
    long_distance,
    first_mid_at,
    second_mid_at,
    rate_at,
    available_at,
    is_availability_assumed

from costed
