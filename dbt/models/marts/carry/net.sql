with

costed as (

    select
        costs.*,
        least(costs.first_mid_at, costs.second_mid_at) as older_leg_at,
        {{ seconds_between(
            'least(costs.first_mid_at, costs.second_mid_at, coalesce(costs.rate_at, costs.first_mid_at))',
            'greatest(costs.first_mid_at, costs.second_mid_at, coalesce(costs.rate_at, costs.first_mid_at))'
        ) }} > rules.max_asynchrony_s as is_asynchronous

    from {{ ref('int_carry_costs') }} as costs

    left join {{ ref('basis_rules') }} as rules
        on
            case costs.strategy when 'cash_and_carry' then 'future' else 'perp' end = rules.kind
            and costs.snapshot_at >= rules.valid_from
            and costs.snapshot_at < rules.valid_to

),

climbed as (

    select
        costed.strategy,
        costed.short_instrument_id,
        costed.long_instrument_id,
        costed.horizon_days,
        costed.snapshot_at,
        costed.edge_bps,
        rungs.notional_usd,
        rungs.round_trip_bps,
        rungs.available_at,
        coalesce(lag(rungs.notional_usd) over climb, 0) as lower_usd,
        coalesce(lag(rungs.round_trip_bps) over climb, costed.spread_bps) as lower_bps,
        row_number() over (
            partition by
                costed.strategy, costed.short_instrument_id, costed.long_instrument_id,
                costed.horizon_days, costed.snapshot_at
            order by rungs.notional_usd desc nulls last
        ) as place_from_top

    from costed

    inner join {{ ref('int_carry_rungs') }} as rungs
        on
            costed.strategy = rungs.strategy
            and costed.short_instrument_id = rungs.short_instrument_id
            and costed.long_instrument_id = rungs.long_instrument_id
            and costed.snapshot_at = rungs.snapshot_at

    where costed.edge_bps is not null and rungs.round_trip_bps is not null

    window climb as (
        partition by
            costed.strategy, costed.short_instrument_id, costed.long_instrument_id,
            costed.horizon_days, costed.snapshot_at
        order by rungs.notional_usd asc nulls last
    )

),

capacities as (

    select
        strategy,
        short_instrument_id,
        long_instrument_id,
        horizon_days,
        snapshot_at,
        max(case
            when round_trip_bps <= edge_bps then notional_usd
            when lower_bps <= edge_bps
                then
                    lower_usd
                    + (edge_bps - lower_bps) / nullif(round_trip_bps - lower_bps, 0)
                    * (notional_usd - lower_usd)
            else 0
        end) as capacity_usd,
        max(case when place_from_top = 1 and round_trip_bps <= edge_bps then 1 else 0 end) = 1
            as is_capacity_beyond_book,
        max(available_at) as available_at

    from climbed

    group by strategy, short_instrument_id, long_instrument_id, horizon_days, snapshot_at

),

final as (

    select
        costed.strategy,
        costed.underlying,
        concat_ws('/', costed.short_venue, costed.long_venue) as venue_pair,
        costed.short_instrument_id,
        costed.long_instrument_id,
        costed.horizon_days,
        costed.snapshot_at,
        costed.short_venue,
        costed.long_venue,
        cast(costed.tenor_days as double) as tenor_days,
        costed.notional_usd,
        costed.capital_share * costed.notional_usd as capital_usd,
        costed.basis_bps,
        costed.stablecoin_rate,
        costed.gross_apr,
        costed.fees_apr,
        costed.slippage_apr,
        costed.borrow_apr,
        costed.margin_drag_apr,
        costed.costs_apr,
        costed.gross_apr - costed.costs_apr as net_apr,
        costed.funding_apr_p05,
        costed.funding_apr_p50,
        costed.funding_apr_p95,
        costed.blocks_known as funding_blocks,
        costed.funding_apr_p05 / costed.capital_share - costed.costs_apr as net_apr_p05,
        costed.fee_bps,
        costed.slippage_bps,
        case when costed.ladder_bps is null then 'half_spread' else 'ladder' end as slippage_source,
        case
            when costed.running_apr > 0
                then
                    365 * (costed.fees_apr + costed.slippage_apr)
                    / costed.horizons_a_year / costed.running_apr
        end as breakeven_days,
        capacities.capacity_usd,
        capacities.is_capacity_beyond_book,
        least(
            coalesce(costed.short_distance, costed.long_distance),
            coalesce(costed.long_distance, costed.short_distance)
        ) as liquidation_distance,
        greatest(
            costed.available_at,
            coalesce(costed.ladder_available_at, costed.available_at),
            coalesce(capacities.available_at, costed.available_at)
        ) as available_at,
        {{ quality(
            'costed.snapshot_at',
            'costed.older_leg_at',
            'null',
            hard_flags=[
                ('costed.capital_share is null', 'unknown_margin'),
                ('costed.fee_bps is null', 'unknown_fee'),
                (
                    "costed.strategy = 'cash_and_carry' and costed.tenor_days < costed.horizon_days",
                    'expires_before_horizon',
                ),
                ("costed.strategy <> 'cash_and_carry' and costed.gross_notional_apr is null", 'no_funding'),
                ('costed.is_funding_stale', 'stale_funding'),
                ('costed.dollar_apr is null or costed.loan_apr is null', 'unknown_borrow_rate'),
            ],
            soft_flags=[
                ("costed.strategy <> 'cash_and_carry' and costed.blocks_known < 90", 'short_history'),
                ('costed.is_indicative_only', 'indicative_only'),
                ('costed.ladder_bps is null', 'no_ladder'),
                (
                    "costed.is_dollar_apr_assumed or (costed.short_kind = 'spot' and costed.is_coin_apr_assumed)",
                    'borrow_assumed',
                ),
                ('costed.is_asynchronous', 'asynchronous'),
                ('costed.stablecoin_rate is null', 'stablecoin_assumed'),
                ('costed.is_availability_assumed', 'assumed_availability'),
            ]
        ) }}

    from costed

    left join capacities
        on
            costed.strategy = capacities.strategy
            and costed.short_instrument_id = capacities.short_instrument_id
            and costed.long_instrument_id = capacities.long_instrument_id
            and costed.horizon_days = capacities.horizon_days
            and costed.snapshot_at = capacities.snapshot_at

)

select *

from final

where available_at <= {{ as_of() }}
