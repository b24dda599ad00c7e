{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='quoted_at',
) }}

with

quotes as (

    select
        quotes.*,
        5000 * (quotes.ask_price - quotes.bid_price) / quotes.mid_price as half_spread_bps,
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
        {{ last_by('half_spread_bps', ['snapshot_at']) }} as half_spread_bps,
        max(case when mid_price is not null then snapshot_at end) as mid_at,
        max(case when mark_price is not null then snapshot_at end) as mark_at,
        max(case when last_price is not null then snapshot_at end) as last_at,
        max(case when index_price is not null then snapshot_at end) as index_at,
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
    instruments.contract_type,
    instruments.expires_at,
    newest.mid_price,
    newest.mark_price,
    newest.last_price,
    newest.index_price,
    newest.half_spread_bps,
    newest.mid_at,
    newest.mark_at,
    newest.last_at,
    newest.index_at,
    newest.available_at,
    newest.is_availability_assumed

from newest

inner join {{ ref('stg_instruments') }} as instruments
    on
        newest.instrument_id = instruments.instrument_id
        and newest.snapshot_at >= instruments.valid_from
        and newest.snapshot_at < instruments.valid_to
