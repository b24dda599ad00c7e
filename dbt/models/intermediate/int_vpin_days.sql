{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='day_at',
) }}

with

prints as (

    select
        trades.venue,
        trades.underlying,
        trades.instrument_id,
        {{ day_of('trades.event_at') }} as day_at,
        trades.available_at,
        coalesce(instruments.contract_type = 'inverse', false) as is_inverse,
        {{ native_size('trades', 'instruments') }} as quantity_native,
        -- A lot is declared in contracts; of spot and linear instruments base coins are traded.
        instruments.lot_size * case
            when instruments.contract_type = 'inverse' then 1
            else coalesce(instruments.contract_size, 1)
        end as declared_lot,
        instruments.contract_size

    from {{ ref('stg_trades') }} as trades

    left join {{ ref('stg_instruments') }} as instruments
        on
            trades.instrument_id = instruments.instrument_id
            and trades.event_at >= instruments.valid_from
            and trades.event_at < instruments.valid_to

    where not trades.is_block and trades.side is not null

)

select
    venue,
    underlying,
    instrument_id,
    day_at,
    is_inverse,
    contract_size,
    declared_lot,
    sum({{ exact('quantity_native') }}) as volume_native,
    max({{ decimal_places('quantity_native') }}) as decimal_places,
    max(case
        when
            {{ exact('round(quantity_native / declared_lot) * declared_lot') }}
            = {{ exact('quantity_native') }}
            then 0
        else 1
    end) as is_lot_broken,
    max(available_at) as newest_available_at,
    count(*) as print_count

from prints

group by
    venue, underlying, instrument_id, day_at, is_inverse, contract_size, declared_lot
