{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='quoted_at',
) }}

with

quotes as (

    select
        instrument_id,
        snapshot_at,
        {{ bin_end('available_at', 3600) }} as hour_end_at,
        open_interest_usd

    from {{ ref('stg_quotes') }}

    where open_interest_usd is not null

)

select
    instrument_id,
    max(snapshot_at) as quoted_at,
    hour_end_at,
    {{ last_by('open_interest_usd', ['snapshot_at']) }} as open_interest_usd

from quotes

group by instrument_id, hour_end_at
