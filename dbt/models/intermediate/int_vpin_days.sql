{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='day_at',
) }}

with

minutes as (

    select * from {{ ref('int_vpin_minutes') }}

),

bars as (

    -- In hundred-millionths, so that sums of them and of their squares are exact.
    select
        instrument_id,
        minute_at,
        round(1e8 * ln(close_price / open_price)) as change_units

    from {{ ref('bars_1m') }}

    where open_price > 0 and close_price > 0

)

select
    minutes.venue,
    minutes.underlying,
    minutes.instrument_id,
    minutes.day_at,
    max(minutes.is_inverse) as is_inverse,
    max(minutes.contract_size) as contract_size,
    case
        when
            min(minutes.lowest_lot) = max(minutes.highest_lot)
            and max(minutes.is_lot_broken) = 0
            and min(minutes.lowest_lot) > 0
            then min(minutes.lowest_lot)
    end as declared_lot,
    max(minutes.decimal_places) as decimal_places,
    sum(minutes.volume_native) as volume_native,
    sum(minutes.sided_native) as sided_native,
    count(bars.change_units) as bar_count,
    sum(cast(bars.change_units as decimal(38, 0))) as change_sum,
    sum(cast(bars.change_units * bars.change_units as decimal(38, 0))) as change_square_sum,
    max(minutes.newest_available_at) as newest_available_at,
    sum(minutes.row_count) as print_count

from minutes

left join bars
    on
        minutes.instrument_id = bars.instrument_id
        and minutes.minute_at = bars.minute_at

group by minutes.venue, minutes.underlying, minutes.instrument_id, minutes.day_at
