with

volumes as (

    -- A day whose prints all lack a side, or a size, has no volume of that kind.
    select
        days.*,
        kinds.classification,
        case
            when kinds.classification = 'bulk' then days.volume_native else days.sided_native
        end as counted_native,
        coalesce(days.declared_lot, power(1e1, -days.decimal_places)) as day_lot,
        greatest(
            days.decimal_places,
            {{ decimal_places('coalesce(days.declared_lot, 1)') }}
        ) as places

    from {{ ref('int_vpin_days') }} as days

    cross join (
        select 'aggressor' as classification
        union all
        select 'bulk' as classification
    ) as kinds

),

units as (

    -- All is counted in the finest decimal step ever seen, but never in so fine a one that a day's
    -- volume would not be a whole number that a double holds.
    select
        instrument_id,
        classification,
        max(venue) as venue,
        max(underlying) as underlying,
        max(is_inverse) as is_inverse,
        max(contract_size) as contract_size,
        min(case when counted_native > 0 then day_at end) as first_day_at,
        max(day_at) as last_day_at,
        least(
            max(places),
            cast(floor(15.9 - ln(max(cast(coalesce(volume_native, 0) as double)) + 1) / ln(1e1)) as integer)
        ) as finest_places

    from volumes

    group by instrument_id, classification

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

    from {{ ref('int_vpin_days') }}

),

days as (

    select
        units.instrument_id,
        units.classification,
        committed.day_at,
        coalesce({{ lots_of('volumes.counted_native', 'units.finest_places') }}, 0) as volume_lots,
        -- Sizes are rounded to the finest step seen until then: one to come changes none of them.
        greatest(cast(round(
            min(volumes.day_lot) over until_then * power(1e1, units.finest_places)
        ) as bigint), 1) as step_lots,
        cast(coalesce(volumes.bar_count, 0) as double) as bar_count,
        cast(coalesce(volumes.change_sum, 0) as double) as change_sum,
        cast(coalesce(volumes.change_square_sum, 0) as double) as change_square_sum,
        -- Lots of a day are of the finest step until then, for the same reason.
        least(max(volumes.places) over until_then, units.finest_places) as places,
        volumes.newest_available_at

    from units

    inner join committed
        on
            units.instrument_id = committed.instrument_id
            and units.first_day_at <= committed.day_at
            and units.last_day_at >= committed.day_at

    left join volumes
        on
            units.instrument_id = volumes.instrument_id
            and units.classification = volumes.classification
            and committed.day_at = volumes.day_at

    window
        until_then as (
            partition by units.instrument_id, units.classification
            order by committed.day_at asc nulls last
            rows between unbounded preceding and current row
        )

),

plans as (

    select
        instrument_id,
        classification,
        {{ exploded(
            "vpin_plan("
            ~ list_of('cast(day_at as date)', 'day_at') ~ ", "
            ~ list_of('volume_lots', 'day_at') ~ ", "
            ~ list_of('step_lots', 'day_at') ~ ", "
            ~ list_of('bar_count', 'day_at') ~ ", "
            ~ list_of('change_sum', 'day_at') ~ ", "
            ~ list_of('change_square_sum', 'day_at') ~ ")"
        ) }} as planned

    from days

    group by instrument_id, classification

),

placed as (

    select
        units.venue,
        units.underlying,
        plans.instrument_id,
        plans.classification,
        days.day_at,
        units.is_inverse,
        units.contract_size,
        units.finest_places,
        days.places,
        {{ lots_again('plans.planned.bucket_lots', 'units.finest_places', 'days.places') }}
            as bucket_lots,
        plans.planned.first_bucket,
        {{ lots_again('plans.planned.open_lots', 'units.finest_places', 'days.places') }}
            as open_lots,
        {{ lots_again('plans.planned.open_bucket_lots', 'units.finest_places', 'days.places') }}
            as open_bucket_lots,
        plans.planned.is_own_day,
        case when plans.planned.is_restarted then 1 else 0 end as is_restarted,
        plans.planned.deviation / 1e8 as deviation,
        days.newest_available_at

    from plans

    inner join units
        on
            plans.instrument_id = units.instrument_id
            and plans.classification = units.classification

    inner join days
        on
            plans.instrument_id = days.instrument_id
            and plans.classification = days.classification
            and plans.planned.day_at = cast(days.day_at as date)

)

select
    placed.venue,
    placed.underlying,
    placed.instrument_id,
    placed.classification,
    placed.day_at,
    placed.is_inverse,
    placed.contract_size,
    placed.finest_places,
    placed.places,
    placed.bucket_lots,
    placed.first_bucket,
    placed.open_lots,
    placed.open_bucket_lots,
    placed.is_own_day,
    cast(sum(placed.is_restarted) over days_so_far as bigint) as restart_count,
    case when placed.classification = 'bulk' then placed.deviation end as deviation,
    case when placed.classification = 'bulk' then rules.bulk_distribution end as bulk_distribution,
    case when placed.classification = 'bulk' then rules.bulk_degrees end as bulk_degrees,
    -- The size of a bucket rests on the days before, in want of them on the day itself: no earlier
    -- than they were all there.
    case
        when placed.is_own_day then max(placed.newest_available_at) over days_so_far
        else max(placed.newest_available_at) over days_before
    end as history_available_at

from placed

left join {{ ref('vpin_rules') }} as rules
    on
        placed.day_at >= rules.valid_from
        and placed.day_at < rules.valid_to

window
    days_so_far as (
        partition by placed.instrument_id, placed.classification
        order by placed.day_at asc nulls last
        rows between unbounded preceding and current row
    ),
    days_before as (
        partition by placed.instrument_id, placed.classification
        order by placed.day_at asc nulls last
        rows between unbounded preceding and 1 preceding
    )
