with

volumes as (

    select * from {{ ref('int_vpin_days') }}

),

lots as (

    -- One lot per instrument, whatever the day: the declared one where it never changed and every
    -- print is a multiple of it, else the smallest decimal step seen.
    select
        instrument_id,
        max(venue) as venue,
        max(underlying) as underlying,
        max(is_inverse) as is_inverse,
        max(contract_size) as contract_size,
        min(day_at) as first_day_at,
        max(day_at) as last_day_at,
        case
            when
                min(declared_lot) = max(declared_lot)
                and count(declared_lot) = count(*)
                and max(is_lot_broken) = 0
                then max(declared_lot)
            else power(cast(10 as double), -max(decimal_places))
        end as lot_native

    from volumes

    group by instrument_id

),

committed as (

    -- A day without prints was empty where that is proven, else it is missing.
    select
        instrument_id,
        day_at

    from {{ source('ops_source', 'coverage') }}

    where
        table_name = 'trades'
        and instrument_id is not null
        and (row_count > 0 or status in ('complete', 'open'))

    union distinct

    select
        instrument_id,
        day_at

    from volumes

),

days as (

    select
        lots.instrument_id,
        committed.day_at,
        coalesce(
            cast(round(cast(volumes.volume_native as double) / lots.lot_native) as bigint), 0
        ) as volume_lots,
        volumes.newest_available_at

    from lots

    inner join committed
        on
            lots.instrument_id = committed.instrument_id
            and lots.first_day_at <= committed.day_at
            and lots.last_day_at >= committed.day_at

    left join volumes
        on
            committed.instrument_id = volumes.instrument_id
            and committed.day_at = volumes.day_at

),

plans as (

    select
        instrument_id,
        {{ exploded(
            "vpin_plan("
            ~ list_of('cast(day_at as date)', 'day_at') ~ ", "
            ~ list_of('volume_lots', 'day_at') ~ ")"
        ) }} as planned

    from days

    group by instrument_id

)

select
    lots.venue,
    lots.underlying,
    plans.instrument_id,
    cast(plans.planned.day_at as timestamp) as day_at,
    lots.is_inverse,
    lots.contract_size,
    lots.lot_native,
    plans.planned.bucket_lots,
    plans.planned.first_bucket,
    plans.planned.open_lots,
    plans.planned.open_bucket_lots,
    plans.planned.is_own_day,
    cast(
        sum(case when plans.planned.is_restarted then 1 else 0 end) over days_so_far as bigint
    ) as restart_count,
    -- The size of a bucket rests on the days before: no earlier than they were all there.
    max(days.newest_available_at) over days_before as history_available_at

from plans

inner join lots
    on plans.instrument_id = lots.instrument_id

inner join days
    on
        plans.instrument_id = days.instrument_id
        and plans.planned.day_at = cast(days.day_at as date)

window
    days_so_far as (
        partition by plans.instrument_id
        order by plans.planned.day_at asc nulls last
        rows between unbounded preceding and current row
    ),
    days_before as (
        partition by plans.instrument_id
        order by plans.planned.day_at asc nulls last
        rows between unbounded preceding and 1 preceding
    )
