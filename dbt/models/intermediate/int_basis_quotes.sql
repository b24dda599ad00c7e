{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='quoted_at',
) }}

{% set nearest_last = ['nearness_us', 'stood_at', 'snapshot_at'] %}

with

quotes as (

    select
        *,
        5000 * (ask_price - bid_price) / mid_price as half_spread_bps,
        {{ bin_end('snapshot_at', 300) }} as bin_end_at,
        {{ quote_stood_at() }} as stood_at

    from {{ ref('stg_quotes') }}

),

-- What the venue answered after the mark counts where nothing stood nearer to it.
timed as (

    select
        *,
        -abs({{ micros('stood_at') }} - {{ micros('bin_end_at') }}) as nearness_us

    from quotes

),

-- Book and ticker come apart: of each measure the value nearest to the bin's end counts.
newest as (

    select
        venue,
        underlying,
        instrument_id,
        bin_end_at,
        max(snapshot_at) as snapshot_at,
        {{ last_by('mid_price', nearest_last) }} as mid_price,
        {{ last_by('mark_price', nearest_last) }} as mark_price,
        {{ last_by('last_price', nearest_last) }} as last_price,
        {{ last_by('index_price', nearest_last) }} as index_price,
        {{ last_by('half_spread_bps', nearest_last) }} as half_spread_bps,
        {{ last_by('case when mid_price is not null then stood_at end', nearest_last) }} as mid_at,
        {{ last_by('case when mark_price is not null then stood_at end', nearest_last) }} as mark_at,
        {{ last_by('case when last_price is not null then stood_at end', nearest_last) }} as last_at,
        {{ last_by('case when index_price is not null then stood_at end', nearest_last) }} as index_at,
        max(available_at) as available_at,
        max(case when is_availability_assumed then 1 else 0 end) = 1 as is_availability_assumed

    from timed

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
