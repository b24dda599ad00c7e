{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='day_at',
    meta={'carries_state': true},
) }}

with

prints as (

    {{ marked_prints(
        ref('int_vpin_marks'), ref('stg_trades'), ref('stg_instruments'),
        'minute_at', minute_of('trades.event_at')
    ) }}

),

seconds as (

    select
        instrument_id,
        classification,
        day_at,
        bucket_lots,
        open_lots,
        open_bucket_lots,
        places,
        minute_at,
        native_before as minute_native_before,
        bought_share,
        {{ second_of('event_at') }} as second_at,
        min(case when share is not null and size_native is not null then event_at end) as first_at,
        max(case when share is not null and size_native is not null then event_at end) as last_at,
        sum({{ exact('case when share is not null then size_native end') }}) as counted_native,
        sum({{ exact('size_native * share') }}) as bought_native,
        {{ exact_sum('case when size_native is not null then quantity_base * share end') }}
            as bought_base,
        {{ exact_sum('case when size_native is not null then quantity_base * (1e0 - share) end') }}
            as sold_base,
        count(*) as row_count,
        sum(numbered) as numbered_count,
        min(sequence) as first_sequence,
        max(sequence) as last_sequence,
        max(available_at) as newest_available_at,
        max(assumed) as assumed_count,
        max(unsided) as unsided_count,
        max(unsized) as unsized_count

    from prints

    group by
        instrument_id,
        classification,
        day_at,
        bucket_lots,
        open_lots,
        open_bucket_lots,
        places,
        minute_at,
        native_before,
        bought_share,
        {{ second_of('event_at') }}

),

summed as (

    select
        *,
        minute_native_before + coalesce(sum(counted_native) over so_far, 0) as native_until,
        minute_native_before + coalesce(sum(counted_native) over before, 0) as native_before

    from seconds

    window
        so_far as (
            partition by instrument_id, classification, minute_at
            order by second_at asc nulls last
            rows between unbounded preceding and current row
        ),
        before as (
            partition by instrument_id, classification, minute_at
            order by second_at asc nulls last
            rows between unbounded preceding and 1 preceding
        )

)

select
    *,
    {{ has_edge('native_before', 'native_until', 'summed') }} as has_edge

from summed
