with

futures as (

    select
        *,
        {{ has_flag('quality_flags', 'assumed_availability') }} as is_availability_assumed

    from {{ ref('basis') }}

    where kind = 'future'

),

followed as (

    select
        *,
        lead(instrument_id) over expiries as next_instrument_id,
        lead(expires_at) over expiries as next_expires_at,
        lead(price) over expiries as next_price,
        lead(half_spread_bps) over expiries as next_half_spread_bps,
        lead(price_age_s) over expiries as next_price_age_s,
        lead(prices_available_at) over expiries as next_available_at,
        lead(is_availability_assumed) over expiries as is_next_availability_assumed

    from futures

    window expiries as (
        partition by venue, underlying, quote, contract_type, price_kind, snapshot_at
        order by expires_at asc nulls last, instrument_id asc nulls last
    )

),

costed as (

    select
        followed.*,
        {{ seconds_between('followed.expires_at', 'followed.next_expires_at') }} / 86400 as gained_days,
        fees.taker_bps as fee_bps,
        2 * fees.taker_bps + followed.half_spread_bps + followed.next_half_spread_bps as roll_cost_bps,
        followed.tenor_days <= rules.roll_days as is_roll_due,
        rules.max_asynchrony_s

    from followed

    left join {{ ref('fees') }} as fees
        on
            followed.venue = fees.venue
            and followed.kind = fees.kind
            and (fees.contract_type = '*' or followed.contract_type = fees.contract_type)
            and fees.tier = 'regular'
            and followed.snapshot_at >= fees.valid_from
            and followed.snapshot_at < fees.valid_to

    left join {{ ref('basis_rules') }} as rules
        on
            followed.kind = rules.kind
            and followed.snapshot_at >= rules.valid_from
            and followed.snapshot_at < rules.valid_to

),

final as (

    select
        venue,
        underlying,
        instrument_id,
        price_kind,
        snapshot_at,
        contract_type,
        quote,
        expires_at,
        tenor_days,
        is_roll_due,
        next_instrument_id,
        next_expires_at,
        cast(gained_days as double) as gained_days,
        price,
        next_price,
        10000 * (next_price / price - 1) as roll_spread_bps,
        case when gained_days > 0 then ln(next_price / price) * 365 / gained_days end as roll_rate,
        fee_bps,
        half_spread_bps,
        next_half_spread_bps,
        roll_cost_bps,
        case when gained_days > 0 then roll_cost_bps / 10000 * 365 / gained_days end as roll_cost_rate,
        greatest(prices_available_at, coalesce(next_available_at, prices_available_at)) as available_at,
        {{ quality(
            'snapshot_at',
            plus_seconds('snapshot_at', '-least(price_age_s, coalesce(next_price_age_s, price_age_s))'),
            'null',
            hard_flags=[],
            soft_flags=[
                ('next_instrument_id is null', 'no_next_contract'),
                ('fee_bps is null', 'unknown_fee'),
                (
                    'half_spread_bps is null'
                    ~ ' or (next_instrument_id is not null and next_half_spread_bps is null)',
                    'unknown_spread',
                ),
                ('abs(price_age_s - next_price_age_s) > max_asynchrony_s', 'asynchronous'),
                ('is_availability_assumed or is_next_availability_assumed', 'assumed_availability'),
            ]
        ) }}

    from costed

)

select *

from final

where available_at <= {{ as_of() }}
