with

hours as (

    select
        venue,
        underlying,
        instrument_id,
        {{ exploded('hours') }} as found

    from {{ ref('int_flow_days') }}

),

-- How much of the day's prints had come by the last minute with prints.
covered as (

    select
        instrument_id,
        {{ hour_of('minute_at') }} as hour_at,
        {{ last_by('coalesce(coverage_share, -1)', ['minute_at']) }} as coverage,
        max(case when {{ has_flag('quality_flags', 'assumed_availability') }} then 1 else 0 end)
            as assumed_count,
        max(available_at) as available_at

    from {{ ref('bars_1m') }}

    group by instrument_id, {{ hour_of('minute_at') }}

),

timed as (

    select
        venue,
        underlying,
        instrument_id,
        {{ instant_of('found.hour * 3600000000') }} as hour_at,
        {{ instant_of('(found.hour + 1) * 3600000000') }} as hour_end_at,
        {{ instant_of('found.newest_us') }} as newest_event_at,
        {{ instant_of('found.known_us') }} as inputs_available_at,
        found

    from hours

),

final as (

    select
        timed.venue,
        timed.underlying,
        timed.instrument_id,
        timed.hour_at,
        found.prints as print_count,
        found.kyle_lambda,
        found.kyle_error as kyle_standard_error,
        found.kyle_low as kyle_lambda_low,
        found.kyle_high as kyle_lambda_high,
        found.kyle_lambda / nullif(found.kyle_error, 0) as kyle_t,
        found.kyle_r_squared,
        found.kyle_n,
        found.amihud,
        found.amihud_n,
        found.roll_bps,
        found.roll_covariance as roll_covariance_bps2,
        found.roll_n,
        found.order_impact_bps as hasbrouck_impact_bps,
        found.order_n as hasbrouck_n,
        found.power as impact_exponent,
        found.power_error as impact_exponent_standard_error,
        greatest(
            timed.hour_end_at,
            timed.inputs_available_at,
            coalesce(covered.available_at, timed.hour_end_at)
        ) as available_at,
        {{ quality(
            'timed.hour_end_at',
            'timed.newest_event_at',
            'case when covered.coverage >= 0 then covered.coverage end',
            soft_flags=[
                ('found.kyle_n < 100', 'too_few_mids'),
                ('found.roll_covariance >= 0', 'prices_do_not_bounce'),
                ('found.roll_n < 30', 'too_few_prints'),
                ('found.unsided > 0', 'side_unknown'),
                ('coalesce(covered.coverage, -1) < 0', 'coverage_unproven'),
                ('covered.assumed_count > 0', 'assumed_availability'),
            ],
        ) }}

    from timed

    left join covered
        on
            timed.instrument_id = covered.instrument_id
            and timed.hour_at = covered.hour_at

)

select * from final

where available_at <= {{ as_of() }}
