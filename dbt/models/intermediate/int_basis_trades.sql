{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='minute_at',
) }}

with

bars as (

    select
        bars.*,
        {{ minute_end('bars.minute_at') }} as minute_end_at

    from {{ ref('bars_1m') }} as bars

),

newest as (

    select
        *,
        {{ bin_end('minute_end_at', 300) }} as bin_end_at,
        row_number() over (
            partition by instrument_id, {{ bin_end('minute_end_at', 300) }}
            order by minute_at desc nulls last
        ) as age_rank

    from bars

)

select
    newest.venue,
    newest.underlying,
    newest.instrument_id,
    newest.minute_at,
    newest.minute_end_at,
    newest.bin_end_at as snapshot_at,
    instruments.kind,
    instruments.base,
    instruments.quote,
    instruments.contract_type,
    instruments.expires_at,
    newest.close_price,
    {{ plus_seconds('newest.minute_end_at', '-newest.staleness_s') }} as traded_at,
    newest.available_at,
    {{ has_flag('newest.quality_flags', 'assumed_availability') }} as is_availability_assumed

from newest

inner join {{ ref('stg_instruments') }} as instruments
    on
        newest.instrument_id = instruments.instrument_id
        and newest.minute_at >= instruments.valid_from
        and newest.minute_at < instruments.valid_to

where newest.age_rank = 1 and instruments.kind in ('spot', 'perp', 'future')
