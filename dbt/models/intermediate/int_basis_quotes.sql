{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='quoted_at',
) }}

with

quotes as (

    select
        quotes.*,
        {{ bin_end('quotes.snapshot_at', 300) }} as bin_end_at

    from {{ ref('stg_quotes') }} as quotes

),

-- Book and ticker come apart: of each measure the bin's last value counts.
newest as (

    select
        venue,
        underlying,
        instrument_id,
        bin_end_at,
        max(snapshot_at) as snapshot_at,
        {{ last_by('mid_price', ['snapshot_at']) }} as mid_price,
        {{ last_by('mark_price', ['snapshot_at']) }} as mark_price,
        {{ last_by('last_price', ['snapshot_at']) }} as last_price,
        {{ last_by('index_price', ['snapshot_at']) }} as index_price,
        max(available_at) as available_at,
        max(case when is_availability_assumed then 1 else 0 end) = 1 as is_availability_assumed

    from quotes

    group by venue, underlying, instrument_id, bin_end_at

)

select
    newest.venue,
    newest.underlying,
    newest.instrument_id,
    newest.snapshot_at as quoted_at,
    newest.bin_end_at as snapshot_at,
    instruments.kind,
    instruments.base,
    instruments.quote,
    instruments.expires_at,
    newest.mid_price,
    newest.mark_price,
    newest.last_price,
    newest.index_price,
    newest.available_at,
    newest.is_availability_assumed

from newest

inner join {{ ref('stg_instruments') }} as instruments
    on
        newest.instrument_id = instruments.instrument_id
        and newest.snapshot_at >= instruments.valid_from
        and newest.snapshot_at < instruments.valid_to
