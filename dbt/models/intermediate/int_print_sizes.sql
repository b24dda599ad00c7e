{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='day_at') }}

select
    instrument_id,
    day_at,
    {{ quantile('quantity_base', 0.99) }} as large_base,
    max(available_at) as available_at

from {{ ref('stg_trades') }}

where not is_block

group by instrument_id, day_at
