with

settled as (

    select
        *,
        {{ seconds_between(
            'lag(event_at) over (partition by instrument_id order by event_at asc nulls last)',
            'event_at'
        ) }} as since_row_s

    from {{ ref('stg_funding') }}

    where kind = 'settled'

),

-- Stamps jitter: rows within a minute of each other tell of the same settlement.
numbered as (

    select
        *,
        cast(sum(case when since_row_s <= 60 then 0 else 1 end) over (
            partition by instrument_id
            order by event_at asc nulls last
            rows between unbounded preceding and current row
        ) as bigint) as settlement_number

    from settled

),

told as (

    select
        *,
        count(*) over same as row_count,
        min(rate) over same as lowest_rate,
        max(rate) over same as highest_rate,
        max(available_at) over same as all_told_at,
        row_number() over (
            partition by instrument_id, settlement_number
            order by available_at asc nulls last, event_at asc nulls last
        ) as place

    from numbered

    window same as (partition by instrument_id, settlement_number)

),

paced as (

    select
        *,
        -- On the grid of minutes, a gap counts in whole ones.
        {{ step_number(plus_seconds('event_at', 30), 60) }} * 60 as at_s,
        60 * cast(round({{ seconds_between(
            'lag(event_at) over (partition by instrument_id order by event_at asc nulls last)',
            'event_at'
        ) }} / 60) as bigint) as gap_s

    from told

    where place = 1

),

wanted as (

    select
        paced.instrument_id,
        paced.settlement_number,
        paced.settlement_number - 1 - back.n as earlier_number

    from paced

    cross join {{ numbers(21) }} as back

    where paced.interval_s is null

),

-- The most frequent of the last 21 gaps before the row; of equally frequent ones the shortest, for a
-- lost settlement can only lengthen a gap.
counted as (

    select
        wanted.instrument_id,
        wanted.settlement_number,
        earlier.gap_s,
        count(*) as times

    from wanted

    inner join paced as earlier
        on
            wanted.instrument_id = earlier.instrument_id
            and wanted.earlier_number = earlier.settlement_number

    where earlier.gap_s is not null

    group by wanted.instrument_id, wanted.settlement_number, earlier.gap_s

),

ranked as (

    select
        *,
        row_number() over (
            partition by instrument_id, settlement_number
            order by times desc nulls last, gap_s asc nulls last
        ) as place

    from counted

),

timed as (

    select
        paced.*,
        -- A gap of whole hours that is shorter than the usual one is a shorter interval.
        coalesce(paced.interval_s, case
            when paced.gap_s < ranked.gap_s and paced.gap_s = 3600 * round(paced.gap_s / 3600e0)
                then paced.gap_s
            else ranked.gap_s
        end) as paid_interval_s

    from paced

    left join ranked
        on
            paced.instrument_id = ranked.instrument_id
            and paced.settlement_number = ranked.settlement_number
            and ranked.place = 1

),

lost as (

    select
        *,
        case
            when gap_s is not null and paid_interval_s is not null
                then greatest(cast(round(gap_s / cast(paid_interval_s as double)) as bigint) - 1, 0)
        end as missing_settlements

    from timed

)

select
    venue,
    underlying,
    instrument_id,
    event_at,
    at_s,
    rate,
    paid_interval_s as interval_s,
    interval_s is null as is_interval_inferred,
    gap_s,
    missing_settlements,
    row_count - 1 as repeated_rows,
    highest_rate - lowest_rate > 1e-12 as is_contradicted,
    cast(sum(cast(rate as decimal(38, 16))) over so_far as double) as accrued,
    cast(sum(coalesce(missing_settlements, 0)) over so_far as bigint) as accrued_missing,
    lag(paid_interval_s) over (
        partition by instrument_id
        order by event_at asc nulls last
    ) as earlier_interval_s,
    max(all_told_at) over so_far as available_at,
    is_availability_assumed

from lost

window so_far as (
    partition by instrument_id
    order by event_at asc nulls last
    rows between unbounded preceding and current row
)
