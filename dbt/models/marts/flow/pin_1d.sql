with

partial as (

    select
        venue,
        underlying,
        instrument_id,
        {{ exploded('minutes') }} as sums

    from {{ ref('int_flow_days') }}

),

days as (

    select
        venue,
        underlying,
        instrument_id,
        {{ day_of(instant_of('sums.minute * 60000000')) }} as day_at,
        cast(sum(sums.buys) as bigint) as buy_count,
        cast(sum(sums.sells) as bigint) as sell_count,
        cast(sum(sums.unsided) as bigint) as unsided_count,
        {{ instant_of('max(sums.newest_us)') }} as newest_event_at,
        {{ instant_of('max(sums.known_us)') }} as inputs_available_at

    from partial

    group by venue, underlying, instrument_id, {{ day_of(instant_of('sums.minute * 60000000')) }}

    having sum(sums.buys + sums.sells + sums.unsided) > 0

),

-- A day and the 59 before it.
windows as (

    select
        later.instrument_id,
        later.day_at,
        max(earlier.inputs_available_at) as inputs_available_at,
        pin_estimate(
            {{ list_of('cast(earlier.buy_count as double)', 'earlier.day_at') }},
            {{ list_of('cast(earlier.sell_count as double)', 'earlier.day_at') }}
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
        found.days as days_used,
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
                ('unsided_count > 0', 'side_unknown'),
            ],
        ) }}

    from timed

)

select * from final

where available_at <= {{ as_of() }}
