{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='day_at',
    meta={'carries_state': true},
) }}

with

prints as (

    {{ marked_prints(
        ref('int_vpin_seconds'), ref('stg_trades'), ref('stg_instruments'),
        'second_at', second_of('trades.event_at')
    ) }}

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
        cast(null as timestamp) as event_at,
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

    from {{ ref('int_vpin_marks') }}

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
        second_at as event_at,
        cast(null as bigint) as sequence,
        cast(null as varchar) as trade_id,
        first_at,
        last_at,
        {{ exact('counted_native') }} as counted_native,
        {{ exact('bought_native') }} as bought_native,
        bought_base,
        sold_base,
        row_count,
        numbered_count,
        first_sequence,
        last_sequence,
        newest_available_at,
        assumed_count,
        unsided_count,
        unsized_count

    from {{ ref('int_vpin_seconds') }}

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
        event_at,
        sequence,
        trade_id,
        event_at as first_at,
        event_at as last_at,
        {{ exact('case when share is not null then size_native end') }} as counted_native,
        {{ exact('size_native * share') }} as bought_native,
        case when size_native is not null then quantity_base * share end as bought_base,
        case when size_native is not null then quantity_base * (1e0 - share) end as sold_base,
        1 as row_count,
        numbered as numbered_count,
        sequence as first_sequence,
        sequence as last_sequence,
        available_at as newest_available_at,
        assumed as assumed_count,
        unsided as unsided_count,
        unsized as unsized_count

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
                event_at asc nulls last,
                sequence asc nulls last,
                trade_id asc nulls last
            rows between unbounded preceding and current row
        ),
        before as (
            partition by instrument_id, classification, day_at
            order by
                minute_at asc nulls last,
                event_at asc nulls last,
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
            ~ list_of(step_number('minute_at', 60), 'place') ~ ", "
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
