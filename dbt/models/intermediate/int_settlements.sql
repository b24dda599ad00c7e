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

-- A settlement told after a later one was late: what was known before it came must not depend on it.
-- The others came in order, so that each of them was known when the next was told.
ordered as (

    select
        *,
        coalesce(available_at <= min(available_at) over (
            partition by instrument_id
            order by event_at asc nulls last
            rows between 1 following and unbounded following
        ), true) as is_timely

    from told

    where place = 1

),

placed as (

    select
        *,
        count(case when is_timely then 1 end) over before as timely_before,
        max(case when is_timely then event_at end) over before as timely_event_at

    from ordered

    window before as (
        partition by instrument_id
        order by event_at asc nulls last
        rows between unbounded preceding and 1 preceding
    )

),

late_neighbours as (

    select
        placed.instrument_id,
        placed.settlement_number,
        max(late.event_at) as event_at

    from placed

    inner join placed as late
        on
            placed.instrument_id = late.instrument_id
            and placed.timely_before = late.timely_before
            and placed.event_at > late.event_at
            and placed.available_at >= late.available_at

    where not late.is_timely

    group by placed.instrument_id, placed.settlement_number

),

paced as (

    select
        placed.*,
        -- On the grid of minutes, a gap counts in whole ones.
        {{ step_number(plus_seconds('placed.event_at', 30), 60) }} * 60 as at_s,
        coalesce(late_neighbours.event_at, placed.timely_event_at) as earlier_event_at,
        60 * cast(round({{ seconds_between(
            'coalesce(late_neighbours.event_at, placed.timely_event_at)', 'placed.event_at'
        ) }} / 60) as bigint) as gap_s

    from placed

    left join late_neighbours
        on
            placed.instrument_id = late_neighbours.instrument_id
            and placed.settlement_number = late_neighbours.settlement_number

),

wanted as (

    select
        paced.instrument_id,
        paced.settlement_number,
        paced.is_timely,
        paced.available_at,
        paced.timely_before - back.n as earlier_timely_before,
        paced.settlement_number - back.n as earlier_number

    from paced

    cross join (select n + 1 as n from {{ numbers(21) }} as counting) as back

    where paced.interval_s is null

),

-- Of a timely row the timely ones before it, of a late one all that were known when it came.
gaps as (

    select
        wanted.instrument_id,
        wanted.settlement_number,
        earlier.gap_s

    from wanted

    inner join paced as earlier
        on
            wanted.instrument_id = earlier.instrument_id
            and wanted.earlier_timely_before = earlier.timely_before

    where wanted.is_timely and earlier.is_timely

    union all

    select
        wanted.instrument_id,
        wanted.settlement_number,
        earlier.gap_s

    from wanted

    inner join paced as earlier
        on
            wanted.instrument_id = earlier.instrument_id
            and wanted.earlier_number = earlier.settlement_number

    where not wanted.is_timely and wanted.available_at >= earlier.available_at

),

-- The most frequent of the last 21 gaps before the row; of equally frequent ones the shortest, for a
-- lost settlement can only lengthen a gap.
counted as (

    select
        instrument_id,
        settlement_number,
        gap_s,
        count(*) as times

    from gaps

    where gap_s is not null

    group by instrument_id, settlement_number, gap_s

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
        timed.*,
        earlier.paid_interval_s as earlier_interval_s,
        case
            when timed.gap_s is not null and timed.paid_interval_s is not null
                then greatest(
                    cast(round(timed.gap_s / cast(timed.paid_interval_s as double)) as bigint) - 1, 0
                )
        end as missing_settlements

    from timed

    left join timed as earlier
        on
            timed.instrument_id = earlier.instrument_id
            and timed.earlier_event_at = earlier.event_at

),

counts as (

    select
        *,
        -- A late one fills a place that was counted as lost.
        case
            when is_timely then coalesce(missing_settlements, 0)
            when gap_s is not null then -1
            else 0
        end as newly_missing

    from lost

),

summed as (

    select
        *,
        sum(cast(rate as decimal(38, 16))) over so_far as rates,
        sum(newly_missing) over so_far as missing

    from counts

    window so_far as (
        partition by instrument_id
        order by event_at asc nulls last
        rows between unbounded preceding and current row
    )

),

still_unknown as (

    select
        counts.instrument_id,
        counts.settlement_number,
        sum(cast(late.rate as decimal(38, 16))) as rates,
        sum(late.newly_missing) as missing

    from counts

    inner join counts as late
        on
            counts.instrument_id = late.instrument_id
            and counts.event_at > late.event_at
            and counts.available_at < late.available_at

    where not late.is_timely

    group by counts.instrument_id, counts.settlement_number

)

select
    summed.venue,
    summed.underlying,
    summed.instrument_id,
    summed.event_at,
    summed.at_s,
    summed.rate,
    summed.paid_interval_s as interval_s,
    summed.interval_s is null as is_interval_inferred,
    summed.gap_s,
    summed.missing_settlements,
    summed.row_count - 1 as repeated_rows,
    summed.highest_rate - summed.lowest_rate > 1e-12 as is_contradicted,
    not summed.is_timely as is_late,
    cast(summed.rates - coalesce(still_unknown.rates, 0) as double) as accrued,
    cast(summed.missing - coalesce(still_unknown.missing, 0) as bigint) as accrued_missing,
    summed.earlier_interval_s,
    summed.available_at as rate_available_at,
    summed.all_told_at as available_at,
    summed.is_availability_assumed

from summed

left join still_unknown
    on
        summed.instrument_id = still_unknown.instrument_id
        and summed.settlement_number = still_unknown.settlement_number
