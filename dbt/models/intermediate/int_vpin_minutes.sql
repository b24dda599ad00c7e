{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='day_at',
) }}

with

prints as (

    -- Blocks fill no bucket, nor does a print whose size in the venue's own units is unknown.
    select
        trades.venue,
        trades.underlying,
        trades.instrument_id,
        trades.day_at,
        {{ minute_of('trades.event_at') }} as minute_at,
        trades.event_at,
        trades.available_at,
        trades.is_availability_assumed,
        trades.sequence,
        trades.side,
        trades.is_block,
        coalesce(instruments.contract_type = 'inverse', false) as is_inverse,
        instruments.contract_size,
        -- A lot is declared in contracts; of spot and linear instruments base coins are traded.
        instruments.lot_size * case
            when instruments.contract_type = 'inverse' then 1
            else coalesce(instruments.contract_size, 1)
        end as declared_lot,
        {{ book_size('trades', 'instruments') }} as size_native,
        trades.quantity_base

    from {{ ref('stg_trades') }} as trades

    left join {{ ref('stg_instruments') }} as instruments
        on
            trades.instrument_id = instruments.instrument_id
            and trades.event_at >= instruments.valid_from
            and trades.event_at < instruments.valid_to

)

select
    venue,
    underlying,
    instrument_id,
    day_at,
    minute_at,
    max(is_inverse) as is_inverse,
    max(contract_size) as contract_size,
    min(declared_lot) as lowest_lot,
    max(declared_lot) as highest_lot,

    ---------- what fills buckets
    sum({{ exact('size_native') }}) as volume_native,
    sum({{ exact("case when side is not null then size_native end") }}) as sided_native,
    sum({{ exact("case when side = 'buy' then size_native end") }}) as bought_native,
    sum({{ exact("case when size_native is not null then quantity_base end") }}) as volume_base,
    sum({{ exact("case when side = 'buy' and size_native is not null then quantity_base end") }})
        as bought_base,
    sum({{ exact("case when side = 'sell' and size_native is not null then quantity_base end") }})
        as sold_base,
    min(case when size_native is not null then event_at end) as first_at,
    max(case when size_native is not null then event_at end) as last_at,
    min(case when size_native is not null and side is not null then event_at end) as first_sided_at,
    max(case when size_native is not null and side is not null then event_at end) as last_sided_at,
    max(case when size_native is not null then {{ decimal_places('size_native') }} end)
        as decimal_places,
    max(case
        when
            {{ exact('round(size_native / declared_lot) * declared_lot') }}
            = {{ exact('size_native') }}
            or size_native is null
            then 0
        else 1
    end) as is_lot_broken,

    ---------- what is known of them
    count(*) as row_count,
    count(sequence) as numbered_count,
    min(sequence) as first_sequence,
    max(sequence) as last_sequence,
    max(available_at) as newest_available_at,
    max(case when is_availability_assumed then 1 else 0 end) as assumed_count,
    max(case when not is_block and side is null then 1 else 0 end) as unsided_count,
    max(case when not is_block and size_native is null then 1 else 0 end) as unsized_count

from prints

group by venue, underlying, instrument_id, day_at, minute_at
