{# A day whose prints pause for longer than two hours, and than the twentyfold mean between two of
   them, was not recorded whole: prints that come at random pause that long once in some million days. #}
{% set pause_minutes = 120 %}
{% set mean_pauses = 20 %}

with

partial as (

    select
        venue,
        underlying,
        instrument_id,
        {{ exploded('minutes') }} as sums

    from {{ ref('int_flow_days') }}

),

minutes as (

    select
        venue,
        underlying,
        instrument_id,
        {{ day_of(instant_of('sums.minute * 60000000')) }} as day_at,
        sums.minute % 1440 as minute_of_day,
        sums.buys,
        sums.sells,
        sums.unsided,
        sums.newest_us,
        sums.known_us

    from partial

    where sums.buys + sums.sells + sums.unsided > 0

),

spaced as (

    select
        *,
        minute_of_day
        - coalesce(lag(minute_of_day) over each_day, -1)
        - 1 as pause_minutes

    from minutes

    window each_day as (
        partition by instrument_id, day_at
        order by minute_of_day asc nulls last
    )

),

-- How much of the day's numbered prints had come by the last of them.
covered as (

    select
        instrument_id,
        {{ day_of('minute_at') }} as day_at,
        {{ last_by('coalesce(coverage_share, 1)', ['minute_at']) }} as coverage,
        max(available_at) as available_at

    from {{ ref('bars_1m') }}

    group by instrument_id, {{ day_of('minute_at') }}

),

counted as (

    select
        venue,
        underlying,
        instrument_id,
        day_at,
        cast(sum(buys) as bigint) as buy_count,
        cast(sum(sells) as bigint) as sell_count,
        cast(sum(unsided) as bigint) as unsided_count,
        greatest(max(pause_minutes), 1439 - max(minute_of_day)) as longest_pause_minutes,
        sum(buys + sells + unsided) as print_count,
        {{ instant_of('max(newest_us)') }} as newest_event_at,
        {{ instant_of('max(known_us)') }} as inputs_available_at

    from spaced

    group by venue, underlying, instrument_id, day_at

),

days as (

    select
        counted.venue,
        counted.underlying,
        counted.instrument_id,
        counted.day_at,
        counted.buy_count,
        counted.sell_count,
        counted.unsided_count,
        counted.newest_event_at,
        coalesce(covered.coverage, 1) >= 0.97
        and counted.longest_pause_minutes
        <= greatest({{ pause_minutes }}, {{ mean_pauses }} * 1440e0 / counted.print_count) as is_whole,
        greatest(
            counted.inputs_available_at,
            coalesce(covered.available_at, counted.inputs_available_at)
        ) as inputs_available_at

    from counted

    left join covered
        on
            counted.instrument_id = covered.instrument_id
            and counted.day_at = covered.day_at

),

-- A day and the 59 before it; half a day's counts would be news, so only whole ones count.
windows as (

    select
        later.instrument_id,
        later.day_at,
        max(earlier.inputs_available_at) as inputs_available_at,
        sum(case when earlier.is_whole then 0 else 1 end) as partial_count,
        pin_estimate(
            {{ list_of('cast(case when earlier.is_whole then earlier.buy_count end as double)', 'earlier.day_at') }},
            {{ list_of('cast(case when earlier.is_whole then earlier.sell_count end as double)', 'earlier.day_at') }}
        ) as found

    from days as later

    inner join days as earlier
        on
            later.instrument_id = earlier.instrument_id
            and later.day_at >= earlier.day_at
            and {{ plus_seconds('later.day_at', '-60 * 86400') }} < earlier.day_at

    group by later.instrument_id, later.day_at

),

timed as (

    select
        days.venue,
        days.underlying,
        days.instrument_id,
        days.day_at,
        days.buy_count,
        days.sell_count,
        days.unsided_count,
        days.newest_event_at,
        {{ day_end('days.day_at') }} as day_end_at,
        windows.inputs_available_at,
        windows.partial_count,
        windows.found

    from days

    inner join windows
        on
            days.instrument_id = windows.instrument_id
            and days.day_at = windows.day_at

),

final as (

    select
        venue,
        underlying,
        instrument_id,
        day_at,
        buy_count,
        sell_count,
        coalesce(found.days, 0) as days_used,
        found.pin,
        found.alpha as news_share,
        found.delta as bad_news_share,
        found.mu as informed_count,
        found.eps_b as uninformed_buy_count,
        found.eps_s as uninformed_sell_count,
        greatest(day_end_at, inputs_available_at) as available_at,
        {{ quality(
            'day_end_at',
            'newest_event_at',
            'null',
            soft_flags=[
                ('found.pin is null', 'too_few_days'),
                ('found.pin = 0', 'no_news_found'),
                ('partial_count > 0', 'partial_days'),
                ('unsided_count > 0', 'side_unknown'),
            ],
        ) }}

    from timed

)

select * from final

where available_at <= {{ as_of() }}
