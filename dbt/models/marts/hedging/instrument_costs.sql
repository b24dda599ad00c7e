with

candidates as (

    select * from {{ ref('int_decision_candidates') }}

),

-- The first rungs of the ladder of sizes that the warehouse's cost tables share.
notionals as (

    select cast(10000 as double) as notional_usd

    union all

    select cast(100000 as double) as notional_usd

    union all

    select cast(1000000 as double) as notional_usd

),

costed as (

    select
        candidates.*,
        notionals.notional_usd,
        -- One day of holding: what the cheapest order is depends on how long it is held.
        candidates.spread_bps + candidates.fee_bps + candidates.funding_bps_per_day as total_cost_bps

    from candidates

    cross join notionals

),

final as (

    select
        underlying,
        instrument_id,
        side,
        notional_usd,
        as_of_at as snapshot_at,
        venue,
        kind,
        price,
        price_kind,
        displayed_usd,
        spread_bps,
        fee_bps,
        funding_bps_per_day,
        total_cost_bps,
        cast(row_number() over (
            partition by underlying, side, notional_usd, as_of_at
            order by total_cost_bps asc nulls last, instrument_id asc nulls last
        ) as integer) as rank,
        as_of_at as available_at,
        {{ quality(
            'as_of_at',
            'priced_at',
            'null',
            hard_flags=[('is_stale', 'stale_price')],
            soft_flags=[
                ('spread_bps is null', 'unknown_spread'),
                ('fee_bps is null', 'unknown_fee'),
                ('funding_bps_per_day is null', 'unknown_funding'),
                ('notional_usd > displayed_usd', 'beyond_top_of_book'),
                ('displayed_usd is null', 'unknown_depth'),
            ],
        ) }}

    from costed

)

select * from final
