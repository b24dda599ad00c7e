{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='day_at',
    meta={'carries_state': true},
) }}

with

sized as (

    -- Blocks and prints without a side fill no bucket; their numbers still prove completeness.
    select
        trades.instrument_id,
        trades.day_at,
        trades.sequence,
        trades.event_at,
        trades.trade_id,
        trades.available_at,
        trades.quantity_base,
        {{ native_size('trades', 'instruments') }} as quantity_native,
        plan.bucket_lots,
        plan.open_lots,
        plan.open_bucket_lots,
        plan.lot_native,
        not trades.is_block and trades.side is not null as is_book,
        trades.side = 'buy' as is_buy,
        case when trades.side is null then 1 else 0 end as unsided,
        case when trades.is_availability_assumed then 1 else 0 end as assumed,
        case when trades.sequence is null then 1 else 0 end as unnumbered

    from {{ ref('stg_trades') }} as trades

    inner join {{ ref('int_vpin_plan') }} as plan
        on
            trades.instrument_id = plan.instrument_id
            and trades.day_at = plan.day_at

    left join {{ ref('stg_instruments') }} as instruments
        on
            trades.instrument_id = instruments.instrument_id
            and trades.event_at >= instruments.valid_from
            and trades.event_at < instruments.valid_to

),

lotted as (

    select
        *,
        case
            when is_book then cast(round(quantity_native / lot_native) as bigint)
            else 0
        end as lots,
        case when is_book and is_buy then quantity_base else 0 end as bought_base,
        case when is_book and not is_buy then quantity_base else 0 end as sold_base

    from sized

),

arrived as (

    -- Base coins bought and sold before each print: what a bucket holds is a difference of two.
    select
        instrument_id,
        day_at,
        event_at,
        quantity_base,
        quantity_native,
        bucket_lots,
        open_lots,
        open_bucket_lots,
        lot_native,
        is_book,
        is_buy,
        lots,
        sum(case when is_book then 1 else 0 end) over so_far as place,
        sum(lots) over so_far - lots as lots_before,
        sum(bought_base) over so_far - bought_base as bought_before,
        sum(sold_base) over so_far - sold_base as sold_before,
        max(available_at) over so_far as known_at,
        max(assumed) over so_far as assumed_count,
        max(unsided) over so_far as unsided_count,
        case
            when max(unnumbered) over so_far = 0
                then
                    row_number() over so_far
                    / cast(sequence - first_value(sequence) over so_far + 1 as double)
        end as coverage

    from lotted

    window so_far as (
        partition by instrument_id, day_at
        order by sequence asc nulls last, event_at asc nulls last, trade_id asc nulls last
        rows between unbounded preceding and current row
    )

),

prints as (

    select *

    from arrived

    where is_book

),

days as (

    select
        instrument_id,
        day_at,
        bucket_lots,
        open_lots,
        open_bucket_lots,
        lot_native,
        {{ list_of('lots', 'place') }} as lots_list,
        {{ list_of('is_buy', 'place') }} as is_buy_list,
        cast(sum(abs(
            {{ exact('quantity_native') }} - {{ exact('lots * lot_native') }}
        )) as double) as rounding_error

    from prints

    group by
        instrument_id, day_at, bucket_lots, open_lots, open_bucket_lots, lot_native

),

cuts as (

    select
        instrument_id,
        day_at,
        bucket_lots,
        open_lots,
        open_bucket_lots,
        lot_native,
        rounding_error,
        {{ exploded(
            "vpin_fragments(lots_list, is_buy_list, bucket_lots, open_lots, open_bucket_lots)"
        ) }} as fragment

    from days

),

fragments as (

    select
        instrument_id,
        day_at,
        bucket_lots,
        open_lots,
        open_bucket_lots,
        lot_native,
        rounding_error,
        fragment.bucket_offset,
        fragment.start_index,
        fragment.end_index,
        fragment.buy_lots,
        fragment.sell_lots,
        fragment.is_full,
        sum(fragment.buy_lots + fragment.sell_lots) over (
            partition by instrument_id, day_at
            order by fragment.bucket_offset asc nulls last
            rows between unbounded preceding and current row
        ) as lots_to_end

    from cuts

),

-- Both edges of a fragment meet the prints in one join. Two joins would let an optimiser infer that
-- their prints share instrument and day, and pair every print of a day with every other.
edges as (

    select
        *,
        true as is_opening,
        start_index as place,
        lots_to_end - buy_lots - sell_lots as lots_to_edge

    from fragments

    union all

    select
        *,
        false as is_opening,
        end_index as place,
        lots_to_end as lots_to_edge

    from fragments

),

met as (

    select
        edges.*,
        prints.event_at,
        prints.known_at,
        prints.coverage as coverage_so_far,
        prints.assumed_count,
        prints.unsided_count,
        {{ base_until('prints', 'edges.lots_to_edge', 'bought_before', true) }} as bought,
        {{ base_until('prints', 'edges.lots_to_edge', 'sold_before', false) }} as sold

    from edges

    inner join prints
        on
            edges.instrument_id = prints.instrument_id
            and edges.day_at = prints.day_at
            and edges.place = prints.place

),

bounded as (

    select
        instrument_id,
        day_at,
        bucket_offset,
        bucket_lots,
        open_lots,
        open_bucket_lots,
        lot_native,
        rounding_error,
        buy_lots,
        sell_lots,
        is_full,
        max(case when is_opening then event_at end) as started_at,
        max(case when not is_opening then event_at end) as ended_at,
        max(case when not is_opening then known_at end) as available_at,
        max(case when not is_opening then coverage_so_far end) as coverage,
        max(case when not is_opening then assumed_count end) as assumed_count,
        max(case when not is_opening then unsided_count end) as unsided_count,
        max(case when not is_opening then bought end)
        - max(case when is_opening then bought end) as buy_base,
        max(case when not is_opening then sold end)
        - max(case when is_opening then sold end) as sell_base

    from met

    group by
        instrument_id,
        day_at,
        bucket_offset,
        bucket_lots,
        open_lots,
        open_bucket_lots,
        lot_native,
        rounding_error,
        buy_lots,
        sell_lots,
        is_full

)

select
    instrument_id,
    day_at,
    bucket_offset,
    bucket_lots,
    open_lots,
    open_bucket_lots,
    lot_native,
    rounding_error,
    started_at,
    ended_at,
    available_at,
    coverage,
    assumed_count,
    unsided_count,
    buy_lots,
    sell_lots,
    buy_base,
    sell_base,
    is_full

from bounded
