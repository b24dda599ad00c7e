{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='quoted_at',
    batch_size='day',
    begin='2010-01-01',
    lookback=0,
    concurrent_batches=false,
    tags=['daily']
) }}

with

quotes as (

    select
        quotes.*,
        {{ bin_end('quotes.snapshot_at', 300) }} as bin_end_at

    from {{ ref('stg_quotes') }} as quotes

),

newest as (

    select
        *,
        row_number() over (
            partition by instrument_id, bin_end_at
            order by snapshot_at desc nulls last
        ) as age_rank

    from quotes

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

where newest.age_rank = 1
