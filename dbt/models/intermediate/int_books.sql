{{ config(materialized='view', event_time='day_at') }}

with

books as (

    select
        venue,
        underlying,
        instrument_id,
        day_at,
        snapshot_at,
        max(quoted_at) as quoted_at,
        -- A venue that was asked at an instant of the grid answered after it, maybe minutes.
        greatest(snapshot_at, coalesce(max(quoted_at), max(received_at), snapshot_at)) as stood_at,
        max(available_at) as available_at,
        max(case when is_availability_assumed then 1 else 0 end) = 1 as is_availability_assumed,
        {{ records_of({
            'is_bid': "side = 'bid'", 'price': 'price', 'quantity_base': 'quantity_base'
        }) }} as levels

    from {{ ref('stg_books') }}

    group by venue, underlying, instrument_id, day_at, snapshot_at

)

select
    books.*,
    instruments.kind,
    instruments.quote,
    instruments.contract_type,
    instruments.contract_size,
    instruments.lot_size,
    quote_assets.asset is not null as is_dollar

from books

left join {{ ref('stg_instruments') }} as instruments
    on
        books.instrument_id = instruments.instrument_id
        and books.snapshot_at >= instruments.valid_from
        and books.snapshot_at < instruments.valid_to

left join {{ ref('quote_assets') }} as quote_assets
    on instruments.quote = quote_assets.asset and quote_assets.is_dollar
