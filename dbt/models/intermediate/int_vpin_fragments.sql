{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='day_at',
    meta={'carries_state': true},
) }}

with

minutes as (

    select
        minutes.instrument_id,
        minutes.minute_at,
        minutes.row_count,
        minutes.numbered_count,
        minutes.first_sequence,
        minutes.last_sequence,
        minutes.newest_available_at,
        minutes.assumed_count,
        minutes.unsided_count,
        minutes.unsized_count,
        minutes.volume_base,
        plan.classification,
        plan.day_at,
        plan.bucket_lots,
        plan.open_lots,
        plan.open_bucket_lots,
        plan.places,
        plan.classification = 'bulk' as is_bulk,
        {{ step_number('minutes.minute_at', 60) }} as minute_number,
        case when plan.classification = 'bulk' then minutes.first_at else minutes.first_sided_at end
            as first_at,
        case when plan.classification = 'bulk' then minutes.last_at else minutes.last_sided_at end
            as last_at,
        case
            when plan.classification = 'bulk' then minutes.volume_native else minutes.sided_native
        end as counted_native,
        case when plan.classification = 'aggressor' then minutes.bought_native end as bought_native,
        minutes.bought_base,
        minutes.sold_base,
        case
            when plan.classification = 'bulk' then coalesce(bulk_share(
                ln(bars.close_price / bars.open_price), plan.deviation, plan.bulk_degrees
            ), 0.5e0)
        end as bought_share

    from {{ ref('int_vpin_minutes') }} as minutes

    inner join {{ ref('int_vpin_plan') }} as plan
        on
            minutes.instrument_id = plan.instrument_id
            and minutes.day_at = plan.day_at

    left join {{ ref('bars_1m') }} as bars
        on
            minutes.instrument_id = bars.instrument_id
            and minutes.minute_at = bars.minute_at
            and bars.open_price > 0
            and bars.close_price > 0

    where plan.bucket_lots > 0

),

lotted as (

    -- Differences of rounded running sums: whatever the lot, none is lost and none is doubled.
    select
        *,
        {{ lots_of('sum(counted_native) over so_far', 'places') }} as lots_until,
        {{ lots_of('coalesce(sum(counted_native) over before, 0)', 'places') }} as lots_before

    from minutes

    window
        so_far as (
            partition by instrument_id, classification
            order by minute_at asc nulls last
            rows between unbounded preceding and current row
        ),
        before as (
            partition by instrument_id, classification
            order by minute_at asc nulls last
            rows between unbounded preceding and 1 preceding
        )

),

marked as (

    -- Only in a minute with an edge of a bucket inside does it matter which print is which.
    select
        *,
        {{ edges_until('lots_until - 1', 'lotted') }} > {{ edges_until('lots_before', 'lotted') }}
            as has_edge

    from lotted

),

prints as (

    select
        marked.instrument_id,
        marked.classification,
        marked.day_at,
        marked.bucket_lots,
        marked.open_lots,
        marked.open_bucket_lots,
        marked.places,
        marked.minute_at,
        marked.minute_number,
        marked.bought_share,
        trades.event_at,
        trades.sequence,
        trades.trade_id,
        trades.available_at,
        trades.side,
        trades.is_block,
        trades.quantity_base,
        {{ book_size('trades', 'instruments') }} as size_native,
        case when trades.is_availability_assumed then 1 else 0 end as assumed,
        -- Of a volume bought in bulk each print has its minute's share.
        coalesce(marked.bought_share, case trades.side when 'buy' then 1e0 when 'sell' then 0e0 end)
            as share

    from {{ ref('stg_trades') }} as trades

    inner join marked
        on
            trades.instrument_id = marked.instrument_id
            and {{ minute_of('trades.event_at') }} = marked.minute_at
            and marked.has_edge

    left join {{ ref('stg_instruments') }} as instruments
        on
            trades.instrument_id = instruments.instrument_id
            and trades.event_at >= instruments.valid_from
            and trades.event_at < instruments.valid_to

),

items as (

    select
        instrument_id,
        classification,
        day_at,
        bucket_lots,
        open_lots,
        open_bucket_lots,
        places,
        minute_at,
        minute_number,
        cast(null as bigint) as sequence,
        cast(null as varchar) as trade_id,
        first_at,
        last_at,
        {{ exact('counted_native') }} as counted_native,
        {{ exact('coalesce(cast(counted_native as double) * bought_share, bought_native)') }}
            as bought_native,
        cast(coalesce(volume_base * bought_share, bought_base) as double) as bought_base,
        cast(coalesce(volume_base * (1e0 - bought_share), sold_base) as double) as sold_base,
        row_count,
        numbered_count,
        first_sequence,
        last_sequence,
        newest_available_at,
        assumed_count,
        unsided_count,
        unsized_count

    from marked

    where not has_edge

    union all

    select
        instrument_id,
        classification,
        day_at,
        bucket_lots,
        open_lots,
        open_bucket_lots,
        places,
        minute_at,
        minute_number,
        sequence,
        trade_id,
        event_at as first_at,
        event_at as last_at,
        {{ exact('case when share is not null then size_native end') }} as counted_native,
        {{ exact('size_native * share') }} as bought_native,
        case when size_native is not null then quantity_base * share end as bought_base,
        case when size_native is not null then quantity_base * (1e0 - share) end as sold_base,
        1 as row_count,
        case when sequence is null then 0 else 1 end as numbered_count,
        sequence as first_sequence,
        sequence as last_sequence,
        available_at as newest_available_at,
        assumed as assumed_count,
        case when not is_block and side is null then 1 else 0 end as unsided_count,
        case when not is_block and size_native is null then 1 else 0 end as unsized_count

    from prints

),

arrived as (

    select
        *,
        row_number() over so_far as place,
        {{ lots_of('coalesce(sum(counted_native) over so_far, 0)', 'places') }}
        - {{ lots_of('coalesce(sum(counted_native) over before, 0)', 'places') }} as lots,
        {{ lots_of('coalesce(sum(bought_native) over so_far, 0)', 'places') }}
        - {{ lots_of('coalesce(sum(bought_native) over before, 0)', 'places') }} as bought,
        -- What a minute's price change classifies is not known before the minute is over.
        case
            when classification = 'bulk'
                then greatest(
                    max(newest_available_at) over to_minute, {{ minute_end('minute_at') }}
                )
            else max(newest_available_at) over so_far
        end as known_at,
        max(assumed_count) over so_far as assumed_so_far,
        max(unsided_count) over so_far as unsided_so_far,
        max(unsized_count) over so_far as unsized_so_far,
        case
            when sum(row_count - numbered_count) over so_far = 0
                then
                    cast(sum(row_count) over so_far as double)
                    / (max(last_sequence) over so_far - min(first_sequence) over so_far + 1)
        end as coverage_so_far

    from items

    window
        so_far as (
            partition by instrument_id, classification, day_at
            order by
                minute_at asc nulls last,
                last_at asc nulls last,
                sequence asc nulls last,
                trade_id asc nulls last
            rows between unbounded preceding and current row
        ),
        before as (
            partition by instrument_id, classification, day_at
            order by
                minute_at asc nulls last,
                last_at asc nulls last,
                sequence asc nulls last,
                trade_id asc nulls last
            rows between unbounded preceding and 1 preceding
        ),
        to_minute as (
            partition by instrument_id, classification, day_at
            order by minute_at asc nulls last
            range between unbounded preceding and current row
        )

),

days as (

    select
        instrument_id,
        classification,
        day_at,
        bucket_lots,
        open_lots,
        open_bucket_lots,
        places,
        {{ exploded(
            "vpin_fragments("
            ~ list_of('lots', 'place') ~ ", "
            ~ list_of('greatest(least(bought, lots), 0)', 'place') ~ ", "
            ~ list_of('minute_number', 'place') ~ ", "
            ~ list_of('coalesce(bought_base, 0)', 'place') ~ ", "
            ~ list_of('coalesce(sold_base, 0)', 'place') ~ ", "
            ~ "bucket_lots, open_lots, open_bucket_lots)"
        ) }} as fragment

    from arrived

    group by
        instrument_id,
        classification,
        day_at,
        bucket_lots,
        open_lots,
        open_bucket_lots,
        places

),

-- Both edges of a fragment meet the prints in one join. Two joins would let an optimiser infer that
-- their prints share instrument and day, and pair every print of a day with every other.
edges as (

    select
        *,
        true as is_opening,
        days.fragment.start_index as place

    from days

    union all

    select
        *,
        false as is_opening,
        days.fragment.end_index as place

    from days

),

bounded as (

    select
        edges.instrument_id,
        edges.classification,
        edges.day_at,
        edges.fragment.bucket_offset,
        max(case when edges.is_opening then arrived.first_at end) as started_at,
        max(case when not edges.is_opening then arrived.last_at end) as ended_at,
        max(case when not edges.is_opening then arrived.known_at end) as available_at,
        max(case when not edges.is_opening then arrived.coverage_so_far end) as coverage,
        max(case when not edges.is_opening then arrived.assumed_so_far end) as assumed_count,
        max(case when not edges.is_opening then arrived.unsided_so_far end) as unsided_count,
        max(case when not edges.is_opening then arrived.unsized_so_far end) as unsized_count

    from edges

    inner join arrived
        on
            edges.instrument_id = arrived.instrument_id
            and edges.classification = arrived.classification
            and edges.day_at = arrived.day_at
            and edges.place = arrived.place

    group by
        edges.instrument_id,
        edges.classification,
        edges.day_at,
        edges.fragment.bucket_offset

)

select
    days.instrument_id,
    days.classification,
    days.day_at,
    days.fragment.bucket_offset,
    days.bucket_lots,
    days.open_lots,
    days.open_bucket_lots,
    days.places,
    bounded.started_at,
    bounded.ended_at,
    bounded.available_at,
    bounded.coverage,
    bounded.assumed_count,
    bounded.unsided_count,
    bounded.unsized_count,
    days.fragment.buy_lots,
    days.fragment.sell_lots,
    days.fragment.buy_base,
    days.fragment.sell_base,
    days.fragment.net_square,
    days.fragment.net_largest,
    days.fragment.is_full

from days

inner join bounded
    on
        days.instrument_id = bounded.instrument_id
        and days.classification = bounded.classification
        and days.day_at = bounded.day_at
        and days.fragment.bucket_offset = bounded.bucket_offset
