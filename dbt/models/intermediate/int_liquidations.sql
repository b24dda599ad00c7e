{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='event_at') }}

with

told as (

    select
        venue,
        underlying,
        instrument_id,
        trade_id,
        event_at,
        available_at,
        is_availability_assumed,
        side,
        price,
        notional_usd,
        false as is_side_assumed

    from {{ ref('stg_liquidations') }}

),

marked as (

    select
        trades.venue,
        trades.underlying,
        trades.instrument_id,
        trades.trade_id,
        trades.event_at,
        trades.available_at,
        trades.is_availability_assumed,
        trades.side,
        trades.price,
        trades.notional_usd,
        true as is_side_assumed

    from {{ ref('stg_trades') }} as trades

    left join told
        on
            trades.instrument_id = told.instrument_id
            and trades.trade_id = told.trade_id

    where trades.is_liquidation and trades.side is not null and told.trade_id is null

)

select * from told

union all

select * from marked
