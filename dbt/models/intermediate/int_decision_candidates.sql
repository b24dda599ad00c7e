with

instruments as (

    select *

    from {{ ref('int_decision_prices') }}

    where expires_at is null or expires_at > as_of_at

),

sides as (

    select
        instruments.*,
        sides.side,
        case sides.side when 'buy' then instruments.ask_usd else instruments.bid_usd end as displayed_usd

    from instruments

    cross join (
        select 'buy' as side
        union all
        select 'sell' as side
    ) as sides

),

funding as (

    select
        instrument_id,
        available_at,
        {{ last_by('rate / interval_s', ['event_at', "kind = 'indicative'"]) }} as rate_per_s,
        max(event_at) as event_at

    from {{ ref('int_mark_funding') }}

    group by instrument_id, available_at

),

priced as (

    select
        sides.*,
        fees.taker_bps as fee_bps,
        {{ seconds_between('funding.event_at', 'sides.as_of_at') }} as funding_age_s,
        -- Longs pay a positive rate, shorts receive it; only perpetuals have one.
        case
            when sides.kind <> 'perp' then 0
            when {{ seconds_between('funding.event_at', 'sides.as_of_at') }} <= 86400
                then
                    10000 * funding.rate_per_s * 86400
                    * case sides.side when 'buy' then 1 else -1 end
        end as funding_bps_per_day

    from sides

    {{ asof_left_join('funding', 'funding', ['instrument_id'], 'sides', 'as_of_at') }}

    left join {{ ref('fees') }} as fees
        on
            sides.venue = fees.venue
            and sides.kind = fees.kind
            and (fees.contract_type = '*' or sides.contract_type = fees.contract_type)
            and sides.as_of_at >= fees.valid_from
            and sides.as_of_at < fees.valid_to

)

select
    underlying,
    as_of_at,
    instrument_id,
    side,
    venue,
    kind,
    contract_type,
    contract_size,
    lot_size,
    tick_size,
    expires_at,
    price,
    price_kind,
    priced_at,
    price_age_s,
    is_stale,
    displayed_usd,
    spread_bps,
    fee_bps,
    funding_bps_per_day,
    funding_age_s

from priced
