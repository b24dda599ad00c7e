with

-- Settlements of eight hours together, whatever the venue's interval; stamps jitter by milliseconds.
blocks as (

    select
        venue,
        underlying,
        instrument_id,
        {{ bin_end(plus_seconds('event_at', -60), 28800) }} as block_end_at,
        sum(rate) * 31536000e0 / sum(interval_s) as apr,
        sum(interval_s) as covered_s,
        max(available_at) as available_at

    from {{ ref('funding') }}

    where interval_s is not null

    group by venue, underlying, instrument_id, {{ bin_end(plus_seconds('event_at', -60), 28800) }}

),

whole as (

    -- With a settlement lost or doubled a block's mean is of another stretch of time.
    select *

    from blocks

    where covered_s between 28512 and 29088

),

received as (

    select
        instrument_id as short_id,
        '' as long_id,
        block_end_at,
        apr,
        available_at

    from whole

    union all

    select
        first_leg.instrument_id as short_id,
        second_leg.instrument_id as long_id,
        first_leg.block_end_at,
        first_leg.apr - second_leg.apr as apr,
        greatest(first_leg.available_at, second_leg.available_at) as available_at

    from whole as first_leg

    inner join whole as second_leg
        on
            first_leg.underlying = second_leg.underlying
            and first_leg.block_end_at = second_leg.block_end_at
            and first_leg.venue <> second_leg.venue
            and first_leg.instrument_id < second_leg.instrument_id

),

remembered as (

    select
        short_id,
        long_id,
        block_end_at,
        count(*) over quarter as blocks_known,
        {{ quantile('apr', 0.05) }} over quarter as apr_p05,
        {{ quantile('apr', 0.5) }} over quarter as apr_p50,
        {{ quantile('apr', 0.95) }} over quarter as apr_p95,
        max(available_at) over quarter as available_at

    from received

    window quarter as (
        partition by short_id, long_id
        order by block_end_at asc nulls last
        range between interval '90 days' preceding and current row
    )

),

ranked as (

    select
        *,
        row_number() over (
            partition by short_id, long_id, available_at
            order by block_end_at desc nulls last
        ) as place

    from remembered

)

select
    short_id,
    long_id,
    block_end_at,
    blocks_known,
    apr_p05,
    apr_p50,
    apr_p95,
    available_at

from ranked

where place = 1
