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
        max(rate_available_at) as available_at,
        min(case when {{ has_flag('quality_flags', 'contradicted_rate') }} then available_at end)
            as contradicted_at

    from {{ ref('funding') }}

    where interval_s is not null

    group by venue, underlying, instrument_id, {{ bin_end(plus_seconds('event_at', -60), 28800) }}

),

whole as (

    -- With a settlement lost or doubled a block's mean is of another stretch of time.
    select
        venue,
        underlying,
        instrument_id,
        block_end_at,
        apr,
        available_at,
        contradicted_at

    from blocks

    where covered_s between 28512 and 29088

),

received as (

    select
        instrument_id as short_id,
        '' as long_id,
        block_end_at,
        apr,
        available_at,
        contradicted_at

    from whole

    union all

    select
        first_leg.instrument_id as short_id,
        second_leg.instrument_id as long_id,
        first_leg.block_end_at,
        first_leg.apr - second_leg.apr as apr,
        greatest(first_leg.available_at, second_leg.available_at) as available_at,
        least(first_leg.contradicted_at, second_leg.contradicted_at) as contradicted_at

    from whole as first_leg

    inner join whole as second_leg
        on
            first_leg.underlying = second_leg.underlying
            and first_leg.block_end_at = second_leg.block_end_at
            and first_leg.venue <> second_leg.venue
            and first_leg.instrument_id < second_leg.instrument_id

),

arrivals as (

    select
        short_id,
        long_id,
        available_at,
        max(block_end_at) as block_end_at

    from received

    group by short_id, long_id, available_at

),

moments as (

    select
        short_id,
        long_id,
        available_at,
        max(block_end_at) over (
            partition by short_id, long_id
            order by available_at asc nulls last
            rows between unbounded preceding and current row
        ) as block_end_at

    from arrivals

)

-- A block that came late, or was found to be told twice, changes nothing that was known before.
select
    moments.short_id,
    moments.long_id,
    moments.block_end_at,
    count(*) as blocks_known,
    {{ quantile('received.apr', 0.05) }} as apr_p05,
    {{ quantile('received.apr', 0.5) }} as apr_p50,
    {{ quantile('received.apr', 0.95) }} as apr_p95,
    moments.available_at

from moments

inner join received
    on
        moments.short_id = received.short_id
        and moments.long_id = received.long_id
        and moments.available_at >= received.available_at
        and coalesce(moments.available_at < received.contradicted_at, true)
        and moments.block_end_at >= received.block_end_at
        and {{ plus_seconds('moments.block_end_at', -7776000) }} <= received.block_end_at

group by moments.short_id, moments.long_id, moments.block_end_at, moments.available_at
