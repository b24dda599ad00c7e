with

-- There and back again: a leg that is bought is sold at the end, and the other way round.
trips as (

    select
        instrument_id,
        snapshot_at,
        notional_usd,
        case when count(slippage_bps) = 2 then sum(slippage_bps) end as round_trip_bps,
        max(available_at) as available_at

    from {{ ref('slippage_ladder') }}

    where book_status = 'ok'

    group by instrument_id, snapshot_at, notional_usd

),

marked as (

    select
        *,
        {{ bin_end('snapshot_at', 300) }} as mark_at

    from trips

),

newest as (

    select
        *,
        row_number() over (
            partition by instrument_id, notional_usd, mark_at
            order by snapshot_at desc nulls last
        ) as age_rank

    from marked

)

select
    instrument_id,
    mark_at as snapshot_at,
    notional_usd,
    round_trip_bps,
    available_at

from newest

where age_rank = 1
